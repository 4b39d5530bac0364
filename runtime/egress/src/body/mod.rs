//! A body as it is handed from one part to the next.
//!
//! Nothing is collected: a piece is handed on as soon as it comes, and the next
//! one is read when the other side asks for it, so a body of any size costs the
//! same memory.

pub(crate) mod answer;
pub(crate) mod decode;
pub(crate) mod incoming;
pub(crate) mod outgoing;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

use crate::error::BodyError;

/// A body, of a request or of a response.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body without content.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Empty pieces passed over before others get a turn: a body of nothing but
/// empty pieces is work without progress.
pub(crate) const EMPTY_IN_A_ROW: usize = 32;
