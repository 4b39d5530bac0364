//! `wasi:http` handed to the one way out.
//!
//! The engine's own sender has no policy at all: it resolves names without
//! looking at the addresses, takes the guest's time limits and caps nothing. It
//! is not compiled in; every request of a guest goes to its lane, which decides
//! and sends.

use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use http::HeaderName;
use http_body_util::BodyExt;
use servo_egress::{BodyError, CallMeter, Lane, SendError, Timeouts};
use servo_policy::{HeaderClass, header_row};
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use crate::fixed;

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Io), Error>;

/// What was refused last in a step, and not followed by a request that was
/// sent. It explains a failure of the guest that comes after it.
#[derive(Debug, Default)]
pub(crate) struct LastDenial(Mutex<Option<Refusal>>);

/// What was refused, in words for the operator.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) text: String,
    /// It is only that this is a dry run.
    pub(crate) held_back: bool,
}

impl Refusal {
    pub(crate) fn denied(text: String) -> Self {
        Self {
            text,
            held_back: false,
        }
    }

    pub(crate) fn held_back(text: String) -> Self {
        Self {
            text,
            held_back: true,
        }
    }
}

impl LastDenial {
    pub(crate) fn set(&self, denial: Option<Refusal>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = denial;
    }

    pub(crate) fn take(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The network of one store.
pub(crate) struct Hooks {
    pub(crate) lane: Lane,
    pub(crate) meter: CallMeter,
    pub(crate) denial: Arc<LastDenial>,
    /// Bytes of a whole response that the guest can have room for: its memory.
    pub(crate) room: u64,
}

/// Headers a guest may neither set nor see: those that are never sent. Which of
/// the others it may send is the lane's to say, by the rule.
fn is_forbidden(name: &HeaderName) -> bool {
    let class = header_row(name.as_str()).class;
    matches!(class, HeaderClass::Refused | HeaderClass::Dropped)
}

static FORBIDDEN: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(is_forbidden));

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::clone(&FORBIDDEN)
    }

    /// A guest says `http` or `https`; nothing is assumed.
    fn default_scheme(&mut self) -> Option<http::uri::Scheme> {
        None
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        1
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        // The default of a megabyte is an allocation for each open body.
        fixed::BODY_CHUNK
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (lane, meter) = (self.lane.clone(), self.meter.clone());
        let denial = Arc::clone(&self.denial);
        let options = options.unwrap_or_default();
        let timeouts = Timeouts {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
            total: None,
        };
        let request = request.map(|body| {
            body.map_err(|error| BodyError::Aborted(Box::new(error)))
                .boxed_unsync()
        });
        Box::new(async move {
            let sent = lane.send(request, &meter, timeouts).await;
            denial.set(sent.as_ref().err().and_then(refusal));
            let response = sent.map_err(error_code)?;
            let response = response.map(|body| body.map_err(body_error).boxed_unsync());
            Ok((response, Box::new(async { Ok(()) }) as Io))
        })
    }
}

/// The text of a refusal, for the operator; nothing for other errors.
pub(crate) fn refusal(error: &SendError) -> Option<Refusal> {
    match error {
        SendError::Denied(denial) | SendError::AddressDenied(denial) => {
            tracing::debug!(target: "servo::driver", "{denial}");
            Some(Refusal::denied(denial.short()))
        }
        SendError::QuotaExhausted(_) | SendError::RateLimited { .. } | SendError::Credential(_) => {
            Some(Refusal::denied(error.to_string()))
        }
        SendError::DryRun => Some(Refusal::held_back(error.to_string())),
        _ => None,
    }
}

/// What the guest is told of a failed request: a code of `wasi:http`.
fn error_code(error: SendError) -> Error {
    use servo_egress::{ConnectFailure, Phase, Quota, TlsFailure};

    match error {
        SendError::Denied(_) | SendError::DryRun => Error::HttpRequestDenied,
        SendError::AddressDenied(_) => Error::DestinationIpProhibited,
        SendError::Resolve => Error::DnsError {
            rcode: None,
            info_code: None,
        },
        SendError::Connect(failure) => match failure {
            ConnectFailure::Refused => Error::ConnectionRefused,
            ConnectFailure::Unreachable => Error::DestinationUnavailable,
            _ => Error::ConnectionTerminated,
        },
        SendError::Tls(TlsFailure::Handshake) => Error::TlsProtocolError,
        SendError::Tls(_) => Error::TlsCertificateError,
        SendError::Timeout(phase) => match phase {
            Phase::Connect => Error::ConnectionTimeout,
            Phase::FirstByte | Phase::Idle => Error::ConnectionReadTimeout,
            _ => Error::HttpResponseTimeout,
        },
        SendError::TooLarge { limit } => Error::HttpRequestBodySize(Some(limit)),
        SendError::QuotaExhausted(Quota::Concurrency | Quota::RuleConcurrency) => {
            Error::ConnectionLimitReached
        }
        SendError::QuotaExhausted(_) => Error::HttpRequestDenied,
        // The nearest there is: a limit of ours, and no failure of the server.
        SendError::RateLimited { .. } => Error::ConnectionLimitReached,
        // The only code with a text.
        error => Error::InternalError(Some(error.to_string())),
    }
}

/// What the guest is told of a response body that broke off.
fn body_error(error: BodyError) -> Error {
    match error {
        BodyError::TooLarge { limit } | BodyError::TooLargeDecoded { limit } => {
            Error::HttpResponseBodySize(Some(limit))
        }
        error => error_code(error.as_send_error()),
    }
}
