//! Exchanges over WASI's HTTP interface.
//!
//! Three orders are kept here because hosts punish the others: a request's
//! body is finished before anything waits for the answer; what the answer says
//! outranks an error from writing the body, since a server may answer without
//! reading it; and a body's stream is dropped before the body, and that before
//! the response. Fields of a struct are dropped in the order they are declared.

use std::{cell::RefCell, time::Duration};

use wasip2::{
    clocks::monotonic_clock,
    http::{
        outgoing_handler,
        types::{
            ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingResponse,
            Method as WasiMethod, OutgoingBody, OutgoingRequest, Scheme, http_error_code,
        },
    },
    io::{
        poll::{Pollable, poll},
        streams::{InputStream, StreamError},
    },
};

use crate::{
    host::Id,
    http::{
        error::Kind,
        message::{Head, Keep, Method, Reply},
    },
};

/// The largest write that hosts promise to take in one piece.
const WRITE: usize = 4096;
/// What is asked for in one read.
const READ: u64 = 64 * 1024;

#[derive(Default)]
pub(super) struct Exchanges {
    prepared: Slab<Template>,
    running: Slab<Exchange>,
    /// A timer is kept while the deadline stays the same: a load generator
    /// waits thousands of times for one deadline.
    timer: Option<(Duration, Pollable)>,
}

struct Template {
    method: WasiMethod,
    scheme: Scheme,
    authority: String,
    path_and_query: String,
    headers: Fields,
}

struct Exchange {
    keep: Keep,
    phase: Phases,
}

enum Phases {
    Head {
        ready: Pollable,
        future: FutureIncomingResponse,
    },
    Body {
        reader: Reader,
        reply: Reply,
    },
}

struct Reader {
    ready: Option<Pollable>,
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

thread_local! {
    static EXCHANGES: RefCell<Exchanges> = RefCell::default();
}

/// Does something with the exchanges of this instance. They stand apart from
/// everything that a driver without them holds.
pub(super) fn with<T>(act: impl FnOnce(&mut Exchanges) -> T) -> T {
    EXCHANGES.with_borrow_mut(act)
}

impl Exchanges {
    pub(super) fn prepare(&mut self, head: &Head) -> Result<Id, Kind> {
        let headers = Fields::new();
        for (name, value) in &head.headers {
            headers.append(name, value.as_bytes()).map_err(|error| {
                let why = match error {
                    HeaderError::InvalidSyntax => "its name or value is malformed",
                    HeaderError::Forbidden => "the host sets it itself",
                    HeaderError::Immutable => "headers are fixed",
                };
                Kind::Invalid(format!("the header {name:?} cannot be sent: {why}"))
            })?;
        }
        Ok(self.prepared.insert(Template {
            method: method(head.method),
            scheme: if head.url.https {
                Scheme::Https
            } else {
                Scheme::Http
            },
            authority: head.url.authority.clone(),
            path_and_query: head.url.path_and_query.clone(),
            headers,
        }))
    }

    pub(super) fn forget(&mut self, prepared: Id) {
        self.prepared.remove(prepared);
    }

    pub(super) fn start(&mut self, prepared: Id, body: &[u8], keep: Keep) -> Result<Id, Kind> {
        let Some(template) = self.prepared.get_mut(prepared) else {
            return Err(Kind::Invalid("the request was forgotten".to_owned()));
        };
        let refused = |()| Kind::Invalid("the host does not take this address".to_owned());
        let request = OutgoingRequest::new(template.headers.clone());
        if !matches!(template.method, WasiMethod::Get) {
            request.set_method(&template.method).map_err(refused)?;
        }
        request
            .set_scheme(Some(&template.scheme))
            .map_err(refused)?;
        request
            .set_authority(Some(&template.authority))
            .map_err(refused)?;
        request
            .set_path_with_query(Some(&template.path_and_query))
            .map_err(refused)?;
        // Without a body the request's body is not even opened: the host sends
        // none, and there is no stream that could fail.
        let outgoing = if body.is_empty() {
            None
        } else {
            request.body().ok()
        };
        let future = outgoing_handler::handle(request, None).map_err(|code| kind(&code))?;
        if let Some(outgoing) = outgoing {
            write(outgoing, body);
        }
        let ready = future.subscribe();
        Ok(self.running.insert(Exchange {
            keep,
            phase: Phases::Head { ready, future },
        }))
    }

