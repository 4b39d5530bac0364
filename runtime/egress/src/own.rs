//! Servo's own calls: the same door, another guest list.
//!
//! Nobody decides on these by rules: the operator wrote one address, and only
//! requests to that very address can be made. It is sent as it was written,
//! because it may hold what no rule would allow (an escaped slash in a name, a
//! query), and services are addressed so. Everything after the decision is what
//! a driver's request meets: the name is looked up once, every address is vetted,
//! a vetted one is dialled, the answer is capped and timed, and a record is left.
//! Addresses inside are allowed, since the operator named the host; the ones that
//! are never anybody's service are not.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use servo_audit::{Capability, Owner};
use servo_policy::{AddressClass, Budget, HttpRules, RuleId, address_class};
use url::Url;

use crate::account::Account;
use crate::body::full;
use crate::body::incoming::Incoming;
use crate::body::outgoing::Outgoing;
use crate::classify::Failure;
use crate::client::{Client, build_own, exchange_heads};
use crate::error::{BodyError, EgressError, SendError};
use crate::exchange::Exchange;
use crate::ledger::Ledger;
use crate::meter::{CallMeter, Timeouts};
use crate::resolver::{Reach, Vetting, may_call};
use crate::shared::Shared;
use crate::tls::Trust;

/// Longest wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Longest time from request to the last byte of the answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// Most that an answer may weigh. Commands are a few kilobytes.
const ANSWER_LIMIT: u64 = 16 << 20;

/// The way of servo itself to one address. Cheap to clone.
#[derive(Clone)]
pub struct OwnLane(Arc<Own>);

struct Own {
    shared: Arc<Shared>,
    account: Arc<Account>,
    url: Url,
    uri: Uri,
    trust: Trust,
    client: OnceLock<Client>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct OwnAnswer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// There was no whole answer. Unlike the errors of drivers, its text holds what
/// the lower layers said: it is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OwnError(String);

impl OwnLane {
    pub(crate) fn new(shared: &Arc<Shared>, owner: Owner, url: Url) -> Result<Self, EgressError> {
        let refuse = |problem: String| EgressError::OwnAddress { problem };
        let trust = match url.scheme() {
            "http" => Trust::Nobody,
            "https" if shared.tls.knows_authorities() => Trust::System,
            "https" => return Err(EgressError::NoAuthorities),
            _ => return Err(refuse("its scheme is neither http nor https".to_owned())),
        };
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.is_empty() {
            return Err(refuse("it has no host".to_owned()));
        }
        if let Ok(ip) = bare.parse::<IpAddr>() {
            // Programs that listen everywhere print it as their address.
            let everywhere = address_class(ip) == AddressClass::Unspecified;
            if !everywhere {
                may_call(ip).map_err(|class| refuse(format!("it is {}", class.describe())))?;
            }
        }
        let uri = url.as_str().parse();
        let uri = uri.map_err(|error: http::uri::InvalidUri| refuse(error.to_string()))?;
        Ok(Self(Arc::new(Own {
            account: Arc::new(Account::new(
                shared.auditor.clone(),
                owner,
                Capability::Own,
                Ledger::new(&HttpRules::default()),
            )),
            shared: Arc::clone(shared),
            url,
            uri,
            trust,
            client: OnceLock::new(),
        })))
    }

    /// Posts `body` with these header fields. `connection: close` among them
    /// closes the connection afterwards; redirects are answers.
    ///
    /// # Errors
    /// No whole answer came in time.
    pub async fn post(&self, mut headers: HeaderMap, body: Bytes) -> Result<OwnAnswer, OwnError> {
        let own = &*self.0;
        let call = CallMeter::new(&budget());
        let limits = *call.limits();
        let mut exchange = Exchange::begin(&own.account, &call, RuleId(0), own.summary(), limits);
        let held = call
            .enter()
            .await
            .map_err(|quota| told(&exchange.fail(SendError::QuotaExhausted(quota)), None))?;
        let clock = call.clock(&limits, Timeouts::default());
        exchange.metered(clock);
        let client = own
            .client()
            .map_err(|error| told(&exchange.fail(error), None))?;
        let length = body.len() as u64;
        headers.insert(header::CONTENT_LENGTH, length.into());
        let body = Outgoing::of(full(body), Some(length), &exchange);
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = own.uri.clone();
        *request.headers_mut() = headers;
        exchange.starts();
        let response = exchange_heads(client, request, &clock)
            .await
            .map_err(|lost| match lost.failure() {
                Failure::Send(error) => told(&exchange.fail(error), lost.detail()),
                Failure::Address(class) => {
                    exchange.shut_out();
                    shut_out(class)
                }
            })?;
        exchange.answered(response.status());
        let (parts, body) = response.into_parts();
        let mut body = Incoming::new(body, clock, exchange, held);
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken(&error))?;
            if let Ok(data) = frame.into_data() {
                whole.extend_from_slice(&data);
            }
        }
        Ok(OwnAnswer {
            status: parts.status,
            headers: parts.headers,
            body: whole.freeze(),
        })
    }
}

impl Own {
    fn client(&self) -> Result<&Client, SendError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let shared = &self.shared;
        let vetting = Vetting {
            resolver: Arc::clone(&shared.resolver),
            port: self.url.port_or_known_default().unwrap_or_default(),
            reach: Reach::Own,
        };
        let client = build_own(&shared.tls, &self.trust, vetting)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// For the record: without the query.
    fn summary(&self) -> String {
        let path = self.url.path().chars().take(200);
        let mut what = format!("POST {}", self.url.origin().ascii_serialization());
        what.extend(path);
        what
    }
}

impl std::fmt::Debug for OwnLane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnLane").finish_non_exhaustive()
    }
}

/// The limits of one call of our own. Its whole time is longer than its one
/// request, so that the request's is the one that ends it.
fn budget() -> Budget {
    Budget {
        wall: 2 * REQUEST_LIMIT,
        requests: 1,
        concurrent_requests: 1,
        request_bytes: u64::MAX,
        response_bytes: ANSWER_LIMIT,
        request_time: REQUEST_LIMIT,
        connect_time: CONNECT_LIMIT,
        idle_time: REQUEST_LIMIT,
        ..Budget::default()
    }
}

fn told(error: &SendError, detail: Option<String>) -> OwnError {
    OwnError(match detail {
        Some(detail) => format!("{error} ({detail})"),
        None => error.to_string(),
    })
}

fn shut_out(class: AddressClass) -> OwnError {
    OwnError(format!(
        "no connection: every address of the host is refused; it is {}",
        class.describe()
    ))
}

fn broken(error: &BodyError) -> OwnError {
    OwnError(match error {
        BodyError::TooLarge { limit } => format!("the answer is larger than {limit} bytes"),
        error => error.to_string(),
    })
}
