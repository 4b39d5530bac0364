//! The drivers as components, built as a driver author builds them.
//!
//! Every suite calls this; cargo decides whether there is anything to do, and
//! keeps processes that build at the same time apart.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use servo_artifact::user_cache_folder;
use servo_devkit::build::{BuildOptions, build};

/// The root of the source tree.
#[must_use]
pub fn tree() -> &'static Path {
    // `tests/` is a folder of the root.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The component of the driver `name`: one of `drivers/`, or `hostile`.
///
/// # Panics
/// When the drivers cannot be built, with the compiler's words.
#[must_use]
#[allow(clippy::panic)]
pub fn component(name: &str) -> PathBuf {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let options = BuildOptions {
            paths: vec![tree().join("drivers"), tree().join("tests/hostile/guest")],
            out: None,
            install: true,
            quiet: true,
        };
        match build(&options) {
            Ok(_) => Ok(tree().join("target/drivers")),
            Err(error) => Err(error.to_string()),
        }
    });
    match folder {
        Ok(folder) => folder.join(format!("{name}.wasm")),
        Err(error) => panic!("the drivers cannot be built: {error}"),
    }
}

/// What `servo` gets as `XDG_CACHE_HOME` in the suites: compiling a component
/// is the slowest part of a test, so its code is kept from run to run, but
/// apart from the person's own.
#[must_use]
pub fn cache_home() -> PathBuf {
    tree().join("target/test-cache")
}

/// Where suites keep compiled code: the place `servo` uses with [`cache_home`].
#[must_use]
pub fn code_folder() -> PathBuf {
    cache_home().join("servo/code")
}

/// What `servo` gets as `XDG_CACHE_HOME` where it builds drivers: the person's
/// own cache, which [`component`] uses too. One of the two compilers builds the
/// standard library there first, which takes minutes.
#[must_use]
pub fn build_cache_home() -> Option<PathBuf> {
    user_cache_folder()?.parent().map(Path::to_owned)
}
