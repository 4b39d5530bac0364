//! The HTTP side: the protocol for servos, an API and a page for people.
//!
//! A service on a loopback address without tokens is reachable by every page
//! that a browser on the same machine shows. Three guards keep such pages out:
//! the `Host` must be a loopback name (else a name that was rebound to
//! 127.0.0.1 would make a foreign page same-origin), the protocol takes no
//! request with a foreign `Origin` (browsers always send one with a POST to another
//! site), nor does the API, and a change through the API needs a JSON content
//! type, which a page cannot send elsewhere without asking first.

mod api;
mod front;
mod guard;
mod pace;
mod page;

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use crate::auth::{Auth, Refused, Scope};
use crate::hub::Hub;
use crate::options::ServiceOptions;

/// Onlookers at a time; each holds a connection.
const MAX_ONLOOKERS: usize = 64;
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
    onlookers: Arc<Semaphore>,
    pace: Arc<pace::Paces>,
}

/// All routes.
pub(crate) fn router(
    hub: Arc<Hub>,
    options: &ServiceOptions,
    stopped: watch::Receiver<bool>,
) -> Router {
    let shared = Shared {
        hub,
        auth: options.auth.clone(),
        hosts: options.hosts.clone().into(),
        loopback: options.listen.ip().is_loopback(),
        stopped,
        onlookers: Arc::new(Semaphore::new(MAX_ONLOOKERS)),
        pace: Arc::default(),
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
    Router::new()
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
        .with_state(shared)
}

/// An answer for people and programs: the original prints `message`.
#[derive(Debug)]
struct Refusal(StatusCode, Cow<'static, str>);

impl Refusal {
    fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self(status, message.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut answer = (self.0, Json(json!({ "message": self.1 }))).into_response();
        if self.0 == StatusCode::UNAUTHORIZED {
            answer
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

impl Shared {
    /// What the request may reach.
    fn scope(&self, headers: &HeaderMap) -> Result<Scope, Refusal> {
        let value = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        self.auth.scope(value).map_err(|refused| match refused {
            Refused::NoToken => Refusal::new(
                StatusCode::UNAUTHORIZED,
                "a token is needed: send it as `Authorization: Bearer <token>`",
            ),
            Refused::UnknownToken => {
                Refusal::new(StatusCode::FORBIDDEN, "the token is not known here")
            }
        })
    }
}

fn not_found() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "there is no such application here, or the token is not for it",
    )
}
