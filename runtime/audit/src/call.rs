//! The records of one call, as many as its budget allows.
//!
//! A driver decides how often it asks, and so how many records there are. The
//! first ones are written one by one; the rest are counted like the others and
//! summed up in one record for each verdict when the call is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Auditor;
use crate::record::{Capability, Owner, Reason, Record, Verdict};

/// Takes the records of one call. Cheap to clone; clones share the count.
#[derive(Clone, Debug)]
pub struct CallAudit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    auditor: Auditor,
    owner: Arc<Owner>,
    call: String,
    left: AtomicU64,
    /// Not recorded one by one, by verdict.
    more: [AtomicU64; Verdict::ALL.len()],
}

impl CallAudit {
    /// For one call of `owner`, of which at most `records` are written one by one.
    pub fn new(auditor: Auditor, owner: Arc<Owner>, call: String, records: u64) -> Self {
        Self(Arc::new(Inner {
            auditor,
            owner,
            call,
            left: AtomicU64::new(records),
            more: std::array::from_fn(|_| AtomicU64::new(0)),
        }))
    }

    /// Whose call it is.
    pub fn owner(&self) -> &Owner {
        &self.0.owner
    }

    /// The call's id.
    pub fn call(&self) -> &str {
        &self.0.call
    }

    /// Where the records go.
    pub fn auditor(&self) -> &Auditor {
        &self.0.auditor
    }

    /// Takes a record of this call; its owner and call are set here.
    pub fn record(&self, record: &Record<'_>) {
        let record = Record {
            owner: &self.0.owner,
            call: &self.0.call,
            ..record.clone()
        };
        let take = self
            .0
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        if take.is_ok() {
            self.0.auditor.record(&record);
            return;
        }
        self.0.auditor.count(&record);
        if let Some(more) = self.0.more.get(record.verdict as usize) {
            more.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records that something of this call was not done.
    pub fn denied(&self, capability: Capability, what: &str, reason: Reason) {
        self.record(&Record::denied(
            &self.0.owner,
            &self.0.call,
            capability,
            what,
            reason,
        ));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for (&verdict, more) in Verdict::ALL.iter().zip(&self.more) {
            let more = more.load(Ordering::Relaxed);
            if more == 0 {
                continue;
            }
            self.auditor.limit_hit("audit_records");
            self.auditor.0.sink.write(&Record {
                owner: &self.owner,
                call: &self.call,
                capability: Capability::Budget,
                what: &format!("{more} further decisions of this call"),
                rule: None,
                verdict,
                reason: Reason::Summary,
                outcome: "",
                remedy: "",
                bytes_out: 0,
                bytes_in: 0,
                time: Duration::ZERO,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::Sink;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl Sink for Lines {
        fn write(&self, record: &Record<'_>) {
            let line = format!("{} {} {}", record.call, record.what, record.reason);
            self.0.lock().unwrap().push(line);
        }
    }

    #[test]
    fn what_is_over_the_budget_is_counted_and_summed_up() {
        let lines = Lines::default();
        let auditor = Auditor::new(lines.clone());
        let call = CallAudit::new(auditor.clone(), Arc::default(), "c1".to_owned(), 2);
        for _ in 0..5 {
            call.denied(Capability::Files, "open /x", Reason::NotGranted);
        }
        drop(call);
        assert_eq!(auditor.counters().denied(Capability::Files), 5);
        assert_eq!(
            *lines.0.lock().unwrap(),
            [
                "c1 open /x not-granted",
                "c1 open /x not-granted",
                "c1 3 further decisions of this call summary",
            ]
        );
    }
}
