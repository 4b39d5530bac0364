//! A program that runs beside the test: its output is read while it runs, and
//! it is killed if the test ends before it.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
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
    stderr: JoinHandle<String>,
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
        let mut stderr = child.stderr.take().ok_or_else(gone)?;
        let stderr = tokio::spawn(async move {
            let mut bytes = Vec::new();
            // What was read before an error is still worth showing.
            let _ = stderr.read_to_end(&mut bytes).await;
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self {
            child,
            stdout: BufReader::new(stdout).lines(),
            seen: String::new(),
            stderr,
        })
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
            let stderr = self.stderr.await.map_err(io::Error::other)?;
            Ok(Ran {
                code: status.code(),
                stdout: self.seen,
                stderr,
            })
        };
        timeout(PATIENCE, ended).await?
    }
}
