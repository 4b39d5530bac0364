//! The way to the service: one POST, one answer (protocol sections 2 and 3).
//!
//! A trait, because the loop must not know whether it talks through a socket,
//! through the egress gate, or to a script in a test. The HTTP client here does
//! what the original left to its library, and says so: no redirects (a 302
//! would turn the report into a GET and carry the token elsewhere), no proxies
//! from the environment, no netrc, explicit time limits, a cap on what an
//! answer may weigh. A token never travels in the clear unless the other end
//! is this machine or the operator says so.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Url, redirect};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use servo_protocol::{Envelope, EventName};
use thiserror::Error;

/// Longest wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Longest time from request to the last byte of the answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// Most that an answer may weigh. Commands are a few kilobytes.
const ANSWER_LIMIT: usize = 16 << 20;

/// Most that a token file may weigh. More is not a token but a mistake.
const TOKEN_LIMIT: u64 = 64 << 10;

/// TLS sessions remembered by one transport; it talks to one host.
const SESSIONS: usize = 4;

/// What the other end answered, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    /// How long to wait, where the header says so.
    pub retry_after: Option<Duration>,
}

/// There was no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct TransportError(pub String);

/// The way to the service.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Posts one event.
    ///
    /// # Errors
    /// No complete answer arrived.
    async fn post(&self, event: &Envelope) -> Result<HttpAnswer, TransportError>;
}

/// Why the way to the service cannot be set up. All are the operator's to repair.
#[derive(Debug, Error)]
pub enum TransportSetupError {
    /// The address is no URL.
    #[error(
        "`{url}` is no URL for the service: {problem}; write http:// or https://, a host and a path"
    )]
    Url {
        /// What was given.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// A token over plain http to another machine.
    #[error(
        "the token would travel unencrypted to `{0}`; use https://, a loopback address, no token, \
         or allow it explicitly"
    )]
    Plaintext(String),
    /// The token file cannot be read.
    #[error("cannot read the token file {}: {problem}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The token cannot stand in a header.
    #[error("the token is empty or holds characters that cannot stand in a header")]
    Token,
    /// Nobody to trust.
    #[error(
        "no certificate authority was found on this machine, so no https:// service can be \
         trusted; install the package `ca-certificates`"
    )]
    NoAuthorities,
    /// The client cannot be built.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}

