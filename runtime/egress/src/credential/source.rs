//! Where the value of a secret is got, and when it is got again.
//!
//! - A *file* is looked at before each use (one `stat`) and read again when it
//!   is another one than was read: mounted secrets are exchanged by rename, so
//!   the inode counts as well as time and length. There is at most one read
//!   for each change; one that is written in place may be read half written,
//!   and is then refused or wrong until its writer is done.
//! - A *variable* is read once, when the lane is made: nobody can change it
//!   from outside.
//! - A *command* runs at the first use and not at load, since its answers may
//!   last shorter than a servo waits for work, and loading must not wait for
//!   somebody's vault. It runs again after five minutes, or when the server
//!   answers 401 to a value that is no longer fresh. Whether there is such a
//!   program is looked at when it is loaded.
//!
//! A value that cannot be had again is gone: the request fails. The old one is
//! not used on, because it may have been revoked for a reason.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use servo_policy::SecretSource;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::command;
use super::renewed::{Fetched, Renewed, Unavailable};
use super::secret::{BadSecret, LONGEST, Secret};

/// How long the output of a command is used.
const COMMAND_KEPT: Duration = Duration::from_secs(5 * 60);

/// What is wrong with a source; never what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}")]
    Bad(#[from] BadSecret),
    #[error("it cannot be read: {0}")]
    Io(io::ErrorKind),
    #[error("it is not a regular file")]
    NotAFile,
    #[error("there is no such variable in the environment of servo")]
    NoVariable,
    #[error("there is no such program")]
    NoProgram,
    #[error("it failed; run it by hand to see why")]
    Failed,
    #[error("its output is more than 64 KiB")]
    TooMuch,
    #[error("it took longer than 30 seconds")]
    TooSlow,
    #[error("it did not answer before the request's own time was over")]
    Late,
}

/// A source that gives no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub(super) struct SourceError {
    pub(super) place: Place,
    pub(super) problem: Problem,
}

/// A source by its name. Of a command only the program is told: an argument
/// may be a secret too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Variable(String),
    Command(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Command(program) => write!(f, "the command {program}"),
        }
    }
}

pub(super) struct Source {
    place: Place,
    origin: Origin,
}

enum Origin {
    File(Mutex<Option<Reading>>),
    Variable(Secret),
    Command(Renewed<Secret, Problem>),
}

/// What a file was when it was read, and what was in it.
struct Reading {
    stamp: Stamp,
    value: Result<Secret, Problem>,
}

/// Changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Source {
    /// Reads a file or a variable, and looks for a command.
    pub(super) fn load(source: &SecretSource) -> Result<Self, SourceError> {
        let (place, origin) = match source {
            SecretSource::File(path) => (
                Place::File(path.clone()),
                reread(path, None).and_then(|reading| {
                    reading.value.as_ref().map_err(|problem| *problem)?;
                    Ok(Origin::File(Mutex::new(Some(reading))))
                }),
            ),
            SecretSource::Env(name) => (
                Place::Variable(name.clone()),
                variable(std::env::var_os(name)).map(Origin::Variable),
            ),
            SecretSource::Command(argv) => (
                Place::Command(argv.first().cloned().unwrap_or_default()),
                command::check(argv).map(|()| Origin::Command(commanded(argv.clone()))),
            ),
        };
        match origin {
            Ok(origin) => Ok(Self { place, origin }),
            Err(problem) => Err(SourceError { place, problem }),
        }
    }

    /// The value as it is now.
    pub(super) async fn current(&self, until: Instant) -> Result<Secret, SourceError> {
        let value = match (&self.origin, &self.place) {
            (Origin::File(last), Place::File(path)) => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                match reread(path, last.take()) {
                    Ok(reading) => last.insert(reading).value.clone(),
                    Err(problem) => Err(problem),
                }
            }
            (Origin::Variable(secret), _) => Ok(secret.clone()),
            (Origin::Command(renewed), _) => renewed.get(until).await.map_err(|why| match why {
                Unavailable::Failed(problem) => problem,
                Unavailable::Late => Problem::Late,
            }),
            (Origin::File(_), _) => Err(Problem::NotAFile),
        };
        value.map_err(|problem| SourceError {
            place: self.place.clone(),
            problem,
        })
    }

    /// The server does not accept this value.
    pub(super) fn refused(&self, value: &Secret) {
        if let Origin::Command(renewed) = &self.origin {
            renewed.refused(|kept| kept.is(value));
        }
    }
}

fn variable(value: Option<std::ffi::OsString>) -> Result<Secret, Problem> {
    let value = value.ok_or(Problem::NoVariable)?;
    let bytes = std::os::unix::ffi::OsStringExt::into_vec(value);
    Ok(Secret::new(Zeroizing::new(bytes))?)
}

