//! The child, from its start to its end, as its parent sees it.
//!
//! One thread does all of it, waiting for four things at once: room for more of
//! the component, more of the answer, more of a message, and the end of the
//! child. Whatever comes first, the deadline is looked at, so a child that
//! neither reads nor writes nor ends is as harmless as one that does all three.
//! The thread that starts the child must outlive it, since the kernel takes
//! that thread's end for the end of the parent.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::frame::{self, Answer};
use super::{CompileError, CompileLimits, Compiler};
use crate::compile_child::{Exit, VERB};

/// How much of the child's message is read. It writes one line.
const MAX_MESSAGE: u64 = 4096;

/// How much of it is shown.
const SHOWN_MESSAGE: usize = 200;

/// What the standard library writes before it gives up for want of memory.
const OUT_OF_MEMORY: &str = "memory allocation of ";

/// Compiles a component in a child. Blocks for as long as that takes.
pub(crate) fn compile(
    compiler: &Compiler,
    fingerprint: &str,
    component: &[u8],
) -> Result<Vec<u8>, CompileError> {
    let (program, arguments) = compiler.start()?;
    let limits = compiler.limits;
    let failed = |source| CompileError::Process {
        program: program.clone(),
        source,
    };
    let mut running = Running::start(&program, arguments, &limits, fingerprint).map_err(failed)?;
    let talked = running.talk(component, &limits);
    let status = running.end().map_err(failed)?;
    match talked {
        Ok(Talk::Ended { answer, message }) => match Exit::of(status.code()) {
            Some(Exit::Answered) => match Answer::read(answer, component) {
                Ok(Answer::Code(code)) => Ok(code),
                Ok(Answer::Refusal(text)) => Err(CompileError::Refused(text)),
                Err(problem) => Err(CompileError::WrongAnswer(problem)),
            },
            exit => Err(failure(exit, status, &message, &limits, program)),
        },
        Ok(Talk::TooLong) => Err(CompileError::Wall(limits.wall.as_secs())),
        Ok(Talk::TooMuch) => Err(CompileError::Code(limits.code)),
        Err(error) => Err(failed(error)),
    }
}

/// What it means that the child ended as it did, without an answer.
fn failure(
    exit: Option<Exit>,
    status: ExitStatus,
    message: &[u8],
    limits: &CompileLimits,
    program: PathBuf,
) -> CompileError {
    let text = String::from_utf8_lossy(message);
    let line: String = text.lines().next().unwrap_or_default().trim().to_owned();
    let shown: String = line.chars().take(SHOWN_MESSAGE).collect();
    let shown = shown.escape_debug().to_string();
    match exit {
        Some(Exit::Memory) => return CompileError::Memory(limits.memory),
        Some(Exit::Unprotected) => return CompileError::Unprotected(shown),
        Some(Exit::OtherBuild) => return CompileError::OtherBuild(program),
        _ => {}
    }
    let signal = status.signal().and_then(Signal::from_named_raw);
    match signal {
        Some(Signal::XCPU) => CompileError::Cpu(limits.cpu),
        Some(Signal::ABORT) if line.starts_with(OUT_OF_MEMORY) => {
            CompileError::Memory(limits.memory)
        }
        Some(Signal::SYS) => {
            CompileError::Crashed("it tried what compiling does not need".to_owned())
        }
        _ if shown.is_empty() => CompileError::Crashed(status.to_string()),
        _ => CompileError::Crashed(format!("{status}: {shown}")),
    }
}

/// How talking to the child ended.
enum Talk {
    /// It ended, or closed its output.
    Ended { answer: Vec<u8>, message: Vec<u8> },
    /// Its time is over.
    TooLong,
    /// It says more than any answer has.
    TooMuch,
}

/// A child, its end of life, and the time when that must have come.
struct Running {
    child: Child,
    ended: OwnedFd,
    group: Pid,
    deadline: Instant,
}

