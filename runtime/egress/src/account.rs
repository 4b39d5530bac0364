//! Where the requests of one lane are accounted for: its counters, and the
//! records of what was decided.

use std::sync::Arc;

use servo_audit::{Auditor, CallAudit, Capability, Owner, Record};
use servo_policy::RuleId;

use crate::error::Limit;
use crate::ledger::Ledger;
use crate::meter::CallMeter;

/// The books of one lane.
pub(crate) struct Account {
    auditor: Auditor,
    /// For requests outside any call.
    audit: CallAudit,
    capability: Capability,
    pub(crate) ledger: Ledger,
}

impl Account {
    pub(crate) fn new(
        auditor: Auditor,
        owner: Owner,
        capability: Capability,
        ledger: Ledger,
    ) -> Self {
        let owner = Arc::new(owner);
        Self {
            audit: CallAudit::new(auditor.clone(), owner, String::new(), u64::MAX),
            auditor,
            capability,
            ledger,
        }
    }

    pub(crate) fn owner(&self) -> &Owner {
        self.audit.owner()
    }

    pub(crate) fn capability(&self) -> Capability {
        self.capability
    }

    /// The rule's index for a record; our own calls have none.
    pub(crate) fn index_of(&self, rule: RuleId) -> Option<usize> {
        self.ledger.knows(rule).then_some(rule.0)
    }

    pub(crate) fn limit_hit(&self, limit: Limit) {
        self.auditor.limit_hit(limit.key());
    }

    /// Takes a record; its owner and call are set on the way.
    pub(crate) fn record(&self, call: &CallMeter, record: &Record<'_>) {
        call.audit().unwrap_or(&self.audit).record(record);
    }
}
