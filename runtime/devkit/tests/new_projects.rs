//! A new project builds, passes its own tests and is formatted, as it is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic in a test is the report"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use servo_artifact::DriverKind;
use servo_artifact::manifest::from_toml;
use servo_devkit::scaffold::{ScaffoldError, create};

const KINDS: [(DriverKind, &str); 2] =
    [(DriverKind::Measure, "rate"), (DriverKind::Adjust, "tuner")];

/// Runs cargo in a project. Both share one target folder, since all but a few
/// seconds of the work is the same crates; it lies in ours, so that a second
/// run has them.
fn cargo(project: &Path, args: &[&str]) {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("new-projects");
    let output = Command::new(env!("CARGO"))
        .args(args)
        .current_dir(project)
        .env("CARGO_TARGET_DIR", target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo {args:?} in {}:\n{}\n{}",
        project.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

#[test]
fn both_kinds_pass_their_own_tests_and_are_formatted() {
    let dir = tempfile::tempdir().unwrap();
    // The versions this repository was tried with are the ones that are here.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    for (kind, name) in KINDS {
        let project = create(dir.path(), name, kind).unwrap();
        fs::copy(&lock, project.folder.join("Cargo.lock")).unwrap();
        cargo(&project.folder, &["test", "--offline", "--quiet"]);
        cargo(&project.folder, &["fmt", "--check"]);
    }
}

#[test]
fn a_project_has_its_files_its_name_and_a_valid_manifest() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, name) in KINDS {
        let project = create(dir.path(), name, kind).unwrap();
        assert_eq!(project.folder, dir.path().join(name));
        for file in &project.files {
            let text = fs::read_to_string(project.folder.join(file)).unwrap();
            assert!(!text.contains("{{"), "{}: {text}", file.display());
        }
        let file = project.folder.join("driver.toml");
        let manifest = from_toml(&fs::read_to_string(&file).unwrap(), &file).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.kind), (name, kind));
        let sdk = project.folder.join("vendor/servo-driver");
        for file in ["Cargo.toml", "src/lib.rs", "wit/driver.wit"] {
            assert!(sdk.join(file).is_file(), "{file}");
        }
        let text = fs::read_to_string(sdk.join("Cargo.toml")).unwrap();
        assert!(!text.contains("workspace"), "{text}");
    }
    let left = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, KINDS.len(), "something was left beside the projects");
}

#[test]
fn nothing_that_exists_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let new = |name| create(dir.path(), name, DriverKind::Measure);
    fs::create_dir(dir.path().join("empty")).unwrap();
    new("empty").unwrap();

    fs::create_dir(dir.path().join("full")).unwrap();
    fs::write(dir.path().join("full/notes"), "mine").unwrap();
    fs::write(dir.path().join("file"), "mine").unwrap();
    for taken in ["empty", "full", "file"] {
        let error = new(taken).unwrap_err();
        assert!(matches!(error, ScaffoldError::Exists { .. }), "{error}");
    }
    assert_eq!(fs::read(dir.path().join("full/notes")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(dir.path().join("full")).unwrap().count(), 1);
}

#[test]
fn names_that_are_no_names_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "",
        "Shop",
        "a b",
        "../up",
        "/etc",
        "1st",
        "a.b",
        "x\u{1b}[2J",
        &"a".repeat(64),
    ] {
        let error = create(dir.path(), name, DriverKind::Adjust).unwrap_err();
        assert!(
            matches!(error, ScaffoldError::Name { .. }),
            "{name}: {error}"
        );
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
