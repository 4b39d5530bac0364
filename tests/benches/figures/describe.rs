//! A `describe` that does nothing: what a call costs before it does anything.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use serde_json::json;
use servo_agent::{CallContext, CallId, MeasureDriver, ProgressSink};
use servo_host::Sandboxed;
use servo_protocol::check::check_metrics;
use servo_sandbox::Silent;
use tokio_util::sync::CancellationToken;

use crate::house::House;
use crate::raw::Raw;
use crate::samples::{Case, Samples, interleave};
use crate::table::{Bar, Table};

const ROUNDS: usize = 6_000;

/// As a driver of the original: two options, answers in JSON.
const SCRIPT: &str = r#"
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--info", action="store_true")
parser.add_argument("--describe", action="store_true")
parser.add_argument("app")
if parser.parse_args().info:
    print(json.dumps({"version": "1.0.0", "has_cancel": False}))
else:
    print(json.dumps({"metrics": {}}))
"#;

/// What the agent makes for a call, before it makes one.
fn context() -> CallContext {
    let cancel = CancellationToken::new();
    let (progress, _watched) = ProgressSink::new(cancel.clone());
    CallContext {
        app: "app".to_owned(),
        call: CallId::random(),
        param: None,
        progress,
        cancel,
        deadline: tokio::time::Instant::now() + Duration::from_secs(60),
    }
}

/// The whole runtime: the agent's context, the sandbox, the protocol's checks.
async fn runtime(driver: &Sandboxed) {
    let metrics = MeasureDriver::describe(driver, &context()).await.unwrap();
    // A driver without metrics is refused; ours has none, and is asked anyway.
    let _ = black_box(check_metrics(&metrics));
}

/// The sandbox alone.
async fn sandbox(driver: &Sandboxed) {
    let call = driver
        .bound()
        .begin(Arc::new(Silent), CancellationToken::new());
    let step = call.describe_metrics("app").await;
    black_box(step.end.into_result().unwrap());
}

fn timed(house: &House, work: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    house.runtime.block_on(work);
    begun.elapsed()
}

struct Drivers {
    raw: Raw,
    sandboxed: Sandboxed,
}

fn drivers(house: &House) -> Drivers {
    let component = std::fs::read(House::component("hostile")).unwrap();
    let driver = house.load("hostile");
    Drivers {
        raw: Raw::new(&component),
        sandboxed: house.bind(&driver, json!({}), json!({})),
    }
}

pub(crate) fn criterion(c: &mut Criterion, house: &House) {
    let Drivers { raw, sandboxed } = drivers(house);
    let mut group = c.benchmark_group("describe");
    group.bench_function("raw engine", |b| {
        b.to_async(&house.runtime).iter(|| raw.describe());
    });
    group.bench_function("sandbox", |b| {
        b.to_async(&house.runtime).iter(|| sandbox(&sandboxed));
    });
    group.bench_function("whole runtime", |b| {
        b.to_async(&house.runtime).iter(|| runtime(&sandboxed));
    });
    group.finish();
}

pub(crate) fn figures(house: &House, table: &mut Table) {
    let Drivers { raw, sandboxed } = drivers(house);
    let [of_raw, of_sandbox, of_runtime, of_true] = interleave(
        ROUNDS,
        [
            Case::new(|| {
                let metrics = async {
                    black_box(raw.describe().await);
                };
                timed(house, metrics)
            }),
            Case::new(|| timed(house, sandbox(&sandboxed))),
            Case::new(|| timed(house, runtime(&sandboxed))),
            Case::every(20, || twice(Command::new("/bin/true"))),
        ],
    );
    let engine = "raw engine, same component";
    table.times(
        "describe: fresh instance, sandbox alone",
        &of_sandbox,
        engine,
        &of_raw,
        Bar::Ratio(1.2),
    );
    table.times(
        "describe: the same, ratio of the p99",
        &of_sandbox,
        engine,
        &of_raw,
        Bar::P99(Duration::from_micros(250)),
    );
    table.times(
        "describe: whole runtime",
        &of_runtime,
        engine,
        &of_raw,
        Bar::P50(Duration::from_micros(150)),
    );
    table.times(
        "describe: whole runtime",
        &of_runtime,
        "start /bin/true twice",
        &of_true,
        Bar::None,
    );
    match python() {
        Some(python) => original(house, &sandboxed, &python, table),
        None => println!(
            "\n{0}\nSKIPPED: no python3 on this machine, so the figure against a driver in \
             Python is missing;\ninstall it with: apt-get install python3\n{0}\n",
            "=".repeat(72)
        ),
    }
}

/// Against a driver call of the original: `DRIVER --info`, then the driver.
fn original(house: &House, driver: &Sandboxed, python: &Path, table: &mut Table) {
    println!("note: the Python is {}", python.display());
    let script = tempfile::Builder::new().suffix(".py").tempfile().unwrap();
    std::fs::write(script.path(), SCRIPT).unwrap();
    let start = |option: &str| {
        let mut command = Command::new(python);
        command.arg(script.path()).args([option, "app"]);
        start(command);
    };
    let [ours, theirs]: [Samples; 2] = interleave(
        1_000,
        [
            Case::new(|| timed(house, runtime(driver))),
            Case::every(25, || {
                let begun = Instant::now();
                start("--info");
                start("--describe");
                begun.elapsed()
            }),
        ],
    );
    table.times(
        "describe: whole runtime",
        &ours,
        "a driver in Python twice, as the original",
        &theirs,
        Bar::Cheaper(500.0),
    );
}

fn start(mut command: Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn twice(mut command: Command) -> Duration {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = Instant::now();
    for _ in 0..2 {
        command.status().unwrap();
    }
    begun.elapsed()
}

/// The interpreter itself: what stands in `PATH` may be a script that looks
/// for it, and the original should not be charged for that.
pub(crate) fn python() -> Option<PathBuf> {
    let mut command = Command::new("python3");
    let output = command
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    let path = PathBuf::from(path.trim());
    (output.status.success() && path.is_file()).then_some(path)
}
