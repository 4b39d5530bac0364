//! What a lane was used for: the answer to "what does this driver really do?".
//!
//! Bounded whatever a driver does: one entry per rule, and as many distinct
//! refusals as a person reads; the rest is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use servo_policy::{HttpRules, RuleId};

/// Distinct refusals remembered.
const MOST_DENIALS: usize = 64;

/// The counters of a lane.
#[derive(Debug)]
pub struct Ledger {
    rules: Vec<Counters>,
    denials: Mutex<Denials>,
}

#[derive(Debug)]
struct Counters {
    rule: String,
    requests: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
}

#[derive(Debug, Default)]
struct Denials {
    distinct: Vec<DenialCount>,
    more: u64,
}

/// A lane's counters at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerSnapshot {
    /// One entry per rule, in the operator's order.
    pub rules: Vec<RuleUse>,
    /// Refused requests, the first seen first; at most 64 distinct ones.
    pub denials: Vec<DenialCount>,
    /// Refusals beyond those.
    pub more_denials: u64,
}

/// How much one rule was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleUse {
    /// The rule.
    pub rule: String,
    /// Requests it allowed that were sent.
    pub requests: u64,
    /// Bytes of request bodies.
    pub bytes_out: u64,
    /// Bytes of response bodies.
    pub bytes_in: u64,
}

/// How often one request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DenialCount {
    /// Method, origin and path, without the query.
    pub request: String,
    /// How often.
    pub count: u64,
}

impl Ledger {
    pub(crate) fn new(rules: &HttpRules) -> Self {
        Self {
            rules: rules
                .iter()
                .map(|grant| Counters {
                    rule: grant.rule.to_string(),
                    requests: AtomicU64::new(0),
                    bytes_out: AtomicU64::new(0),
                    bytes_in: AtomicU64::new(0),
                })
                .collect(),
            denials: Mutex::default(),
        }
    }

    pub(crate) fn knows(&self, rule: RuleId) -> bool {
        rule.0 < self.rules.len()
    }

    pub(crate) fn used(&self, rule: RuleId) {
        if let Some(counters) = self.rules.get(rule.0) {
            counters.requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn sent(&self, rule: RuleId, bytes: u64) {
        if let Some(counters) = self.rules.get(rule.0) {
            counters.bytes_out.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn received(&self, rule: RuleId, bytes: u64) {
        if let Some(counters) = self.rules.get(rule.0) {
            counters.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn denied(&self, request: &str) {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = denials.distinct.iter_mut().find(|d| d.request == request) {
            known.count += 1;
        } else if denials.distinct.len() < MOST_DENIALS {
            denials.distinct.push(DenialCount {
                request: request.to_owned(),
                count: 1,
            });
        } else {
            denials.more += 1;
        }
    }

    /// The counters now.
    pub fn snapshot(&self) -> LedgerSnapshot {
        let denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        LedgerSnapshot {
            rules: self
                .rules
                .iter()
                .map(|counters| RuleUse {
                    rule: counters.rule.clone(),
                    requests: counters.requests.load(Ordering::Relaxed),
                    bytes_out: counters.bytes_out.load(Ordering::Relaxed),
                    bytes_in: counters.bytes_in.load(Ordering::Relaxed),
                })
                .collect(),
            denials: denials.distinct.clone(),
            more_denials: denials.more,
        }
    }
}
