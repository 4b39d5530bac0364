//! `servo:driver/fetch`: one request in one call, through the same way out as
//! `wasi:http`.
//!
//! The gate decides, sends and collects; this only translates. Unlike a code of
//! `wasi:http`, an error here carries the words of the gate, so that a driver
//! can say what it lacks.

use http::HeaderMap;
use servo_egress::{FetchError, ProtocolFailure, SendError, WholeRequest, WholeResponse};

use crate::bindings::fetch;
use crate::host::{CallState, in_range};
use crate::http::refusal;

impl fetch::Host for CallState {
    async fn send(
        &mut self,
        request: fetch::Request,
    ) -> wasmtime::Result<Result<fetch::Response, fetch::Error>> {
        let request = WholeRequest {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            time_limit: request.time_limit.map(in_range),
            room: self.hooks.room,
        };
        let answered = self.hooks.lane.fetch(request, &self.hooks.meter).await;
        let refused = match &answered {
            Err(FetchError::Send(error)) => refusal(error),
            _ => None,
        };
        self.hooks.denial.set(refused);
        Ok(answered.map(response).map_err(error))
    }
}

fn response(whole: WholeResponse) -> fetch::Response {
    fetch::Response {
        status: whole.status.as_u16(),
        headers: headers(&whole.headers),
        body: whole.body,
    }
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
        .collect()
}

/// What the guest is told when there is no whole response.
fn error(error: FetchError) -> fetch::Error {
    let error = match error {
        FetchError::Send(error) => error,
        FetchError::Body(error) => error.as_send_error(),
    };
    let text = error.to_string();
    match error {
        SendError::Denied(denial) | SendError::AddressDenied(denial) => {
            fetch::Error::Denied(denial.short())
        }
        SendError::DryRun => fetch::Error::DryRun,
        SendError::Request(_) => fetch::Error::InvalidRequest(text),
        SendError::QuotaExhausted(_) => fetch::Error::Exhausted(text),
        SendError::RateLimited { retry_after, .. } => {
            fetch::Error::RateLimited(retry_after.as_secs_f64())
        }
        SendError::Resolve => fetch::Error::Unresolved,
        SendError::Connect(_) => fetch::Error::Unconnected(text),
        SendError::Tls(_) => fetch::Error::Tls(text),
        SendError::Timeout(_) => fetch::Error::TimedOut(text),
        SendError::Protocol(ProtocolFailure::Closed) => fetch::Error::Closed(text),
        SendError::TooLarge { limit } => fetch::Error::TooLarge(limit),
        _ => fetch::Error::Failed(text),
    }
}
