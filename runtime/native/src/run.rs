//! One run of a program: feed it, read it, watch the time, clear up.
//!
//! Everything happens in one loop, so that nothing can wait for anything else:
//! a program that does not read its input still has its output read, one that
//! floods one stream cannot starve the other or the clock, and dropping the
//! future ends all of it. Whatever happens, the program and what it started are
//! gone when the loop has returned.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, Command};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::capture::{CHUNK, Capture, Room};
use crate::lines::{LineError, Lines};
use crate::options::Program;
use crate::process::{Exit, Group, Streams};

/// Bytes of stdout that are read at once. A pipe holds as much.
const READ: usize = 64 << 10;

/// Reads what a program writes to stdout.
pub(crate) trait Output: Send {
    fn take(&mut self, bytes: &[u8]) -> Result<(), OutputError>;
}

impl Output for Lines<'_> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        Ok(Lines::take(self, bytes)?)
    }
}

/// An output that is one document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) bytes: Vec<u8>,
    limit: usize,
}

impl Document {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }
}

impl Output for Document {
    fn take(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(OutputError::TooLong { limit: self.limit });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// Why the output of a program cannot be used.
#[derive(Debug, Error)]
pub(crate) enum OutputError {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("it wrote more than {limit} bytes where one short JSON document is due")]
    TooLong { limit: usize },
}

/// Why a run came to nothing.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    #[error("{program} could not be started: {source}")]
    Start { program: String, source: io::Error },
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("it neither read nor wrote anything for {0:?} (OPTUNE_IO_TIMEOUT)")]
    Silent(Duration),
    #[error("it ran for more than {0:?}")]
    Late(Duration),
}

/// What a cancel does to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCancel {
    /// It is told, and may go on until it ends.
    Tell,
    /// It is killed.
    Kill,
}

/// What is to be run, and how.
pub(crate) struct Run<'a> {
    pub(crate) program: &'a Program,
    pub(crate) arguments: &'a [&'a str],
    /// What it reads from stdin; none: nothing at all.
    pub(crate) input: Option<&'a [u8]>,
    pub(crate) io_timeout: Option<Duration>,
    /// Longest run.
    pub(crate) wall: Option<Duration>,
    /// See [`crate::NativeLimits::ending`].
    pub(crate) ending: Duration,
    pub(crate) stderr: Room,
    pub(crate) cancel: Option<(&'a CancellationToken, OnCancel)>,
}

/// How a run ended that came to its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) stderr: Capture,
    /// The program was told of a cancel, or killed by one.
    pub(crate) cancelled: bool,
}

impl Run<'_> {
    /// Runs the program to its end. When this returns, its process group is gone.
    pub(crate) async fn run(self, output: &mut dyn Output) -> Result<Ended, RunError> {
        let mut command = Command::new(&self.program.path);
        command
            .args(self.arguments)
            .current_dir(&self.program.folder)
            .stdin(if self.input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Group::start(&mut command).map_err(|source| RunError::Start {
            program: self.program.file().display().to_string(),
            source,
        });
        let (mut group, streams) = started?;
        let result = self.attend(&mut group, streams, output).await;
        group.end().await;
        result
    }

    async fn attend(
        self,
        group: &mut Group,
        streams: Streams,
        output: &mut dyn Output,
    ) -> Result<Ended, RunError> {
        let Streams {
            mut stdin,
            mut stdout,
            mut stderr,
        } = streams;
        let mut input = self.input.unwrap_or_default();
        let mut capture = Capture::new(self.stderr);
        let (mut out, mut err) = (vec![0; READ], vec![0; CHUNK]);
        let mut exit = None;
        let mut overdue = false;
        let mut cancelled = false;
        let began = Instant::now();
        let (mut phase, mut since) = (Phase::Working, began);
        loop {
            let now = Phase::of(stdout.is_some() || stderr.is_some(), exit.is_some());
            if now != phase {
                (phase, since) = (now, Instant::now());
            }
            let patience = match phase {
                Phase::Working => self.io_timeout,
                Phase::OutputOpen | Phase::ProgramLeft => Some(self.ending),
                Phase::Over => {
                    let exit = exit.filter(|_| !overdue).unwrap_or(Exit::Overdue);
                    return Ok(Ended {
                        exit,
                        stderr: capture,
                        cancelled,
                    });
                }
            };
            tokio::select! {
                () = cancel(self.cancel), if !cancelled => {
                    cancelled = true;
                    match self.cancel {
                        Some((_, OnCancel::Tell)) if exit.is_none() => group.cancel(),
                        _ => group.kill(),
                    }
                }
                ended = group.ended(), if exit.is_none() => exit = Some(ended),
                bytes = read(&mut stdout, &mut out) => {
                    output.take(out.get(..bytes).unwrap_or_default())?;
                    phase.moved(&mut since);
                }
                bytes = read(&mut stderr, &mut err) => {
                    capture.take(err.get(..bytes).unwrap_or_default());
                    phase.moved(&mut since);
                }
                bytes = write(&mut stdin, input) => {
                    input = input.get(bytes..).unwrap_or_default();
                    phase.moved(&mut since);
                }
                () = after(self.wall, began) => {
                    return Err(RunError::Late(self.wall.unwrap_or_default()));
                }
                () = after(patience, since) => match phase {
                    Phase::OutputOpen => (stdout, stderr) = (None, None),
                    Phase::ProgramLeft if overdue => exit = Some(Exit::Overdue),
                    Phase::ProgramLeft => {
                        overdue = true;
                        group.kill();
                        since = Instant::now();
                    }
                    Phase::Working | Phase::Over => {
                        return Err(RunError::Silent(patience.unwrap_or_default()));
                    }
                },
            }
        }
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The program runs and its output is open.
    Working,
    /// The program has ended, but somebody whom it started holds its output open.
    OutputOpen,
    /// The output has ended, but the program has not.
    ProgramLeft,
    /// Both have ended.
    Over,
}

impl Phase {
    fn of(open: bool, ended: bool) -> Self {
        match (open, ended) {
            (true, false) => Self::Working,
            (true, true) => Self::OutputOpen,
            (false, false) => Self::ProgramLeft,
            (false, true) => Self::Over,
        }
    }

    /// Something was read or written. At the end of a run that buys no more time.
    fn moved(self, since: &mut Instant) {
        if self == Self::Working {
            *since = Instant::now();
        }
    }
}

/// Reads what is there. A stream that has ended becomes none.
async fn read(from: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    let Some(stream) = from else {
        return std::future::pending().await;
    };
    // A stream that cannot be read has ended as far as we can know.
    let bytes = stream.read(buffer).await.unwrap_or(0);
    if bytes == 0 {
        *from = None;
    }
    bytes
}

/// Writes what fits, and closes the stream after the last byte. A program need
/// not read its input (section 22.3, item 25), so errors only end the writing.
async fn write(to: &mut Option<ChildStdin>, input: &[u8]) -> usize {
    let Some(stream) = to else {
        return std::future::pending().await;
    };
    let bytes = if input.is_empty() {
        0
    } else {
        stream.write(input).await.unwrap_or(0)
    };
    if bytes == input.len() || bytes == 0 {
        *to = None;
    }
    bytes
}

async fn cancel(cancel: Option<(&CancellationToken, OnCancel)>) {
    match cancel {
        Some((token, _)) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

async fn after(limit: Option<Duration>, since: Instant) {
    match limit.and_then(|limit| since.checked_add(limit)) {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
