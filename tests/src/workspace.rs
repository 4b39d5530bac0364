//! A folder to run `servo` in that is gone with the test.
//!
//! Cargo tells the path of a binary only to the tests of its own package. The
//! suites are a package of their own, so they look for the binary where cargo
//! puts it: two folders above the test's own executable.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// `servo` is not where cargo would have put it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the binary `servo` is not built: there is no {}; run `cargo build --workspace` for this \
     profile first, or `cargo test` for the whole workspace", .0.display()
)]
pub struct NotBuilt(pub PathBuf);

/// Why a workspace could not be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// `servo` is not built.
    #[error(transparent)]
    NotBuilt(#[from] NotBuilt),
    /// A file or the process could not be made.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The path of the built `servo`.
///
/// # Errors
/// When it is not built for the profile of this test.
pub fn servo_binary() -> Result<PathBuf, NotBuilt> {
    beside(&std::env::current_exe().unwrap_or_default())
}

/// `test` is `target/<profile>/deps/<test>-<hash>`.
fn beside(test: &Path) -> Result<PathBuf, NotBuilt> {
    let name = format!("servo{}", std::env::consts::EXE_SUFFIX);
    let profile = test.ancestors().nth(2).unwrap_or(Path::new(""));
    let binary = profile.join(name);
    if binary.is_file() {
        Ok(binary)
    } else {
        Err(NotBuilt(binary))
    }
}

/// An empty folder, removed when dropped.
#[derive(Debug)]
pub struct Workspace {
    folder: TempDir,
}

/// How a program ended and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The exit code; absent when a signal ended it.
    pub code: Option<i32>,
    /// All of its stdout; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// All of its stderr, likewise.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Workspace {
    /// A new one.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new() -> Result<Self, WorkspaceError> {
        let folder = tempfile::Builder::new().prefix("servo-test-").tempdir();
        folder
            .map(|folder| Self { folder })
            .map_err(|source| WorkspaceError::Io {
                path: std::env::temp_dir(),
                source,
            })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders it needs; its whole path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(
        &self,
        name: impl AsRef<Path>,
        content: impl AsRef<[u8]>,
    ) -> Result<PathBuf, WorkspaceError> {
        let path = self.path().join(name);
        let folder = path.parent().unwrap_or(self.path());
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, content))
            .map_err(|source| WorkspaceError::Io {
                path: path.clone(),
                source,
            })?;
        Ok(path)
    }

    /// `servo` with `arguments`, to run in this folder, with nothing of the
    /// caller's environment but `PATH`: a token or an option from there would
    /// decide the test. The code it compiles is kept for the other suites.
    ///
    /// # Errors
    /// When it is not built.
    pub fn servo<I, S>(&self, arguments: I) -> Result<Command, NotBuilt>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<std::ffi::OsStr>,
    {
        let mut command = self.command(&servo_binary()?);
        command
            .args(arguments)
            .env("XDG_CACHE_HOME", crate::components::cache_home());
        Ok(command)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .stdin(std::process::Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    /// Runs `servo` with `arguments` to its end.
    ///
    /// # Errors
    /// When it is not built or does not start. A failure of its own is no
    /// error here; see [`Ran::code`].
    pub fn run<I, S>(&self, arguments: I) -> Result<Ran, WorkspaceError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<std::ffi::OsStr>,
    {
        let mut command = self.servo(arguments)?;
        match command.output() {
            Ok(output) => Ok(output.into()),
            Err(source) => Err(WorkspaceError::Io {
                path: command.get_program().into(),
                source,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_looked_for_beside_the_folder_of_the_test() {
        let workspace = Workspace::new().unwrap();
        let test = workspace.path().join("debug/deps/suite-0123");
        let binary = workspace.path().join("debug/servo");
        let missing = beside(&test).unwrap_err();
        assert_eq!(missing, NotBuilt(binary.clone()));
        let text = missing.to_string();
        assert!(text.contains(binary.to_str().unwrap()), "{text}");
        assert!(text.contains("cargo build --workspace"), "{text}");

        workspace.write("debug/servo", "").unwrap();
        assert_eq!(beside(&test), Ok(binary));
    }

    #[test]
    fn a_program_sees_the_folder_and_little_else() {
        let workspace = Workspace::new().unwrap();
        let output = workspace
            .command(Path::new("/usr/bin/env"))
            .output()
            .unwrap();
        let ran = Ran::from(output);
        assert_eq!(ran.code, Some(0));
        let mut names: Vec<&str> = ran
            .stdout
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, _)| name)
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["HOME", "PATH"]);
        let home = format!("HOME={}\n", workspace.path().display());
        assert!(ran.stdout.contains(&home), "{}", ran.stdout);
    }

    #[test]
    fn it_is_gone_when_dropped() {
        let workspace = Workspace::new().unwrap();
        let file = workspace.write("a/b/c.txt", "x").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"x");
        let path = workspace.path().to_owned();
        drop(workspace);
        assert!(!path.exists());
    }
}
