//! A request that the host knows already.

use std::{sync::Arc, time::Duration};

use super::{
    error::{Error, Kind},
    message::Keep,
};
use crate::{
    access::Access,
    host::{Host as _, Id},
};

/// A request that can be sent many times; from [`Request::prepare`](super::Request::prepare).
pub struct Prepared {
    pub(super) host: Access,
    pub(super) id: Id,
    pub(super) label: Arc<str>,
    pub(super) body: Vec<u8>,
    pub(super) total: Option<Duration>,
    pub(super) keep: Keep,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Prepared").field(&self.label).finish()
    }
}

impl Prepared {
    /// Reads and counts the bodies of answers without keeping them, and does
    /// not look at their headers. For load generators: it saves most of the
    /// work in the component.
    #[must_use]
    pub fn discard_body(mut self) -> Self {
        self.keep = Keep::Count;
        self
    }

    pub(super) fn start(&self) -> Result<Id, Kind> {
        self.host.http_start(self.id, &self.body, self.keep)
    }

    pub(super) fn error(&self, kind: Kind) -> Error {
        Error::new(&self.label, kind)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        self.host.http_forget(self.id);
    }
}
