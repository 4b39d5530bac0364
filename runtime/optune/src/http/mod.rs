//! The HTTP side: the protocol for servos, an API and a page for people.
//!
//! A service on a loopback address without tokens is reachable by every page
//! that a browser on the same machine shows. Three guards keep such pages out:
//! the `Host` must be a loopback name (else a name that was rebound to
//! 127.0.0.1 would make a foreign page same-origin), the protocol takes no
//! request with a foreign `Origin` (browsers always send one with a POST to another
//! site), nor does the API, and a change through the API needs a JSON content
//! type, which a page cannot send elsewhere without asking first.

mod address;
mod api;
mod body;
mod connections;
mod front;
mod guard;
mod guesses;
mod listen;
mod page;
mod peer;
mod quota;
mod rate;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures_util::stream;
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use self::connections::Limits;
pub(crate) use self::listen::serve;
use self::peer::Peer;
use self::quota::Quota;
use crate::auth::{Auth, Refused, Scope};
use crate::hub::Hub;
use crate::options::ServiceOptions;

/// Subscribers at a time; each holds a connection.
const MAX_SUBSCRIBERS: usize = 64;
/// Long answers at a time; each is kept until its client has read it.
const MAX_LONG: usize = 8;
/// Events at a time that are read and taken in. More would only wait for the
/// store, and each costs a multiple of its size while it is read.
const MAX_EVENTS: usize = 2;
/// Largest body of a change, in bytes: a reason for people.
const MAX_CHANGE: usize = 16 * 1024;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    hub: Arc<Hub>,
    auth: Auth,
    hosts: Arc<[String]>,
    loopback: bool,
    stopped: watch::Receiver<bool>,
    subscribers: Arc<Quota>,
    long: Arc<Quota>,
    events: Arc<Semaphore>,
    rates: Arc<rate::Rates>,
    bodies: Arc<body::Bodies>,
    guesses: Arc<guesses::Guesses>,
}

/// All routes, and what is to be looked at now and then.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    pub(crate) router: Router,
    limits: Limits,
    guesses: Arc<guesses::Guesses>,
}

/// The routes of a service.
pub(crate) fn front(
    hub: Arc<Hub>,
    options: &ServiceOptions,
    stopped: watch::Receiver<bool>,
) -> Front {
    let limits = Limits::of_system();
    let guesses: Arc<guesses::Guesses> = Arc::default();
    let subscribers = MAX_SUBSCRIBERS.min(limits.whole / 4);
    let shared = Shared {
        hub,
        auth: options.auth.clone(),
        hosts: options.hosts.clone().into(),
        loopback: options.listen.ip().is_loopback(),
        stopped,
        subscribers: Quota::new(subscribers, subscribers / 2),
        long: Quota::new(MAX_LONG, MAX_LONG / 2),
        events: Arc::new(Semaphore::new(MAX_EVENTS)),
        rates: Arc::default(),
        bodies: Arc::default(),
        guesses: Arc::clone(&guesses),
    };
    let servo = Router::new()
        .route("/servo", post(front::single))
        .route(
            "/accounts/{account}/applications/{application}/servo",
            post(front::app),
        )
        .layer(middleware::from_fn(guard::origin));
    let api = Router::new()
        .route("/apps", get(api::apps))
        .route("/trials", get(api::single_trials))
        .route("/events", get(api::single_events))
        .route(
            "/accounts/{account}/applications/{application}/trials",
            get(api::trials),
        )
        .route(
            "/accounts/{account}/applications/{application}/events",
            get(api::events),
        )
        .route(
            "/accounts/{account}/applications/{application}/studies",
            get(api::studies).post(api::begin),
        )
        .route(
            "/accounts/{account}/applications/{application}/resume",
            post(api::resume),
        )
        .route(
            "/accounts/{account}/applications/{application}/stop",
            post(api::stop),
        )
        .layer(DefaultBodyLimit::max(MAX_CHANGE))
        .layer(middleware::from_fn(guard::content_type))
        .layer(middleware::from_fn(guard::origin));
    let router = Router::new()
        .merge(servo)
        .nest("/api/v1", api)
        .route("/", get(page::html))
        .route("/page.js", get(page::script))
        .route("/page.css", get(page::style))
        .route("/icon.svg", get(page::icon))
        .route(
            "/healthz",
            get(|| async { Json(json!({ "status": "ok" })) }),
        )
        .layer(middleware::from_fn_with_state(shared.clone(), guard::host))
        .layer(middleware::map_response(guard::headers))
        .with_state(shared);
    Front {
        router,
        limits,
        guesses,
    }
}

/// An answer for people and programs: the original prints `message`.
#[derive(Debug)]
enum Refusal {
    /// So, and why.
    Answer(StatusCode, Cow<'static, str>),
    /// Not at all: the connection is closed.
    HangUp,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Answer(status, message.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Answer(status, message) => (status, message),
            Self::HangUp => return hang_up(),
        };
        let mut answer = (status, Json(json!({ "message": message }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            answer
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

/// An answer that breaks off, which closes the connection: any whole one would
/// be repeated for ever or taken for a success.
fn hang_up() -> Response {
    let broken = stream::iter([Err::<Bytes, _>(io::Error::other("not worth an answer"))]);
    Body::from_stream(broken).into_response()
}

impl Shared {
    /// What the request may reach. A token that is not known costs time.
    async fn scope(&self, peer: &Peer, headers: &HeaderMap) -> Result<Scope, Refusal> {
        let value = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        match self.auth.scope(value) {
            Ok(scope) => Ok(scope),
            Err(Refused::NoToken) => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "a token is needed: send it as `Authorization: Bearer <token>`",
            )),
            Err(Refused::UnknownToken) => {
                if peer.waits(self.guesses.refuse(peer.address())).await {
                    let message = "the token is not known here";
                    Err(Refusal::new(StatusCode::FORBIDDEN, message))
                } else {
                    Err(Refusal::HangUp)
                }
            }
        }
    }
}

fn not_found() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "there is no such application here, or the token is not for it",
    )
}
