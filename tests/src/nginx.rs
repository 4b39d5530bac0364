//! A real nginx for one test: on loopback, on a port of its own, with every
//! file it writes in a folder that is removed with it.
//!
//! A free port is found by asking the system for one and giving it back, so
//! another process may take it in between. The launcher therefore believes only
//! an answer with a mark that it has put into the configuration itself, and
//! tries another port when nginx could not have the first.
//!
//! It runs as a single process (`master_process off`), so that killing it
//! leaves no workers behind.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::{Missing, NGINX, require};

/// How long nginx may take to answer. It takes milliseconds; a machine that is
/// busy compiling may need more.
const READY: Duration = Duration::from_secs(20);
/// Between two looks whether it answers.
const LOOK: Duration = Duration::from_millis(5);
/// How often another port is tried.
const PORTS: usize = 5;

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
    /// A file or the process could not be made.
    #[error("nginx cannot be set up: {0}")]
    Setup(#[from] std::io::Error),
    /// It ended by itself.
    #[error("nginx ended before it answered; its error log:\n{0}")]
    Ended(String),
    /// It did not answer in time.
    #[error("nginx did not answer on {address} in {READY:?}; its error log:\n{log}")]
    Silent {
        /// Where it should have.
        address: SocketAddr,
        /// Its error log.
        log: String,
    },
}

/// What an nginx is to serve. Paths match exactly; anything else is a 404.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    locations: Vec<(String, Location)>,
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
        let folder = tempfile::Builder::new().prefix("servo-nginx-").tempdir()?;
        let mark = mark(folder.path());
        let mut tried = 0;
        loop {
            tried += 1;
            let address = free_address()?;
            let config = self.config(folder.path(), address, &mark)?;
            std::fs::write(folder.path().join("nginx.conf"), config)?;
            let mut running = launch(&program, folder.path())?;
            match wait_until_ready(&mut running.0, folder.path(), address, &mark) {
                Ok(()) => {
                    return Ok(Nginx {
                        _running: running,
                        folder,
                        address,
                    });
                }
                Err(NginxError::Ended(log))
                    if tried < PORTS && log.contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn config(&self, folder: &Path, address: SocketAddr, mark: &str) -> Result<String, NginxError> {
        let root = folder.join("files");
        std::fs::create_dir_all(&root)?;
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
                    std::fs::write(&file, content)?;
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
    listen {address};
    server_name servo-tests;
    location = /{mark} {{ access_log off; return 200 \"{mark}\"; }}
{locations}    location / {{ return 404; }}
  }}
}}
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

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn launch(program: &Path, folder: &Path) -> std::io::Result<Running> {
    let error_log = folder.join("error.log");
    // A refused port of an earlier try must not be read again.
    std::fs::write(&error_log, "")?;
    Command::new(program)
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .arg("-e")
        .arg(error_log)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // It writes the same to its error log.
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
}

fn wait_until_ready(
    child: &mut Child,
    folder: &Path,
    address: SocketAddr,
    mark: &str,
) -> Result<(), NginxError> {
    let log = || std::fs::read_to_string(folder.join("error.log")).unwrap_or_default();
    let deadline = Instant::now() + READY;
    loop {
        if answers_with(address, mark).unwrap_or(false) {
            return Ok(());
        }
        if child.try_wait()?.is_some() {
            return Err(NginxError::Ended(log()));
        }
        if Instant::now() > deadline {
            return Err(NginxError::Silent {
                address,
                log: log(),
            });
        }
        std::thread::sleep(LOOK);
    }
}

fn answers_with(address: SocketAddr, mark: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(stream, "GET /{mark} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(mark))
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
