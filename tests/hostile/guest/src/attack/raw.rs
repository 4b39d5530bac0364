//! Requests as an attacker writes them, on the raw interface: the SDK refuses
//! to send most of these, and the host must not rely on that.

use std::time::Duration;

use servo_driver::Failure;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme, http_error_code,
};
use wasip2::io::streams::{InputStream, StreamError};

use super::note;
use crate::{Findings, RawRequest};

/// Bytes of a body that are shown.
const SHOWN: usize = 2_000;

/// Bytes asked for at once.
const PIECE: u64 = 64 << 10;

/// An answer under way. Fields are dropped in the order they stand in.
struct Answer {
    stream: InputStream,
    _body: IncomingBody,
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    _response: IncomingResponse,
}

pub(super) fn requests(requests: &[RawRequest]) -> Findings {
    let numbered = requests.iter().enumerate();
    numbered
        .flat_map(|(index, request)| note(index.to_string(), told(request)))
        .collect()
}

/// What came of one request, in words.
pub(super) fn told(request: &RawRequest) -> String {
    let answer = match send(request) {
        Ok(answer) => answer,
        Err(problem) => return problem,
    };
    let mut told = format!("status {}", answer.status);
    for (name, value) in &answer.headers {
        told += &format!("\n{name}: {}", String::from_utf8_lossy(value));
    }
    let mut bytes = Vec::new();
    let end = drain(&answer, Duration::ZERO, |piece| {
        let room = SHOWN.saturating_sub(bytes.len()).min(piece.len());
        bytes.extend_from_slice(&piece[..room]);
    });
    told += &format!("\n\n{}", String::from_utf8_lossy(&bytes));
    if let Err(problem) = end {
        told += &format!("\nbroken: {problem}");
    }
    told
}

/// Sends and waits for the head of the answer.
fn send(raw: &RawRequest) -> Result<Answer, String> {
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
    Ok(Answer {
        stream: body.stream().map_err(gone)?,
        _body: body,
        status: response.status(),
        headers: response.headers().entries(),
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

/// Reads to the end, with a pause before each piece.
fn drain(answer: &Answer, pause: Duration, mut each: impl FnMut(&[u8])) -> Result<(), String> {
    loop {
        if !pause.is_zero() {
            subscribe_duration(pause.as_nanos() as u64).block();
        }
        match answer.stream.blocking_read(PIECE) {
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

/// Reads one answer to its end and counts.
pub(super) fn count(request: &RawRequest, pause: Duration) -> Findings {
    let mut bytes = 0_u64;
    let end = send(request).and_then(|answer| {
        drain(&answer, pause, |piece| bytes += piece.len() as u64)?;
        Ok(answer.status)
    });
    let mut found = note("bytes", bytes);
    found.extend(note("end", format!("{end:?}")));
    found
}

/// Sends them all and reads none; what came of each.
pub(super) fn hold(requests: &[RawRequest]) -> Findings {
    let held: Vec<_> = requests.iter().map(send).collect();
    let (answers, problems): (Vec<_>, Vec<_>) = held.into_iter().partition(Result::is_ok);
    let mut found = note("held", answers.len());
    let problems: Vec<_> = problems.into_iter().filter_map(Result::err).collect();
    found.extend(note("refused", problems.len()));
    found.extend(note(
        "problem",
        problems.first().cloned().unwrap_or_default(),
    ));
    found
}

/// Goes where redirects point, as a careless client does.
pub(super) fn follow(first: &RawRequest, hops: u32) -> Result<Findings, Failure> {
    let mut request = first.clone();
    let mut found = vec![];
    for hop in 0..=hops {
        match send(&request) {
            Err(problem) => {
                found.extend(note(hop.to_string(), problem));
                return Ok(found);
            }
            Ok(answer) => {
                found.extend(note(hop.to_string(), format!("status {}", answer.status)));
                let location = answer.headers.iter().find(|(name, _)| name == "location");
                let Some((_, location)) = location else {
                    return Ok(found);
                };
                let location = String::from_utf8_lossy(location).into_owned();
                let (scheme, rest) = location
                    .split_once(':')
                    .ok_or_else(|| Failure::failed("a relative redirect"))?;
                let rest = rest.trim_start_matches("//");
                let at = rest.find('/').unwrap_or(rest.len());
                request.scheme = Some(scheme.to_owned());
                request.authority = Some(rest[..at].to_owned());
                request.path = Some(rest[at..].to_owned());
            }
        }
    }
    Ok(found)
}

/// Asks again whenever it was not answered well.
pub(super) fn storm(request: &RawRequest, times: u32) -> Findings {
    let (mut answered, mut refused, mut last) = (0, 0, String::new());
    for _ in 0..times {
        match send(request) {
            Ok(_) => answered += 1,
            Err(problem) => {
                refused += 1;
                last = problem;
            }
        }
    }
    let mut found = note("answered", answered);
    found.extend(note("refused", refused));
    found.extend(note("last", last));
    found
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