/// A bearer token. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(HeaderValue);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl Token {
    /// A token; white space at both ends is trimmed.
    ///
    /// # Errors
    /// It is empty or cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, TransportSetupError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TransportSetupError::Token);
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {text}"))
            .map_err(|_| TransportSetupError::Token)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Reads a token from a file.
    ///
    /// # Errors
    /// The file cannot be read, is too large, or holds no token.
    pub fn read(path: &Path) -> Result<Self, TransportSetupError> {
        let error = |problem: String| TransportSetupError::TokenFile {
            path: path.to_owned(),
            problem,
        };
        let size = std::fs::metadata(path)
            .map_err(|e| error(e.to_string()))?
            .len();
        if size > TOKEN_LIMIT {
            return Err(error(format!("{size} bytes are too many for a token")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
        Self::new(&text)
    }
}

/// The address of the hosted service for an account and an application, each
/// percent-encoded (section 2.1).
///
/// # Errors
/// The base is no URL that can have a path.
pub fn service_url(base: &str, account: &str, app: &str) -> Result<Url, TransportSetupError> {
    let mut url = parse_url(base)?;
    let host = url.to_string();
    for (what, name) in [("account", account), ("application", app)] {
        // A URL cannot hold dots as a path segment, in no encoding.
        if matches!(name, "" | "." | "..") {
            return Err(TransportSetupError::Url {
                url: host,
                problem: format!("`{name}` is no name of an {what}"),
            });
        }
    }
    url.path_segments_mut()
        .map_err(|()| TransportSetupError::Url {
            url: host,
            problem: "it can have no path".to_owned(),
        })?
        .pop_if_empty()
        .extend(["accounts", account, "applications", app, "servo"]);
    Ok(url)
}

/// Reads the address of the service.
///
/// # Errors
/// It is no http or https URL with a host, or it holds credentials.
pub fn parse_url(text: &str) -> Result<Url, TransportSetupError> {
    let error = |problem: &str| TransportSetupError::Url {
        url: text.to_owned(),
        problem: problem.to_owned(),
    };
    let url = Url::parse(text).map_err(|e| error(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(error("its scheme is neither http nor https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(error("it has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TransportSetupError::Url {
            url: "(hidden)".to_owned(),
            problem: "it holds a user name or a password; use a token file".to_owned(),
        });
    }
    Ok(url)
}

/// How to reach the service.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where events are posted, exactly.
    pub url: Url,
    /// The token; none: no `Authorization` header.
    pub token: Option<Token>,
    /// Lets a token travel over plain http to another machine.
    pub allow_plaintext: bool,
}

/// Posts over HTTP.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: Client,
    url: Url,
    token: Option<Token>,
}

impl HttpTransport {
    /// Sets the client up; connects to nothing.
    ///
    /// # Errors
    /// The token would travel unencrypted, or the client cannot be built.
    pub fn new(config: HttpConfig) -> Result<Self, TransportSetupError> {
        let HttpConfig {
            url,
            token,
            allow_plaintext,
        } = config;
        if token.is_some() && url.scheme() == "http" && !allow_plaintext && !is_loopback(&url) {
            let host = url.host_str().unwrap_or_default();
            return Err(TransportSetupError::Plaintext(host.to_owned()));
        }
        let tls = tls(&url)?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("servo/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REQUEST_LIMIT)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .build()
            .map_err(|error| TransportSetupError::Client(chain(&error)))?;
        Ok(Self { client, url, token })
    }
}

/// Whom the client trusts: for https the authorities of this machine, for http
/// nobody. Left to itself each client reads and keeps all of them anew, a tenth
/// of a megabyte for every servo of a process; they are read once here, and only
/// when they are needed.
fn tls(url: &Url) -> Result<ClientConfig, TransportSetupError> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = if url.scheme() == "https" {
        let roots = SYSTEM.get_or_init(|| Arc::new(system_roots()));
        if roots.is_empty() {
            return Err(TransportSetupError::NoAuthorities);
        }
        Arc::clone(roots)
    } else {
        Arc::new(RootCertStore::empty())
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportSetupError::Client(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a system certificate could not be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[async_trait]
impl Transport for HttpTransport {
    async fn post(&self, event: &Envelope) -> Result<HttpAnswer, TransportError> {
        let body = serde_json::to_vec(event).map_err(|e| TransportError(e.to_string()))?;
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        // After a description a service often restarts or moves the servo to
        // another worker; a kept connection would lead to the old one (section 2.4).
        if event.event == EventName::Description {
            request = request.header(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(Token(value)) = &self.token {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| wait_of(value.to_str().ok()?, SystemTime::now()));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len().saturating_add(chunk.len()) > ANSWER_LIMIT {
                return Err(TransportError(format!(
                    "the answer is larger than {ANSWER_LIMIT} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpAnswer {
            status,
            body: body.freeze(),
            retry_after,
        })
    }
}

/// The wait of a `Retry-After`: seconds, or a date that may have passed.
fn wait_of(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The address may hold names the operator considers private; the log has it
/// from the configuration anyway.
fn lost(error: reqwest::Error) -> TransportError {
    TransportError(chain(&error.without_url()))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_say_when_to_come_back() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, wait) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:51:07 GMT", Some(90)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sat, 06 Nov 1993 08:49:37 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let wait = wait.map(Duration::from_secs);
            assert_eq!(wait_of(value, now), wait, "{value}");
        }
    }
}
