//! The pipeline: every step of a request, in the one order that is safe.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use servo_audit::{Attempts, Auditor, CallAudit, Capability, Owner, Reason, Record, Verdict};
use servo_policy::{
    Allowed, Denial, Host, HttpGrant, HttpRules, Method, Rate, RequestHead, RuleId,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use url::Url;

use crate::body::{Body, Incoming, Outgoing};
use crate::client::{Clients, Keep, exchange_heads};
use crate::credential::{Attached, Draft, Keeper, Report};
use crate::decode;
use crate::dry_run::{only_reads, weigh};
use crate::error::{EgressError, Failure, Limit, Phase, Quota, SendError};
use crate::exchange::{Exchange, reason_of};
use crate::gate::Gate;
use crate::headers::{Wishes, clean_request, clean_response};
use crate::ledger::Ledger;
use crate::meter::{CallMeter, Clock, InFlight, Timeouts, settled};
use crate::pace::Pace;

/// The way out of one driver: its rules, its connections, its counters. Cheap
/// to clone; clones share everything.
#[derive(Clone)]
pub struct Lane(Arc<Inner>);

pub(crate) struct Inner {
    gate: Arc<Gate>,
    rules: HttpRules,
    ways: Vec<Way>,
    /// For requests outside any call.
    audit: CallAudit,
    capability: Capability,
    pub(crate) ledger: Ledger,
}

/// What belongs to one rule, over all calls.
struct Way {
    clients: Clients,
    pace: Pace,
    /// Places for requests in flight, where the rule limits them.
    places: Option<Arc<Semaphore>>,
    credential: Option<Arc<Keeper>>,
}

impl Way {
    fn new(
        grant: &HttpGrant,
        gate: &Gate,
        credential: Option<Arc<Keeper>>,
    ) -> Result<Self, EgressError> {
        let places = grant.limits.concurrency.map(|most| {
            let most = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS);
            Arc::new(Semaphore::new(most))
        });
        Ok(Self {
            clients: Clients::new(grant, gate)?,
            pace: Pace::default(),
            places,
            credential,
        })
    }

    /// Adds the rule's credential, if it has one.
    async fn attach(&self, draft: Draft<'_>) -> Result<Option<Attached>, SendError> {
        match &self.credential {
            Some(keeper) => keeper.attach(draft).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes one request out of what its call and this rule may make. What is
    /// too fast costs the call no request.
    async fn meter(&self, call: &CallMeter, rate: Rate) -> Result<InFlight, SendError> {
        let mut held = call.enter().await.map_err(SendError::QuotaExhausted)?;
        if let Some(places) = &self.places {
            let place = settled(places).await;
            let place = place.ok_or(SendError::QuotaExhausted(Quota::RuleConcurrency))?;
            held = held.and_of_rule(place);
        }
        self.pace
            .take(rate)
            .map_err(|retry_after| SendError::RateLimited { rate, retry_after })?;
        call.begin().map_err(SendError::QuotaExhausted)?;
        Ok(held)
    }
}

impl Lane {
    pub(crate) fn new(
        gate: Arc<Gate>,
        owner: Owner,
        rules: HttpRules,
    ) -> Result<Self, EgressError> {
        let ways = rules
            .iter()
            .map(|grant| Way::new(grant, &gate, Keeper::load(grant, &gate, &owner)?))
            .collect::<Result<_, _>>()?;
        Ok(Self::with(gate, owner, rules, ways, Capability::Http))
    }

    /// A lane for the requests for tokens: one rule, and what proves the client.
    /// Its place is its own: who asks for a token holds one of a driver already.
    pub(crate) fn for_token(
        gate: &Gate,
        owner: Owner,
        rules: HttpRules,
        client: &Arc<Keeper>,
    ) -> Result<Self, EgressError> {
        let gate = gate.beside(1);
        let ways = rules
            .iter()
            .map(|grant| Way::new(grant, &gate, Some(Arc::clone(client))))
            .collect::<Result<_, _>>()?;
        Ok(Self::with(gate, owner, rules, ways, Capability::Own))
    }

    fn with(
        gate: Arc<Gate>,
        owner: Owner,
        rules: HttpRules,
        ways: Vec<Way>,
        capability: Capability,
    ) -> Self {
        Self(Arc::new(Inner {
            ledger: Ledger::new(&rules),
            rules,
            ways,
            capability,
            ..Inner::own(gate, owner)
        }))
    }

    /// Whose lane it is.
    pub fn owner(&self) -> &Owner {
        self.0.owner()
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
        let (parts, body) = request.into_parts();
        let ask = Ask {
            head: RequestHead {
                method: parts.method.as_str(),
                scheme: parts.uri.scheme_str().unwrap_or_default(),
                authority: parts.uri.authority().map_or("", |a| a.as_str()),
                path_and_query: parts.uri.path_and_query().map_or("", |p| p.as_str()),
            },
            headers: Ok(parts.headers),
            body,
            room: u64::MAX,
        };
        self.exchange(ask, call, timeouts).await
    }

    /// The pipeline itself. Every request of a driver goes through here.
    pub(crate) async fn exchange(
        &self,
        ask: Ask<'_>,
        call: &CallMeter,
        timeouts: Timeouts,
    ) -> Result<Response<Body>, SendError> {
        let lane = &self.0;
        let Ask {
            head,
            headers,
            body,
            room,
        } = ask;

        // 1. Decide, on the canonical form. From here on the exchange leaves
        //    its record whatever happens.
        let allowed = lane.decide(&head, call)?;
        let (Some(grant), Some(way)) =
            (lane.rules.get(allowed.rule), lane.ways.get(allowed.rule.0))
        else {
            return Err(SendError::Internal);
        };
        let limits = call.limits().within(&grant.limits).with_room(room);
        if let Some(attempts) = call.holds_back()
            && !only_reads(grant, allowed.method)
        {
            let until = call.clock(&limits, timeouts).end;
            let bytes = weigh(body, limits.request_bytes, until).await;
            return Err(lane.hold_back(call, &allowed, attempts, bytes));
        }
        let mut exchange = Exchange::begin(lane, call, allowed.rule, summary(&allowed), limits);

        // 2. Check the head, and make a new one; nothing of the guest's own URL
        //    is left.
        let mut headers = headers.map_err(|error| exchange.fail(error))?;
        let checked = check(&mut headers, &body, limits.request_bytes, &allowed);
        let Checked {
            wishes,
            declared,
            uri,
        } = checked.map_err(|error| exchange.fail(error))?;

        // 3. Meter. Refused requests cost nothing but their own counter.
        let held = way
            .meter(call, limits.rate)
            .await
            .map_err(|error| exchange.fail(error))?;
        let clock = call.clock(&limits, timeouts);
        exchange.metered(clock);
        let held = lane
            .place(held, &clock)
            .await
            .map_err(|error| exchange.fail(error))?;

        // 4. Vet an address literal. Names are vetted when they are looked up.
        let refused = |class| {
            let denial = Denial::address(grant, allowed.method, &allowed.target, class);
            SendError::AddressDenied(denial)
        };
        if let Host::Ip(ip) = allowed.target.host {
            grant
                .admits(ip)
                .map_err(|class| exchange.fail(refused(class)))?;
        }

        // 5. Build what is sent.
        if wishes.keep == Keep::Fresh {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if grant.limits.decompressed_bytes.is_some() {
            decode::ask(&mut headers);
        }
        // The credential comes last, after everything a guest can influence.
        let (mut body, mut declared) = (body, declared);
        let method = sent_as(allowed.method);
        let draft = Draft {
            method: &method,
            target: &allowed.target,
            headers: &mut headers,
            body: &mut body,
            length: &mut declared,
            most: limits.request_bytes,
            until: clock.head,
        };
        let attached = way
            .attach(draft)
            .await
            .map_err(|error| exchange.fail(error))?;
        if declared != Some(0) {
            if let Some(declared) = declared {
                headers.insert(header::CONTENT_LENGTH, declared.into());
            }
            body = Outgoing::of(body, declared, &exchange);
        }
        let mut outgoing = Request::new(body);
        *outgoing.method_mut() = method;
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = headers;

        // 6. Send, and wait for the head of the response.
        let client = way
            .clients
            .get(wishes.keep, &lane.gate, grant)
            .map_err(|error| exchange.fail(error))?;
        exchange.starts();
        let response = exchange_heads(&client, outgoing, &clock)
            .await
            .map_err(|lost| {
                exchange.fail(match lost.failure() {
                    Failure::Send(error) => error,
                    Failure::Address(class) => refused(class),
                })
            })?;
        exchange.answered(response.status());

        // 7. Hand the response over, its body under the same limits.
        let (mut parts, body) = response.into_parts();
        clean_response(&mut parts.headers);
        parts.extensions.clear();
        let attached = attached
            .map(|attached| attached.head(&mut parts, body.is_end_stream()))
            .transpose()
            .map_err(|error| exchange.fail(error))?;
        let body = Incoming::new(body, clock, exchange, held);
        let mut body = match grant.limits.decompressed_bytes {
            Some(most) => decode::undo(&mut parts, body, most.min(room)),
            None => body.boxed_unsync(),
        };
        if let Some(seen) = attached {
            body = seen.body(body, lane.echo(call, &allowed));
        }
        Ok(Response::from_parts(parts, body))
    }
}

impl Inner {
    pub(crate) fn owner(&self) -> &Owner {
        self.audit.owner()
    }

    /// What a lane of servo itself is: no rules, and all the accounts.
    pub(crate) fn own(gate: Arc<Gate>, owner: Owner) -> Self {
        let (auditor, owner) = (gate.auditor().clone(), Arc::new(owner));
        let rules = HttpRules::default();
        Self {
            gate,
            ledger: Ledger::new(&rules),
            rules,
            ways: Vec::new(),
            audit: CallAudit::new(auditor, owner, String::new(), u64::MAX),
            capability: Capability::Own,
        }
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn capability(&self) -> Capability {
        self.capability
    }

    /// The rule's index for a record; our own calls have none.
    pub(crate) fn index_of(&self, rule: RuleId) -> Option<usize> {
        self.rules.get(rule).map(|_| rule.0)
    }

    fn auditor(&self) -> &Auditor {
        self.gate.auditor()
    }

    pub(crate) fn limit_hit(&self, limit: Limit) {
        self.auditor().limit_hit(limit.key());
    }

    /// Takes a record; its owner and call are set on the way.
    pub(crate) fn record(&self, call: &CallMeter, record: &Record<'_>) {
        call.audit().unwrap_or(&self.audit).record(record);
    }

    /// Records that a secret came back and was taken out.
    fn echo(self: &Arc<Self>, call: &CallMeter, allowed: &Allowed) -> Report {
        let (lane, call) = (Arc::clone(self), call.clone());
        let (rule, what) = (allowed.rule, summary(allowed));
        Box::new(move |found| {
            let record = Record {
                rule: lane.index_of(rule),
                verdict: Verdict::Capped,
                outcome: &format!("a secret in the answer was taken out, {found} times"),
                ..Record::denied(
                    lane.owner(),
                    "",
                    Capability::Credential,
                    &what,
                    Reason::Echo,
                )
            };
            lane.record(&call, &record);
        })
    }

    /// Records a request that a dry run does not send.
    fn hold_back(
        &self,
        call: &CallMeter,
        allowed: &Allowed,
        attempts: &Attempts,
        bytes: u64,
    ) -> SendError {
        let (method, url) = (allowed.method.as_str(), allowed.target.url());
        attempts.note(self.capability, &format!("{method} {url}"), bytes);
        call.refused();
        let what = summary(allowed);
        let record = Record::denied(self.owner(), "", self.capability, &what, Reason::DryRun);
        self.record(
            call,
            &Record {
                rule: self.index_of(allowed.rule),
                ..record
            },
        );
        SendError::DryRun
    }

    fn decide(&self, head: &RequestHead<'_>, call: &CallMeter) -> Result<Allowed, SendError> {
        self.rules.decide(head).map_err(|denial| {
            call.refused();
            self.ledger.denied(denial.request());
            let reason = reason_of(denial.reason());
            let what = denial.request();
            self.record(
                call,
                &Record::denied(self.owner(), "", self.capability(), what, reason),
            );
            SendError::Denied(denial)
        })
    }

    /// A place among the process's requests. Unlike the call's own quota, this
    /// one is waited for: who holds the places is nothing a driver can help.
    async fn place(&self, held: InFlight, clock: &Clock) -> Result<InFlight, SendError> {
        let places = Arc::clone(&self.gate.in_flight);
        let place: OwnedSemaphorePermit = match timeout_at(clock.end, places.acquire_owned()).await
        {
            Ok(Ok(place)) => place,
            Ok(Err(_closed)) => return Err(SendError::Internal),
            Err(_) => return Err(SendError::Timeout(Phase::Place)),
        };
        Ok(held.and_of_process(place))
    }
}

/// A request that nobody has decided on.
pub(crate) struct Ask<'a> {
    pub(crate) head: RequestHead<'a>,
    /// Its fields, or why they are none.
    pub(crate) headers: Result<HeaderMap, SendError>,
    pub(crate) body: Body,
    /// The most bytes of a response's body that its receiver has room for.
    pub(crate) room: u64,
}

fn sent_as(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
        Method::Options => http::Method::OPTIONS,
    }
}

/// What a request's head says once it is in order.
struct Checked {
    wishes: Wishes,
    /// The length of the body, where it is known.
    declared: Option<u64>,
    uri: Uri,
}

fn check(
    headers: &mut HeaderMap,
    body: &Body,
    limit: u64,
    allowed: &Allowed,
) -> Result<Checked, SendError> {
    let wishes = clean_request(headers)?;
    let exact = body.size_hint().exact();
    let declared = match (wishes.length, exact) {
        (Some(declared), Some(exact)) if declared != exact => {
            return Err(SendError::Request(
                "the body is not as long as its content-length says",
            ));
        }
        (declared, exact) => declared.or(exact),
    };
    if declared.is_some_and(|declared| declared > limit) {
        return Err(SendError::TooLarge { limit });
    }
    Ok(Checked {
        wishes,
        declared,
        uri: uri(allowed)?,
    })
}

/// What was matched, as the HTTP client takes it. Should a second parser, the
/// one that browsers agree on, read anything else into it, it is not sent.
fn uri(allowed: &Allowed) -> Result<Uri, SendError> {
    let text = allowed.target.url();
    Url::parse(&text)
        .ok()
        .filter(|url| url.as_str() == text)
        .and_then(|_| text.parse().ok())
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
