//! The account of one request, and its one record.
//!
//! It begins when a rule has allowed the request, goes along with it, and ends
//! up inside the response body. Whoever ends the request drops it: an error, the
//! last piece of the body, a guest that lost interest, a caller that was
//! cancelled. The record is written there, so that no way out can forget it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use servo_audit::{Reason, Record, Verdict};
use servo_policy::{DenialReason, RuleId};
use tokio::time::Instant;

use crate::account::Account;
use crate::error::{BodyError, Limit, Phase, SendError};
use crate::meter::{CallMeter, Clock, Limits};

/// The bytes of one request, counted at once for all who want to know: its
/// record, its call and its lane.
pub(crate) struct Tally {
    account: Arc<Account>,
    call: CallMeter,
    rule: RuleId,
    out: AtomicU64,
    back: AtomicU64,
}

impl Tally {
    pub(crate) fn sent(&self, bytes: u64) {
        self.out.fetch_add(bytes, Ordering::Relaxed);
        self.call.sent(bytes);
        self.account.ledger.sent(self.rule, bytes);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.back.fetch_add(bytes, Ordering::Relaxed);
        self.call.received(bytes);
        self.account.ledger.received(self.rule, bytes);
    }
}

/// One request, from the decision to its end.
pub(crate) struct Exchange {
    tally: Arc<Tally>,
    what: String,
    begun: Instant,
    /// Has anything of it left this process?
    under_way: bool,
    limits: Limits,
    /// Absent until it is metered.
    clock: Option<Clock>,
    end: End,
}

/// How it would be recorded if it ended now.
enum End {
    /// The one who waits for the head goes away.
    GivenUp,
    /// The reader of the body goes away.
    Unread(StatusCode),
    Whole(StatusCode),
    Denied(Reason),
    Failed(Reason, String),
    Capped(String),
}

impl Exchange {
    pub(crate) fn begin(
        account: &Arc<Account>,
        call: &CallMeter,
        rule: RuleId,
        what: String,
        limits: Limits,
    ) -> Self {
        Self {
            tally: Arc::new(Tally {
                account: Arc::clone(account),
                call: call.clone(),
                rule,
                out: AtomicU64::new(0),
                back: AtomicU64::new(0),
            }),
            what,
            begun: Instant::now(),
            under_way: false,
            limits,
            clock: None,
            end: End::GivenUp,
        }
    }

    pub(crate) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// What it may use: the narrower of what its call and its rule give.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn metered(&mut self, clock: Clock) {
        self.clock = Some(clock);
    }

    /// From here on something of it may leave this process.
    pub(crate) fn starts(&mut self) {
        self.under_way = true;
        self.tally.account.ledger.used(self.tally.rule);
    }

    /// It ends with this error, which is handed back for the one who asked.
    pub(crate) fn fail(&mut self, error: SendError) -> SendError {
        let (reason, limit) = self.cause(&error);
        if let Some(limit) = limit {
            self.tally.account.limit_hit(limit);
        }
        match &error {
            SendError::AddressDenied(_) => self.shut_out(),
            SendError::Internal => self.end = End::Failed(reason, error.to_string()),
            _ if self.under_way => self.end = End::Failed(reason, error.to_string()),
            _ => self.refuse(reason),
        }
        error
    }

    /// It ends because every address of its host is refused.
    pub(crate) fn shut_out(&mut self) {
        self.refuse(Reason::Address);
    }

    fn refuse(&mut self, reason: Reason) {
        self.tally.call.refused();
        self.tally.account.ledger.denied(&self.what);
        self.end = End::Denied(reason);
    }

    /// The head of the response is here.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.end = End::Unread(status);
    }

    /// The whole response has been handed over.
    pub(crate) fn complete(&mut self) {
        if let End::Unread(status) = self.end {
            self.end = End::Whole(status);
        }
    }

    /// The body of the response ends before its end.
    pub(crate) fn broken(&mut self, error: &BodyError) {
        let End::Unread(status) = self.end else {
            return;
        };
        let outcome = format!("{}, {error}", status.as_str());
        let (limit, end) = match error {
            BodyError::TooLarge { .. } => (Some(Limit::ResponseBytes), End::Capped(outcome)),
            BodyError::TooLargeDecoded { .. } => {
                (Some(Limit::DecompressedBytes), End::Capped(outcome))
            }
            BodyError::Timeout(phase) => {
                let limit = self.clock.and_then(|clock| clock.limit(*phase));
                let reason = limit.map_or(Reason::None, |_| Reason::Limit);
                (limit, End::Failed(reason, outcome))
            }
            _ => (None, End::Failed(Reason::None, outcome)),
        };
        if let Some(limit) = limit {
            self.tally.account.limit_hit(limit);
        }
        self.end = end;
    }

    fn cause(&self, error: &SendError) -> (Reason, Option<Limit>) {
        match error {
            SendError::Denied(denial) | SendError::AddressDenied(denial) => {
                (reason_of(denial.reason()), None)
            }
            SendError::Request(_) => (Reason::Malformed, None),
            SendError::Credential(_) => (Reason::Secret, None),
            SendError::TooLarge { .. } => (Reason::Limit, Some(Limit::RequestBytes)),
            SendError::QuotaExhausted(quota) => (Reason::Quota, Some(quota.limit())),
            SendError::RateLimited { .. } => (Reason::Rate, Some(Limit::Rate)),
            SendError::Timeout(Phase::Place) => (Reason::Quota, Some(Limit::Places)),
            SendError::Timeout(phase) => {
                let limit = self.clock.and_then(|clock| clock.limit(*phase));
                (limit.map_or(Reason::None, |_| Reason::Limit), limit)
            }
            _ => (Reason::None, None),
        }
    }
}

/// What a refusal of the policy is called in a record.
pub(crate) fn reason_of(reason: &DenialReason) -> Reason {
    match reason {
        DenialReason::Malformed(_) => Reason::Malformed,
        DenialReason::Address(_) => Reason::Address,
        _ => Reason::NotGranted,
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let (verdict, reason, outcome) = match &self.end {
            End::GivenUp => (Verdict::Allowed, Reason::None, Cow::Borrowed("given up")),
            End::Unread(status) => {
                let outcome = format!("{}, not read to its end", status.as_str());
                (Verdict::Allowed, Reason::None, Cow::Owned(outcome))
            }
            End::Whole(status) => {
                let outcome = Cow::Borrowed(status.as_str());
                (Verdict::Allowed, Reason::None, outcome)
            }
            End::Denied(reason) => (Verdict::Denied, *reason, Cow::Borrowed("")),
            End::Failed(reason, outcome) => {
                (Verdict::Allowed, *reason, Cow::Borrowed(outcome.as_str()))
            }
            End::Capped(outcome) => {
                let outcome = Cow::Borrowed(outcome.as_str());
                (Verdict::Capped, Reason::Limit, outcome)
            }
        };
        let Tally {
            account,
            call,
            rule,
            out,
            back,
        } = &*self.tally;
        account.record(
            call,
            &Record {
                owner: account.owner(),
                call: "",
                capability: account.capability(),
                what: &self.what,
                rule: account.index_of(*rule),
                verdict,
                reason,
                outcome: &outcome,
                remedy: "",
                bytes_out: out.load(Ordering::Relaxed),
                bytes_in: back.load(Ordering::Relaxed),
                time: self.begun.elapsed(),
            },
        );
    }
}
