//! A real Prometheus for one test: on loopback, on a port of its own, with its
//! data in a folder that is removed with it.
//!
//! What a driver believes of Prometheus (how times are rounded, how numbers are
//! written, what an error looks like) is only worth testing against the server
//! that decides it. It is ready in a tenth of a second and needs 50 MB, so
//! there is no reason for a stub of it.
//!
//! A free port may be taken before the server has it, so the launcher believes
//! only a server that names the folder it was given.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::daemon::{self, DaemonError, Running, get};
use crate::program::{Missing, PROMETHEUS, require};

/// Between two scrapes, and how long one may take: a window of one second then
/// holds several samples.
const SCRAPE: &str = "200ms";

/// Why there is no Prometheus.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// It is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// It does not start.
    #[error("prometheus {0}")]
    Daemon(#[from] DaemonError),
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
            .tempdir()
            .map_err(DaemonError::from)?;
        std::fs::write(folder.path().join("prometheus.yml"), config(targets))
            .map_err(DaemonError::from)?;
        let log = folder.path().join("log");
        let (running, address) = daemon::start(
            &log,
            "address already in use",
            |address| command(&program, folder.path(), &log, address),
            |address| is_ready(address, folder.path()),
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

fn command(
    program: &Path,
    folder: &Path,
    log: &Path,
    address: SocketAddr,
) -> Result<Command, DaemonError> {
    // A refused port of an earlier try must not be read again.
    let log = std::fs::File::create(log)?;
    let option = |name: &str, path: &str| format!("--{name}={}", folder.join(path).display());
    let mut command = Command::new(program);
    command
        .arg(option("config.file", "prometheus.yml"))
        .arg(option("storage.tsdb.path", "data"))
        .arg(format!("--web.listen-address={address}"))
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Ok(command)
}

/// Whether it is ready, and ours: it shows its options, the folder among them.
fn is_ready(address: SocketAddr, folder: &Path) -> std::io::Result<bool> {
    let ready = get(address, "/-/ready")?.starts_with("HTTP/1.0 200 ");
    let options = get(address, "/api/v1/status/flags")?;
    Ok(ready && options.contains(&folder.display().to_string()))
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
