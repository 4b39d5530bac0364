//! The protocol front (protocol sections 2 to 8).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use servo_protocol::StatusReply;

use super::{Peer, Refusal, Shared, hang_up, not_found};
use crate::hub::HubError;
use crate::machine::{Input, Reply};
use crate::options::AppKey;
use crate::wire;

/// Longest work on one event. With the longest delay of [`super::rate`] an
/// answer stays below the 5 s in which the original, which has no timeout, is
/// to be answered.
const SLOWEST: Duration = Duration::from_millis(2500);
pub(super) async fn app(
    State(shared): State<Shared>,
    Path((account, application)): Path<(String, String)>,
    request: Request,
) -> Response {
    match AppKey::new(&account, &application) {
        Ok(app) => serve(shared, app, request).await,
        Err(error) => Refusal::new(StatusCode::NOT_FOUND, error.to_string()).into_response(),
    }
}

pub(super) async fn single(State(shared): State<Shared>, request: Request) -> Response {
    serve(shared, AppKey::single(), request).await
}

async fn serve(shared: Shared, app: AppKey, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let peer = Peer::of(&head);
    match shared.scope(&peer, &head.headers).await {
        Err(refused) => return refused.into_response(),
        Ok(scope) if !scope.covers(&app) => return not_found().into_response(),
        Ok(_) => {}
    }
    peer.waits(shared.rates.wait(&app)).await;
    let read = shared.bodies.read(body, peer.address());
    let Some(held) = peer.waits(read).await else {
        return hang_up();
    };
    let is_progress = wire::may_be_progress(&held.bytes);
    let work = async {
        let events = Arc::clone(&shared.events);
        // Never closed, and then it would only be one more.
        let turn = events.acquire_owned().await.ok();
        tokio::task::spawn_blocking(move || {
            let answer = answer(&shared, &app, &held.bytes);
            drop((turn, held));
            answer
        })
        .await
    };
    match tokio::time::timeout(SLOWEST, work).await {
        Ok(Ok(answer)) => answer,
        // The disk or the lock takes its time. Either the event is taken in all
        // the same, and found to be a repetition when the servo sends it again,
        // or nothing of it has happened; a report of progress is not worth that,
        // and a second refusal of one would make the original give up its
        // operation.
        Err(_) if is_progress => status(&StatusReply::ok()),
        Err(_) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy, come again").into_response(),
        Ok(Err(_)) => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the event could not be taken in",
        )
        .into_response(),
    }
}

fn answer(shared: &Shared, app: &AppKey, body: &[u8]) -> Response {
    let message = match wire::read(body) {
        Ok(message) => message,
        Err(problem) => {
            tracing::warn!(%app, problem, "a message could not be read");
            return status(&StatusReply::invalid(problem));
        }
    };
    let is_progress = matches!(message.input, Input::Progress { .. });
    let taken = shared.hub.take(
        app,
        &message.name,
        message.input,
        message.servo_uid.as_deref(),
        body,
    );
    match taken {
        Ok(Reply::Command(command)) => Json(command).into_response(),
        Ok(Reply::Status(reply)) => status(&reply),
        Ok(Reply::Superseded) => (
            StatusCode::GONE,
            Json(json!({ "detail": "unexpected servo_uid" })),
        )
            .into_response(),
        Err(error @ HubError::Full(_)) => {
            Refusal::new(StatusCode::FORBIDDEN, error.to_string()).into_response()
        }
        // Nothing of it has to be kept, and a second refusal would make the
        // original give up the operation.
        Err(error) if is_progress => {
            tracing::warn!(%app, %error, "a report of progress was not looked at");
            status(&StatusReply::ok())
        }
        // Nothing was stored, so the servo has to come again.
        Err(error) => {
            tracing::error!(%app, %error, "an event could not be stored");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response()
        }
    }
}

fn status(reply: &StatusReply) -> Response {
    Json(serde_json::to_value(reply).unwrap_or(Value::Null)).into_response()
}
