//! Where the value of a secret is got, and when it is got again.
//!
//! - A *file* is looked at before each use and read again when it is another one
//!   than was read ([`crate::file`]). There is at most one read for each change;
//!   one that is written in place may be read half written, and is then refused
//!   or wrong until its writer is done.
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

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use servo_policy::SecretSource;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::command;
use super::error::{Place, Problem, SourceError};
use super::renewed::{Fetched, Renewed, Unavailable};
use super::scrub::is_telling;
use super::secret::{LONGEST, Secret};
use crate::file::{self, FileError, Stamp};

/// How long the output of a command is used.
const COMMAND_KEPT: Duration = Duration::from_secs(5 * 60);

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
                variable(std::env::var_os(name))
                    .inspect(|secret| tell(&Place::Variable(name.clone()), secret))
                    .map(Origin::Variable),
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
            (Origin::File(_), _) => Err(FileError::NotAFile.into()),
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
            let value = command::run(&argv).await?;
            let program = argv.first().cloned().unwrap_or_default();
            tell(&Place::Command(program), &value);
            Ok(Fetched {
                value,
                good_for: COMMAND_KEPT,
            })
        })
    }))
}

/// Tells its owner of a value that stays in answers.
fn tell(place: &Place, value: &Secret) {
    if !is_telling(value.bytes()) {
        tracing::warn!(
            secret = %place,
            "the secret is shorter than 8 bytes or has fewer than 4 different ones, so it cannot be \
             told from data: it is not taken out of what servers answer; use a longer one"
        );
    }
}

/// What is in a file, read only if it is another than was read last.
fn reread(path: &Path, last: Option<Reading>) -> Result<Reading, Problem> {
    let now = file::stamp(path)?;
    match last {
        Some(last) if last.stamp == now => Ok(last),
        _ => {
            let (stamp, bytes) = file::read(path, LONGEST + 2)?;
            let value = Secret::new(bytes)
                .inspect(|secret| tell(&Place::File(path.to_owned()), secret))
                .map_err(Problem::Bad);
            Ok(Reading { stamp, value })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::secret::BadSecret;
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
            assert_eq!(error.problem, Problem::File(FileError::NotAFile));
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
