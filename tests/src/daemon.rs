//! A real server for one test: on a free port of loopback, waited for until it
//! answers, killed and reaped when dropped.
//!
//! A free port is found by asking the system for one and giving it back, so
//! another process may take it in between. A launcher therefore says how its
//! own server is told from another one, and one that could not have its port
//! is started again on the next.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a server may take to be ready. It takes a tenth of a second at
/// most; a machine that is busy compiling may need more.
const READY: Duration = Duration::from_secs(20);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(5);
/// How often another port is tried.
const PORTS: usize = 5;
/// What servers answer of themselves is shorter.
const ANSWER: u64 = 1 << 16;

/// Why a server that was started is not there.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A file or the process could not be made.
    #[error("cannot be set up: {0}")]
    Setup(#[from] std::io::Error),
    /// It ended by itself.
    #[error("ended before it was ready; its log:\n{0}")]
    Ended(String),
    /// It was not ready in time.
    #[error("was not ready on {address} in {READY:?}; its log:\n{log}")]
    Silent {
        /// Where it should have been.
        address: SocketAddr,
        /// Its log.
        log: String,
    },
}

/// A process that is killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It fails when the process has already ended, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts what `command` makes for an address, and waits until `ready` says that
/// it is ours and answers. `command` empties the log of an earlier try; `taken`
/// is what stands in it when another process has the port.
pub(crate) fn start<E: From<DaemonError>>(
    log: &Path,
    taken: &str,
    mut command: impl FnMut(SocketAddr) -> Result<Command, E>,
    ready: impl Fn(SocketAddr) -> std::io::Result<bool>,
) -> Result<(Running, SocketAddr), E> {
    let mut tried = 0;
    loop {
        tried += 1;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(DaemonError::from)?;
        let child = command(address)?.spawn().map_err(DaemonError::from)?;
        let mut running = Running(child);
        match wait(&mut running.0, log, address, &ready) {
            Ok(()) => return Ok((running, address)),
            Err(DaemonError::Ended(log)) if tried < PORTS && log.contains(taken) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn wait(
    child: &mut Child,
    log: &Path,
    address: SocketAddr,
    ready: impl Fn(SocketAddr) -> std::io::Result<bool>,
) -> Result<(), DaemonError> {
    let log = || std::fs::read_to_string(log).unwrap_or_default();
    let deadline = Instant::now() + READY;
    loop {
        if ready(address).unwrap_or(false) {
            return Ok(());
        }
        if child.try_wait()?.is_some() {
            return Err(DaemonError::Ended(log()));
        }
        if Instant::now() > deadline {
            return Err(DaemonError::Silent {
                address,
                log: log(),
            });
        }
        std::thread::sleep(LOOK);
    }
}

/// The whole answer to a GET, status line and head included.
pub(crate) fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}
