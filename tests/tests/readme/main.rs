//! The README, executed: every command in it is run, in order, in one shell;
//! every file in it is written from it; every output it shows is seen.
//!
//! Where a command would be absurd in a test (this suite runs within `cargo
//! test`) or must use another port, [`INSTEAD`] says what happens, and each of
//! its entries must be needed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic in a test is the report"
)]

mod page;
mod shell;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use servo_artifact::user_cache_folder;
use servo_tests::components::tree;
use servo_tests::workspace::{Workspace, servo_binary};

use page::{Item, edited, items, stable};
use shell::Shell;

/// What becomes of a command.
enum Instead {
    /// This text stands in its place.
    Text(&'static str),
    /// Another port that is free.
    FreePort,
    /// It is not run, but `.ci/run` does it: this must stand there.
    InCi(&'static str),
}

/// What is replaced in commands and files: a whole command, or a part of one.
const INSTEAD: &[(&str, Instead)] = &[
    // One trial instead of twelve, with the binary that cargo has built anyway.
    (
        "cargo run --release -- demo",
        Instead::Text("servo demo --trials 1 --seconds 1"),
    ),
    // It would run itself.
    (
        "cargo test",
        Instead::InCi("run_phase \"tests\" cargo test\n"),
    ),
    // Installing is not for a test.
    (
        "apt-get install nginx-light apache2-utils prometheus",
        Instead::InCi("    nginx-light apache2-utils prometheus\n"),
    ),
    // The binary of this profile.
    ("$PWD/target/release", Instead::Text("$SERVO_FOLDER")),
    // The versions that are on this machine already.
    (
        "servo driver new shop-rate --kind measure",
        Instead::Text(
            "servo driver new shop-rate --kind measure && cp \"$LOCK\" shop-rate/Cargo.lock",
        ),
    ),
    (
        "--trials 8 --duration 2",
        Instead::Text("--trials 2 --duration 1"),
    ),
    ("127.0.0.1:9000", Instead::FreePort),
    ("127.0.0.1:8080", Instead::FreePort),
];

/// [`INSTEAD`] with ports chosen.
struct Replacements {
    texts: Vec<(&'static str, String)>,
    used: Vec<&'static str>,
}

impl Replacements {
    fn new() -> Self {
        let texts = INSTEAD
            .iter()
            .filter_map(|(from, instead)| match instead {
                Instead::Text(to) => Some((*from, (*to).to_owned())),
                Instead::FreePort => Some((*from, free_address())),
                Instead::InCi(_) => None,
            })
            .collect();
        Self {
            texts,
            used: Vec::new(),
        }
    }

    fn apply(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.texts {
            if text.contains(from) {
                text = text.replace(from, to);
                self.used.push(from);
            }
        }
        text
    }

    /// True when the command is one that `.ci/run` does and this test does not.
    fn is_for_ci(&mut self, command: &str) -> bool {
        let found = INSTEAD.iter().find_map(|(from, instead)| match instead {
            Instead::InCi(line) if *from == command => Some((from, line)),
            _ => None,
        });
        let Some((from, line)) = found else {
            return false;
        };
        let ci = fs::read_to_string(tree().join(".ci/run")).unwrap();
        assert!(ci.contains(line), "{line:?} is not in .ci/run");
        self.used.push(from);
        true
    }
}

/// Free at this moment; whoever listens there must say so if it is not any more.
fn free_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}

/// The environment of a person on this machine, but with a home of its own.
fn environment(home: &Path) -> BTreeMap<&'static str, OsString> {
    let var = |name: &str| std::env::var_os(name);
    let real_home = std::path::PathBuf::from(var("HOME").unwrap_or_default());
    let folder = servo_binary().unwrap().parent().unwrap().to_owned();
    let path = std::env::split_paths(&var("PATH").unwrap()).collect::<Vec<_>>();
    let path = std::iter::once(folder.clone()).chain(path);
    let mut all = BTreeMap::from([
        ("HOME", home.into()),
        ("PATH", std::env::join_paths(path).unwrap()),
        ("SERVO_FOLDER", folder.into()),
        ("LOCK", tree().join("Cargo.lock").into()),
        // What compilers have made already is there to be used again.
        (
            "XDG_CACHE_HOME",
            user_cache_folder().unwrap().parent().unwrap().into(),
        ),
        (
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join("new-projects")
                .into(),
        ),
        (
            "CARGO_HOME",
            var("CARGO_HOME").unwrap_or_else(|| real_home.join(".cargo").into()),
        ),
        (
            "RUSTUP_HOME",
            var("RUSTUP_HOME").unwrap_or_else(|| real_home.join(".rustup").into()),
        ),
    ]);
    if let Some(toolchain) = var("RUSTUP_TOOLCHAIN") {
        all.insert("RUSTUP_TOOLCHAIN", toolchain);
    }
    all
}

fn readme() -> String {
    fs::read_to_string(tree().join("README.md")).unwrap()
}

/// What the server at `url` answers to a GET.
fn get(url: &str) -> String {
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{url}: {answer}");
    answer
}

#[test]
fn every_command_does_what_the_readme_shows() {
    let home = Workspace::new().unwrap();
    let shop = home.path().join("shop");
    let mut replacements = Replacements::new();
    let mut shell = Shell::start(tree(), &environment(home.path()));
    let mut commands = 0;
    // A code that the next command is to show.
    let mut unexplained: Option<(usize, String)> = None;
    for item in items(&readme()) {
        match item {
            Item::Command { line, text, output } => {
                commands += 1;
                if replacements.is_for_ci(&text) {
                    continue;
                }
                let shows_code = text == "echo \"exit code $?\"";
                let (code, said) = shell.run(&replacements.apply(&text), &output);
                if shows_code {
                    unexplained = None;
                }
                assert_eq!(unexplained, None, "a command before line {line} failed");
                if code != 0 {
                    let said = said.join("\n");
                    unexplained = Some((line, format!("`{text}` ended with {code}: {said}")));
                }
            }
            Item::Edit { file, diff } => {
                let file = shop.join(file);
                let diff: Vec<String> = diff.iter().map(|line| replacements.apply(line)).collect();
                let text = fs::read_to_string(&file).unwrap();
                fs::write(&file, edited(&text, &diff)).unwrap();
            }
            Item::File { file, text } => {
                fs::write(shop.join(file), replacements.apply(&text)).unwrap();
            }
            Item::Open(url) => {
                let url = replacements.apply(&url);
                assert!(get(&url).contains("page.js"), "{url}");
                let trials = get(&format!(
                    "{url}api/v1/accounts/local/applications/shop/trials"
                ));
                assert!(trials.contains("\"done\""), "{trials}");
            }
        }
    }
    assert_eq!(unexplained, None);
    assert!(commands > 15, "the README has few commands: {commands}");
    for (from, _) in INSTEAD {
        assert!(replacements.used.contains(from), "{from:?} is not needed");
    }
}

#[test]
fn what_is_linked_is_there_and_has_the_tests_that_are_named() {
    let readme = readme();
    let mut tests = 0;
    for line in readme.lines() {
        for link in line.split("](").skip(1) {
            let (target, after) = link.split_once(')').unwrap();
            if target.starts_with("http") {
                continue;
            }
            let path = tree().join(target);
            assert!(path.exists(), "{target} is not there");
            if !target.ends_with(".rs") {
                continue;
            }
            let code = fs::read_to_string(path).unwrap();
            // Up to the next link: the names, in backticks.
            let names = after.split('[').next().unwrap().split('`').skip(1);
            for name in names.step_by(2) {
                tests += 1;
                assert!(code.contains(&format!("fn {name}")), "{target}: {name}");
            }
        }
    }
    assert!(tests > 30, "the table names few tests: {tests}");
}

#[test]
fn the_packages_it_names_are_those_that_ci_installs() {
    let ci = fs::read_to_string(tree().join(".ci/run")).unwrap();
    let readme = readme();
    for package in [
        "cargo-web",
        "rust-web-src",
        "rust-web-llvm",
        "lld-22",
        "wasi-libc",
    ] {
        assert!(ci.contains(package), "{package}");
        assert!(readme.contains(&format!("`{package}`")), "{package}");
    }
}

#[test]
fn lines_on_the_page_are_not_all_figures() {
    // A shown line that is nothing but figures would match anything.
    for item in items(&readme()) {
        if let Item::Command { text, output, .. } = item {
            for line in output {
                let stable = stable(&line);
                // The columns of a table are what its head says.
                let row = stable.starts_with("0 0 0 0") || stable.starts_with('-');
                let words = stable.chars().any(char::is_alphabetic);
                assert!(row || words, "{text}: {line}");
            }
        }
    }
}
