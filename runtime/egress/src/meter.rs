//! What one call may use of the network, and what it has used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use servo_audit::{Attempts, CallAudit};
use servo_policy::{Budget, Rate, RuleLimits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::error::{Limit, Phase, Quota};

/// The shortest time a guest can ask to wait. Zero would mean "never wait" to
/// some timers and "no limit" to others.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long a request waits for a place among those in flight. A request that
/// a guest gives up ends in a task of its own, a moment later: a guest that
/// keeps to its number could not know that its place is still taken. Longer
/// would only hide from a driver that it holds too many.
const SETTLE: Duration = Duration::from_millis(100);

/// Times a guest asks for. Each is a wish: it can shorten what the budget
/// gives, never lengthen it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Name lookup, connection and TLS handshake.
    pub connect: Option<Duration>,
    /// From the start of the request to the head of the response.
    pub first_byte: Option<Duration>,
    /// Silence between two pieces of the response body.
    pub between_bytes: Option<Duration>,
    /// The whole exchange.
    pub total: Option<Duration>,
}

/// The meter of one call, over all its steps. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct CallMeter {
    inner: Arc<Inner>,
    audit: Option<CallAudit>,
    /// In a dry run: takes what is held back.
    dry_run: Option<Attempts>,
}

#[derive(Debug)]
struct Inner {
    at_once: usize,
    concurrency: Arc<Semaphore>,
    deadline: Instant,
    requests: u64,
    limits: Limits,
    used: AtomicU64,
    denied: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
}

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) rate: Rate,
    request_time: Duration,
    connect_time: Duration,
    idle_time: Duration,
}

impl Limits {
    /// These, or what a rule gives where that is less. The rate is the rule's
    /// own where it has one.
    pub(crate) fn within(self, rule: &RuleLimits) -> Self {
        let least = |ours: u64, rule: Option<u64>| rule.map_or(ours, |rule| rule.min(ours));
        Self {
            request_bytes: least(self.request_bytes, rule.request_bytes),
            response_bytes: least(self.response_bytes, rule.response_bytes),
            request_time: rule
                .time
                .map_or(self.request_time, |time| time.min(self.request_time)),
            rate: rule.rate.unwrap_or(self.rate),
            ..self
        }
    }

    /// These, for a receiver that has room for so many bytes of a body.
    pub(crate) fn with_room(self, room: u64) -> Self {
        Self {
            response_bytes: self.response_bytes.min(room),
            ..self
        }
    }
}

/// What a call has used. Can be stored with the call and given to the meter of
/// its next step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Requests sent.
    pub requests: u64,
    /// Requests refused, for any reason of policy or quota.
    pub denied: u64,
    /// Bytes of request bodies sent.
    pub bytes_out: u64,
    /// Bytes of response bodies received.
    pub bytes_in: u64,
}

/// The times of one request, worked out once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// The end of the whole exchange.
    pub(crate) end: Instant,
    /// The latest moment for the head of the response.
    pub(crate) head: Instant,
    pub(crate) connect: Duration,
    pub(crate) idle: Duration,
    /// The limits behind these times; none where the guest's own wish is
    /// shorter.
    end_limit: Option<Limit>,
    connect_limit: Option<Limit>,
    idle_limit: Option<Limit>,
}

impl Clock {
    /// The limit that a time of this request comes from.
    pub(crate) fn limit(&self, phase: Phase) -> Option<Limit> {
        match phase {
            Phase::Connect => self.connect_limit,
            Phase::Idle => self.idle_limit,
            Phase::Total => self.end_limit,
            // Ends before the whole only where the guest wants it to.
            Phase::FirstByte => None,
            Phase::Place => Some(Limit::Places),
        }
    }
}

/// Held while a request is in flight, body included: its places among the
/// requests of its call, of its rule, and of the process.
#[derive(Debug)]
pub(crate) struct InFlight {
    _call: OwnedSemaphorePermit,
    _rule: Option<OwnedSemaphorePermit>,
    _process: Option<OwnedSemaphorePermit>,
}

impl InFlight {
    pub(crate) fn and_of_rule(self, place: OwnedSemaphorePermit) -> Self {
        Self {
            _rule: Some(place),
            ..self
        }
    }

    pub(crate) fn and_of_process(self, place: OwnedSemaphorePermit) -> Self {
        Self {
            _process: Some(place),
            ..self
        }
    }
}

/// One of so many places; none if it is not free in a moment.
pub(crate) async fn settled(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let place = Arc::clone(places).acquire_owned();
    tokio::time::timeout(SETTLE, place).await.ok()?.ok()
}

