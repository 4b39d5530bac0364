//! servox 25.3.0, the successor of the original, with a connector of ours.
//!
//! servox finds its connectors by entry points of installed distributions, and
//! a folder with the metadata of one is enough to be found on `PYTHONPATH`.
//! The application is a file; the connector changes it and computes from it
//! what a measurement brings, so that a test knows every score beforehand.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::python::{Environment, NoEnvironment, write};

/// Every package that it runs with, pinned.
const REQUIREMENTS: &str = include_str!("servox.txt");
/// The connector.
const CONNECTOR: &str = include_str!("servox.py");
const METADATA: &str = "Metadata-Version: 2.1\nName: tuned\nVersion: 1.0\n";
const ENTRY_POINTS: &str = "[servo.connectors]\ntuned = tuned:TunedConnector\n";

/// A folder with servox' configuration and the application.
#[derive(Debug)]
pub struct Servox {
    environment: Environment,
    folder: PathBuf,
}

/// servox, installed.
///
/// # Errors
/// When it cannot be.
pub fn environment() -> Result<Environment, NoEnvironment> {
    Environment::with("servox", REQUIREMENTS)
}

impl Servox {
    /// Puts configuration, connector and application into `folder`. `base` is
    /// the service without a path; servox makes the path of account and
    /// application itself.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn new(
        environment: Environment,
        folder: &Path,
        base: &str,
        account: &str,
        application: &str,
        token: &str,
    ) -> io::Result<Self> {
        let plugin = folder.join("plugin");
        write(&plugin.join("tuned.py"), CONNECTOR)?;
        let info = plugin.join("tuned-1.0.dist-info");
        write(&info.join("METADATA"), METADATA)?;
        write(&info.join("entry_points.txt"), ENTRY_POINTS)?;
        write(
            &folder.join("application.json"),
            r#"{"cpu": 1, "gc": "serial"}"#,
        )?;
        let yaml = format!(
            "optimizer:\n  id: {account}/{application}\n  token: {token}\n  base_url: {base}\n\
             no_diagnostics: true\nconnectors: [tuned]\ntuned: {{}}\n"
        );
        write(&folder.join("servo.yaml"), &yaml)?;
        Ok(Self {
            environment,
            folder: folder.to_owned(),
        })
    }

    /// The command that runs it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.environment.program("servo"));
        command
            .args(["--config-file", "servo.yaml", "run"])
            .current_dir(&self.folder)
            .env_clear()
            .env("HOME", &self.folder)
            .env("PYTHONPATH", self.folder.join("plugin"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// What the application runs with.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn application(&self) -> io::Result<Value> {
        let text = std::fs::read_to_string(self.folder.join("application.json"))?;
        Ok(serde_json::from_str(&text)?)
    }
}
