//! How much may still be put into one place.
//!
//! The account is kept on the safe side. Charged is the length by which a file
//! grows, holes included, and [`ENTRY_BYTES`] for each new name. Nothing is
//! given back when a file is cut or removed: then no order of calls, and no
//! write that is still under way, can make the disk hold more than was charged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::http::LastDenial;

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
}

impl Quota {
    pub(crate) fn new(bytes: u64, entries: u32, remedy: String) -> Arc<Self> {
        Arc::new(Self {
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
}

impl Account {
    pub(crate) fn new(quota: Arc<Quota>, denial: Arc<LastDenial>) -> Self {
        Self { quota, denial }
    }

    /// A file grows by so many bytes.
    pub(super) fn grow(&self, bytes: u64) -> Result<(), ErrorCode> {
        self.granted(take(&self.quota.bytes, bytes))
    }

    /// A folder gets one more name.
    pub(super) fn add(&self) -> Result<(), ErrorCode> {
        self.granted(take(&self.quota.entries, 1) && take(&self.quota.bytes, ENTRY_BYTES))
    }

    fn granted(&self, granted: bool) -> Result<(), ErrorCode> {
        if granted {
            return Ok(());
        }
        self.denial.set(Some(self.quota.remedy.clone()));
        Err(ErrorCode::Quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(bytes: u64, entries: u32) -> (Account, Arc<LastDenial>) {
        let denial = Arc::new(LastDenial::default());
        let quota = Quota::new(bytes, entries, "full".to_owned());
        (Account::new(quota, Arc::clone(&denial)), denial)
    }

    #[test]
    fn f4_bytes_and_names_are_limited() {
        let (account, denial) = account(ENTRY_BYTES + 10, 10);
        assert!(account.add().is_ok());
        assert!(account.grow(11).is_err());
        assert_eq!(denial.take().as_deref(), Some("full"));
        assert!(account.grow(10).is_ok());
        assert!(account.grow(u64::MAX).is_err());
        assert!(account.add().is_err(), "a name takes a block");

        let (account, _) = self::account(u64::MAX, 1);
        assert!(account.add().is_ok());
        assert!(account.add().is_err());
    }
}
