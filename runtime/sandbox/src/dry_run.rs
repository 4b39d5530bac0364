//! A call in which nothing is changed, whatever its driver does.
//!
//! The host does not ask the driver to behave: requests that do not only read
//! are held back by the gate, folders are opened for reading alone, actions are
//! refused, and what is put into the state store goes into a copy that ends
//! with the call. What was attempted is listed for the one who asked.

use std::sync::{Arc, Mutex, PoisonError};

use servo_audit::{Attempts, Capability};

use crate::state_store::{self, Entries, StateError, StateStore};

/// What the steps of a dry run share.
pub(crate) struct DryRun {
    pub(crate) attempts: Attempts,
    pub(crate) state: Arc<dyn StateStore>,
}

impl DryRun {
    pub(crate) fn new(state: Arc<dyn StateStore>) -> Self {
        Self {
            attempts: Attempts::default(),
            state: Arc::new(Copied::new(state)),
        }
    }
}

/// What the operator is told when a driver fails after something was held back.
pub(crate) fn held_back(capability: Capability, what: &str) -> String {
    format!("this is a dry run: {capability}: {what} was not done")
}

/// A state store as it was when it was first looked at, to be written to and
/// thrown away.
struct Copied {
    below: Arc<dyn StateStore>,
    entries: Mutex<Option<Entries>>,
}

impl Copied {
    fn new(below: Arc<dyn StateStore>) -> Self {
        Self {
            below,
            entries: Mutex::new(None),
        }
    }

    fn with<T>(
        &self,
        act: impl FnOnce(&mut Entries) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = &mut *entries {
            return act(entries);
        }
        let mut copy = Entries::new();
        for key in self.below.keys()? {
            if let Some(value) = self.below.get(&key)? {
                copy.insert(key, value);
            }
        }
        act(entries.insert(copy))
    }
}

impl StateStore for Copied {
    fn get(&self, key: &str) -> Result<Option<String>, StateError> {
        self.with(|entries| Ok(entries.get(key).cloned()))
    }

    fn set(&self, key: &str, value: &str) -> Result<(), StateError> {
        self.with(|entries| {
            state_store::check(entries, key, value)?;
            entries.insert(key.to_owned(), value.to_owned());
            Ok(())
        })
    }

    fn remove(&self, key: &str) -> Result<(), StateError> {
        self.with(|entries| {
            entries.remove(key);
            Ok(())
        })
    }

    fn keys(&self) -> Result<Vec<String>, StateError> {
        self.with(|entries| Ok(entries.keys().cloned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_store::{MAX_STORE_BYTES, MemoryState};

    #[test]
    fn a_copy_is_written_to_and_what_is_below_stays() {
        let below = Arc::new(MemoryState::default());
        below.set("a", "1").unwrap();
        below.set("b", "2").unwrap();
        let copy = Copied::new(Arc::clone(&below) as Arc<dyn StateStore>);
        copy.set("a", "3").unwrap();
        copy.set("c", "4").unwrap();
        copy.remove("b").unwrap();
        assert_eq!(copy.keys().unwrap(), ["a", "c"]);
        assert_eq!(copy.get("a").unwrap().as_deref(), Some("3"));
        assert_eq!(copy.get("b").unwrap(), None);
        assert_eq!(below.keys().unwrap(), ["a", "b"]);
        assert_eq!(below.get("a").unwrap().as_deref(), Some("1"));
        let large = "v".repeat(MAX_STORE_BYTES + 1);
        assert!(matches!(
            copy.set("d", &large),
            Err(StateError::TooLarge(_))
        ));
    }
}
