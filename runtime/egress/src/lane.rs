//! The pipeline: every step of a request, in the one order that is safe.

use std::sync::{Arc, OnceLock};

use http::{Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use reqwest::{Client, Url};
use servo_policy::{Allowed, Denial, Host, HttpGrant, HttpRules, RequestHead, Scheme};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;

use crate::body::{Body, Incoming, Outgoing};
use crate::client::{CONNECT_TIME, Keep, build};
use crate::error::{EgressError, Failure, Phase, SendError, classify};
use crate::gate::{Gate, Owner};
use crate::headers::{clean_request, clean_response};
use crate::ledger::Ledger;
use crate::meter::{CallMeter, Clock, Timeouts};
use crate::resolver::Vetting;
use crate::tls::{Trust, read_authority};

/// The way out of one driver: its rules, its connections, its counters. Cheap
/// to clone; clones share everything.
#[derive(Clone)]
pub struct Lane(Arc<Inner>);

pub(crate) struct Inner {
    gate: Arc<Gate>,
    owner: Owner,
    rules: HttpRules,
    clients: Vec<Clients>,
    pub(crate) ledger: Ledger,
}

/// The clients of one rule, made on first use.
struct Clients {
    trust: Trust,
    kept: OnceLock<Client>,
    fresh: OnceLock<Client>,
}

impl Lane {
    pub(crate) fn new(
        gate: Arc<Gate>,
        owner: Owner,
        rules: HttpRules,
    ) -> Result<Self, EgressError> {
        let clients = rules.iter().map(Clients::new).collect::<Result<_, _>>()?;
        let ledger = Ledger::new(&rules);
        Ok(Self(Arc::new(Inner {
            gate,
            owner,
            rules,
            clients,
            ledger,
        })))
    }

    /// What this lane was used for.
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// The rules of this lane.
    pub fn rules(&self) -> &HttpRules {
        &self.0.rules
    }

    /// Sends one request, if a rule allows it, and answers with the response as
    /// it is: a redirect is a response like any other.
    ///
    /// # Errors
    /// Why there is no response. The response's body has errors of its own.
    pub async fn send(
        &self,
        request: Request<Body>,
        call: &CallMeter,
        timeouts: Timeouts,
    ) -> Result<Response<Body>, SendError> {
        let lane = &self.0;
        let (parts, body) = request.into_parts();

        // 1. Decide, on the canonical form.
        let allowed = lane
            .rules
            .decide(&RequestHead {
                method: parts.method.as_str(),
                scheme: parts.uri.scheme_str().unwrap_or_default(),
                authority: parts.uri.authority().map_or("", |a| a.as_str()),
                path_and_query: parts.uri.path_and_query().map_or("", |p| p.as_str()),
            })
            .map_err(|denial| {
                lane.refused(call, denial.request(), "no rule");
                SendError::Denied(denial)
            })?;
        let (Some(grant), Some(clients)) = (
            lane.rules.get(allowed.rule),
            lane.clients.get(allowed.rule.0),
        ) else {
            return Err(SendError::Internal);
        };

        // 2. Check and rebuild the head; nothing of the guest's own URL is left.
        let mut headers = parts.headers;
        let refuse = |error: SendError| {
            lane.refused(call, &summary(&allowed), "bad request");
            error
        };
        let wishes = clean_request(&mut headers).map_err(refuse)?;
        let exact = body.size_hint().exact();
        let declared = match (wishes.length, exact) {
            (Some(declared), Some(exact)) if declared != exact => {
                return Err(refuse(SendError::Request(
                    "the body is not as long as its content-length says",
                )));
            }
            (declared, exact) => declared.or(exact),
        };
        let limit = call.limits().request_bytes;
        if declared.is_some_and(|declared| declared > limit) {
            return Err(refuse(SendError::TooLarge { limit }));
        }
        let url = url(&allowed).map_err(refuse)?;

        // 3. Meter. Refused requests cost nothing but their own counter.
        let held = call.begin().await.map_err(|quota| {
            lane.refused(call, &summary(&allowed), "quota");
            SendError::QuotaExhausted(quota)
        })?;
        let clock = call.clock(timeouts);
        let place = lane.place(&clock).await?;

        // 4. Vet an address literal. Names are vetted when they are looked up.
        if let Host::Ip(ip) = allowed.target.host {
            grant.admits(ip).map_err(|class| {
                lane.address_refused(
                    call,
                    Denial::address(grant, allowed.method, &allowed.target, class),
                )
            })?;
        }
        lane.ledger.used(allowed.rule);
        lane.audit(&allowed);

        // 5. Build what is sent.
        let mut outgoing = reqwest::Request::new(parts.method, url);
        if wishes.keep == Keep::Fresh {
            headers.insert(
                header::CONNECTION,
                header::HeaderValue::from_static("close"),
            );
        }
        if declared != Some(0) {
            if let Some(declared) = declared {
                headers.insert(header::CONTENT_LENGTH, declared.into());
            }
            *outgoing.body_mut() = Some(reqwest::Body::wrap_stream(Outgoing {
                body,
                lane: Arc::clone(lane),
                rule: allowed.rule,
                call: call.clone(),
                sent: 0,
                declared,
                last: None,
                over: false,
            }));
        }
        // Credentials bound to a rule belong here: after everything a guest can
        // influence, with `insert`, so that its own field of that name is gone.
        *outgoing.headers_mut() = headers;

        // 6. Send, and wait for the head of the response.
        let client = clients.get(wishes.keep, lane, grant)?;
        let exchange = CONNECT_TIME.scope(clock.connect, client.execute(outgoing));
        let response = match timeout_at(clock.head, exchange).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Err(match classify(&error) {
                    Failure::Send(error) => error,
                    Failure::Address(class) => lane.address_refused(
                        call,
                        Denial::address(grant, allowed.method, &allowed.target, class),
                    ),
                });
            }
            Err(_) if clock.head >= clock.end => return Err(SendError::Timeout(Phase::Total)),
            Err(_) => return Err(SendError::Timeout(Phase::FirstByte)),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(SendError::Protocol("the other side switched protocols"));
        }

        // 7. Hand the response over, its body under the same limits.
        let (mut parts, body) = Response::<reqwest::Body>::from(response).into_parts();
        clean_response(&mut parts.headers);
        parts.extensions.clear();
        let held = held.with(place);
        let body = Incoming::new(
            body,
            clock,
            Arc::clone(lane),
            allowed.rule,
            call.clone(),
            held,
        );
        Ok(Response::from_parts(parts, body.boxed_unsync()))
    }
}

