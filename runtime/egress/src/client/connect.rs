//! The time that a connection may take.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service};

use crate::classify::ConnectTimedOut;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

tokio::task_local! {
    /// How long the request that is being polled may wait for a connection.
    /// The client knows one such time for its life; our calls each have theirs.
    pub(super) static CONNECT_TIME: Duration;
}

/// Ends a connection attempt (lookup, TCP, TLS) that takes longer than the
/// request that started it may wait.
#[derive(Clone)]
pub(crate) struct Connect<S>(pub(super) S);

/// Puts [`Connect`] around the usual client's own connector.
#[derive(Clone, Copy)]
pub(super) struct ConnectLayer;

impl<S> Layer<S> for ConnectLayer {
    type Service = Connect<S>;

    fn layer(&self, inner: S) -> Connect<S> {
        Connect(inner)
    }
}

impl<S, R> Service<R> for Connect<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        let limit = CONNECT_TIME
            .try_with(|limit| *limit)
            .unwrap_or(Duration::from_secs(5));
        let connecting = self.0.call(destination);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimedOut.into()),
            }
        })
    }
}
