//! What can go wrong on the way out, in types.
//!
//! These errors may reach the guest. They hold its own request, its own limits
//! and a reason from a closed list; never an address, a certificate, a path of
//! the host or the text of a lower layer's error.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use servo_policy::{Denial, Rate};

use crate::tls::failure::TlsFailure;
use crate::tls::identity::IdentityError;

/// A gate or a lane that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The certificate authority of a rule cannot be used.
    #[error("the certificate authority {path}: {problem}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// This machine trusts nobody.
    #[error(
        "no certificate authority was found on this machine, so no https:// address can be \
         trusted; install the package `ca-certificates`"
    )]
    NoAuthorities,
    /// An address of our own that cannot be called.
    #[error("{problem}")]
    OwnAddress {
        /// What is wrong with it.
        problem: String,
    },
    /// The credential of a rule cannot be had.
    #[error("grants.http[{rule}]: its credential cannot be used: {problem}")]
    Credential {
        /// The index of the rule.
        rule: usize,
        /// What is wrong, with the source and without the value.
        problem: String,
    },
    /// The client certificate of a rule cannot be used.
    #[error("grants.http[{rule}]: its client certificate cannot be used: {problem}")]
    Identity {
        /// The index of the rule.
        rule: usize,
        /// The file, and what is wrong with it.
        problem: IdentityError,
    },
    /// A client certificate for connections that have none.
    #[error(
        "grants.http[{rule}]: its client certificate cannot be used: plain http has none; write \
         https"
    )]
    IdentityOverHttp {
        /// The index of the rule.
        rule: usize,
    },
    /// The TLS library refuses our settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A request that was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No rule allows it. Nothing left this machine, not even a name lookup.
    #[error("{0}")]
    Denied(Denial),
    /// A rule allows it, but every address of its host is one that the rule
    /// may not reach. No connection was tried.
    #[error("{0}")]
    AddressDenied(Denial),
    /// The host's name has no address, or the lookup failed.
    #[error("the host's name could not be resolved")]
    Resolve,
    /// No connection.
    #[error("no connection: {0}")]
    Connect(ConnectFailure),
    /// No protected connection. There is no fallback to an unprotected one.
    #[error("no protected connection: {0}")]
    Tls(TlsFailure),
    /// A limit of time.
    #[error("timed out: {0}")]
    Timeout(Phase),
    /// The request's body is larger than the call may send.
    #[error("the request body is larger than the {limit} bytes allowed")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The call has used up what it may use.
    #[error("quota exhausted: {0}")]
    QuotaExhausted(Quota),
    /// The rule is used faster than it may be. Nothing left this machine.
    #[error(
        "the rule's rate of {rate} is used up; the next request may be sent in {} ms \
         (`limits.rate` of the rule, or `request_rate` of the budget)",
        retry_after.as_millis() + 1
    )]
    RateLimited {
        /// The rate.
        rate: Rate,
        /// When the next request may be sent.
        retry_after: Duration,
    },
    /// A request that is not valid HTTP, or asks for what only the host decides.
    #[error("the request is refused: {0}")]
    Request(&'static str),
    /// The host's own credential for the rule could not be used. The request is
    /// not sent without it.
    #[error("the rule's credential: {0}")]
    Credential(CredentialFailure),
    /// The other side broke the protocol, or went away.
    #[error("the exchange failed: {0}")]
    Protocol(ProtocolFailure),
    /// The call is a dry run, and the request is no read. Nothing left this
    /// machine.
    #[error("this is a dry run: the request is not sent")]
    DryRun,
    /// A fault of this host; the log has the details.
    #[error("the host could not send the request")]
    Internal,
}

/// A body that ended before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Larger than the call may send or receive.
    #[error("the body is larger than the {limit} bytes allowed")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Larger than the rule allows once its encoding is undone.
    #[error("the body is larger than the {limit} bytes allowed once its encoding is undone")]
    TooLargeDecoded {
        /// The limit, in bytes.
        limit: u64,
    },
    /// More or less than `content-length` said.
    #[error("the body is not as long as its content-length says")]
    Length,
    /// A limit of time.
    #[error("timed out: {0}")]
    Timeout(Phase),
    /// The other side broke the protocol, or went away.
    #[error("the exchange failed: {0}")]
    Protocol(ProtocolFailure),
    /// The one who makes the body gave up.
    #[error("the body was given up by its sender")]
    Aborted(#[source] Box<dyn Error + Send + Sync>),
}