    pub(super) fn wait(
        &mut self,
        exchanges: &[Id],
        deadline: Option<Duration>,
        ready: &mut Vec<usize>,
    ) {
        if let Some(deadline) = deadline
            && self
                .timer
                .as_ref()
                .is_none_or(|(other, _)| *other != deadline)
        {
            let nanos = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
            self.timer = Some((deadline, monotonic_clock::subscribe_instant(nanos)));
        }
        for id in exchanges {
            if let Some(exchange) = self.running.get_mut(*id)
                && let Phases::Body { reader, .. } = &mut exchange.phase
                && reader.ready.is_none()
            {
                reader.ready = Some(reader.stream.subscribe());
            }
        }
        let mut pollables = Vec::with_capacity(exchanges.len() + 1);
        for id in exchanges {
            match self.running.get(*id).map(|exchange| &exchange.phase) {
                Some(Phases::Head { ready, .. }) => pollables.push(ready),
                Some(Phases::Body {
                    reader:
                        Reader {
                            ready: Some(ready), ..
                        },
                    ..
                }) => {
                    pollables.push(ready);
                }
                _ => return,
            }
        }
        if let (Some(_), Some((_, timer))) = (deadline, &self.timer) {
            pollables.push(timer);
        }
        if pollables.is_empty() {
            return;
        }
        let count = exchanges.len();
        ready.extend(
            poll(&pollables)
                .into_iter()
                .map(|at| at as usize)
                .filter(|at| *at < count),
        );
    }

    pub(super) fn advance(&mut self, id: Id) -> Option<Result<Reply, Kind>> {
        let outcome = self.running.get_mut(id)?.advance()?;
        self.running.remove(id);
        Some(outcome)
    }

    pub(super) fn abort(&mut self, id: Id) {
        self.running.remove(id);
    }
}

impl Exchange {
    fn advance(&mut self) -> Option<Result<Reply, Kind>> {
        if let Phases::Head { future, .. } = &self.phase {
            let response = match future.get()? {
                Ok(Ok(response)) => response,
                Ok(Err(code)) => return Some(Err(kind(&code))),
                Err(()) => return Some(Err(Kind::Closed("the answer was taken".to_owned()))),
            };
            match Self::open(response, self.keep) {
                Ok(phase) => self.phase = phase,
                Err(kind) => return Some(Err(kind)),
            }
        }
        let Phases::Body { reader, reply } = &mut self.phase else {
            return None;
        };
        loop {
            let read = match self.keep {
                Keep::Count => reader.stream.skip(READ),
                Keep::UpTo(_) => reader.stream.read(READ).map(|bytes| {
                    reply.body.extend_from_slice(&bytes);
                    bytes.len() as u64
                }),
            };
            match read {
                Ok(0) => return None,
                Ok(count) => reply.received += count,
                Err(StreamError::Closed) => return Some(Ok(std::mem::take(reply))),
                Err(StreamError::LastOperationFailed(error)) => {
                    let kind = http_error_code(&error)
                        .map_or_else(|| Kind::Closed(error.to_debug_string()), |code| kind(&code));
                    return Some(Err(kind));
                }
            }
            if let Keep::UpTo(limit) = self.keep
                && reply.received > limit
            {
                return Some(Err(Kind::TooLarge(limit)));
            }
        }
    }

