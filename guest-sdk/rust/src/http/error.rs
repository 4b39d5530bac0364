//! What can go wrong with a request, told apart by what there is to be done
//! about it.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    failure::{Cancelled, Failure},
    text::shown,
};

/// Why there is no (usable) answer. Converts into a
/// [`Failure`](crate::Failure) with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    request: Arc<str>,
    kind: Kind,
}

/// What went wrong. Texts are whole sentences, most of them of the host.
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
    /// It is a dry run, and this is no read. The host has noted it.
    #[error("not sent: this is a dry run")]
    DryRun,
    /// The call or the rule uses more than it may, for example requests at once.
    #[error("{0}")]
    Exhausted(String),
    /// More requests in a second than the operator allows. It was not sent, and
    /// is worth another try after this time.
    #[error(
        "not sent: more requests in a second than allowed (`request_rate`); the next may go in {0:.1?}"
    )]
    RateLimited(Duration),
    /// The host's name has no address.
    #[error("the name has no address")]
    Unresolved,
    /// No connection: refused, reset, no way to the address.
    #[error("{0}")]
    Unconnected(String),
    /// The secure connection could not be set up.
    #[error("{0}")]
    Tls(String),
    /// It took too long.
    #[error("{0}")]
    Timeout(String),
    /// The connection ended before the answer did.
    #[error("{0}")]
    Closed(String),
    /// The answer, or the request's body, is larger than so many bytes.
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    /// One side did not keep to HTTP.
    #[error("not understood: {0}")]
    Protocol(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
    /// The answer leads elsewhere, and [`ok`](super::Response::ok) was asked.
    #[error("status {status}, {}: redirects are not followed", leading(.location.as_deref()))]
    Redirect {
        /// The status, 300 to 399.
        status: u16,
        /// Where it leads.
        location: Option<String>,
    },
    /// The answer's status is not a success, and [`ok`](super::Response::ok)
    /// was asked.
    #[error("status {status}{}", excerpt(.body))]
    Status {
        /// The status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// The body is compressed, which nobody asked for.
    #[error(
        "the body has the encoding {0:?}, which was not asked for; a rule with `decompressed_bytes` undoes gzip and deflate"
    )]
    Encoded(String),
    /// The answer is not the JSON that was expected.
    #[error("the answer is not what was expected, {message}{}", excerpt(.body))]
    Json {
        /// Where and why.
        message: String,
        /// The beginning of the body.
        body: String,
    },
    /// A list has more pages than were to be read.
    #[error("there are more than {0} pages")]
    Pages(usize),
}

impl Error {
    pub(crate) fn new(request: &Arc<str>, kind: Kind) -> Self {
        Self {
            request: Arc::clone(request),
            kind,
        }
    }

    /// What went wrong. Texts are whole sentences, most of them of the host.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The status of the answer, where there was one that was not a success.
    pub fn status(&self) -> Option<u16> {
        match self.kind {
            Kind::Status { status, .. } | Kind::Redirect { status, .. } => Some(status),
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
            Self::Unresolved | Self::Unconnected(_) | Self::Timeout(_) | Self::Closed(_)
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

fn leading(location: Option<&str>) -> String {
    match location {
        Some(location) => format!("which leads to {}", shown(location, 300)),
        None => "which leads elsewhere and does not say where".to_owned(),
    }
}

/// The beginning of a body on one line, for people; of what is no text only
/// how much it is.
pub(super) fn beginning(body: &[u8]) -> String {
    const CHARACTERS: usize = 200;
    let head = body
        .get(..body.len().min(4 * CHARACTERS))
        .unwrap_or_default();
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The cut may lie within a character.
        Err(error) if error.error_len().is_none() && head.len() < body.len() => head
            .get(..error.valid_up_to())
            .and_then(|text| std::str::from_utf8(text).ok())
            .unwrap_or_default(),
        Err(_) => return format!("{} bytes that are no text", body.len()),
    };
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = shown(&words, CHARACTERS);
    if head.len() < body.len() && !line.ends_with('…') {
        line.push('…');
    }
    line
}
