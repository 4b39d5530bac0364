//! A real nginx for one test: on loopback, on a port of its own, with every
//! file it writes in a folder that is removed with it.
//!
//! A free port may be taken before the server has it, so the launcher believes
//! only an answer with a mark that it has put into the configuration itself.
//!
//! It runs as a single process (`master_process off`), so that killing it
//! leaves no workers behind.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::daemon::{self, DaemonError, Running, get};
use crate::program::{Missing, NGINX, require};

/// Bounds the throughput of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Requests per second, from 1.
    pub per_second: u32,
    /// How many requests above the rate are taken all the same.
    pub burst: u32,
    /// What becomes of them.
    pub excess: Excess,
}

/// What nginx does with requests above the rate and within the burst. Those
/// above the burst are always answered with 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// They wait for their turn. With a burst of at least the number of clients
    /// the throughput is the rate, and nothing is refused.
    Waits,
    /// They are served at once.
    Passes,
}

/// What is at one path.
#[derive(Debug, Clone)]
enum Location {
    File {
        content: Vec<u8>,
        limit: Option<Limit>,
    },
    Return {
        status: u16,
        text: String,
    },
}

/// Why there is no nginx.
#[derive(Debug, thiserror::Error)]
pub enum NginxError {
    /// It is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A path or a text cannot be written into its configuration.
    #[error(
        "{0:?} cannot stand in an nginx configuration; use plain paths from `/`, and texts without quotes, backslashes, `$` and control characters"
    )]
    Unquotable(String),
    /// A limit of nothing.
    #[error("the limit for {0} lets nothing pass; give at least 1 request per second")]
    NoRate(String),
    /// It does not start.
    #[error("nginx {0}")]
    Daemon(#[from] DaemonError),
}

/// What an nginx is to serve. Paths match exactly; anything else is a 404.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    locations: Vec<(String, Location)>,
    mutual: Option<Mutual>,
}

/// Makes it speak TLS, and let in only clients with a certificate. All in PEM.
#[derive(Debug, Clone)]
pub struct Mutual {
    /// The server's certificate and its chain.
    pub certificate: String,
    /// The server's key.
    pub key: String,
    /// The authority that signs the clients' certificates.
    pub clients: String,
}

impl Builder {
    /// A file with `content` at `path`.
    #[must_use]
    pub fn file(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        self.with(
            path,
            Location::File {
                content,
                limit: None,
            },
        )
    }

    /// A file with `content` at `path`, not more often than `limit` says. Only
    /// files can be limited: nginx answers a `return` before it looks at limits.
    #[must_use]
    pub fn limited_file(
        self,
        path: impl Into<String>,
        content: impl Into<Vec<u8>>,
        limit: Limit,
    ) -> Self {
        let content = content.into();
        let limit = Some(limit);
        self.with(path, Location::File { content, limit })
    }

    /// A fixed answer at `path`.
    #[must_use]
    pub fn answer(self, path: impl Into<String>, status: u16, text: impl Into<String>) -> Self {
        let text = text.into();
        self.with(path, Location::Return { status, text })
    }

    /// Speaks TLS only, and answers with 400 to clients without a certificate.
    #[must_use]
    pub fn mutual(self, mutual: Mutual) -> Self {
        Self {
            mutual: Some(mutual),
            ..self
        }
    }

    fn with(mut self, path: impl Into<String>, location: Location) -> Self {
        self.locations.push((path.into(), location));
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed, does not take the configuration, or does not
    /// answer in time.
    pub fn start(self) -> Result<Nginx, NginxError> {
        let program = require(NGINX)?;
        let folder = tempfile::Builder::new()
            .prefix("servo-nginx-")
            .tempdir()
            .map_err(DaemonError::from)?;
        let mark = mark(folder.path());
        let log = folder.path().join("error.log");
        let (running, address) = daemon::start(
            &log,
            "Address already in use",
            |address| -> Result<Command, NginxError> {
                let config = self.config(folder.path(), address, &mark)?;
                Ok(command(&program, folder.path(), &log, &config)?)
            },
            |address| answers_with(address, &mark),
        )?;
        Ok(Nginx {
            _running: running,
            folder,
            address,
        })
    }

    fn config(&self, folder: &Path, address: SocketAddr, mark: &str) -> Result<String, NginxError> {
        let root = folder.join("files");
        std::fs::create_dir_all(&root).map_err(DaemonError::from)?;
        let mut zones = String::new();
        let mut locations = String::new();
        for (number, (path, location)) in self.locations.iter().enumerate() {
            if !plain_path(path) {
                return Err(NginxError::Unquotable(path.clone()));
            }
            // Writing to a string cannot fail.
            let _ = writeln!(locations, "    location = {path} {{");
            match location {
                Location::Return { status, text } => {
                    if !plain_text(text) {
                        return Err(NginxError::Unquotable(text.clone()));
                    }
                    let _ = writeln!(locations, "      return {status} \"{text}\";");
                }
                Location::File { content, limit } => {
                    let file = root.join(number.to_string());
                    std::fs::write(&file, content).map_err(DaemonError::from)?;
                    let _ = writeln!(locations, "      alias {};", file.display());
                    if let Some(limit) = limit {
                        if limit.per_second == 0 {
                            return Err(NginxError::NoRate(path.clone()));
                        }
                        let _ = writeln!(
                            zones,
                            "  limit_req_zone $server_name zone=limit{number}:64k rate={}r/s;",
                            limit.per_second
                        );
                        let excess = match limit.excess {
                            Excess::Waits => "",
                            Excess::Passes => " nodelay",
                        };
                        let burst = match limit.burst {
                            0 => String::new(),
                            burst => format!(" burst={burst}"),
                        };
                        let excess = if burst.is_empty() { "" } else { excess };
                        let _ = writeln!(
                            locations,
                            "      limit_req zone=limit{number}{burst}{excess};"
                        );
                    }
                }
            }
            locations.push_str("    }\n");
        }
        let tls = match &self.mutual {
            Some(mutual) => mutual.write(folder, mark)?,
            None => String::new(),
        };
        let ssl = if self.mutual.is_some() { " ssl" } else { "" };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("  {kind}_temp_path {}/{kind};\n", folder.display()))
            .collect();
        let folder = folder.display();
        // `open_file_cache` and the like stay off: files may be changed by a test.
        Ok(format!(
            "\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  log_format line '$request_method $request_uri $server_protocol $status';
  log_format connection '$request_uri $status $connection $connection_requests';
  access_log {folder}/access.log line;
  access_log {folder}/connections.log connection;
  default_type text/plain;
  keepalive_requests 1000000;
  server_tokens off;
{temporary}{zones}  server {{
    listen {address}{ssl};
    server_name servo-tests;
{tls}    location = /{mark} {{ access_log off; return 200 \"{mark}\"; }}
{locations}    location / {{ return 404; }}
  }}
}}
"
        ))
    }
}

