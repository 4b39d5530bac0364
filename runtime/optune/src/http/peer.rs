//! The connection that a request came over, as handlers see it.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::address::Address;
use super::connections::{Connection, Stage};

/// None for a request that came over no socket.
#[derive(Debug, Clone)]
pub(super) struct Peer(Option<Arc<Connection>>);

impl Peer {
    pub(super) fn of(head: &Parts) -> Self {
        Self(head.extensions.get().cloned())
    }

    pub(super) fn address(&self) -> Address {
        self.0
            .as_ref()
            .map_or(Address::NONE, |connection| connection.address())
    }

    /// Meanwhile the connection may go, should others need the place: nothing
    /// of the request has happened yet.
    pub(super) async fn waits<T>(&self, work: impl Future<Output = T>) -> T {
        self.now_in(Stage::Waiting);
        let done = work.await;
        self.now_in(Stage::Working);
        done
    }

    fn now_in(&self, stage: Stage) {
        if let Some(connection) = &self.0 {
            connection.now_in(stage);
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(head))
    }
}
