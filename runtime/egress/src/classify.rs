//! What an error of a library means here.
//!
//! The libraries below wrap errors in errors, and their texts hold addresses and
//! names that a guest must not see. So the chain is searched for the one that is
//! the cause, by type and never by text, and what leaves this module is a closed
//! list.

use std::error::Error;
use std::fmt;
use std::io;

use servo_policy::AddressClass;

use crate::error::{BodyError, ConnectFailure, Phase, ProtocolFailure, SendError};
use crate::tls::failure::TlsFailure;

/// All addresses of a host are refused; holds the class of the first.
#[derive(Debug)]
pub(crate) struct AddressRefused(pub(crate) AddressClass);

/// A name that has no address, and what the resolver said.
#[derive(Debug, thiserror::Error)]
#[error("the name could not be resolved")]
pub(crate) struct ResolveFailed(#[source] pub(crate) Option<io::Error>);

/// A connection that was not there in time.
#[derive(Debug)]
pub(crate) struct ConnectTimedOut;

macro_rules! marker {
    ($name:ident, $text:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($text)
            }
        }
        impl Error for $name {}
    };
}

marker!(AddressRefused, "every address of the host is refused");
marker!(ConnectTimedOut, "no connection in time");

/// What a failed exchange was really about.
pub(crate) enum Failure {
    Address(AddressClass),
    Send(SendError),
}

/// Sorts an error of the HTTP client by what caused it, looking through every
/// layer that wrapped the cause.
pub(crate) fn classify(error: &(dyn Error + 'static)) -> Failure {
    if let Some(AddressRefused(class)) = find(error) {
        return Failure::Address(*class);
    }
    Failure::Send(if find::<ResolveFailed>(error).is_some() {
        SendError::Resolve
    } else if find::<ConnectTimedOut>(error).is_some() {
        SendError::Timeout(Phase::Connect)
    } else if let Some(body) = find::<BodyError>(error) {
        body.as_send_error()
    } else if let Some(tls) = find::<rustls::Error>(error) {
        SendError::Tls(TlsFailure::of(tls))
    } else if let Some(hyper) = find::<hyper::Error>(error) {
        SendError::Protocol(protocol(hyper))
    } else if let Some(io) = find::<io::Error>(error) {
        SendError::Connect(match io.kind() {
            io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                ConnectFailure::Unreachable
            }
            _ => ConnectFailure::Other,
        })
    } else {
        SendError::Protocol(ProtocolFailure::Broken)
    })
}

pub(crate) fn protocol(error: &hyper::Error) -> ProtocolFailure {
    if error.is_parse_too_large() {
        ProtocolFailure::HeadTooLarge
    } else if error.is_parse() {
        ProtocolFailure::Invalid
    } else if error.is_incomplete_message() || ended_early(error) {
        ProtocolFailure::Closed
    } else {
        ProtocolFailure::Broken
    }
}

/// Inside a body hyper says so with an `io::Error`.
fn ended_early(error: &hyper::Error) -> bool {
    find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

/// The first error of type `T` in a chain. An `io::Error` hides the error it
/// wraps from `source`, so it is opened by hand.
pub(crate) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(inner) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            && let Some(found) = find::<T>(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}
