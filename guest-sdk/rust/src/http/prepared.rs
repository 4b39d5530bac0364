//! A request that the host knows already.

use std::{sync::Arc, time::Duration};

use super::{
    error::{Error, Kind, Phase},
    message::Keep,
    response::Response,
};
use crate::{
    access::Access,
    host::{Host as _, Id},
};

/// How often a blocking request asks whether the call is still wanted.
const CHECK: Duration = Duration::from_secs(1);

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

    pub(super) fn exchange(&self, host: &Access) -> Result<Response, Error> {
        let start = self.total.map(|total| (host.now(), total));
        let exchange = self.start().map_err(|kind| self.error(kind))?;
        let give_up = |kind| {
            host.http_abort(exchange);
            self.error(kind)
        };
        let mut ready = Vec::with_capacity(1);
        loop {
            let now = host.now();
            let mut deadline = now + CHECK;
            if let Some((began, total)) = start {
                if now >= began + total {
                    return Err(give_up(Kind::Timeout(Phase::Total)));
                }
                deadline = deadline.min(began + total);
            }
            ready.clear();
            host.http_wait(&[exchange], Some(deadline), &mut ready);
            if ready.is_empty() {
                host.check()
                    .map_err(|cancelled| give_up(cancelled.into()))?;
            } else if let Some(outcome) = host.http_advance(exchange) {
                return match outcome {
                    Ok(reply) => Ok(Response::new(&self.label, reply)),
                    Err(kind) => Err(self.error(kind)),
                };
            }
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        self.host.http_forget(self.id);
    }
}