impl CallMeter {
    /// A fresh meter; the call's time begins now.
    pub fn new(budget: &Budget) -> Self {
        Self::resumed(budget, Usage::default(), budget.wall)
    }

    /// The meter of a call that goes on after it was stored: what it has used
    /// already, and how much of its time is left.
    pub fn resumed(budget: &Budget, used: Usage, left: Duration) -> Self {
        let at_once = usize::try_from(budget.concurrent_requests).unwrap_or(usize::MAX);
        let inner = Inner {
            at_once,
            concurrency: Arc::new(Semaphore::new(at_once)),
            deadline: Instant::now() + left,
            requests: budget.requests,
            limits: Limits {
                request_bytes: budget.request_bytes,
                response_bytes: budget.response_bytes,
                rate: Rate {
                    requests: budget.request_rate,
                    per: Duration::from_secs(1),
                },
                request_time: budget.request_time,
                connect_time: budget.connect_time,
                idle_time: budget.idle_time,
            },
            used: AtomicU64::new(used.requests),
            denied: AtomicU64::new(used.denied),
            bytes_out: AtomicU64::new(used.bytes_out),
            bytes_in: AtomicU64::new(used.bytes_in),
        };
        Self {
            inner: Arc::new(inner),
            audit: None,
            dry_run: None,
        }
    }

    /// The same meter; the records of its requests go to `audit`, with the
    /// call's id. Without one they bear the lane's owner and no call.
    #[must_use]
    pub fn audited(self, audit: CallAudit) -> Self {
        Self {
            audit: Some(audit),
            ..self
        }
    }

    /// The same meter for a dry run: only what reads is sent, and everything
    /// else goes to `attempts`.
    #[must_use]
    pub fn dry_run(self, attempts: Attempts) -> Self {
        Self {
            dry_run: Some(attempts),
            ..self
        }
    }

    /// Where what is held back goes, if this is a dry run.
    pub(crate) fn holds_back(&self) -> Option<&Attempts> {
        self.dry_run.as_ref()
    }

    pub(crate) fn audit(&self) -> Option<&CallAudit> {
        self.audit.as_ref()
    }

    /// What the call has used up to now.
    pub fn usage(&self) -> Usage {
        Usage {
            requests: self.inner.used.load(Ordering::Relaxed),
            denied: self.inner.denied.load(Ordering::Relaxed),
            bytes_out: self.inner.bytes_out.load(Ordering::Relaxed),
            bytes_in: self.inner.bytes_in.load(Ordering::Relaxed),
        }
    }

    /// Requests in flight now, response bodies that are being read included.
    pub fn in_flight(&self) -> usize {
        self.inner
            .at_once
            .saturating_sub(self.inner.concurrency.available_permits())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Takes a place among the requests that the call has in flight.
    pub(crate) async fn enter(&self) -> Result<InFlight, Quota> {
        if Instant::now() >= self.inner.deadline {
            return Err(Quota::Wall);
        }
        let place = settled(&self.inner.concurrency).await;
        Ok(InFlight {
            _call: place.ok_or(Quota::Concurrency)?,
            _rule: None,
            _process: None,
        })
    }

    /// Takes one request out of the call's budget.
    pub(crate) fn begin(&self) -> Result<(), Quota> {
        self.inner
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used < self.inner.requests).then_some(used + 1)
            })
            .map_err(|_| Quota::Requests)?;
        Ok(())
    }

    pub(crate) fn refused(&self) {
        self.inner.denied.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.inner.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.inner.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The times of a request that begins now, under these limits of its own.
    pub(crate) fn clock(&self, limits: &Limits, wishes: Timeouts) -> Clock {
        let now = Instant::now();
        let clamp = |wish: Option<Duration>, most: Duration| {
            wish.map_or(most, |wish| wish.clamp(SHORTEST, most.max(SHORTEST)))
        };
        let ours = |time: Duration, most: Duration, limit| (time >= most).then_some(limit);
        let request_time = clamp(wishes.total, limits.request_time);
        let own_end = now + request_time;
        let end = own_end.min(self.inner.deadline);
        let connect = clamp(wishes.connect, limits.connect_time);
        let idle = clamp(wishes.between_bytes, limits.idle_time);
        Clock {
            end,
            head: (now + clamp(wishes.first_byte, limits.request_time)).min(end),
            connect,
            idle,
            end_limit: if own_end <= self.inner.deadline {
                ours(request_time, limits.request_time, Limit::RequestTime)
            } else {
                Some(Limit::Wall)
            },
            connect_limit: ours(connect, limits.connect_time, Limit::ConnectTime),
            idle_limit: ours(idle, limits.idle_time, Limit::IdleTime),
        }
    }
}
