//! A program that runs beside the test: its output is read while it runs, and
//! it is killed if the test ends before it.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::workspace::Ran;

/// After this the program hangs. Nothing is measured by it: a test that hangs
/// has failed, and should say so before the machine that runs it gives up.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    seen: String,
    said: watch::Receiver<String>,
    stderr: JoinHandle<()>,
}

impl Process {
    /// Starts it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(command: std::process::Command) -> io::Result<Self> {
        let mut child = Command::from(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let gone = || io::Error::other("an output is missing");
        let stdout = child.stdout.take().ok_or_else(gone)?;
        let stderr = child.stderr.take().ok_or_else(gone)?;
        let (says, said) = watch::channel(String::new());
        let stderr = tokio::spawn(listen(stderr, says));
        Ok(Self {
            child,
            stdout: BufReader::new(stdout).lines(),
            seen: String::new(),
            said,
            stderr,
        })
    }

    /// Waits until its stderr holds `part`.
    ///
    /// # Errors
    /// When it ends, or hangs, without it.
    pub async fn says(&self, part: &str) -> io::Result<()> {
        let mut said = self.said.clone();
        let found = async {
            let found = said.wait_for(|said| said.contains(part)).await;
            found.map(drop).map_err(|_| {
                let said = self.said.borrow();
                io::Error::other(format!("it ended without saying {part:?}: {}", *said))
            })
        };
        timeout(PATIENCE, found).await?
    }

    /// Waits until it has closed its stderr, which it does when it ends; what it
    /// said.
    pub async fn silent(&self) -> String {
        let mut said = self.said.clone();
        while said.changed().await.is_ok() {}
        said.borrow().clone()
    }

    /// Writes to its stdin, which must be a pipe.
    ///
    /// # Errors
    /// When it is none, or closed.
    pub async fn write(&mut self, text: &str) -> io::Result<()> {
        let closed = || io::Error::other("its stdin is closed");
        let stdin = self.child.stdin.as_mut().ok_or_else(closed)?;
        stdin.write_all(text.as_bytes()).await?;
        stdin.flush().await
    }

    /// Closes its stdin.
    pub fn close(&mut self) {
        self.child.stdin = None;
    }

    /// Kills it (-9), and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// Reads its stdout up to the line that begins with `prefix`; what follows
    /// the prefix.
    ///
    /// # Errors
    /// When it ends, or hangs, without such a line.
    pub async fn line(&mut self, prefix: &str) -> io::Result<String> {
        let found = async {
            while let Some(line) = self.stdout.next_line().await? {
                self.seen.push_str(&line);
                self.seen.push('\n');
                if let Some(rest) = line.strip_prefix(prefix) {
                    return Ok(rest.to_owned());
                }
            }
            Err(io::Error::other(format!("no line {prefix:?}")))
        };
        timeout(PATIENCE, found).await?
    }

    /// Its id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw);
        kill_process(id.ok_or_else(|| io::Error::other("it has ended"))?, signal)?;
        Ok(())
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// When it hangs.
    pub async fn end(mut self) -> io::Result<Ran> {
        let ended = async {
            while let Some(line) = self.stdout.next_line().await? {
                self.seen.push_str(&line);
                self.seen.push('\n');
            }
            let status = self.child.wait().await?;
            self.stderr.await.map_err(io::Error::other)?;
            let stderr = self.said.borrow().clone();
            Ok(Ran {
                code: status.code(),
                stdout: self.seen,
                stderr,
            })
        };
        timeout(PATIENCE, ended).await?
    }
}

/// Collects what a program says. What was read before an error is still worth
/// showing.
async fn listen(mut stderr: ChildStderr, says: watch::Sender<String>) {
    let mut bytes = Vec::new();
    while let Ok(1..) = stderr.read_buf(&mut bytes).await {
        says.send_replace(String::from_utf8_lossy(&bytes).into_owned());
    }
}
