//! A small shop on loopback whose throughput and latency depend on its settings.
//!
//! It is an application to be measured and adjusted, not a stub of one: real
//! requests go through a real queue to real threads, settings change while it
//! runs, and the best settings are not at the edge of any range (see [`pace`]).
//!
//! | request | answer |
//! |---|---|
//! | `GET /quote` | one quote; the application picks the item. 503 when the queue is full |
//! | `GET /settings` | `{"workers":2,"batch":1,"cache":0}` |
//! | `PUT /settings` | takes all members or some, at once and together; answers the whole document. 400: no JSON; 422: a member is wrong, and which |
//! | `GET /healthz` | `ok` |
//! | `GET /metrics` | the Prometheus text format |
//!
//! HTTP/1.0 and 1.1, with or without keep-alive. It has no credentials of any
//! kind and is meant for an address that only this machine reaches.

mod catalogue;
mod meters;
pub mod pace;
mod pool;
mod settings;
mod visitors;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use catalogue::Demand;
use meters::Meters;
use pace::{Pace, RealPace};
use pool::{ApplyError, Pool};
pub use settings::{BATCH, CACHE, MEMBERS, Member, Settings, SettingsError, WORKERS};
use visitors::Visitors;

/// A settings document is some sixty bytes.
const LARGEST_BODY: usize = 4096;

/// How long connections may take to end when the application stops. The slowest
/// answer, behind a full queue and one worker, takes less.
const GOODBYE: Duration = Duration::from_secs(5);

/// Why the application did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The address cannot be listened on.
    #[error(
        "the sample application cannot listen on {address}: {source}; choose another address, or port 0 for any free one"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system gives no more threads.
    #[error("the sample application cannot start its workers: {0}")]
    Workers(String),
}

/// The application while it runs. Dropping it stops it without waiting;
/// [`shutdown`](Self::shutdown) waits.
pub struct SampleApp {
    address: SocketAddr,
    shop: Arc<Shop>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
    visitors: Visitors,
}

struct Shop {
    demand: Demand,
    requests: AtomicU64,
    meters: Arc<Meters>,
    pool: Pool,
}

impl SampleApp {
    /// Starts it on `listen`; port 0 takes a free one. Must be called within a
    /// tokio runtime, which then serves it.
    ///
    /// # Errors
    /// When the address is taken, or no threads are to be had.
    pub async fn start(listen: SocketAddr) -> Result<Self, AppError> {
        Self::start_with_pace(listen, Arc::new(RealPace)).await
    }

    /// The same with costs of your own.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with_pace(
        listen: SocketAddr,
        pace: Arc<dyn Pace>,
    ) -> Result<Self, AppError> {
        let refused = |source| AppError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let meters = Arc::new(Meters::default());
        let pool = Pool::start(pace, Arc::clone(&meters))
            .map_err(|error| AppError::Workers(error.to_string()))?;
        let shop = Arc::new(Shop {
            demand: Demand::new(),
            requests: AtomicU64::new(0),
            meters,
            pool,
        });
        // Small answers must not wait for the client's acknowledgement.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its send delay");
            }
        });
        let (stop, stopped) = oneshot::channel();
        let served =
            axum::serve(listener, router(Arc::clone(&shop))).with_graceful_shutdown(async move {
                // Both a message and a dropped sender mean: stop.
                let _ = stopped.await;
            });
        let server = tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the sample application stopped serving");
            }
        });
        Ok(Self {
            address,
            shop,
            stop: Some(stop),
            server: Some(server),
            visitors: Visitors::default(),
        })
    }

    /// The address it listens on, with the port it was given.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Keeps `count` visitors asking for quotes, each for the next one as soon
    /// as it has the last, until the application stops. They are counted as
    /// any request is. Must be called within a tokio runtime.
    ///
    /// They come through the queue and the workers but not through a socket,
    /// so an application that is to be measured by its own figures needs no
    /// load generator beside it.
    pub fn admit_visitors(&mut self, count: u32) {
        self.visitors.admit(&self.shop, count);
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.shop.pool.settings()
    }

    /// Stops it: no new connections, what is under way is answered, then the
    /// workers go. Connections that take longer than five seconds are cut.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        self.visitors.send_home().await;
        if let Some(mut server) = self.server.take()
            && tokio::time::timeout(GOODBYE, &mut server).await.is_err()
        {
            server.abort();
        }
        let shop = Arc::clone(&self.shop);
        let workers = tokio::task::spawn_blocking(move || shop.pool.stop_and_wait());
        if let Err(error) = workers.await {
            tracing::error!(%error, "the workers of the sample application did not end");
        }
    }
}

fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/quote", get(quote))
        .route("/settings", get(read_settings).put(write_settings))
        .route("/healthz", get(async || "ok\n"))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(shop)
}

async fn quote(State(shop): State<Arc<Shop>>) -> Response {
    let _in_flight = shop.meters.begin();
    let number = shop.requests.fetch_add(1, Relaxed);
    let Some(answer) = shop.pool.submit(shop.demand.item(number)) else {
        shop.meters.rejected.fetch_add(1, Relaxed);
        return busy();
    };
    match answer.await {
        Ok(quote) => json_text(StatusCode::OK, quote.body()),
        Err(_) => busy(),
    }
}

fn busy() -> Response {
    let message = json!({"message": "too many requests are waiting; try again in a second"});
    let mut response = json_text(StatusCode::SERVICE_UNAVAILABLE, line(&message));
    response.headers_mut().insert(
        header::RETRY_AFTER,
        axum::http::HeaderValue::from_static("1"),
    );
    response
}

async fn read_settings(State(shop): State<Arc<Shop>>) -> Response {
    document(shop.pool.settings())
}

async fn write_settings(State(shop): State<Arc<Shop>>, body: Bytes) -> Response {
    let change: Value = match serde_json::from_slice(&body) {
        Ok(change) => change,
        Err(error) => {
            return failure(StatusCode::BAD_REQUEST, None, &format!("no JSON: {error}"));
        }
    };
    // Filling a cache takes a moment, during which others are served.
    let applied = tokio::task::spawn_blocking(move || shop.pool.apply(&change)).await;
    match applied {
        Ok(Ok(settings)) => document(settings),
        Ok(Err(ApplyError::Settings(error))) => failure(
            StatusCode::UNPROCESSABLE_ENTITY,
            error.member(),
            &error.to_string(),
        ),
        Ok(Err(error @ ApplyError::Thread(_))) => {
            failure(StatusCode::INTERNAL_SERVER_ERROR, None, &error.to_string())
        }
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, None, &error.to_string()),
    }
}

async fn metrics(State(shop): State<Arc<Shop>>) -> Response {
    let page = shop.meters.page(shop.pool.settings());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response()
}

fn document(settings: Settings) -> Response {
    json_text(StatusCode::OK, line(&json!(settings)))
}

fn failure(status: StatusCode, member: Option<&str>, message: &str) -> Response {
    json_text(status, line(&json!({"member": member, "message": message})))
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

fn json_text(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
