//! The pipeline: every step of a request, in the one order that is safe.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use servo_audit::{Attempts, Capability, Owner, Reason, Record, Verdict};
use servo_policy::{Allowed, Denial, Host, HttpRules, RequestHead};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::account::Account;
use crate::ask::{Ask, Checked, check, sent_as, summary};
use crate::body::incoming::Incoming;
use crate::body::outgoing::Outgoing;
use crate::body::{Body, decode, empty};
use crate::classify::Failure;
use crate::client::exchange_heads;
use crate::credential::{self, Authorizer, Draft, Report, Transport, Transports};
use crate::dry_run::weigh;
use crate::error::{EgressError, Phase, ProtocolFailure, SendError};
use crate::exchange::{Exchange, reason_of};
use crate::headers::{Keep, clean_response};
use crate::ledger::Ledger;
use crate::meter::{CallMeter, Clock, InFlight, Timeouts};
use crate::redirect::{self, Hop};
use crate::route::Route;
use crate::shared::Shared;

/// The way out of one driver: its rules, its connections, its counters. Cheap
/// to clone; clones share everything.
#[derive(Clone)]
pub struct Lane(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    account: Arc<Account>,
    rules: HttpRules,
    /// One for each rule.
    routes: Vec<Route>,
    /// Does any rule follow redirects?
    redirects: bool,
}

/// Makes lanes for the requests for tokens: one rule, and what proves the
/// client. Their place is their own: who asks for a token holds one of a driver
/// already.
struct TokenLanes<'a> {
    shared: &'a Shared,
    owner: &'a Owner,
}

impl Transports for TokenLanes<'_> {
    fn open(
        &self,
        rules: HttpRules,
        client: &Arc<Authorizer>,
    ) -> Result<Arc<dyn Transport>, EgressError> {
        let shared = self.shared.beside(1);
        let owner = Owner {
            digest: String::new(),
            ..self.owner.clone()
        };
        let routes = rules
            .iter()
            .map(|grant| Route::new(grant, &shared, Some(Arc::clone(client))))
            .collect::<Result<_, _>>()?;
        Ok(Arc::new(Lane::with(
            shared,
            owner,
            rules,
            routes,
            Capability::Own,
        )))
    }
}

#[async_trait]
impl Transport for Lane {
    async fn send(
        &self,
        request: Request<Body>,
        call: &CallMeter,
    ) -> Result<Response<Body>, SendError> {
        Self::send(self, request, call, Timeouts::default()).await
    }
}

