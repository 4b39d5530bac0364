//! An answer.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{
    error::{Error, Kind, beginning},
    message::Reply,
};
use crate::json;

/// An answer, whatever its status: ask [`ok`](Self::ok) for a success.
#[derive(Debug, Clone)]
pub struct Response {
    request: Arc<str>,
    reply: Reply,
}

impl Response {
    pub(super) fn new(request: &Arc<str>, reply: Reply) -> Self {
        Self {
            request: Arc::clone(request),
            reply,
        }
    }

    /// The status, for example 200.
    pub fn status(&self) -> u16 {
        self.reply.status
    }

    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.reply.status)
    }

    /// The answer itself when its status is a success.
    ///
    /// # Errors
    ///
    /// [`Kind::Status`] with the beginning of the body.
    pub fn ok(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let kind = Kind::Status {
            status: self.reply.status,
            body: beginning(&self.reply.body),
        };
        Err(Error::new(&self.request, kind))
    }

    /// The first header of this name, if there is one and it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .reply
            .headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The body as a value of this type.
    ///
    /// # Errors
    ///
    /// [`Kind::Json`] with the path inside the document and the beginning of
    /// the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        json::from_slice(&self.reply.body).map_err(|error| {
            let body = beginning(&self.reply.body);
            Error::new(
                &self.request,
                Kind::Json {
                    message: error.to_string(),
                    body,
                },
            )
        })
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// [`Kind::Protocol`] when it is not UTF-8.
    pub fn text(self) -> Result<String, Error> {
        String::from_utf8(self.reply.body).map_err(|_| {
            Error::new(
                &self.request,
                Kind::Protocol("the body is not UTF-8".to_owned()),
            )
        })
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.reply.body
    }

    /// The body.
    pub fn into_bytes(self) -> Vec<u8> {
        self.reply.body
    }

    /// How many bytes the body had, also where it was not kept.
    pub fn received(&self) -> u64 {
        self.reply.received
    }
}