    fn open(response: IncomingResponse, keep: Keep) -> Result<Phases, Kind> {
        let status = response.status();
        let headers = match keep {
            Keep::UpTo(_) => text(response.headers().entries()),
            Keep::Count => Vec::new(),
        };
        let gone = |()| Kind::Closed("the answer has no body".to_owned());
        let body = response.consume().map_err(gone)?;
        let stream = body.stream().map_err(gone)?;
        Ok(Phases::Body {
            reader: Reader {
                ready: None,
                stream,
                _body: body,
                _response: response,
            },
            reply: Reply {
                status,
                headers,
                ..Reply::default()
            },
        })
    }
}

fn text(headers: Vec<(String, Vec<u8>)>) -> Vec<(String, String)> {
    headers
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect()
}

/// Sends a body whole. Errors are left to the answer.
fn write(outgoing: OutgoingBody, body: &[u8]) {
    if let Ok(stream) = outgoing.write() {
        for piece in body.chunks(WRITE) {
            if stream.blocking_write_and_flush(piece).is_err() {
                break;
            }
        }
    }
    let _ = OutgoingBody::finish(outgoing, None);
}

fn method(method: Method) -> WasiMethod {
    match method {
        Method::Get => WasiMethod::Get,
        Method::Head => WasiMethod::Head,
        Method::Post => WasiMethod::Post,
        Method::Put => WasiMethod::Put,
        Method::Patch => WasiMethod::Patch,
        Method::Delete => WasiMethod::Delete,
        Method::Options => WasiMethod::Options,
    }
}

/// WASI's error codes, told apart by what there is to be done about them. Of a
/// refusal the code does not say why: the host adds that to the failure of the
/// call, and to the operator's log.
fn kind(code: &ErrorCode) -> Kind {
    match code {
        ErrorCode::HttpRequestDenied => Kind::Denied(None),
        ErrorCode::DestinationIpProhibited => Kind::Denied(Some(
            "the address behind this name is not public, and the rule does not say `private: true`"
                .to_owned(),
        )),
        ErrorCode::InternalError(Some(text)) => Kind::Protocol(text.clone()),
        ErrorCode::ConnectionLimitReached => {
            Kind::Exhausted("a limit is reached: too many requests at once (`limits.concurrent_requests`) or in a second (`request_rate`, or `rate` of the rule)".to_owned())
        }
        ErrorCode::ConnectionRefused => Kind::Unconnected("no connection: connection refused".to_owned()),
        ErrorCode::DnsTimeout => Kind::Timeout("timed out: looking up the name".to_owned()),
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => Kind::Unresolved,
        ErrorCode::DestinationUnavailable | ErrorCode::DestinationIpUnroutable => {
            Kind::Unconnected("no connection: there is no way to the address".to_owned())
        }
        ErrorCode::ConnectionTimeout => Kind::Timeout("timed out: connecting".to_owned()),
        ErrorCode::HttpResponseTimeout => Kind::Timeout("timed out: before the answer began".to_owned()),
        ErrorCode::ConnectionReadTimeout => Kind::Timeout("timed out: in the middle of the answer".to_owned()),
        ErrorCode::ConnectionWriteTimeout => Kind::Timeout("timed out: sending".to_owned()),
        ErrorCode::ConnectionTerminated => Kind::Closed("the connection was closed by the other side".to_owned()),
        ErrorCode::HttpResponseIncomplete => Kind::Closed("the connection ended before the answer did".to_owned()),
        ErrorCode::TlsCertificateError => {
            Kind::Tls("no protected connection: the certificate is not one the host trusts for this name".to_owned())
        }
        ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => {
            Kind::Tls("no protected connection: the two sides do not agree".to_owned())
        }
        ErrorCode::HttpResponseBodySize(size) => Kind::TooLarge(size.unwrap_or_default()),
        ErrorCode::HttpRequestBodySize(_) => Kind::Exhausted("the request is larger than allowed".to_owned()),
        ErrorCode::HttpProtocolError => Kind::Protocol("the answer is not HTTP".to_owned()),
        ErrorCode::HttpResponseHeaderSectionSize(_) | ErrorCode::HttpResponseHeaderSize(_) => {
            Kind::Protocol("the answer's headers are too large".to_owned())
        }
        ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::HttpRequestUriTooLong
        | ErrorCode::HttpRequestHeaderSectionSize(_)
        | ErrorCode::HttpRequestHeaderSize(_) => {
            Kind::Invalid("the host does not take this method, address or header".to_owned())
        }
        // Rare ones are not told apart: the text of all of them would weigh
        // more than the rest of this module.
        _ => Kind::Protocol("the exchange failed; the servo's log says how".to_owned()),
    }
}

/// Things by number, with the numbers used again.
struct Slab<T> {
    things: Vec<Option<T>>,
    free: Vec<Id>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            things: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    fn insert(&mut self, thing: T) -> Id {
        if let Some(id) = self.free.pop()
            && let Some(place) = self.things.get_mut(id)
        {
            *place = Some(thing);
            return id;
        }
        self.things.push(Some(thing));
        self.things.len() - 1
    }

    fn get(&self, id: Id) -> Option<&T> {
        self.things.get(id)?.as_ref()
    }

    fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.things.get_mut(id)?.as_mut()
    }

    fn remove(&mut self, id: Id) {
        if self.things.get_mut(id).and_then(Option::take).is_some() {
            self.free.push(id);
        }
    }
}
