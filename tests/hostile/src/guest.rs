//! The hostile driver as a component: built once, as a driver author builds one.

use std::path::PathBuf;
use std::sync::OnceLock;

use servo_artifact::{Artifact, CancelSupport, manifest};
use servo_devkit::build::{BuildOptions, build};

use crate::tree;

/// The driver with many behaviours.
///
/// # Panics
/// When it cannot be built, with the compiler's words.
pub fn artifact() -> &'static Artifact {
    // One failure is enough: each try is a run of the compiler.
    static ARTIFACT: OnceLock<Result<Artifact, String>> = OnceLock::new();
    let artifact = ARTIFACT.get_or_init(|| {
        let built = build(&BuildOptions {
            paths: vec![tree().join("tests/hostile/guest")],
            out: None,
            install: true,
            quiet: true,
        });
        built.map_err(|error| error.to_string())?;
        Artifact::read(tree().join("target/drivers/hostile.wasm"))
            .map_err(|error| error.to_string())
    });
    match artifact {
        Ok(artifact) => artifact,
        Err(error) => panic!("the hostile driver cannot be built: {error}"),
    }
}

/// Where suites keep compiled code from run to run: compiling a component is
/// the slowest part of a test.
#[must_use]
pub fn code_folder() -> PathBuf {
    tree().join("target/test-cache/servo/code")
}

/// The same driver, whose manifest says that it stops by itself when it is
/// cancelled.
///
/// # Panics
/// Never: the manifest is a good one.
#[must_use]
pub fn that_cancels() -> Vec<u8> {
    with_cancel(CancelSupport::Report)
}

/// The same driver with another word on cancelling in its manifest.
///
/// # Panics
/// Never: the manifest is a good one.
#[must_use]
pub fn with_cancel(cancel: CancelSupport) -> Vec<u8> {
    let mut changed = artifact().manifest().clone();
    changed.cancel = cancel;
    manifest::embed(artifact().bytes(), &changed).unwrap()
}
