//! A real Prometheus for one test: on loopback, on a port of its own, with its
//! data in a folder that is removed with it.
//!
//! What a driver believes of Prometheus (how times are rounded, how numbers are
//! written, what an error looks like) is only worth testing against the server
//! that decides it. It is ready in a tenth of a second and needs 50 MB, so
//! there is no reason for a stub of it.
//!
//! A free port may be taken before the server has it, so the launcher believes
//! only a server that names the folder it was given; see [`crate::nginx`].

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::{Missing, PROMETHEUS, require};

/// How long it may take to be ready. It takes a tenth of a second; a machine
/// that is busy compiling may need more.
const READY: Duration = Duration::from_secs(30);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(10);
/// How often another port is tried.
const PORTS: usize = 5;
/// Between two scrapes, and how long one may take: a window of one second then
/// holds several samples.
const SCRAPE: &str = "200ms";

/// Why there is no Prometheus.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// It is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A file or the process could not be made.
    #[error("prometheus cannot be set up: {0}")]
    Setup(#[from] std::io::Error),
    /// It ended by itself.
    #[error("prometheus ended before it was ready; its log:\n{0}")]
    Ended(String),
    /// It was not ready in time.
    #[error("prometheus was not ready on {address} in {READY:?}; its log:\n{log}")]
    Silent {
        /// Where it should have been.
        address: SocketAddr,
        /// Its log.
        log: String,
    },
}

/// A process that is killed and reaped when dropped.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It fails when the process has already ended, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running Prometheus. It is killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    // The first field is dropped first: the process ends before its folder.
    _running: Running,
    _folder: TempDir,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts one that scrapes `/metrics` of these targets every 200 ms, each
    /// as a job of its own name, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not installed, does not start, or is not ready in time.
    pub fn start(targets: &[(&str, SocketAddr)]) -> Result<Self, PrometheusError> {
        let program = require(PROMETHEUS)?;
        let folder = tempfile::Builder::new()
            .prefix("servo-prometheus-")
            .tempdir()?;
        std::fs::write(folder.path().join("prometheus.yml"), config(targets))?;
        let mut tried = 0;
        loop {
            tried += 1;
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let mut running = launch(&program, folder.path(), address)?;
            match wait_until_ready(&mut running.0, folder.path(), address) {
                Ok(()) => {
                    return Ok(Self {
                        _running: running,
                        _folder: folder,
                        address,
                    });
                }
                Err(PrometheusError::Ended(log))
                    if tried < PORTS && log.contains("address already in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as drivers are told it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn config(targets: &[(&str, SocketAddr)]) -> String {
    let mut config = format!("global: {{ scrape_interval: {SCRAPE}, scrape_timeout: {SCRAPE} }}\n");
    config.push_str("scrape_configs:\n");
    for (job, target) in targets {
        // Writing to a string cannot fail.
        let _ = writeln!(
            config,
            "  - {{ job_name: {job:?}, static_configs: [{{ targets: [\"{target}\"] }}] }}"
        );
    }
    if targets.is_empty() {
        config.push_str("  []\n");
    }
    config
}

fn launch(program: &Path, folder: &Path, address: SocketAddr) -> std::io::Result<Running> {
    // A refused port of an earlier try must not be read again.
    let log = std::fs::File::create(folder.join("log"))?;
    let option = |name: &str, path: &str| format!("--{name}={}", folder.join(path).display());
    Command::new(program)
        .arg(option("config.file", "prometheus.yml"))
        .arg(option("storage.tsdb.path", "data"))
        .arg(format!("--web.listen-address={address}"))
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map(Running)
}

fn wait_until_ready(
    child: &mut Child,
    folder: &Path,
    address: SocketAddr,
) -> Result<(), PrometheusError> {
    let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let deadline = Instant::now() + READY;
    loop {
        if is_ready(address, folder).unwrap_or(false) {
            return Ok(());
        }
        if child.try_wait()?.is_some() {
            return Err(PrometheusError::Ended(log()));
        }
        if Instant::now() > deadline {
            return Err(PrometheusError::Silent {
                address,
                log: log(),
            });
        }
        std::thread::sleep(LOOK);
    }
}

/// Whether it is ready, and ours: it shows its options, the folder among them.
fn is_ready(address: SocketAddr, folder: &Path) -> std::io::Result<bool> {
    let ready = get(address, "/-/ready")?.starts_with("HTTP/1.0 200 ");
    let options = get(address, "/api/v1/status/flags")?;
    Ok(ready && options.contains(&folder.display().to_string()))
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(1 << 16).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_is_a_job() {
        let target = SocketAddr::from(([127, 0, 0, 1], 9000));
        let all = config(&[("shop", target), ("other", target)]);
        for line in [
            "global: { scrape_interval: 200ms, scrape_timeout: 200ms }",
            "  - { job_name: \"shop\", static_configs: [{ targets: [\"127.0.0.1:9000\"] }] }",
            "  - { job_name: \"other\", static_configs: [{ targets: [\"127.0.0.1:9000\"] }] }",
        ] {
            assert!(all.lines().any(|found| found == line), "{line}\n{all}");
        }
        assert!(config(&[]).ends_with("scrape_configs:\n  []\n"));
    }
}
