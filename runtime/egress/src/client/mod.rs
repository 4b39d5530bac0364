//! The HTTP clients.
//!
//! A driver's client is the plain one of the HTTP library, which does nothing
//! behind the decision: it knows no redirects, which send requests that nobody
//! decided on, no proxies, which resolve names for us, no cookies and no
//! decompression, and is given no HTTP/2, which shares connections in ways the
//! meters do not see. Its buffers are small: a server that is faster than its
//! reader waits. Our own calls have small answers that are read at once, and the
//! usual client on top of that library, with all of this switched off. Whichever
//! it is, one function sends ([`exchange_heads`]), through the same vetting.

mod connect;
pub(crate) mod pool;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyDataStream;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::ResolvesClientCert;
use tokio::time::timeout_at;

use self::connect::{BoxError, CONNECT_TIME, Connect, ConnectLayer};
use crate::body::Body;
use crate::body::answer::Answer;
use crate::classify::{Failure, classify};
use crate::error::{Phase, ProtocolFailure, SendError};
use crate::meter::Clock;
use crate::resolver::Vetting;
use crate::tls::{Tls, Trust};

/// Bytes of a connection's read buffer: the head of a response must fit, and of
/// a body no piece is larger. A stream that waits for its reader holds two.
const BUFFER: usize = 64 << 10;

/// Bytes that the host may hold of one response whose reader is slow.
pub const STREAM_BYTES: usize = 2 * BUFFER;

/// How soon a connection is asked whether it is still there, and how often.
const PROBE: Duration = Duration::from_secs(15);
const PROBES: u32 = 3;

type Plain = legacy::Client<Connect<HttpsConnector<HttpConnector<Vetting>>>, Body>;

/// Sends requests over connections to vetted addresses.
#[derive(Clone)]
pub(crate) enum Client {
    /// A driver's.
    Plain(Plain),
    /// Our own.
    Own(reqwest::Client),
}

impl Client {
    async fn request(&self, request: Request<Body>) -> Result<Response<Answer>, BoxError> {
        match self {
            Self::Plain(client) => Ok(client.request(request).await?.map(Answer::Plain)),
            Self::Own(client) => {
                let stream = |body| reqwest::Body::wrap_stream(BodyDataStream::new(body));
                let request = reqwest::Request::try_from(request.map(stream))?;
                let answer = client.execute(request).await;
                let answer = answer.map_err(reqwest::Error::without_url)?;
                Ok(Response::from(answer).map(Answer::Own))
            }
        }
    }
}

/// Connections kept per host while nobody uses them, for how long, and the
/// header fields accepted in a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    idle: usize,
    idle_for: Duration,
    fields: usize,
}

impl Pool {
    /// A load test finds its connections again; an idle driver holds none for
    /// long. Real responses have about twenty fields.
    const KEPT: Self = Self {
        idle: 32,
        idle_for: Duration::from_secs(30),
        fields: 64,
    };

    /// Every connection is for one request.
    const FRESH: Self = Self {
        idle: 0,
        ..Self::KEPT
    };

    /// Our service is asked again and again, a minute apart at times.
    const OWN: Self = Self {
        idle: 2,
        idle_for: Duration::from_secs(90),
        fields: 100,
    };
}

/// There is no head of a response.
pub(crate) enum Lost {
    Client(BoxError),
    Timeout(Phase),
    Switched,
    Ambiguous,
}

impl Lost {
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Client(error) => classify(error.as_ref()),
            Self::Timeout(phase) => Failure::Send(SendError::Timeout(*phase)),
            Self::Switched => Failure::Send(SendError::Protocol(ProtocolFailure::Switched)),
            Self::Ambiguous => Failure::Send(SendError::Protocol(ProtocolFailure::Ambiguous)),
        }
    }

    /// What the lower layers said. Never for a guest: it may hold addresses.
    pub(crate) fn detail(&self) -> Option<String> {
        let Self::Client(error) = self else {
            return None;
        };
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Some(text)
    }
}

/// Sends a request and waits for the head of its response.
pub(crate) async fn exchange_heads(
    client: &Client,
    mut request: Request<Body>,
    clock: &Clock,
) -> Result<Response<Answer>, Lost> {
    request
        .headers_mut()
        .entry(header::ACCEPT)
        .or_insert(HeaderValue::from_static("*/*"));
    let connection = capture_connection(&mut request);
    let exchange = CONNECT_TIME.scope(clock.connect, client.request(request));
    let response = match timeout_at(clock.head, exchange).await {
        Ok(response) => response.map_err(Lost::Client)?,
        Err(_) if clock.head >= clock.end => return Err(Lost::Timeout(Phase::Total)),
        Err(_) => return Err(Lost::Timeout(Phase::FirstByte)),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Lost::Switched);
    }
    if is_ambiguous(response.headers()) {
        // Not even the rest of it is read for another request.
        if let Some(connection) = connection.connection_metadata().as_ref() {
            connection.poison();
        }
        return Err(Lost::Ambiguous);
    }
    Ok(response)
}

/// Does a response say in more than one way where it ends, or in one that its
/// readers may understand differently? (RFC 9112, section 6.3: it may be an attempt
/// to smuggle another response.) What the HTTP library refuses is not looked at.
fn is_ambiguous(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return false;
    };
    let chunked = coding
        .as_bytes()
        .trim_ascii()
        .eq_ignore_ascii_case(b"chunked");
    !chunked || codings.next().is_some() || headers.contains_key(header::CONTENT_LENGTH)
}

/// The client of a driver's rule.
pub(crate) fn build(
    tls: &Tls,
    trust: &Trust,
    identity: Option<Arc<dyn ResolvesClientCert>>,
    vetting: Vetting,
    pool: Pool,
) -> Result<Client, SendError> {
    let tls = tls.config(trust, identity).map_err(|error| {
        tracing::error!(%error, "an HTTP client could not be made");
        SendError::Internal
    })?;
    let mut tcp = HttpConnector::new_with_resolver(vetting);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(PROBE));
    tcp.set_keepalive_interval(Some(PROBE));
    tcp.set_keepalive_retries(Some(PROBES));
    let connect = Connect(HttpsConnector::from((tcp, tls)));
    let client = legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(pool.idle)
        .pool_idle_timeout(pool.idle_for)
        .http1_max_buf_size(BUFFER)
        .http1_max_headers(pool.fields)
        .build(connect);
    Ok(Client::Plain(client))
}

/// The client of our own calls.
pub(crate) fn build_own(tls: &Tls, trust: &Trust, vetting: Vetting) -> Result<Client, SendError> {
    let internal = |error: &dyn Error| {
        tracing::error!(%error, "an HTTP client could not be made");
        SendError::Internal
    };
    let pool = Pool::OWN;
    let config = tls.config(trust, None).map_err(|e| internal(&e))?;
    // Cloned parts are shared; only a session store must not be, and each
    // configuration that has one is new.
    let config = Arc::unwrap_or_clone(config);
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .http1_max_headers(pool.fields)
        .pool_max_idle_per_host(pool.idle)
        .pool_idle_timeout(pool.idle_for)
        .dns_resolver(Arc::new(vetting))
        .connector_layer(ConnectLayer)
        .build()
        .map(Client::Own)
        .map_err(|e| internal(&e))
}