impl BodyError {
    /// The same failure, seen by the one who waits for the response.
    pub fn as_send_error(&self) -> SendError {
        match self {
            Self::TooLarge { limit } | Self::TooLargeDecoded { limit } => {
                SendError::TooLarge { limit: *limit }
            }
            Self::Length => {
                SendError::Request("the body is not as long as its content-length says")
            }
            Self::Timeout(phase) => SendError::Timeout(*phase),
            Self::Protocol(what) => SendError::Protocol(*what),
            Self::Aborted(_) => SendError::Request("the body was given up by its sender"),
        }
    }
}

/// Why a rule's credential could not be used. The host's log says more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialFailure {
    /// Its source gives no value, or none that can be used.
    #[error("this host cannot read it")]
    Secret,
    /// The token's server gave none.
    #[error("this host got no token for it")]
    Token,
    /// The client certificate cannot be read.
    #[error("this host cannot read its client certificate")]
    Identity,
    /// Nothing could be made of it for this request.
    #[error("this host cannot add it to this request")]
    Unusable,
    /// The answer cannot be looked through for it.
    #[error(
        "the answer has the content-encoding `{0}`, and is refused: this host must be able to \
         read it; let it undo gzip and deflate with `limits: {{ decompressed_bytes: ... }}`"
    )]
    Encoded(Coding),
}

/// The name of a content-encoding as its server gave it, fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coding(String);

impl Coding {
    pub(crate) fn of(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        Self(servo_text::shown_within(&name, 32).to_string())
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the other side broke off an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolFailure {
    /// The head of the response has too many fields or too long ones.
    #[error("the head of the response is too large")]
    HeadTooLarge,
    /// What came is not HTTP.
    #[error("the response is not valid HTTP")]
    Invalid,
    /// The connection was closed before the response was whole.
    #[error("the connection was closed in the middle")]
    Closed,
    /// The body cannot be decoded.
    #[error("the body is not what its content-encoding says")]
    Encoding,
    /// The other side answered with another protocol.
    #[error("the other side switched protocols")]
    Switched,
    /// Its end is said in more than one way.
    #[error(
        "the response says in more than one way where it ends (content-length, \
         transfer-encoding), so it is not read"
    )]
    Ambiguous,
    /// A redirect led to a redirect, again and again.
    #[error("the server redirects without an end; 5 redirects were followed")]
    Redirects,
    /// Anything else.
    #[error("the exchange was broken off")]
    Broken,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// Nobody listens there.
    #[error("refused by the other side")]
    Refused,
    /// There is no way there.
    #[error("the host cannot be reached")]
    Unreachable,
    /// Any other failure.
    #[error("it failed")]
    Other,
}

/// The part of an exchange that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Phase {
    /// Name lookup, connection and TLS handshake.
    #[error("no connection in time")]
    Connect,
    /// Waiting for the head of the response.
    #[error("no answer in time")]
    FirstByte,
    /// Silence inside the response body.
    #[error("the answer stopped in the middle")]
    Idle,
    /// The whole exchange.
    #[error("the exchange took too long")]
    Total,
    /// Waiting for others: this host had as many requests in flight as it can.
    #[error("this host was too busy to begin the exchange")]
    Place,
}

/// What a call has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Quota {
    /// The number of requests.
    #[error("the call has made all the requests it may make (`requests`)")]
    Requests,
    /// The number of requests at once.
    #[error(
        "the call has as many requests in flight as it may have (`concurrent_requests`); \
         finish or drop a response body first"
    )]
    Concurrency,
    /// The number of requests at once that a rule allows, over all calls.
    #[error(
        "the rule has as many requests in flight as it may have (`limits.concurrency` of the \
         rule); finish or drop a response body first"
    )]
    RuleConcurrency,
    /// The time of the call.
    #[error("the call's time is over (`wall`)")]
    Wall,
}

impl Quota {
    pub(crate) fn limit(self) -> Limit {
        match self {
            Self::Requests => Limit::Requests,
            Self::Concurrency | Self::RuleConcurrency => Limit::Concurrency,
            Self::Wall => Limit::Wall,
        }
    }
}

/// A limit that ended something, by the key it has in a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Requests,
    Concurrency,
    Rate,
    RequestBytes,
    ResponseBytes,
    /// Of a rule: a budget has none.
    DecompressedBytes,
    RequestTime,
    ConnectTime,
    IdleTime,
    Wall,
    /// Of the process, not of a budget.
    Places,
}

impl Limit {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Concurrency => "concurrent_requests",
            Self::Rate => "request_rate",
            Self::RequestBytes => "request_bytes",
            Self::ResponseBytes => "response_bytes",
            Self::DecompressedBytes => "decompressed_bytes",
            Self::RequestTime => "request_time",
            Self::ConnectTime => "connect_time",
            Self::IdleTime => "idle_time",
            Self::Wall => "wall",
            Self::Places => "host_requests",
        }
    }
}