impl Inner {
    /// A place among the process's requests. Unlike the call's own quota, this
    /// one is waited for: who holds the places is nothing a driver can help.
    async fn place(&self, clock: &Clock) -> Result<OwnedSemaphorePermit, SendError> {
        let places = Arc::clone(&self.gate.in_flight);
        match timeout_at(clock.end, places.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_closed)) => Err(SendError::Internal),
            Err(_) => Err(SendError::Timeout(Phase::Total)),
        }
    }

    fn refused(&self, call: &CallMeter, request: &str, verdict: &'static str) {
        call.refused();
        self.ledger.denied(request);
        tracing::warn!(
            target: "servo::audit",
            tenant = %self.owner.tenant,
            servo = %self.owner.servo,
            driver = %self.owner.driver,
            request,
            verdict,
            "request refused"
        );
    }

    fn address_refused(&self, call: &CallMeter, denial: Denial) -> SendError {
        self.refused(call, denial.request(), "address");
        SendError::AddressDenied(denial)
    }

    fn audit(&self, allowed: &Allowed) {
        tracing::debug!(
            target: "servo::audit",
            tenant = %self.owner.tenant,
            servo = %self.owner.servo,
            driver = %self.owner.driver,
            rule = allowed.rule.0,
            request = %summary(allowed),
            verdict = "allowed",
            "request allowed"
        );
    }
}

impl Clients {
    fn new(grant: &HttpGrant) -> Result<Self, EgressError> {
        Ok(Self {
            trust: match (grant.rule.scheme, &grant.ca) {
                (Scheme::Http, _) => Trust::Nobody,
                (Scheme::Https, None) => Trust::System,
                (Scheme::Https, Some(path)) => read_authority(path)?,
            },
            kept: OnceLock::new(),
            fresh: OnceLock::new(),
        })
    }

    fn get(&self, keep: Keep, lane: &Inner, grant: &HttpGrant) -> Result<&Client, SendError> {
        let slot = match keep {
            Keep::Kept => &self.kept,
            Keep::Fresh => &self.fresh,
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let internal = |error: &dyn std::error::Error| {
            tracing::error!(%error, "an HTTP client could not be made");
            SendError::Internal
        };
        let tls = lane
            .gate
            .tls
            .config(&self.trust)
            .map_err(|e| internal(&e))?;
        let vetting = Vetting {
            resolver: Arc::clone(&lane.gate.resolver),
            grant: grant.clone(),
        };
        let client = build(tls, vetting, keep).map_err(|e| internal(&e))?;
        Ok(slot.get_or_init(|| client))
    }
}

/// The URL as the HTTP client understands it. Should its parser read anything
/// else into it than what was matched, the request is not sent.
fn url(allowed: &Allowed) -> Result<Url, SendError> {
    let text = allowed.target.url();
    Url::parse(&text)
        .ok()
        .filter(|url| url.as_str() == text)
        .ok_or(SendError::Request("its URL has more than one meaning"))
}

fn summary(allowed: &Allowed) -> String {
    let path: String = allowed.target.path().chars().take(200).collect();
    format!(
        "{} {}{path}",
        allowed.method.as_str(),
        allowed.target.origin()
    )
}
