//! `wasi:http` as it is: a resource for each part of a request, and streams.

use std::time::Duration;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme, http_error_code,
};
use wasip2::io::streams::{InputStream, StreamError};

use crate::RawRequest;

/// Bytes asked for at once.
const PIECE: u64 = 64 << 10;

/// An answer under way. Fields are dropped in the order they stand in.
pub(super) struct Answer {
    stream: InputStream,
    _body: IncomingBody,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    _response: IncomingResponse,
}

/// Sends and waits for the head of the answer.
pub(super) fn send(raw: &RawRequest) -> Result<Answer, String> {
    let fields = Fields::new();
    for (name, value) in &raw.headers {
        // Each character is one byte: what JSON says is what is sent.
        let value: Vec<u8> = value.chars().map(|c| c as u32 as u8).collect();
        fields
            .append(name, &value)
            .map_err(|error| format!("header: {error:?}"))?;
    }
    let request = OutgoingRequest::new(fields);
    let refused = |what: &'static str| move |()| format!("refused: {what}");
    request
        .set_method(&method(&raw.method))
        .map_err(refused("method"))?;
    let scheme = raw.scheme.as_deref().map(|scheme| match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    });
    request
        .set_scheme(scheme.as_ref())
        .map_err(refused("scheme"))?;
    request
        .set_authority(raw.authority.as_deref())
        .map_err(refused("authority"))?;
    request
        .set_path_with_query(raw.path.as_deref())
        .map_err(refused("path"))?;
    let options = raw.timeout_nanos.map(|nanos| {
        let options = RequestOptions::new();
        let _ = options.set_connect_timeout(Some(nanos));
        let _ = options.set_first_byte_timeout(Some(nanos));
        let _ = options.set_between_bytes_timeout(Some(nanos));
        options
    });
    let body = raw.body.as_ref().and_then(|_| request.body().ok());
    let future = handle(request, options).map_err(|code| format!("{code:?}"))?;
    if let (Some(body), Some(text)) = (body, &raw.body) {
        write(body, text.as_bytes(), raw.times);
    }
    future.subscribe().block();
    let response = match future.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(format!("{code:?}")),
        other => return Err(format!("no answer: {}", other.is_some())),
    };
    let gone = |()| "no body".to_owned();
    let body = response.consume().map_err(gone)?;
    let fields = response.headers().entries().into_iter();
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    Ok(Answer {
        stream: body.stream().map_err(gone)?,
        _body: body,
        status: response.status(),
        headers: fields.map(|(name, value)| (name, text(value))).collect(),
        _response: response,
    })
}

/// Writes the text so many times, and then nothing for as many times: empty
/// pieces were once queued without bound.
fn write(body: OutgoingBody, text: &[u8], times: u32) {
    if let Ok(stream) = body.write() {
        'times: for _ in 0..times.max(1) {
            for piece in text.chunks(4096) {
                if stream.blocking_write_and_flush(piece).is_err() {
                    break 'times;
                }
            }
            if text.is_empty() && stream.write(&[]).is_err() {
                break;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
}

impl Answer {
    /// Reads to the end, with a pause before each piece.
    pub(super) fn drain(&self, pause: Duration, mut each: impl FnMut(&[u8])) -> Result<(), String> {
        loop {
            if !pause.is_zero() {
                subscribe_duration(pause.as_nanos() as u64).block();
            }
            match self.stream.blocking_read(PIECE) {
                Ok(piece) => each(&piece),
                Err(StreamError::Closed) => return Ok(()),
                Err(StreamError::LastOperationFailed(error)) => {
                    return Err(http_error_code(&error).map_or_else(
                        || error.to_debug_string(),
                        |code: ErrorCode| format!("{code:?}"),
                    ));
                }
            }
        }
    }
}

fn method(name: &str) -> Method {
    match name {
        "" | "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}
