//! What is counted of decisions. The number of counters is fixed when this is
//! compiled, whatever drivers do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::record::{Capability, Reason, Record, Verdict};

const CAPABILITIES: usize = Capability::ALL.len();
const VERDICTS: usize = Verdict::ALL.len();
const REASONS: usize = Reason::ALL.len();

/// How often something was decided, and what it moved.
#[derive(Debug)]
pub struct Counters {
    decisions: [[[AtomicU64; REASONS]; VERDICTS]; CAPABILITIES],
    bytes_out: [AtomicU64; CAPABILITIES],
    bytes_in: [AtomicU64; CAPABILITIES],
    limits: Mutex<BTreeMap<&'static str, u64>>,
}

/// One counter of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// What was used.
    pub capability: Capability,
    /// What was decided.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// How often.
    pub count: u64,
}

/// How often each limit ended or cut something, by its key.
pub type LimitHits = BTreeMap<&'static str, u64>;

impl Default for Counters {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            decisions: std::array::from_fn(|_| {
                std::array::from_fn(|_| std::array::from_fn(|_| zero()))
            }),
            bytes_out: std::array::from_fn(|_| zero()),
            bytes_in: std::array::from_fn(|_| zero()),
            limits: Mutex::default(),
        }
    }
}

impl Counters {
    pub(crate) fn count(&self, record: &Record<'_>) {
        let (capability, verdict) = (record.capability as usize, record.verdict as usize);
        let decision = self
            .decisions
            .get(capability)
            .and_then(|of| of.get(verdict))
            .and_then(|of| of.get(record.reason as usize));
        for (counter, amount) in [
            (decision, 1),
            (self.bytes_out.get(capability), record.bytes_out),
            (self.bytes_in.get(capability), record.bytes_in),
        ] {
            if let Some(counter) = counter
                && amount > 0
            {
                counter.fetch_add(amount, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn limit_hit(&self, limit: &'static str) {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        *limits.entry(limit).or_default() += 1;
    }

    /// How often one thing was decided.
    pub fn of(&self, capability: Capability, verdict: Verdict, reason: Reason) -> u64 {
        self.decisions
            .get(capability as usize)
            .and_then(|of| of.get(verdict as usize))
            .and_then(|of| of.get(reason as usize))
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// How often a capability was denied, for whatever reason.
    pub fn denied(&self, capability: Capability) -> u64 {
        Reason::ALL
            .iter()
            .map(|reason| self.of(capability, Verdict::Denied, *reason))
            .sum()
    }

    /// Every counter of decisions that is not zero.
    pub fn counts(&self) -> Vec<Count> {
        let mut counts = Vec::new();
        for &capability in Capability::ALL {
            for &verdict in Verdict::ALL {
                for &reason in Reason::ALL {
                    let count = self.of(capability, verdict, reason);
                    if count > 0 {
                        counts.push(Count {
                            capability,
                            verdict,
                            reason,
                            count,
                        });
                    }
                }
            }
        }
        counts
    }

    /// How often each limit was hit; limits that never were are absent.
    pub fn limit_hits(&self) -> LimitHits {
        self.limits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All of it in the Prometheus text format.
    pub fn prometheus(&self) -> String {
        let mut text = String::from(
            "# HELP servo_decisions_total Decisions about one use of a capability.\n\
             # TYPE servo_decisions_total counter\n",
        );
        for Count {
            capability,
            verdict,
            reason,
            count,
        } in self.counts()
        {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "servo_decisions_total{{capability=\"{capability}\",verdict=\"{verdict}\",\
                 reason=\"{reason}\"}} {count}"
            );
        }
        for (name, help, counters) in [
            ("sent", "Bytes that went out.", &self.bytes_out),
            ("received", "Bytes that came in.", &self.bytes_in),
        ] {
            let _ = writeln!(
                text,
                "# HELP servo_{name}_bytes_total {help}\n# TYPE servo_{name}_bytes_total counter"
            );
            for (capability, counter) in Capability::ALL.iter().zip(counters) {
                let value = counter.load(Ordering::Relaxed);
                if value > 0 {
                    let _ = writeln!(
                        text,
                        "servo_{name}_bytes_total{{capability=\"{capability}\"}} {value}"
                    );
                }
            }
        }
        text.push_str(
            "# HELP servo_limit_hits_total Times a limit ended or cut something.\n\
             # TYPE servo_limit_hits_total counter\n",
        );
        for (limit, count) in self.limit_hits() {
            let _ = writeln!(text, "servo_limit_hits_total{{limit=\"{limit}\"}} {count}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Auditor, Owner};

    #[test]
    fn decisions_bytes_and_limits_are_counted() {
        let auditor = Auditor::default();
        let owner = Owner::default();
        let mut record = Record::denied(
            &owner,
            "c1",
            Capability::Http,
            "GET http://a/",
            Reason::Rate,
        );
        auditor.record(&record);
        auditor.record(&record);
        record.verdict = Verdict::Allowed;
        record.reason = Reason::None;
        record.bytes_in = 7;
        auditor.record(&record);
        auditor.limit_hit("memory");
        let counters = auditor.counters();
        assert_eq!(counters.denied(Capability::Http), 2);
        assert_eq!(counters.denied(Capability::Files), 0);
        let text = counters.prometheus();
        for line in [
            "servo_decisions_total{capability=\"http\",verdict=\"denied\",reason=\"rate\"} 2",
            "servo_decisions_total{capability=\"http\",verdict=\"allowed\",reason=\"-\"} 1",
            "servo_received_bytes_total{capability=\"http\"} 7",
            "servo_limit_hits_total{limit=\"memory\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