impl Mutual {
    /// A plain request, such as ours that asks whether it is ready, is answered
    /// with the mark; it reaches nothing else.
    fn write(&self, folder: &Path, mark: &str) -> Result<String, DaemonError> {
        for (name, text) in [
            ("server.pem", &self.certificate),
            ("server.key", &self.key),
            ("clients.pem", &self.clients),
        ] {
            std::fs::write(folder.join(name), text)?;
        }
        let folder = folder.display();
        Ok(format!(
            "    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    ssl_client_certificate {folder}/clients.pem;
    ssl_verify_client on;
    error_page 497 =200 /{mark};
"
        ))
    }
}

/// The name of the folder is random, so it serves as the mark.
fn mark(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn plain_path(path: &str) -> bool {
    path.starts_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
}

fn plain_text(text: &str) -> bool {
    !text
        .chars()
        .any(|character| "\"\\$".contains(character) || character.is_control())
}

fn command(
    program: &Path,
    folder: &Path,
    log: &Path,
    config: &str,
) -> Result<Command, DaemonError> {
    std::fs::write(folder.join("nginx.conf"), config)?;
    // A refused port of an earlier try must not be read again.
    std::fs::write(log, "")?;
    let mut command = Command::new(program);
    command
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .arg("-e")
        .arg(log)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // It writes the same to its error log.
        .stderr(Stdio::null());
    Ok(command)
}

fn answers_with(address: SocketAddr, mark: &str) -> std::io::Result<bool> {
    let answer = get(address, &format!("/{mark}"))?;
    Ok(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(mark))
}

/// A request that nginx has served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Its path, with the query.
    pub path: String,
    /// The status of the answer; 499 when the client went before it.
    pub status: u16,
    /// Which connection of this nginx it came on.
    pub connection: u64,
    /// Which request of that connection it was; the first is 1.
    pub number: u64,
}

/// A running nginx. It is killed when dropped.
#[derive(Debug)]
pub struct Nginx {
    // The first field is dropped first: the process ends before its folder.
    _running: Running,
    folder: TempDir,
    address: SocketAddr,
}

impl Nginx {
    /// What it is to serve.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests that it has served: `METHOD URI PROTOCOL STATUS` each.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn access_log(&self) -> std::io::Result<Vec<String>> {
        let text = self.log("access.log")?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// nginx writes a line after the answer is sent, so a client can be faster
    /// than the log. It does one thing after the other: once it answers another
    /// request, which is not logged, the lines of all before are there.
    fn log(&self, name: &str) -> std::io::Result<String> {
        let folder = self.folder.path();
        if !answers_with(self.address, &mark(folder))? {
            return Err(std::io::Error::other("nginx does not answer"));
        }
        std::fs::read_to_string(folder.join(name))
    }

    /// The same requests with the connections they came on.
    ///
    /// # Errors
    /// When the log cannot be read, or holds something else.
    pub fn served(&self) -> std::io::Result<Vec<Served>> {
        let text = self.log("connections.log")?;
        let served = text.lines().map(|line| {
            let mut words = line.split(' ');
            Some(Served {
                path: words.next()?.to_owned(),
                status: words.next()?.parse().ok()?,
                connection: words.next()?.parse().ok()?,
                number: words.next()?.parse().ok()?,
            })
        });
        let served: Option<Vec<Served>> = served.collect();
        served.ok_or_else(|| std::io::Error::other(text.clone()))
    }
}
