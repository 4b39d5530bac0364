//! The running service: one listener, one hub, one way to end.
//!
//! The same service also runs without a listener ([`Service::offline`]): every
//! request goes through the same routes, guards and store, so that a test can
//! play a world of its own, with a clock of its own, against the real thing.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use crate::auth::Auth;
use crate::http::{self, Front};
use crate::hub::{Hub, HubError, ServiceEvent};
use crate::machine::StudySummary;
use crate::options::{AppKey, ServiceOptions};
use crate::store::StoreError;

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Without authentication everybody on the network could change settings.
    #[error(
        "{0} is not a loopback address and there is no authentication; listen on 127.0.0.1 or set tokens"
    )]
    OpenToTheNetwork(SocketAddr),
    /// Authentication without a single token lets nobody in.
    #[error(
        "authentication is on but there is no token; add one or listen on 127.0.0.1 without authentication"
    )]
    NoTokens,
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long requests in hand may take at the end; a peer that sends half a
/// request must not keep the service up.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running service. Dropping it ends it at once, as a kill does: everything
/// acknowledged is in the store, which is closed, so that another service may
/// open it.
#[derive(Debug)]
pub struct Service {
    hub: Arc<Hub>,
    front: Front,
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    server: Option<JoinHandle<()>>,
    ticker: Option<JoinHandle<()>>,
}

/// Looks at the clock as long as it is not aborted.
async fn tick(hub: Arc<Hub>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        let hub = Arc::clone(&hub);
        // It may have to write to the disk.
        if tokio::task::spawn_blocking(move || hub.tick())
            .await
            .is_err()
        {
            return;
        }
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hub")
    }
}

impl Service {
    /// Opens the store, binds and begins to answer.
    ///
    /// # Errors
    /// When the address is open to the network without tokens, cannot be
    /// bound, or the store cannot be used.
    pub async fn start(options: ServiceOptions) -> Result<Self, StartError> {
        let mut service = Self::offline(&options)?;
        let failed = |source| StartError::Listen {
            address: options.listen,
            source,
        };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        service.address = listener.local_addr().map_err(failed)?;
        let front = service.front.clone();
        let stopped = service.stopping.subscribe();
        service.ticker = Some(tokio::spawn(tick(Arc::clone(&service.hub))));
        service.server = Some(tokio::spawn(http::serve(listener, front, stopped)));
        Ok(service)
    }

    /// The service without a socket: requests come by [`Service::handle`].
    /// Nothing else differs, so a request needs a `Host` of this machine (or
    /// an address with one, such as `http://localhost/servo`), as a servo
    /// sends it. Time stamps and limits of silence follow `options.clock`;
    /// what delays an answer follows tokio's clock, which a test may pause.
    ///
    /// To kill it, drop it. What was answered before is in the store, and the
    /// folder can be opened again at once, also while requests to the dropped
    /// one are still being worked on: those change nothing any more.
    ///
    /// # Errors
    /// As [`Service::start`], but for the listening.
    pub fn offline(options: &ServiceOptions) -> Result<Self, StartError> {
        match &options.auth {
            Auth::None if !options.listen.ip().is_loopback() => {
                return Err(StartError::OpenToTheNetwork(options.listen));
            }
            Auth::Tokens(tokens) if tokens.is_empty() => return Err(StartError::NoTokens),
            _ => {}
        }
        let hub = Arc::new(Hub::open(options)?);
        let (stopping, stopped) = watch::channel(false);
        let front = http::front(Arc::clone(&hub), options, stopped);
        Ok(Self {
            hub,
            front,
            address: options.listen,
            stopping,
            server: None,
            ticker: None,
        })
    }