impl Lane {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        owner: Owner,
        rules: HttpRules,
    ) -> Result<Self, EgressError> {
        let tokens = TokenLanes {
            shared,
            owner: &owner,
        };
        let routes = rules
            .iter()
            .map(|grant| Route::new(grant, shared, credential::load(grant, &tokens)?))
            .collect::<Result<_, _>>()?;
        Ok(Self::with(
            Arc::clone(shared),
            owner,
            rules,
            routes,
            Capability::Http,
        ))
    }

    fn with(
        shared: Arc<Shared>,
        owner: Owner,
        rules: HttpRules,
        routes: Vec<Route>,
        capability: Capability,
    ) -> Self {
        let auditor = shared.auditor.clone();
        Self(Arc::new(Inner {
            account: Arc::new(Account::new(
                auditor,
                owner,
                capability,
                Ledger::new(&rules),
            )),
            shared,
            redirects: redirect::followed(&rules),
            rules,
            routes,
        }))
    }

    /// Whose lane it is.
    pub fn owner(&self) -> &Owner {
        self.0.account.owner()
    }

    /// What this lane was used for.
    pub fn ledger(&self) -> &Ledger {
        &self.0.account.ledger
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

    /// One request, and those that its rule lets follow from it.
    pub(crate) async fn exchange(
        &self,
        ask: Ask<'_>,
        call: &CallMeter,
        mut timeouts: Timeouts,
    ) -> Result<Response<Body>, SendError> {
        if !self.0.redirects {
            return Ok(self.pass(ask, call, timeouts).await?.response);
        }
        let mut headers = ask.headers.as_ref().ok().cloned().unwrap_or_default();
        headers.remove(header::CONTENT_LENGTH);
        let room = ask.room;
        let mut answered = self.pass(ask, call, timeouts).await?;
        for _ in 0..redirect::MOST {
            let Answered {
                response,
                allowed,
                end,
            } = answered;
            let Some(hop) = Hop::of(&response, &allowed, &self.0.rules) else {
                return Ok(response);
            };
            // Its connection is free for the next one.
            drop(response);
            timeouts.total = Some(end.saturating_duration_since(Instant::now()));
            let ask = Ask {
                head: hop.head(),
                headers: Ok(headers.clone()),
                body: empty(),
                room,
            };
            answered = self.pass(ask, call, timeouts).await?;
        }
        match Hop::of(&answered.response, &answered.allowed, &self.0.rules) {
            Some(_) => Err(SendError::Protocol(ProtocolFailure::Redirects)),
            None => Ok(answered.response),
        }
    }

    /// The pipeline itself. Every request of a driver goes through here.
    async fn pass(
        &self,
        ask: Ask<'_>,
        call: &CallMeter,
        timeouts: Timeouts,
    ) -> Result<Answered, SendError> {
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
        let (Some(grant), Some(route)) = (
            lane.rules.get(allowed.rule),
            lane.routes.get(allowed.rule.0),
        ) else {
            return Err(SendError::Internal);
        };
        let limits = call.limits().within(&grant.limits).with_room(room);
        if let Some(attempts) = call.holds_back()
            && !grant.is_read(allowed.method)
        {
            let until = call.clock(&limits, timeouts).end;
            let bytes = weigh(body, limits.request_bytes, until).await;
            return Err(lane.hold_back(call, &allowed, attempts, bytes));
        }
        let mut exchange =
            Exchange::begin(&lane.account, call, allowed.rule, summary(&allowed), limits);

        // 2. Check the head, and make a new one; nothing of the guest's own URL
        //    is left.
        let mut headers = headers.map_err(|error| exchange.fail(error))?;
        let checked = check(&mut headers, &body, limits.request_bytes, &allowed);
        let Checked {
            wishes,
            declared,
            uri,
        } = checked.map_err(|error| exchange.fail(error))?;
        let names = headers.keys().map(HeaderName::as_str);
        grant
            .admits_headers(allowed.method, &allowed.target, names)
            .map_err(|denial| exchange.fail(SendError::Denied(denial)))?;

        // 3. Meter. Refused requests cost nothing but their own counter.
        let held = route
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
        let authorized = route
            .authorize(draft)
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
        let client = route
            .clients
            .get(wishes.keep, &lane.shared, &lane.rules, grant)
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
        let seen = authorized
            .map(|authorized| authorized.head(&mut parts, body.is_end_stream()))
            .transpose()
            .map_err(|error| exchange.fail(error))?;
        let body = Incoming::new(body, clock, exchange, held);
        let mut body = match grant.limits.decompressed_bytes {
            Some(most) => decode::undo(&mut parts, body, most.min(room)),
            None => body.boxed_unsync(),
        };
        if let Some(seen) = seen {
            body = seen.body(body, lane.report(call, &allowed));
        }
        Ok(Answered {
            response: Response::from_parts(parts, body),
            allowed,
            end: clock.end,
        })
    }
}

/// A response, and what it answers.
struct Answered {
    response: Response<Body>,
    allowed: Allowed,
    /// When the exchange must be over.
    end: Instant,
}

impl Inner {
    /// Records that a secret came back and was taken out.
    fn report(&self, call: &CallMeter, allowed: &Allowed) -> Report {
        let (account, call) = (Arc::clone(&self.account), call.clone());
        let (rule, what) = (allowed.rule, summary(allowed));
        Box::new(move |found| {
            let record = Record {
                rule: account.index_of(rule),
                verdict: Verdict::Capped,
                outcome: &format!("a secret in the answer was taken out, {found} times"),
                ..Record::denied(
                    account.owner(),
                    "",
                    Capability::Credential,
                    &what,
                    Reason::Echo,
                )
            };
            account.record(&call, &record);
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
        let account = &self.account;
        let capability = account.capability();
        attempts.note(capability, &format!("{method} {url}"), bytes);
        call.refused();
        let what = summary(allowed);
        let record = Record::denied(account.owner(), "", capability, &what, Reason::DryRun);
        account.record(
            call,
            &Record {
                rule: account.index_of(allowed.rule),
                ..record
            },
        );
        SendError::DryRun
    }

    fn decide(&self, head: &RequestHead<'_>, call: &CallMeter) -> Result<Allowed, SendError> {
        self.rules.decide(head).map_err(|denial| {
            call.refused();
            let account = &self.account;
            account.ledger.denied(denial.request());
            let reason = reason_of(denial.reason());
            let what = denial.request();
            let record = Record::denied(account.owner(), "", account.capability(), what, reason);
            account.record(
                call,
                &Record {
                    remedy: &denial.short(),
                    ..record
                },
            );
            SendError::Denied(denial)
        })
    }

    /// A place among the process's requests. Unlike the call's own quota, this
    /// one is waited for: who holds the places is nothing a driver can help.
    async fn place(&self, held: InFlight, clock: &Clock) -> Result<InFlight, SendError> {
        let places = Arc::clone(&self.shared.in_flight);
        let place: OwnedSemaphorePermit = match timeout_at(clock.end, places.acquire_owned()).await
        {
            Ok(Ok(place)) => place,
            Ok(Err(_closed)) => return Err(SendError::Internal),
            Err(_) => return Err(SendError::Timeout(Phase::Place)),
        };
        Ok(held.and_of_process(place))
    }
}
