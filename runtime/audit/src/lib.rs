//! One record for each decision of the host about one use of a capability.
//!
//! The crates that decide (egress, sandbox, artifact) share no parent that may
//! do anything, so what they say about their decisions stands here, below all
//! of them: the [`Record`], the [`Auditor`] that takes it, and the
//! [`Counters`] that are kept of it. Every name in a record that becomes a
//! label of a metric comes from a closed list; what a driver can choose (paths,
//! names, messages) is a value of a log line and never a label.
//!
//! A record is one line at the target `servo::audit`. Chaining, verifying and
//! keeping records in a file of each tenant belong behind [`Sink`].

#![forbid(unsafe_code)]

mod attempts;
mod call;
mod counters;
mod record;
mod sink;

pub use attempts::{Attempt, AttemptList, Attempts};
pub use call::CallAudit;
pub use counters::{Count, Counters, LimitHits};
pub use record::{Capability, Owner, Reason, Record, Verdict};
pub use sink::{Log, Sink};

use std::sync::Arc;

/// Takes records: counts each, and hands it to a sink. Cheap to clone; clones
/// share the counters.
#[derive(Clone)]
pub struct Auditor(Arc<Inner>);

struct Inner {
    counters: Counters,
    sink: Box<dyn Sink>,
}

impl Auditor {
    /// An auditor that hands records to `sink`.
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self(Arc::new(Inner {
            counters: Counters::default(),
            sink: Box::new(sink),
        }))
    }

    /// Takes one record.
    pub fn record(&self, record: &Record<'_>) {
        self.0.counters.count(record);
        self.0.sink.write(record);
    }

    /// Counts a decision that is not recorded by itself.
    pub(crate) fn count(&self, record: &Record<'_>) {
        self.0.counters.count(record);
    }

    /// Counts that a limit ended or cut something. `limit` is its key in
    /// `servo limits`.
    pub fn limit_hit(&self, limit: &'static str) {
        self.0.counters.limit_hit(limit);
    }

    /// What was counted up to now.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }
}

/// Writes records to the log.
impl Default for Auditor {
    fn default() -> Self {
        Self::new(Log::default())
    }
}

impl std::fmt::Debug for Auditor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auditor").finish_non_exhaustive()
    }
}
