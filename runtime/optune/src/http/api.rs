//! What the page and programs read.

use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;

use super::{Refusal, Shared, not_found};
use crate::auth::Scope;
use crate::machine::StudySummary;
use crate::options::AppKey;

/// One line of the list of applications.
#[derive(Serialize)]
struct Listed {
    account: String,
    application: String,
    summary: StudySummary,
}

pub(super) async fn apps(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let scope = match shared.scope(&headers) {
        Ok(scope) => scope,
        Err(refused) => return refused.into_response(),
    };
    let listed: Vec<Listed> = visible(&shared, &scope)
        .into_iter()
        .map(|(app, summary)| Listed {
            account: app.account().to_owned(),
            application: app.application().to_owned(),
            summary,
        })
        .collect();
    Json(listed).into_response()
}

fn visible(shared: &Shared, scope: &Scope) -> Vec<(AppKey, StudySummary)> {
    let mut apps = shared.hub.apps();
    apps.retain(|(app, _)| scope.covers(app));
    apps
}

/// The application of a path, or the only one there is.
fn chosen(
    shared: &Shared,
    headers: &HeaderMap,
    path: Option<(String, String)>,
) -> Result<AppKey, Refusal> {
    let scope = shared.scope(headers)?;
    let app = match path {
        Some((account, application)) => {
            AppKey::new(&account, &application).map_err(|_| not_found())?
        }
        None => {
            let mut apps = visible(shared, &scope);
            if apps.len() > 1 {
                apps.retain(|(app, _)| *app == AppKey::single());
            }
            apps.pop().map_or_else(AppKey::single, |(app, _)| app)
        }
    };
    if scope.covers(&app) {
        Ok(app)
    } else {
        Err(not_found())
    }
}

fn list(
    shared: &Shared,
    headers: &HeaderMap,
    path: Option<(String, String)>,
) -> Result<Response, Refusal> {
    let app = chosen(shared, headers, path)?;
    let view = shared.hub.view(&app).ok_or_else(not_found)?;
    Ok(Json(view).into_response())
}

pub(super) async fn trials(
    State(shared): State<Shared>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    list(&shared, &headers, Some(path)).into_response()
}

pub(super) async fn single_trials(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    list(&shared, &headers, None).into_response()
}

pub(super) async fn events(
    State(shared): State<Shared>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    watch(shared, &headers, Some(path)).into_response()
}

pub(super) async fn single_events(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    watch(shared, &headers, None).into_response()
}

/// Server-sent events: one for each news, `missed` when some were lost.
fn watch(
    shared: Shared,
    headers: &HeaderMap,
    path: Option<(String, String)>,
) -> Result<Response, Refusal> {
    let app = chosen(&shared, headers, path)?;
    let seat = shared.onlookers.clone().try_acquire_owned().map_err(|_| {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many onlookers; close a page",
        )
    })?;
    let state = (shared.hub.subscribe(), shared.stopped.clone(), seat, app);
    let news = stream::unfold(state, |(mut news, mut stopped, seat, app)| async move {
        loop {
            let received = tokio::select! {
                received = news.recv() => received,
                _ = stopped.wait_for(|stop| *stop) => return None,
            };
            let event = match received {
                Ok(event) if event.app != app => continue,
                Ok(event) => Event::default()
                    .event("news")
                    .json_data(&event)
                    .unwrap_or_default(),
                Err(RecvError::Lagged(_)) => Event::default().event("missed").data("{}"),
                Err(RecvError::Closed) => return None,
            };
            return Some((Ok::<_, Infallible>(event), (news, stopped, seat, app)));
        }
    });
    Ok(Sse::new(news)
        .keep_alive(KeepAlive::default())
        .into_response())
}
