//! One program with everything it starts, from its start to its last process.
//!
//! A driver is a process group of its own, so that what it started can be
//! ended with it. Two details matter. Groups are numbered by their leader, and
//! a number is free for others once the leader is reaped and the group empty:
//! so we look whether the leader has ended without reaping it, kill the group,
//! and reap last; no signal can meet a stranger. And a future that is dropped
//! cannot wait: [`Group`] kills in its `drop`, and the runtime reaps the leader
//! later.

use std::io;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::time::timeout;

/// How long a killed leader may take to be gone before we stop watching. Only
/// one that hangs in the kernel takes longer.
const DYING: Duration = Duration::from_secs(5);

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It lived on after its output had ended, and was killed.
    Overdue,
}

impl Exit {
    pub(crate) fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "it ended with exit code {code}"),
            Self::Signal(signal) => write!(f, "it was ended by signal {signal}"),
            Self::Overdue => {
                f.write_str("it closed its output but did not end, and had to be killed")
            }
        }
    }
}

/// The process group of a running program. Dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    leader: Pid,
    /// Tells that some child of ours ended; opened before the program starts.
    ended: unix::Signal,
    reaped: bool,
}

/// Our ends of the program's streams.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl Group {
    pub(crate) fn start(command: &mut Command) -> io::Result<(Self, Streams)> {
        let ended = unix::signal(SignalKind::child())?;
        let mut child = command.process_group(0).spawn()?;
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the program has no process id"))?;
        let streams = Streams {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
        };
        let group = Self {
            child,
            leader,
            ended,
            reaped: false,
        };
        Ok((group, streams))
    }

    /// Waits for the end of the leader, without reaping it. May be dropped and
    /// called again.
    pub(crate) async fn ended(&mut self) -> Exit {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(self.leader), options) {
                Ok(Some(status)) => {
                    return match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Exit::Code(code),
                        (None, Some(signal)) => Exit::Signal(signal),
                        (None, None) => Exit::Overdue,
                    };
                }
                Ok(None) => {}
                Err(rustix::io::Errno::INTR) => continue,
                // Nobody else waits for our children; if somebody did, it is gone.
                Err(_) => return Exit::Overdue,
            }
            if self.ended.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tells the leader that the call is cancelled (protocol section 8).
    pub(crate) fn cancel(&self) {
        // It fails only when the leader has ended meanwhile.
        let _ = kill_process(self.leader, Signal::USR1);
    }

    /// Kills the whole group.
    pub(crate) fn kill(&self) {
        // It fails only when the group is empty.
        let _ = kill_process_group(self.leader, Signal::KILL);
    }

    /// Kills what is left of the group, waits for the leader and reaps it.
    pub(crate) async fn end(mut self) {
        self.kill();
        if timeout(DYING, self.ended()).await.is_ok() {
            self.reaped = self.child.wait().await.is_ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
        }
    }
}