impl Running {
    fn start(
        program: &Path,
        arguments: &[OsString],
        limits: &CompileLimits,
        fingerprint: &str,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg(VERB)
            .arg(limits.memory.to_string())
            .arg(limits.cpu.to_string())
            .arg(fingerprint)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let deadline = Instant::now() + limits.wall;
        let mut child = command.spawn()?;
        let watched = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("its process has no number"))
            .and_then(|pid| Ok((pid, pidfd_open(pid, PidfdFlags::empty())?)));
        match watched {
            Ok((group, ended)) => Ok(Self {
                child,
                ended,
                group,
                deadline,
            }),
            Err(error) => {
                // Unwatched it must not go on.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Ends what is left of it and of all that it may have started. Its number
    /// cannot be another's yet, since nobody has waited for it; a child that
    /// has ended by itself keeps the status it ended with.
    fn end(&mut self) -> io::Result<ExitStatus> {
        let _ = kill_process_group(self.group, Signal::KILL);
        self.child.wait()
    }

    /// Gives it the component and takes what it says, until it ends.
    fn talk(&mut self, component: &[u8], limits: &CompileLimits) -> io::Result<Talk> {
        let length = frame::request(component);
        let mut input = Input::new(self.child.stdin.take(), &[&length, component])?;
        let max = frame::max_size(limits.code);
        let mut answer = Output::new(self.child.stdout.take(), max);
        let mut message = Output::new(self.child.stderr.take(), MAX_MESSAGE);
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Talk::TooLong);
            }
            let ready = self.wait(&input, &answer, &message, left)?;
            if ready.input {
                input.give()?;
            }
            if ready.message {
                // More than that is not shown, and so not read.
                message.take()?;
            }
            if ready.answer && answer.take()? {
                return Ok(Talk::TooMuch);
            }
            // After the end, what it wrote before is still to be read.
            if ready.ended && !ready.answer && !ready.message {
                return Ok(Talk::Ended {
                    answer: answer.taken,
                    message: message.taken,
                });
            }
        }
    }

    /// Waits for any of the four, at most until the deadline.
    fn wait(
        &self,
        input: &Input<'_>,
        answer: &Output<ChildStdout>,
        message: &Output<ChildStderr>,
        left: Duration,
    ) -> io::Result<Ready> {
        let mut on = vec![PollFd::new(&self.ended, PollFlags::IN)];
        let pipes = [
            input
                .pipe
                .as_ref()
                .map(|pipe| (pipe.as_fd(), PollFlags::OUT)),
            answer
                .pipe
                .as_ref()
                .map(|pipe| (pipe.as_fd(), PollFlags::IN)),
            message
                .pipe
                .as_ref()
                .map(|pipe| (pipe.as_fd(), PollFlags::IN)),
        ];
        let open: Vec<bool> = pipes.iter().map(Option::is_some).collect();
        on.extend(
            pipes
                .into_iter()
                .flatten()
                .map(|(pipe, wanted)| PollFd::from_borrowed_fd(pipe, wanted)),
        );
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut on, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        }
        let mut seen = on.iter().map(|one| !one.revents().is_empty());
        let ended = seen.next().unwrap_or_default();
        let mut of = open
            .into_iter()
            .map(|open| open && seen.next().unwrap_or_default());
        let mut next = || of.next().unwrap_or_default();
        Ok(Ready {
            ended,
            input: next(),
            answer: next(),
            message: next(),
        })
    }
}

/// Which of the four has come.
#[derive(Debug, Default, Clone, Copy)]
struct Ready {
    ended: bool,
    input: bool,
    answer: bool,
    message: bool,
}

/// What the child is to read.
struct Input<'a> {
    pipe: Option<ChildStdin>,
    rest: Vec<&'a [u8]>,
}

impl<'a> Input<'a> {
    fn new(pipe: Option<ChildStdin>, parts: &[&'a [u8]]) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            // A child that does not read must not keep us from looking at the time.
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        Ok(Self {
            pipe,
            rest: parts.iter().rev().copied().collect(),
        })
    }

    /// Gives as much as there is room for; closes the pipe after the last byte,
    /// and when nobody reads.
    fn give(&mut self) -> io::Result<()> {
        let (Some(pipe), Some(part)) = (&mut self.pipe, self.rest.last_mut()) else {
            self.pipe = None;
            return Ok(());
        };
        match pipe.write(part) {
            Ok(written) => *part = part.get(written..).unwrap_or_default(),
            Err(error) if is_later(&error) => {}
            // How it ended says more than that it did not listen.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.rest.clear(),
            Err(error) => return Err(error),
        }
        while self.rest.last().is_some_and(|part| part.is_empty()) {
            self.rest.pop();
        }
        if self.rest.is_empty() {
            self.pipe = None;
        }
        Ok(())
    }
}

/// What the child says.
struct Output<P> {
    pipe: Option<P>,
    taken: Vec<u8>,
    max: u64,
}

impl<P: Read> Output<P> {
    fn new(pipe: Option<P>, max: u64) -> Self {
        Self {
            pipe,
            taken: Vec::new(),
            max,
        }
    }

    /// Takes what is there; whether that is more than may come. The pipe is
    /// closed then, and at its end.
    fn take(&mut self) -> io::Result<bool> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(false);
        };
        let mut piece = [0; 64 << 10];
        let read = match pipe.read(&mut piece) {
            Ok(read) => read,
            Err(error) if is_later(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let room = self.max.saturating_sub(self.taken.len() as u64);
        let kept = read.min(usize::try_from(room).unwrap_or(usize::MAX));
        self.taken
            .extend_from_slice(piece.get(..kept).unwrap_or_default());
        if read == 0 || kept < read {
            self.pipe = None;
        }
        Ok(kept < read)
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
