//! The components' sizes, and how long an author waits for them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use servo_devkit::build::{BuildOptions, build};
use servo_tests::components;

use crate::house::House;
use crate::samples::{Case, Samples, interleave};
use crate::table::{Bar, Table};

/// Set this to have a build from nothing timed: it takes minutes.
const COLD: &str = "SERVO_BENCH_COLD";

pub(crate) fn sizes(table: &mut Table) {
    let size = |name: &str| std::fs::metadata(House::component(name)).unwrap().len();
    for name in House::components() {
        table.bytes(
            format!("size of the component {name}"),
            size(&name),
            "hostile",
            size("hostile"),
        );
    }
}

pub(crate) fn times(table: &mut Table) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = tempfile::tempdir().unwrap();
    let options = BuildOptions {
        paths: vec![components::tree().join("drivers")],
        out: Some(out.path().to_owned()),
        install: false,
        quiet: true,
    };
    let [warm, start] = interleave(
        5,
        [
            Case::new(|| {
                let begun = Instant::now();
                build(&options).unwrap();
                begun.elapsed()
            }),
            Case::new(|| {
                let begun = Instant::now();
                let mut command = Command::new(&cargo);
                command.arg("--version").stdout(Stdio::null());
                assert!(command.status().unwrap().success());
                begun.elapsed()
            }),
        ],
    );
    table.times(
        "build all of drivers/, nothing changed",
        &warm,
        "cargo --version",
        &start,
        Bar::None,
    );
    if std::env::var_os(COLD).is_none_or(|value| value != "1") {
        println!("note: no build of the drivers from nothing was timed; set {COLD}=1 for it");
        return;
    }
    println!("note: building the drivers from nothing takes minutes");
    crate::binary();
    let mut cold = Samples::default();
    cold.push(from_nothing(out.path()));
    table.times(
        "build all of drivers/ from nothing (once)",
        &cold,
        "with nothing changed",
        &warm,
        Bar::None,
    );
}

/// In a process of its own, since the cache's place is read from there.
fn from_nothing(out: &Path) -> std::time::Duration {
    let cache = tempfile::tempdir().unwrap();
    let servo = servo_tests::workspace::servo_binary().unwrap();
    let begun = Instant::now();
    let status = Command::new(servo)
        .args(["driver", "build", "--out"])
        .arg(out)
        .arg(components::tree().join("drivers"))
        .env("XDG_CACHE_HOME", cache.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    begun.elapsed()
}