fn commanded(argv: Vec<String>) -> Renewed<Secret, Problem> {
    let argv = std::sync::Arc::new(argv);
    Renewed::new(Box::new(move || {
        let argv = std::sync::Arc::clone(&argv);
        Box::pin(async move {
            Ok(Fetched {
                value: command::run(&argv).await?,
                good_for: COMMAND_KEPT,
            })
        })
    }))
}

/// What is in a file, read only if it is another than was read last.
fn reread(path: &Path, last: Option<Reading>) -> Result<Reading, Problem> {
    let meta = stat(path)?;
    match last {
        Some(last) if last.stamp == Stamp::of(&meta) => Ok(last),
        _ => {
            let (stamp, bytes) = read(path, LONGEST + 2)?;
            let value = Secret::new(bytes).map_err(Problem::Bad);
            Ok(Reading { stamp, value })
        }
    }
}

/// What a file is now. Nothing but a file is opened: a pipe would wait for its
/// writer.
pub(super) fn stat(path: &Path) -> Result<Metadata, Problem> {
    let meta = std::fs::metadata(path).map_err(|error| Problem::Io(error.kind()))?;
    if meta.is_file() {
        Ok(meta)
    } else {
        Err(Problem::NotAFile)
    }
}

/// The first bytes of a file, one more than `most` if it has more, in one
/// buffer that does not grow.
pub(super) fn read(path: &Path, most: usize) -> Result<(Stamp, Zeroizing<Vec<u8>>), Problem> {
    let failed = |error: io::Error| Problem::Io(error.kind());
    let file = File::open(path).map_err(failed)?;
    let stamp = Stamp::of(&file.metadata().map_err(failed)?);
    let mut bytes = Zeroizing::new(vec![0; most + 1]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match (&file).read(rest) {
            Ok(0) => break,
            Ok(size) => filled += size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    bytes.truncate(filled);
    Ok((stamp, bytes))
}

impl Stamp {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            length: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[tokio::test]
    async fn e9_a_changed_file_is_read_once_and_the_old_value_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "first\n").unwrap();
        let source = Source::load(&SecretSource::File(path.clone())).unwrap();
        let first = source.current(soon()).await.unwrap();
        assert_eq!(first.text(), "first");
        assert!(
            first.is(&source.current(soon()).await.unwrap()),
            "read once"
        );
        let old = first.watch();
        drop(first);
        assert!(old.upgrade().is_some(), "kept for the next request");

        // Exchanged by rename, as mounted secrets are: same length, maybe same time.
        std::fs::write(folder.path().join("new"), "secon\n").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(source.current(soon()).await.unwrap().text(), "secon");
        assert!(old.upgrade().is_none());
    }

    #[tokio::test]
    async fn e9_what_cannot_be_read_again_is_not_used_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "first").unwrap();
        let source = Source::load(&SecretSource::File(path.clone())).unwrap();
        let old = source.current(soon()).await.unwrap().watch();
        for bad in [Some(""), Some("two\nlines"), None] {
            match bad {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            assert!(source.current(soon()).await.is_err(), "{bad:?}");
            assert!(source.current(soon()).await.is_err(), "{bad:?}");
            assert!(old.upgrade().is_none());
        }
        std::fs::write(&path, "third").unwrap();
        assert_eq!(source.current(soon()).await.unwrap().text(), "third");
    }

    #[test]
    fn e8_variables() {
        let value = |text: &str| Some(std::ffi::OsString::from(text));
        assert_eq!(variable(value("hunter22")).unwrap().text(), "hunter22");
        assert_eq!(variable(None).unwrap_err(), Problem::NoVariable);
        assert_eq!(
            variable(value("")).unwrap_err(),
            Problem::Bad(BadSecret::Empty)
        );
        assert_eq!(
            variable(value("a\nb")).unwrap_err(),
            Problem::Bad(BadSecret::Lines)
        );
    }

    #[tokio::test]
    async fn only_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [pipe, folder.path().to_owned(), "/dev/zero".into()] {
            let error = Source::load(&SecretSource::File(path)).err().unwrap();
            assert_eq!(error.problem, Problem::NotAFile);
        }
    }

    #[tokio::test]
    async fn e9_a_command_runs_again_when_its_answer_is_refused_or_old() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "cd {} && echo x >> runs && wc -l < runs",
            folder.path().display()
        );
        let argv = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
        let source = Source::load(&SecretSource::Command(argv)).unwrap();
        assert!(!folder.path().join("runs").exists(), "not at load");
        let first = source.current(soon()).await.unwrap();
        assert_eq!(source.current(soon()).await.unwrap().text(), "1");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(10)).await;
        source.refused(&first);
        tokio::time::resume();
        let second = source.current(soon()).await.unwrap();
        assert_eq!(second.text(), "2");
        source.refused(&first);
        assert!(second.is(&source.current(soon()).await.unwrap()));
        tokio::time::pause();
        tokio::time::advance(COMMAND_KEPT).await;
        tokio::time::resume();
        assert_eq!(source.current(soon()).await.unwrap().text(), "3");
    }
}
