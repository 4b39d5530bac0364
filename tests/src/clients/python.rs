//! Packages of the Python registry, in a virtual environment of their own.
//!
//! The environment is kept under `target/` between runs. It counts as complete
//! when the list it was made from lies in it, which is written last; one that
//! is not, or was made from another list, is made anew.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::components::tree;

/// The list of requirements that an environment was made from.
const MADE_FROM: &str = "made-from.txt";

/// Why there is no environment.
#[derive(Debug, thiserror::Error)]
pub enum NoEnvironment {
    /// A program does not start, or a file cannot be written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("`{what}` failed: {said}")]
    Failed {
        /// Its command.
        what: String,
        /// The end of what it said.
        said: String,
    },
}

/// A virtual environment with some packages.
#[derive(Debug, Clone)]
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// The environment `name` with exactly these requirements, pinned, one a
    /// line. Needs `python3` with its module `venv`, and the first time the
    /// registry.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn with(name: &str, requirements: &str) -> Result<Self, NoEnvironment> {
        let outer = tree().join("target/test-python");
        let folder = outer.join(name);
        let io = |what: &str| {
            let what = format!("{what} {}", folder.display());
            move |source| NoEnvironment::Io { what, source }
        };
        fs::create_dir_all(&outer).map_err(io("making"))?;
        // Two suites at a time must not both make it.
        let lock = fs::File::create(outer.join(format!("{name}.lock"))).map_err(io("locking"))?;
        lock.lock().map_err(io("locking"))?;
        let made_from = folder.join(MADE_FROM);
        let environment = Self {
            folder: folder.clone(),
        };
        if fs::read_to_string(&made_from).is_ok_and(|found| found == requirements) {
            return Ok(environment);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io("removing"))?;
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let list = folder.join("requirements.txt");
        fs::write(&list, requirements).map_err(io("writing to"))?;
        run(Command::new(environment.program("python3"))
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            .args(["--disable-pip-version-check", "--requirement"])
            .arg(&list))?;
        fs::write(&made_from, requirements).map_err(io("writing to"))?;
        Ok(environment)
    }

    /// One of its programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }
}

fn run(command: &mut Command) -> Result<(), NoEnvironment> {
    let what = format!("{command:?}");
    let output = command.output().map_err(|source| NoEnvironment::Io {
        what: what.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let from = said.len().saturating_sub(2000);
    let said = said
        .get(said.ceil_char_boundary(from)..)
        .unwrap_or_default();
    Err(NoEnvironment::Failed {
        what,
        said: said.to_owned(),
    })
}

/// The environment, or none and a notice that the test harness does not
/// swallow: the test should return. `test` is the name that the notice shows.
///
/// # Panics
/// Instead of giving none, where `CI` is set.
#[must_use]
pub fn present(test: &str, found: Result<Environment, NoEnvironment>) -> Option<Environment> {
    let error = match found {
        Ok(environment) => return Some(environment),
        Err(error) => error,
    };
    let must = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
    let bar = "=".repeat(72);
    let verdict = if must {
        "FAILED"
    } else {
        "SKIPPED, nothing was tested"
    };
    let notice = format!(
        "\n{bar}\n{test}: {verdict}\n  {error}\n  it needs python3 with venv (apt-get install python3-venv) and the Python registry\n{bar}\n"
    );
    let _ = std::io::stderr().lock().write_all(notice.as_bytes());
    #[allow(clippy::panic, reason = "it fails the test that called it")]
    if must {
        panic!("{notice}");
    }
    None
}

/// Writes a file and the folders above it.
pub(super) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
