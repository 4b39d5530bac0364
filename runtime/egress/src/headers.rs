//! Header fields that cross the gate, in either direction.
//!
//! Which of them a guest may set is one table, in `servo_policy`. Those that say
//! where a message ends or what its connection is are refused here, so that a
//! driver learns that it asked for something it will not get; the ones that merely
//! express a wish about the connection are dropped. What is left is the rule's to
//! allow.

use http::header::{self, HeaderMap, HeaderName};
use servo_policy::{HeaderClass, header_row};

use crate::error::SendError;

/// Fields of a request, and their bytes together. Servers refuse more than 100
/// fields or 8 to 64 KiB.
pub(crate) const MOST_FIELDS: usize = 100;
const MOST_BYTES: usize = 64 * 1024;

/// Fields of a response that describe the connection it came on. `alt-svc`
/// invites to another server, which nobody decided on.
const DROPPED_FROM_RESPONSE: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::ALT_SVC,
];

/// Are connections kept for the next request?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Kept,
    Fresh,
}

/// What the fields of a request ask of its connection and its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) keep: Keep,
    pub(crate) length: Option<u64>,
}

/// Checks the fields of a request and removes those that end here.
pub(crate) fn clean_request(headers: &mut HeaderMap) -> Result<Wishes, SendError> {
    if headers.len() > MOST_FIELDS {
        return Err(SendError::Request("it has more than 100 header fields"));
    }
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if bytes > MOST_BYTES {
        return Err(SendError::Request(
            "its header fields are larger than 64 KiB",
        ));
    }
    let refused = |name: &HeaderName| header_row(name.as_str()).class == HeaderClass::Refused;
    if headers.keys().any(refused) {
        return Err(SendError::Request(
            "it has a header that would change where the message ends or what its connection is",
        ));
    }
    let keep = connection(headers)?;
    let length = content_length(headers)?;
    let dropped = |name: &&HeaderName| {
        let gate = **name == header::CONNECTION;
        gate || header_row(name.as_str()).class == HeaderClass::Dropped
    };
    let dropped: Vec<HeaderName> = headers.keys().filter(dropped).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
    Ok(Wishes { keep, length })
}

/// `close` asks for a connection of its own; `keep-alive` is what happens
/// anyway. Any other token names further fields to drop on the way, which is a
/// way to hide fields from whoever checks them.
fn connection(headers: &HeaderMap) -> Result<Keep, SendError> {
    let mut keep = Keep::Kept;
    for value in headers.get_all(header::CONNECTION) {
        let value = value.as_bytes().trim_ascii();
        if value.eq_ignore_ascii_case(b"close") {
            keep = Keep::Fresh;
        } else if !value.eq_ignore_ascii_case(b"keep-alive") {
            return Err(SendError::Request(
                "`connection` may only be `close` or `keep-alive`",
            ));
        }
    }
    Ok(keep)
}

/// At most one length, in plain digits: two readers must not disagree where the
/// request ends.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, SendError> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(SendError::Request("it has more than one content-length"));
    }
    let digits = value.as_bytes();
    std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or(SendError::Request("its content-length is not a number"))
}

/// Removes the fields of a response that end here.
pub(crate) fn clean_response(headers: &mut HeaderMap) {
    for name in &DROPPED_FROM_RESPONSE {
        headers.remove(name);
    }
}
