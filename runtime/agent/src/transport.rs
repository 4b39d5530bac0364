//! The way to the service: one POST, one answer (protocol sections 2 and 3).
//!
//! A trait, because the loop must not know whether it talks through a socket
//! or to a script in a test. Over HTTP it goes where every byte leaves, the
//! gate, which does what the original left to its library, and says so: no
//! redirects (a 302 would turn the report into a GET and carry the token
//! elsewhere), no proxies from the environment, no netrc, explicit time limits,
//! a cap on what an answer may weigh. A token never travels in the clear unless
//! the other end is this machine or the operator says so.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use servo_egress::{EgressError, Gate, OwnLane, Owner, Url};
use servo_policy::Advice;
use servo_protocol::{Envelope, EventName};
use thiserror::Error;

/// Most that a token file may weigh. More is not a token but a mistake.
const TOKEN_LIMIT: u64 = 64 << 10;

/// What we say we are.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("servo/", env!("CARGO_PKG_VERSION")));

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
#[derive(Debug)]
pub enum TransportSetupError {
    /// The address is no URL.
    Url {
        /// What was given.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// The address holds credentials. It is not shown.
    UserInformation,
    /// A token over plain http to another machine.
    Plaintext(String),
    /// The token file cannot be read.
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The token cannot stand in a header.
    Token,
    /// Nobody to trust.
    NoAuthorities,
    /// The gate cannot lead there.
    Client(String),
}

impl TransportSetupError {
    /// What is wrong, and what to do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Url { url, problem } => Advice::new(
                format!("`{url}` is no URL for the service: {problem}"),
                "write http:// or https://, a host and a path",
            ),
            Self::UserInformation => Advice::new(
                "the URL of the service holds a user name or a password",
                "write it without them, and use a token file",
            ),
            Self::Plaintext(host) => Advice::new(
                format!("the token would travel unencrypted to `{host}`"),
                "use https://, a loopback address, no token, or allow it explicitly",
            ),
            Self::TokenFile { path, problem } => Advice::new(
                format!("cannot read the token file {}: {problem}", path.display()),
                "write the path of a file that holds the token",
            ),
            Self::Token => Advice::new(
                "the token is empty or holds characters that cannot stand in a header",
                "write the token that the service gave, on one line",
            ),
            Self::NoAuthorities => Advice::new(
                "no certificate authority was found on this machine, so no https:// service can \
                 be trusted",
                "install the package `ca-certificates`",
            ),
            Self::Client(problem) => Advice::new(
                format!("cannot set up the way to the service: {problem}"),
                "correct the address of the service",
            ),
        }
    }
}

impl std::fmt::Display for TransportSetupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.advice().fmt(f)
    }
}

impl std::error::Error for TransportSetupError {}

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
        return Err(TransportSetupError::UserInformation);
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
    lane: OwnLane,
    token: Option<Token>,
}

impl HttpTransport {
    /// Takes a way through `gate`, whose records name `owner`; connects to
    /// nothing.
    ///
    /// # Errors
    /// The token would travel unencrypted, or the address cannot be called.
    pub fn new(
        gate: &Arc<Gate>,
        owner: Owner,
        config: HttpConfig,
    ) -> Result<Self, TransportSetupError> {
        let HttpConfig {
            url,
            token,
            allow_plaintext,
        } = config;
        if token.is_some() && url.scheme() == "http" && !allow_plaintext && !is_loopback(&url) {
            let host = url.host_str().unwrap_or_default();
            return Err(TransportSetupError::Plaintext(host.to_owned()));
        }
        let address = url.to_string();
        let lane = gate
            .own_lane(owner, url)
            .map_err(|error| setup_error(error, address))?;
        Ok(Self { lane, token })
    }
}

fn setup_error(error: EgressError, url: String) -> TransportSetupError {
    match error {
        EgressError::NoAuthorities => TransportSetupError::NoAuthorities,
        EgressError::OwnAddress { problem } => TransportSetupError::Url { url, problem },
        error => TransportSetupError::Client(error.to_string()),
    }
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
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, AGENT);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // After a description a service often restarts or moves the servo to
        // another worker; a kept connection would lead to the old one (section 2.4).
        if event.event == EventName::Description {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(Token(value)) = &self.token {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let answer = self
            .lane
            .post(headers, body.into())
            .await
            .map_err(|error| TransportError(error.to_string()))?;
        let retry_after = answer
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| wait_of(value.to_str().ok()?, SystemTime::now()));
        Ok(HttpAnswer {
            status: answer.status.as_u16(),
            body: answer.body,
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
