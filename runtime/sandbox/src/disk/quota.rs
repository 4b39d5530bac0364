//! How much may still be put into one place.
//!
//! The account is kept on the safe side. Charged is the length by which a file
//! grows, holes included, and [`ENTRY_BYTES`] for each new name. Nothing is
//! given back when a file is cut or removed: then no order of calls, and no
//! write that is still under way, can make the disk hold more than was charged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::http::{LastDenial, Refusal};
use crate::records::Records;

/// What a new file or folder is charged beside its length: one block, which its
/// last bytes or its listing take. Without it a million empty files were free.
const ENTRY_BYTES: u64 = 4096;

/// Bytes and names that are left.
#[derive(Debug)]
pub(crate) struct Quota {
    bytes: AtomicU64,
    entries: AtomicU64,
    /// What is used up when nothing is left, and who can raise it.
    remedy: String,
    /// The limit on bytes, as `servo limits` names it.
    key: &'static str,
}

impl Quota {
    pub(crate) fn new(key: &'static str, bytes: u64, entries: u32, remedy: String) -> Arc<Self> {
        Arc::new(Self {
            key,
            bytes: AtomicU64::new(bytes),
            entries: AtomicU64::new(u64::from(entries)),
            remedy,
        })
    }
}

fn take(left: &AtomicU64, amount: u64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(amount)
    })
    .is_ok()
}

/// A quota, and where the operator is told that it is used up.
#[derive(Clone)]
pub(crate) struct Account {
    quota: Arc<Quota>,
    denial: Arc<LastDenial>,
    records: Arc<Records>,
}

impl Account {
    pub(crate) fn new(quota: Arc<Quota>, denial: Arc<LastDenial>, records: Arc<Records>) -> Self {
        Self {
            quota,
            denial,
            records,
        }
    }

    /// A file grows by so many bytes.
    pub(super) fn grow(&self, bytes: u64) -> Result<(), ErrorCode> {
        if take(&self.quota.bytes, bytes) {
            Ok(())
        } else {
            Err(self.full(self.quota.key))
        }
    }

    /// A folder gets one more name.
    pub(super) fn add(&self) -> Result<(), ErrorCode> {
        if !take(&self.quota.entries, 1) {
            return Err(self.full("disk_entries"));
        }
        self.grow(ENTRY_BYTES)
    }

    /// Whose records tell of what is under this quota.
    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// Explains a failure of the guest that comes next.
    pub(super) fn tell_held_back(&self, text: String) {
        self.denial.set(Some(Refusal::held_back(text)));
    }

    fn full(&self, key: &'static str) -> ErrorCode {
        self.records.limit_hit(key);
        self.denial
            .set(Some(Refusal::denied(self.quota.remedy.clone())));
        ErrorCode::Quota
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(bytes: u64, entries: u32) -> (Account, Arc<LastDenial>) {
        let denial = Arc::new(LastDenial::default());
        let quota = Quota::new("disk_bytes", bytes, entries, "full".to_owned());
        let records = Arc::new(Records::nobody());
        (Account::new(quota, Arc::clone(&denial), records), denial)
    }

    /// How often a limit was counted.
    fn hits(account: &Account, key: &str) -> u64 {
        let hits = account.records.audit().auditor().counters().limit_hits();
        hits.get(key).copied().unwrap_or(0)
    }

    #[test]
    fn f4_bytes_and_names_are_limited() {
        let (account, denial) = account(ENTRY_BYTES + 10, 10);
        assert!(account.add().is_ok());
        assert!(account.grow(11).is_err());
        assert_eq!(denial.take(), Some(Refusal::denied("full".to_owned())));
        assert!(account.grow(10).is_ok());
        assert!(account.grow(u64::MAX).is_err());
        assert!(account.add().is_err(), "a name takes a block");
        assert_eq!(hits(&account, "disk_bytes"), 3);

        let (account, _) = self::account(u64::MAX, 1);
        assert!(account.add().is_ok());
        assert!(account.add().is_err());
        assert_eq!(hits(&account, "disk_entries"), 1);
    }
}
