//! What the page and programs read, and what an operator may change.
//!
//! A change needs the same token as reading, a JSON content type, and no
//! foreign origin: a page of another site can send none of the three together
//! without asking the browser first, and the browser is told nothing.

use std::convert::Infallible;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::listen::Streams;
use super::{Peer, Refusal, Shared, not_found};
use crate::auth::Scope;
use crate::hub::HubError;
use crate::machine::StudySummary;
use crate::options::AppKey;

/// One line of the list of applications.
#[derive(Serialize)]
struct Listed {
    account: String,
    application: String,
    summary: StudySummary,
}

pub(super) async fn apps(State(shared): State<Shared>, peer: Peer, headers: HeaderMap) -> Response {
    let scope = match shared.scope(&peer, &headers).await {
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
async fn chosen(
    shared: &Shared,
    peer: &Peer,
    headers: &HeaderMap,
    path: Option<(String, String)>,
) -> Result<AppKey, Refusal> {
    let scope = shared.scope(peer, headers).await?;
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

/// `?study=2`: an earlier study in place of the present one.
fn wanted(uri: &Uri) -> Option<u32> {
    uri.query()?
        .split('&')
        .find_map(|pair| pair.strip_prefix("study="))
        .and_then(|number| number.parse().ok())
}

async fn list(
    shared: &Shared,
    peer: &Peer,
    headers: &HeaderMap,
    path: Option<(String, String)>,
    wanted: Option<u32>,
) -> Result<Response, Refusal> {
    let app = chosen(shared, peer, headers, path).await?;
    let view = shared.hub.view(&app).ok_or_else(not_found)?;
    let view = match wanted {
        Some(study) if study != view.summary.study => shared
            .hub
            .earlier_view(&app, study)
            .map_err(refusal)?
            .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "there is no such study"))?,
        _ => view,
    };
    long(shared, peer, &view)
}

pub(super) async fn trials(
    State(shared): State<Shared>,
    Path(path): Path<(String, String)>,
    uri: Uri,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    list(&shared, &peer, &headers, Some(path), wanted(&uri))
        .await
        .into_response()
}

pub(super) async fn single_trials(
    State(shared): State<Shared>,
    uri: Uri,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    list(&shared, &peer, &headers, None, wanted(&uri))
        .await
        .into_response()
}

/// Every study of an application, the present one last.
pub(super) async fn studies(
    State(shared): State<Shared>,
    Path(path): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    let app = chosen(&shared, &peer, &headers, Some(path)).await;
    let listed = app.and_then(|app| {
        let now = shared.hub.view(&app).ok_or_else(not_found)?;
        let mut all = shared.hub.earlier(&app).map_err(refusal)?;
        all.push(now.summary);
        Ok(Json(all))
    });
    listed.into_response()
}

/// What an operator may say with a change.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ChangeRequest {
    reason: Option<String>,
}

/// Makes a change and answers with the study as it stands then.
async fn change(
    shared: &Shared,
    peer: &Peer,
    headers: &HeaderMap,
    path: (String, String),
    body: &Bytes,
    make: impl FnOnce(&AppKey, ChangeRequest) -> Result<(), HubError>,
) -> Result<Response, Refusal> {
    let app = chosen(shared, peer, headers, Some(path)).await?;
    let said = match body.as_ref() {
        [] => ChangeRequest::default(),
        body => serde_json::from_slice(body).map_err(|error| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("the body is of no use: {error}"),
            )
        })?,
    };
    make(&app, said).map_err(refusal)?;
    let view = shared.hub.view(&app).ok_or_else(not_found)?;
    Ok(Json(json!({ "summary": view.summary })).into_response())
}

fn refusal(error: HubError) -> Refusal {
    match error {
        HubError::Unknown(_) => not_found(),
        error @ HubError::NotNow(_) => Refusal::new(StatusCode::CONFLICT, error.to_string()),
        error => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// Lets a study go on that rests.
pub(super) async fn resume(
    State(shared): State<Shared>,
    Path(path): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    change(&shared, &peer, &headers, path, &body, |app, _| {
        shared.hub.resume(app)
    })
    .await
    .into_response()
}

/// Ends a study by way of its best settings.
pub(super) async fn stop(
    State(shared): State<Shared>,
    Path(path): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    change(&shared, &peer, &headers, path, &body, |app, said| {
        let reason = said
            .reason
            .unwrap_or_else(|| "stopped by the operator".to_owned());
        shared.hub.stop(app, &reason)
    })
    .await
    .into_response()
}

/// Begins another study where one has ended.
pub(super) async fn begin(
    State(shared): State<Shared>,
    Path(path): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    change(&shared, &peer, &headers, path, &body, |app, _| {
        shared.hub.renew(app)
    })
    .await
    .into_response()
}

pub(super) async fn events(
    State(shared): State<Shared>,
    Path(path): Path<(String, String)>,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    watch(shared, &peer, &headers, Some(path))
        .await
        .into_response()
}

pub(super) async fn single_events(
    State(shared): State<Shared>,
    peer: Peer,
    headers: HeaderMap,
) -> Response {
    watch(shared, &peer, &headers, None).await.into_response()
}

/// Server-sent events: one for each news, `missed` when some were lost.
async fn watch(
    shared: Shared,
    peer: &Peer,
    headers: &HeaderMap,
    path: Option<(String, String)>,
) -> Result<Response, Refusal> {
    let app = chosen(&shared, peer, headers, path).await?;
    let permit = shared
        .subscribers
        .try_take(peer.address())
        .ok_or_else(|| busy("too many subscribers; close a page"))?;
    let state = (shared.hub.subscribe(), shared.stopped.clone(), permit, app);
    let news = stream::unfold(state, |(mut news, mut stopped, permit, app)| async move {
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
            return Some((Ok::<_, Infallible>(event), (news, stopped, permit, app)));
        }
    });
    let news = Sse::new(news).keep_alive(KeepAlive::default());
    Ok((Extension(Streams), news).into_response())
}

fn busy(message: &'static str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
}

/// An answer that may be long. It takes memory until the client has read it, so
/// there are only so many at a time.
fn long(shared: &Shared, peer: &Peer, answer: &impl Serialize) -> Result<Response, Refusal> {
    let permit = shared
        .long
        .try_take(peer.address())
        .ok_or_else(|| busy("too many long answers are being read; come again"))?;
    let bytes = serde_json::to_vec(answer).map_err(|_| busy("there is no answer"))?;
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, permit.until_read(bytes)).into_response())
}
