//! What can go wrong with a request, told apart by what there is to be done
//! about it.

use std::{fmt, sync::Arc};

use crate::failure::{Cancelled, Failure};

/// Why there is no (usable) answer. Converts into a
/// [`Failure`](crate::Failure) with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    request: Arc<str>,
    kind: Kind,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Kind {
    /// The call is no longer wanted.
    #[error("the call was cancelled")]
    Cancelled,
    /// The request could not be built.
    #[error("{0}")]
    Invalid(String),
    /// The operator does not allow it, or not so often. The text, if there is
    /// one, says why; the host adds what is to be done about it to the failure
    /// of the call.
    #[error("denied: {}", .0.as_deref().unwrap_or("the operator's grants do not allow this request, or not so many (`grants.http`, `limits.requests`); the servo's log says what to add"))]
    Denied(Option<String>),
    /// The call uses more than it may, for example requests at once.
    #[error("a limit of this call is reached: {0}")]
    Exhausted(String),
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// The host has no address, or there is no way to it.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// The secure connection could not be set up.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// It took too long.
    #[error("timed out {0}")]
    Timeout(Phase),
    /// The connection ended before the answer did.
    #[error("the connection ended too early: {0}")]
    Broken(String),
    /// The answer's body is larger than the client's limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    /// One side did not keep to HTTP.
    #[error("not understood: {0}")]
    Protocol(String),
    /// The answer's status is not a success, and [`ok`](super::Response::ok)
    /// was asked.
    #[error("status {status}{}", excerpt(.body))]
    Status {
        /// The status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// The answer is not the JSON that was expected.
    #[error("the answer is not what was expected, {message}{}", excerpt(.body))]
    Json {
        /// Where and why.
        message: String,
        /// The beginning of the body.
        body: String,
    },
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Setting up the connection.
    Connect,
    /// Waiting for the first byte of the answer.
    FirstByte,
    /// Waiting for more of the answer.
    BetweenBytes,
    /// The whole request.
    Total,
    /// Sending the request.
    Send,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "while connecting",
            Self::FirstByte => "before the answer began",
            Self::BetweenBytes => "in the middle of the answer",
            Self::Total => "before the answer was complete",
            Self::Send => "while sending",
        })
    }
}

impl Error {
    pub(crate) fn new(request: &Arc<str>, kind: Kind) -> Self {
        Self {
            request: Arc::clone(request),
            kind,
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The status of the answer, where there was one that was not a success.
    pub fn status(&self) -> Option<u16> {
        match self.kind {
            Kind::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// Whether the operator does not allow the request.
    pub fn is_denied(&self) -> bool {
        matches!(self.kind, Kind::Denied(_))
    }

    /// Whether the call is no longer wanted.
    pub fn is_cancelled(&self) -> bool {
        self.kind == Kind::Cancelled
    }

    /// Whether no connection stood, or it broke, or it took too long: the
    /// failures that pass by themselves.
    pub fn is_connection(&self) -> bool {
        self.kind.is_connection()
    }
}

impl Kind {
    pub(crate) fn is_connection(&self) -> bool {
        matches!(
            self,
            Self::Refused | Self::Unreachable(_) | Self::Timeout(_) | Self::Broken(_)
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.kind)
    }
}

impl std::error::Error for Error {}

impl From<Cancelled> for Kind {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error.kind {
            Kind::Cancelled => Self::cancelled(text),
            Kind::Denied(_) => Self::failed(text).reason("denied"),
            Kind::Timeout(_) => Self::failed(text).reason("timeout"),
            _ => Self::failed(text),
        }
    }
}

fn excerpt(body: &str) -> String {
    if body.is_empty() {
        String::new()
    } else {
        format!(": {body}")
    }
}

/// The beginning of a body on one line, for people.
pub(super) fn beginning(body: &[u8]) -> String {
    const CHARACTERS: usize = 200;
    let head = body
        .get(..body.len().min(4 * CHARACTERS))
        .unwrap_or_default();
    let text = String::from_utf8_lossy(head);
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = words.char_indices().nth(CHARACTERS).map(|(at, _)| at);
    if let Some(at) = cut {
        words.truncate(at);
    }
    if cut.is_some() || head.len() < body.len() {
        words.push('…');
    }
    words
}
