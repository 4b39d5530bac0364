//! A real moto for one test: the services of AWS as a server on loopback, which
//! checks signatures with AWS' own library for Python.
//!
//! Its first requests are let in by anyone, so that a user with a key can be
//! made; from then on only those of that user are, and only when their
//! signature is right.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::clients::python::{Environment, NoEnvironment};
use crate::daemon::{self, DaemonError, Running, get};

/// What it is made of.
const REQUIREMENTS: &str = "moto[server]==5.2.5\n";

/// Requests that need no signature.
const UNSIGNED: &str = "3";

/// Why there is no moto.
#[derive(Debug, thiserror::Error)]
pub enum MotoError {
    /// It does not start.
    #[error("moto {0}")]
    Daemon(#[from] DaemonError),
    /// Its packages cannot be had.
    #[error(transparent)]
    Missing(#[from] NoEnvironment),
}

/// A running moto. It is killed when dropped.
#[derive(Debug)]
pub struct Moto {
    // The first field is dropped first: the process ends before its folder.
    _running: Running,
    _folder: TempDir,
    address: SocketAddr,
}

impl Moto {
    /// Its packages.
    ///
    /// # Errors
    /// They cannot be had.
    pub fn packages() -> Result<Environment, NoEnvironment> {
        Environment::with("moto", REQUIREMENTS)
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn start(packages: &Environment) -> Result<Self, MotoError> {
        let folder = tempfile::Builder::new()
            .prefix("servo-moto-")
            .tempdir()
            .map_err(DaemonError::from)?;
        let log = folder.path().join("log");
        let program = packages.program("moto_server");
        let (running, address) = daemon::start(
            &log,
            "Address already in use",
            |address| command(&program, folder.path(), &log, address),
            |address| is_ready(address, &log),
        )?;
        Ok(Self {
            _running: running,
            _folder: folder,
            address,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn command(
    program: &Path,
    folder: &Path,
    log: &Path,
    address: SocketAddr,
) -> Result<Command, DaemonError> {
    // A refused port of an earlier try must not be read again.
    let log = std::fs::File::create(log)?;
    let mut command = Command::new(program);
    command
        .arg("-H")
        .arg(address.ip().to_string())
        .arg("-p")
        .arg(address.port().to_string())
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("PYTHONUNBUFFERED", "1")
        .env("INITIAL_NO_AUTH_ACTION_COUNT", UNSIGNED)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

/// Whether it is ready, and ours: its log says where it listens.
fn is_ready(address: SocketAddr, log: &Path) -> std::io::Result<bool> {
    let listens = std::fs::read_to_string(log)?.contains(&format!("http://{address}"));
    Ok(listens && get(address, "/moto-api/")?.starts_with("HTTP/1."))
}
