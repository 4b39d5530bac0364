//! Where records go.
//!
//! Whoever runs a servo wants to see a refusal once, in a line that he can act
//! on; a driver that tries the same ten thousand times must not fill his disk
//! with it. So the log says each thing once at `warn`, with its remedy, and again
//! each time that its count has grown tenfold. The whole record of each
//! decision is there at `debug`.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::record::{Record, Verdict};

/// Different refusals whose counts are kept. Past it the counts begin anew,
/// which only means that something is said twice.
const MOST_KINDS: usize = 1024;

/// Takes records one by one. It must not block: it is called where decisions
/// are made.
pub trait Sink: Send + Sync {
    /// Takes one.
    fn write(&self, record: &Record<'_>);
}

/// Writes records to the log: each whole one at the target `servo::audit` and the
/// level `debug`, and what was not allowed in a short line at `servo::denied` and
/// `warn`, where repeated ones are counted.
#[derive(Debug, Default)]
pub struct Log {
    /// What tells two refusals apart, as a number, and how often it was seen.
    seen: Mutex<HashMap<u64, u64>>,
    hash: RandomState,
}

impl Log {
    /// How often this was refused now, if that is worth a line.
    fn count(&self, record: &Record<'_>) -> Option<u64> {
        let Record {
            owner,
            capability,
            what,
            verdict,
            reason,
            ..
        } = record;
        let kind = self
            .hash
            .hash_one((owner, capability, what, verdict, reason));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST_KINDS && !seen.contains_key(&kind) {
            seen.clear();
        }
        let count = seen.entry(kind).or_default();
        *count = count.saturating_add(1);
        is_power_of_ten(*count).then_some(*count)
    }
}

fn is_power_of_ten(mut number: u64) -> bool {
    while number >= 10 && number.is_multiple_of(10) {
        number /= 10;
    }
    number == 1
}

impl Sink for Log {
    fn write(&self, record: &Record<'_>) {
        let Record {
            owner,
            call,
            capability,
            what,
            rule,
            verdict,
            reason,
            outcome,
            remedy,
            bytes_out,
            bytes_in,
            time,
        } = record;
        tracing::debug!(
            target: "servo::audit",
            tenant = owner.tenant,
            servo = owner.servo,
            driver = owner.driver,
            digest = owner.digest,
            call,
            capability = capability.as_str(),
            what,
            rule = rule.map(|rule| rule as u64),
            verdict = verdict.as_str(),
            reason = reason.as_str(),
            outcome,
            bytes_out,
            bytes_in,
            time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
        );
        let (Verdict::Denied | Verdict::Capped) = verdict else {
            return;
        };
        let Some(times) = self.count(record) else {
            return;
        };
        let again = match times {
            1 => String::new(),
            times => format!(" ({times} times until now)"),
        };
        let driver = owner.driver.as_str();
        if remedy.is_empty() {
            let (capability, verdict) = (capability.as_str(), verdict.as_str());
            let why = if outcome.is_empty() {
                reason.as_str()
            } else {
                outcome
            };
            tracing::warn!(
                target: "servo::denied",
                "{driver}: {capability} {verdict}: {what} ({why}){again}"
            );
        } else {
            tracing::warn!(target: "servo::denied", "{driver}: {remedy}{again}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Capability, Owner, Reason};

    fn record<'a>(owner: &'a Owner, what: &'a str) -> Record<'a> {
        Record::denied(owner, "", Capability::Http, what, Reason::NotGranted)
    }

    #[test]
    fn field_05_refusals_of_one_kind_are_one_line_with_a_count() {
        let (log, owner) = (Log::default(), Owner::default());
        let other = Owner {
            driver: "other".to_owned(),
            ..Owner::default()
        };
        let mut said = Vec::new();
        for _ in 0..20_000 {
            said.extend(log.count(&record(&owner, "GET http://a/")));
        }
        assert_eq!(said, [1, 10, 100, 1_000, 10_000]);
        assert_eq!(log.count(&record(&owner, "GET http://b/")), Some(1));
        assert_eq!(log.count(&record(&other, "GET http://a/")), Some(1));
    }

    #[test]
    fn a_driver_that_varies_what_it_asks_fills_no_memory() {
        let (log, owner) = (Log::default(), Owner::default());
        for number in 0..5 * MOST_KINDS {
            log.count(&record(&owner, &format!("GET http://a/{number}")));
        }
        assert!(log.seen.lock().unwrap().len() <= MOST_KINDS);
    }
}
