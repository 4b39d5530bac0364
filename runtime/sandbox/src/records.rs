//! What the sandbox writes down of its decisions.
//!
//! One place turns a decision into a record and a count, so that the parts
//! which decide (files, sockets, store, budget) say what happened and nothing
//! about how it is kept. Texts that a guest chose are cut and cleaned here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use servo_audit::{CallAudit, Capability, Reason, Record, Verdict};

/// Longest text of a guest in a record, in bytes.
const MAX_WHAT: usize = 200;

/// The records of one call.
#[derive(Debug)]
pub(crate) struct Records {
    audit: CallAudit,
    /// The limits that were counted for what a whole call has only once.
    once: AtomicU64,
}

/// What a call has only once, however often it runs into it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Once {
    /// Log lines by number.
    LogLines,
    /// Log lines by size.
    LogBytes,
    /// Standard output and error.
    Output,
}

impl Once {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::LogLines => ("log_lines", "log lines"),
            Self::LogBytes => ("log_bytes", "log text"),
            Self::Output => ("output_bytes", "standard output and error"),
        }
    }
}

impl Records {
    pub(crate) fn new(audit: CallAudit) -> Self {
        Self {
            audit,
            once: AtomicU64::new(0),
        }
    }

    /// Records that nobody reads.
    #[cfg(test)]
    pub(crate) fn nobody() -> Self {
        let auditor = servo_audit::Auditor::default();
        Self::new(CallAudit::new(
            auditor,
            std::sync::Arc::default(),
            String::new(),
            0,
        ))
    }

    #[cfg(test)]
    pub(crate) fn audit(&self) -> &CallAudit {
        &self.audit
    }

    /// Something was done as asked. `outcome` says how it ended, where that is
    /// not plain.
    pub(crate) fn allowed(&self, capability: Capability, what: &str, outcome: &str) {
        self.write(capability, what, Verdict::Allowed, Reason::None, outcome);
    }

    /// Something was not done.
    pub(crate) fn denied(&self, capability: Capability, what: &str, reason: Reason) {
        self.write(capability, what, Verdict::Denied, reason, "");
    }

    /// Counts that a limit cut or ended something.
    pub(crate) fn limit_hit(&self, key: &'static str) {
        self.audit.auditor().limit_hit(key);
    }

    /// A limit has ended a step.
    pub(crate) fn ended(&self, step: &str, key: &'static str) {
        self.limit_hit(key);
        self.write(
            Capability::Budget,
            step,
            Verdict::Denied,
            Reason::Limit,
            key,
        );
    }

    /// A step was over because its call was cancelled.
    pub(crate) fn cancelled(&self, step: &str, outcome: &str) {
        self.write(
            Capability::Budget,
            step,
            Verdict::Capped,
            Reason::Cancelled,
            outcome,
        );
    }

    /// A limit has cut what a call says; recorded and counted once for a call.
    pub(crate) fn cut(&self, what: Once) {
        let bit = 1 << what as u64;
        if self.once.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            return;
        }
        let (key, words) = what.words();
        self.limit_hit(key);
        self.write(
            Capability::Output,
            words,
            Verdict::Capped,
            Reason::Limit,
            key,
        );
    }

    /// A folder had more entries than a guest is shown.
    pub(crate) fn cut_listing(&self) {
        self.limit_hit("folder_entries");
        self.write(
            Capability::Files,
            "list",
            Verdict::Capped,
            Reason::Limit,
            "folder_entries",
        );
    }

    fn write(
        &self,
        capability: Capability,
        what: &str,
        verdict: Verdict,
        reason: Reason,
        outcome: &str,
    ) {
        self.audit.record(&Record {
            owner: self.audit.owner(),
            call: self.audit.call(),
            capability,
            what: &clean(what),
            rule: None,
            verdict,
            reason,
            outcome,
            remedy: "",
            bytes_out: 0,
            bytes_in: 0,
            time: Duration::ZERO,
        });
    }
}

/// A text of a guest as it stands in a record.
pub(crate) fn clean(text: &str) -> String {
    servo_text::shown_within(text, MAX_WHAT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g5_texts_of_guests_are_cut_and_cleaned() {
        assert_eq!(clean("a\nb\x1b[0m"), "a\\nb\\u{1b}[0m");
        assert!(clean(&"é".repeat(300)).len() <= MAX_WHAT);
    }
}
