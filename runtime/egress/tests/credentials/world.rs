//! Secrets in files, lanes that use them, servers that answer by a function,
//! and an ear at every log.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use servo_audit::{Auditor, Record, Sink};
use servo_egress::{Body, Gate, Lane, SendError};
use servo_policy::{Credential, HeaderName, HttpGrant, HttpRules, Rule, SecretSource};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use crate::common::{Scripted, Server, answer_all, owner, send, text};

/// Everything that was logged by anyone in this process.
static HEARD: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();

#[derive(Clone, Copy)]
struct Ear;

fn heard() -> &'static Arc<Mutex<Vec<u8>>> {
    HEARD.get_or_init(Arc::default)
}

impl Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        heard().lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// For the libraries that use the older way of logging.
impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        heard().lock().unwrap().extend_from_slice(line.as_bytes());
    }
    fn flush(&self) {}
}

pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(|| Ear)
            .init();
        log::set_logger(&Ear).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// E5: no log holds any of these, plain or in base64.
pub fn e5_unheard(secrets: &[&str]) {
    let heard = String::from_utf8_lossy(&heard().lock().unwrap()).into_owned();
    for source in ["servo::audit", "hyper", "hyper_util"] {
        assert!(heard.contains(source), "{source} is not heard at all");
    }
    for secret in secrets {
        for spelled in [(*secret).to_owned(), STANDARD.encode(secret)] {
            let line = heard.lines().find(|line| line.contains(&spelled));
            assert_eq!(line, None, "{secret}");
        }
    }
}

/// A line of the log in which all of these are.
pub fn heard_line(parts: &[&str]) -> Option<String> {
    let heard = String::from_utf8_lossy(&heard().lock().unwrap()).into_owned();
    let mut lines = heard.lines();
    let line = lines.find(|line| parts.iter().all(|part| line.contains(part)));
    line.map(str::to_owned)
}

/// Every record, as text.
#[derive(Clone, Default)]
pub struct Records(Arc<Mutex<Vec<String>>>);

impl Sink for Records {
    fn write(&self, record: &Record<'_>) {
        let line = format!(
            "{} {} {} {} {}",
            record.capability, record.verdict, record.reason, record.what, record.outcome
        );
        self.0.lock().unwrap().push(line);
        // As a servo does, and none as a repeated one.
        servo_audit::Log::default().write(record);
    }
}

impl Records {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn of(&self, words: &str) -> Vec<String> {
        let all = self.all();
        all.into_iter()
            .filter(|line| line.contains(words))
            .collect()
    }
}

/// A folder with files of secrets.
pub struct Secrets(TempDir);

impl Secrets {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file as secret mounts do: anew, and moved into its place.
    pub fn write(&self, name: &str, value: impl AsRef<[u8]>) -> SecretSource {
        std::fs::write(self.path("new"), value).unwrap();
        std::fs::rename(self.path("new"), self.path(name)).unwrap();
        SecretSource::File(self.path(name))
    }
}

pub fn grant(line: &str, credential: Option<Credential>) -> HttpGrant {
    let rule: Rule = line.parse().expect(line);
    HttpGrant {
        credential,
        ..HttpGrant::from((rule, true, None))
    }
}

pub fn gate() -> (Arc<Gate>, Records) {
    listen();
    let records = Records::default();
    let gate = Gate::builder(Scripted::new(&[&["127.0.0.1"]]))
        .auditor(Auditor::new(records.clone()))
        .build()
        .unwrap();
    (gate, records)
}

pub fn lane_with(grants: Vec<HttpGrant>) -> (Lane, Records) {
    let (gate, records) = gate();
    let rules = HttpRules::new(grants).unwrap();
    (gate.lane(owner("acme"), rules).unwrap(), records)
}

/// A rule whose guest may set these headers.
pub fn naming(grant: HttpGrant, names: &[&str]) -> HttpGrant {
    let headers = names.iter().map(|name| HeaderName::parse(name).unwrap());
    HttpGrant {
        headers: headers.collect(),
        ..grant
    }
}

/// A lane with one rule for everything on this server.
pub fn lane_to(server: &Server, credential: Credential) -> (Lane, Records) {
    let line = format!("GET,POST,PUT,HEAD http://{}/", server.address);
    lane_with(vec![grant(&line, Some(credential))])
}

/// Answers each request by `answer`, which is given the request as text.
pub async fn responding(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let answer = Arc::new(answer);
    Server::serving(move |stream, seen| {
        let answer = Arc::clone(&answer);
        async move { answer_all(stream, &seen, &*answer).await }
    })
    .await
}

/// As [`responding`], over TLS.
pub async fn responding_tls(
    acceptor: TlsAcceptor,
    answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> Server {
    let answer = Arc::new(answer);
    Server::serving(move |stream, seen| {
        let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
        async move { answer_all(acceptor.accept(stream).await?, &seen, &*answer).await }
    })
    .await
}

/// A response with a length.
pub fn answer(status: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// The value of a field of a request, as it arrived.
pub fn field<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = request.split_once("\r\n\r\n").unwrap();
    let mut found = head.lines().skip(1).filter_map(|line| {
        let (field, value) = line.split_once(": ")?;
        field.eq_ignore_ascii_case(name).then_some(value)
    });
    let value = found.next();
    assert_eq!(found.next(), None, "{name} twice: {request}");
    value
}

pub async fn read(lane: &Lane, request: http::Request<Body>) -> Result<String, SendError> {
    Ok(text(send(lane, request).await?).await.unwrap())
}

pub fn exists(path: &Path) -> bool {
    path.try_exists().unwrap()
}
