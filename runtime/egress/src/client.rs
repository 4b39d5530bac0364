//! The HTTP client of one rule.
//!
//! One client per rule keeps pools apart: a connection is reused only by the
//! owner, the rule and hence the identity it was made for. Clients are made on
//! first use; most rules of most servos are never used. A changed client
//! certificate makes another client: what was opened as somebody else is not
//! used on.
//!
//! A driver's client is the plain one of the HTTP library, which does nothing
//! behind the decision: it knows no redirects, which send requests that nobody
//! decided on, no proxies, which resolve names for us, no cookies and no
//! decompression, and is given no HTTP/2, which shares connections in ways the
//! meters do not see. Its buffers are small: a server that is faster than its
//! reader waits. Our own calls have small answers that are read at once, and the
//! usual client on top of that library, with all of this switched off. Whichever
//! it is, one function sends ([`exchange_heads`]), through the same vetting.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyDataStream;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::ResolvesClientCert;
use servo_policy::{HttpGrant, Scheme};
use tokio::time::timeout_at;
use tower::{Layer, Service};

use crate::body::Body;
use crate::credential::{Stamps, load_identity, stamps};
use crate::error::{
    ConnectTimedOut, CredentialFailure, EgressError, Failure, Phase, ProtocolFailure, SendError,
    classify,
};
use crate::gate::Gate;
use crate::meter::Clock;
use crate::resolver::{Reach, Vetting};
use crate::tls::{Tls, Trust, read_authority};

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

/// The body of a response, as its client reads it.
pub(crate) enum Answer {
    Plain(hyper::body::Incoming),
    Own(reqwest::Body),
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Plain(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain(body) => body.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain(body) => body.size_hint(),
            Self::Own(body) => body.size_hint(),
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
    pub(crate) const OWN: Self = Self {
        idle: 2,
        idle_for: Duration::from_secs(90),
        fields: 100,
    };
}

tokio::task_local! {
    /// How long the request that is being polled may wait for a connection.
    /// The client knows one such time for its life; our calls each have theirs.
    static CONNECT_TIME: Duration;
}

/// The clients of one rule, made on first use.
pub(crate) struct Clients {
    trust: Trust,
    made: Mutex<Made>,
}

/// What was made for one identity, or for none.
#[derive(Default)]
struct Made {
    identity: Option<(Stamps, Arc<dyn ResolvesClientCert>)>,
    kept: Option<Client>,
    fresh: Option<Client>,
}

impl Clients {
    pub(crate) fn new(grant: &HttpGrant, gate: &Gate) -> Result<Self, EgressError> {
        let trust = match (grant.rule.scheme, &grant.ca) {
            (Scheme::Http, _) => Trust::Nobody,
            (Scheme::Https, None) => Trust::System,
            (Scheme::Https, Some(path)) => read_authority(path)?,
        };
        let refuse = |problem: String| EgressError::Identity {
            rule: grant.id.0,
            problem,
        };
        let identity = match (&grant.identity, grant.rule.scheme) {
            (None, _) => None,
            (Some(files), Scheme::Https) => {
                Some(load_identity(files, gate.tls.provider()).map_err(|e| refuse(e.to_string()))?)
            }
            (Some(_), Scheme::Http) => {
                return Err(refuse("plain http has none; write https".to_owned()));
            }
        };
        let made = Mutex::new(Made {
            identity,
            ..Made::default()
        });
        Ok(Self { trust, made })
    }

    /// The client for the identity as it is now.
    pub(crate) fn get(
        &self,
        keep: Keep,
        gate: &Gate,
        grant: &HttpGrant,
    ) -> Result<Client, SendError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.identify(gate, grant)?;
        let Made {
            identity,
            kept,
            fresh,
        } = &mut *made;
        let slot = match keep {
            Keep::Kept => kept,
            Keep::Fresh => fresh,
        };
        if let Some(client) = slot {
            return Ok(client.clone());
        }
        let identity = identity.as_ref().map(|(_, identity)| Arc::clone(identity));
        let vetting = Vetting {
            resolver: Arc::clone(&gate.resolver),
            port: grant.rule.port,
            reach: Reach::Grant(Arc::new(grant.clone())),
        };
        let pool = match keep {
            Keep::Kept => Pool::KEPT,
            Keep::Fresh => Pool::FRESH,
        };
        let client = build(&gate.tls, &self.trust, identity, vetting, pool)?;
        Ok(slot.insert(client).clone())
    }
}

impl Made {
    /// Reads the identity again if its files are others than were read. What
    /// was made for the old one is dropped first.
    fn identify(&mut self, gate: &Gate, grant: &HttpGrant) -> Result<(), SendError> {
        let Some(files) = &grant.identity else {
            return Ok(());
        };
        let now = stamps(files);
        if let (Ok(now), Some((read, _))) = (&now, &self.identity)
            && now == read
        {
            return Ok(());
        }
        *self = Self::default();
        let loaded = now.and_then(|_| load_identity(files, gate.tls.provider()));
        self.identity = Some(loaded.map_err(|problem| {
            tracing::warn!(
                rule = format_args!("grants.http[{}]", grant.id.0),
                %problem,
                "a request is not sent: its client certificate cannot be had"
            );
            SendError::Credential(CredentialFailure::Identity)
        })?);
        Ok(())
    }
}

/// There is no head of a response.
pub(crate) enum Lost {
    Client(BoxError),
    Timeout(Phase),
    Switched,
}

impl Lost {
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Client(error) => classify(error.as_ref()),
            Self::Timeout(phase) => Failure::Send(SendError::Timeout(*phase)),
            Self::Switched => Failure::Send(SendError::Protocol(ProtocolFailure::Switched)),
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
    let exchange = CONNECT_TIME.scope(clock.connect, client.request(request));
    let response = match timeout_at(clock.head, exchange).await {
        Ok(response) => response.map_err(Lost::Client)?,
        Err(_) if clock.head >= clock.end => return Err(Lost::Timeout(Phase::Total)),
        Err(_) => return Err(Lost::Timeout(Phase::FirstByte)),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Lost::Switched);
    }
    Ok(response)
}

/// Are connections kept for the next request?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Kept,
    Fresh,
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
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.config(trust, None).map_err(|e| internal(&e))?)
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

/// Ends a connection attempt (lookup, TCP, TLS) that takes longer than the
/// request that started it may wait.
#[derive(Clone)]
pub(crate) struct Connect<S>(S);

/// Puts [`Connect`] around the usual client's own connector.
#[derive(Clone, Copy)]
struct ConnectLayer;

type BoxError = Box<dyn Error + Send + Sync>;

impl<S> Layer<S> for ConnectLayer {
    type Service = Connect<S>;

    fn layer(&self, inner: S) -> Connect<S> {
        Connect(inner)
    }
}

impl<S, R> Service<R> for Connect<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        let limit = CONNECT_TIME
            .try_with(|limit| *limit)
            .unwrap_or(Duration::from_secs(5));
        let connecting = self.0.call(destination);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimedOut.into()),
            }
        })
    }
}
