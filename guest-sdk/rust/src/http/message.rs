//! The parts of an exchange, as they are handed to the host.

use std::time::Duration;

use super::url::Url;

/// What is done to the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum Method {
    /// Read it.
    Get,
    /// Read what there is to know about it.
    Head,
    /// Hand something to it.
    Post,
    /// Replace it.
    Put,
    /// Change a part of it.
    Patch,
    /// Remove it.
    Delete,
    /// Ask what can be done to it.
    Options,
}

impl Method {
    /// The method as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// Whether sending it twice does the same as sending it once.
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }

    /// Whether a request without body must say that its length is zero.
    pub(super) fn expects_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long the parts of a request may take. What is not set is left to the
/// host, which has limits of its own that none of these can exceed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Option<Duration>,
    /// From sending the request to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// Between two parts of the answer's body.
    pub between_bytes: Option<Duration>,
    /// For the whole of one attempt. Noticed within a second.
    pub total: Option<Duration>,
}

impl Timeouts {
    /// The same limit for the connection, the first byte and between bytes.
    pub fn each(limit: Duration) -> Self {
        Self {
            connect: Some(limit),
            first_byte: Some(limit),
            between_bytes: Some(limit),
            total: None,
        }
    }
}

/// Everything of a request but its body.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeouts: Timeouts,
}

/// What becomes of the answer's body.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep {
    /// It is kept, and more than this many bytes are an error.
    UpTo(u64),
    /// It is read and counted, and headers are not looked at.
    Count,
}

/// An answer as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) received: u64,
}
