//! What the operator decides about native drivers, and the limits that nobody
//! has to decide.

use std::path::{Path, PathBuf};
use std::time::Duration;

use servo_policy::Advice;

/// What all native drivers of a servo share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeOptions {
    /// The application's id: the last argument of every call.
    pub app: String,
    /// The current directory of the drivers; relative programs are found in it.
    pub folder: PathBuf,
    /// How much of a failed driver's stderr the service sees (`OPTUNE_VERBOSE_STDERR`).
    pub stderr: StderrShare,
    /// How long a driver may neither read nor write (`OPTUNE_IO_TIMEOUT`);
    /// none: for ever.
    pub io_timeout: Option<Duration>,
    /// Sends what the original would have sent where the two differ.
    pub compat: bool,
}

impl NativeOptions {
    /// For an application, everything else as the original without variables.
    #[must_use]
    pub fn new(app: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self {
            app: app.into(),
            folder: folder.into(),
            stderr: StderrShare::default(),
            io_timeout: None,
            compat: false,
        }
    }
}

/// How much of the stderr of a driver that ended with an exit code other than
/// zero is appended to its message (protocol sections 12 and 13.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StderrShare {
    /// Everything.
    #[default]
    All,
    /// The first two lines.
    Minimal,
    /// Nothing.
    None,
}

impl StderrShare {
    /// Reads `OPTUNE_VERBOSE_STDERR`. Unset means everything, an unknown word nothing.
    #[must_use]
    pub fn parse(variable: Option<&str>) -> Self {
        match variable {
            None | Some("all") => Self::All,
            Some("minimal") => Self::Minimal,
            Some(_) => Self::None,
        }
    }
}

/// Reads `OPTUNE_IO_TIMEOUT`: whole seconds; unset, empty and 0 mean no limit.
///
/// # Errors
/// The text is no whole number of seconds; the process ends with exit code 1.
pub fn parse_io_timeout(variable: Option<&str>) -> Result<Option<Duration>, NativeError> {
    let text = variable.unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(0) => Ok(None),
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds.into()))),
        Err(_) => Err(NativeError::IoTimeout(text.to_owned())),
    }
}

/// Limits of one call. The defaults are for everybody; tests set smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeLimits {
    /// Longest run of `--info`. It only prints two facts, but the interpreters
    /// of old drivers need seconds to start on a busy machine.
    pub info: Duration,
    /// How long a driver may live after its output has ended, and its output
    /// may stay open after the driver has ended (section 13.5).
    pub ending: Duration,
    /// Longest line of its output, in bytes (section 22.3, item 26). Also bounds
    /// the memory that a call can take: a line is parsed into at most some
    /// twenty times its length, and one line is kept.
    pub line: usize,
    /// Longest run of the environment check. The one public plugin sleeps two
    /// minutes by design (section 9).
    pub environment: Duration,
}

impl Default for NativeLimits {
    fn default() -> Self {
        Self {
            info: Duration::from_secs(30),
            ending: Duration::from_secs(3),
            line: 8 << 20,
            environment: Duration::from_secs(180),
        }
    }
}

/// Why there is no native driver.
#[derive(Debug)]
pub enum NativeError {
    /// The file is missing or out of reach.
    Unreachable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no program.
    NotExecutable {
        /// The file.
        path: PathBuf,
    },
    /// The folder cannot be used.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `OPTUNE_IO_TIMEOUT` is no number.
    IoTimeout(String),
}

impl NativeError {
    /// What is wrong, and what to do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Unreachable { path, source } => Advice::new(
                format!("the driver {} cannot be used: {source}", path.display()),
                "put an executable file there",
            ),
            Self::NotExecutable { path } => Advice::new(
                format!("the driver {} is no executable file", path.display()),
                format!("make it one with `chmod +x {}`", path.display()),
            ),
            Self::Folder { path, source } => Advice::new(
                format!(
                    "the folder of the drivers, {}, cannot be used: {source}",
                    path.display()
                ),
                "check the path and its permissions",
            ),
            Self::IoTimeout(text) => Advice::new(
                format!("OPTUNE_IO_TIMEOUT is `{text}`, which is no whole number of seconds"),
                "write for example 60, or 0 for no limit",
            ),
        }
    }
}

impl std::fmt::Display for NativeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.advice().fmt(f)
    }
}

impl std::error::Error for NativeError {}

/// A program and where it runs.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// As it is started, and as it sees itself: `./measure`.
    pub(crate) path: PathBuf,
    /// Its current directory, absolute.
    pub(crate) folder: PathBuf,
    /// The file name, for people.
    pub(crate) name: String,
}

impl Program {
    /// A name without a slash is a file in the folder, never one of `PATH`.
    pub(crate) fn new(program: &Path, folder: &Path) -> Result<Self, NativeError> {
        let unusable = |source| NativeError::Folder {
            path: folder.to_owned(),
            source,
        };
        let name = program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy()
            .into_owned();
        let path = if program.components().count() == 1 && program.is_relative() {
            Path::new(".").join(program)
        } else {
            program.to_owned()
        };
        Ok(Self {
            path,
            folder: std::path::absolute(folder).map_err(unusable)?,
            name,
        })
    }

    /// Where the file is, seen from here.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables() {
        for (text, share) in [
            (None, StderrShare::All),
            (Some("all"), StderrShare::All),
            (Some("minimal"), StderrShare::Minimal),
            (Some("none"), StderrShare::None),
            (Some(""), StderrShare::None),
            (Some("ALL"), StderrShare::None),
        ] {
            assert_eq!(StderrShare::parse(text), share, "{text:?}");
        }
        for (text, seconds) in [
            (None, None),
            (Some(""), None),
            (Some("0"), None),
            (Some("60"), Some(60)),
            (Some(" 5\n"), Some(5)),
        ] {
            let limit = parse_io_timeout(text).unwrap();
            assert_eq!(limit, seconds.map(Duration::from_secs), "{text:?}");
        }
        for text in ["x", "1.5", "-1", "60s", "99999999999"] {
            let error = parse_io_timeout(Some(text)).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_bare_name_is_a_file_in_the_folder() {
        for (program, started) in [
            ("measure", "./measure"),
            ("./measure", "./measure"),
            ("sub/measure", "sub/measure"),
            ("/opt/measure", "/opt/measure"),
        ] {
            let program = Program::new(Path::new(program), Path::new(".")).unwrap();
            assert_eq!(program.path, Path::new(started));
            assert_eq!(program.name, "measure");
        }
    }
}