    /// Answers one request as if it had come over the wire. The future needs a
    /// tokio runtime and holds nothing of the service but what a connection
    /// would: it can outlive it, and answers 503 then. A body that breaks off
    /// is a connection that was closed.
    pub fn handle(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send + 'static {
        let router = self.front.router.clone();
        async move {
            match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    }

    /// While set, the store takes nothing, as on a full disk: events that
    /// would change something are answered 503, and nothing of them has
    /// happened.
    ///
    /// # Errors
    /// When the store fails.
    pub fn refuse_writes(&self, refuse: bool) -> Result<(), HubError> {
        self.hub.refuse_writes(refuse)
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Address of the page, as seen from this machine.
    #[must_use]
    pub fn page_url(&self) -> String {
        format!("http://{}/", self.reachable())
    }

    /// Nobody can connect to "all addresses"; loopback is one of them.
    fn reachable(&self) -> SocketAddr {
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        address
    }

    /// Address that a servo posts to, for an application.
    #[must_use]
    pub fn servo_url(&self, app: &AppKey) -> String {
        format!(
            "http://{}/accounts/{}/applications/{}/servo",
            self.reachable(),
            app.account(),
            app.application()
        )
    }

    /// News from now on. A receiver that lags is told so and may ask
    /// [`Service::summary`].
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<ServiceEvent> {
        self.hub.subscribe()
    }

    /// Waits for the first study to end, done, stopped or failed; `None` when
    /// the service ends before. A study that had ended before the service was
    /// started counts.
    pub fn finished(&self) -> impl Future<Output = Option<StudySummary>> + Send + 'static {
        let mut ended = self.hub.ended();
        let mut stopped = self.stopping.subscribe();
        async move {
            tokio::select! {
                biased;
                found = ended.wait_for(Option::is_some) => found.ok().and_then(|found| found.clone()),
                _ = stopped.wait_for(|stop| *stop) => None,
            }
        }
    }

    /// An application's study, once a servo has spoken for it.
    #[must_use]
    pub fn summary(&self, app: &AppKey) -> Option<StudySummary> {
        self.hub.view(app).map(|view| view.summary)
    }

    /// Every application with its study.
    #[must_use]
    pub fn applications(&self) -> Vec<(AppKey, StudySummary)> {
        self.hub.apps()
    }

    /// Ends an application's study: a running operation is cancelled at its
    /// next progress report, then the best settings so far, or those found at
    /// the start, are restored. Returns at once; see [`Service::finished`].
    ///
    /// # Errors
    /// When there is no such application or the store fails.
    pub fn stop(&self, app: &AppKey, reason: &str) -> Result<(), HubError> {
        self.hub.stop(app, reason)
    }

    /// Lets a study go on that rests because the application was changed behind
    /// its back ([`StudySummary::paused`]).
    ///
    /// # Errors
    /// When there is no such application, its study does not rest, or the
    /// store fails.
    pub fn resume(&self, app: &AppKey) -> Result<(), HubError> {
        self.hub.resume(app)
    }

    /// Begins another study, with the options of the service, for an
    /// application whose study has ended. The old one stays in the store.
    ///
    /// # Errors
    /// When there is no such application, its study has not ended, or the
    /// store fails.
    pub fn new_study(&self, app: &AppKey) -> Result<(), HubError> {
        self.hub.renew(app)
    }

    /// Looks at the clock: finds servos that have been silent for too long. A
    /// listening service does it every second; every request does it for its
    /// own application.
    pub fn tick(&self) {
        self.hub.tick();
    }

    /// Stops answering, lets requests in hand end, and closes the store.
    pub async fn shutdown(mut self) {
        let _ = self.stopping.send(true);
        let Some(mut server) = self.server.take() else {
            return;
        };
        match tokio::time::timeout(PATIENCE, &mut server).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the service did not end well"),
            Err(_) => server.abort(),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        for task in [&self.server, &self.ticker].into_iter().flatten() {
            task.abort();
        }
        // What is being taken in lives on for a moment.
        self.hub.close();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The original has no timeout: however slow the disk is, it is answered.
    #[test]
    fn no_answer_takes_five_seconds() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let service = Service::offline(&ServiceOptions::default()).unwrap();
        for (param, expected) in [
            (json!(null), 503),
            // A second refusal would end the operation.
            (json!({"progress": 10, "runtime": 3}), 200),
        ] {
            let body = json!({"event": "MEASUREMENT", "param": param}).to_string();
            let request = Request::post("http://localhost/servo")
                .body(Body::from(body))
                .unwrap();
            let held = service.hub.hold();
            let status = runtime.block_on(async {
                let began = tokio::time::Instant::now();
                let mut answer = tokio::spawn(service.handle(request));
                // While it waits for the lock, time moves only by hand.
                let status = loop {
                    tokio::select! {
                        biased;
                        answer = &mut answer => break answer.unwrap().status(),
                        () = tokio::task::yield_now() => {}
                    }
                    tokio::time::advance(Duration::from_millis(100)).await;
                };
                assert!(began.elapsed() < Duration::from_secs(5));
                status
            });
            assert_eq!(status, expected);
            drop(held);
        }
    }
}
