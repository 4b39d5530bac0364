//! What a dry run kept from happening.
//!
//! A driver decides how often it tries, so the list is bounded: as many
//! different attempts as a person reads, each with how often it was made, and
//! of the rest how many there were.

use std::sync::{Arc, Mutex, PoisonError};

use crate::record::Capability;

/// Different attempts that are listed.
const MOST: usize = 100;

/// Characters of a text that are kept.
const MOST_TEXT: usize = 1_000;

/// Takes what was attempted. Cheap to clone; clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<Mutex<AttemptList>>);

/// One thing that was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What would have been used.
    pub capability: Capability,
    /// What exactly: `POST http://a.example/x?y=1`, `open to create /out/x`,
    /// `set last`.
    pub what: String,
    /// How often.
    pub times: u64,
    /// Bytes that would have been written, all times together.
    pub bytes: u64,
}

/// All that was not done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptList {
    /// The first ones, in the order of their first time.
    pub listed: Vec<Attempt>,
    /// Attempts beyond those.
    pub more: u64,
}

impl AttemptList {
    /// Was nothing attempted?
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.more == 0
    }
}

impl Attempts {
    /// Something was not done.
    pub fn note(&self, capability: Capability, what: &str, bytes: u64) {
        let what = shown(what);
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = list
            .listed
            .iter_mut()
            .find(|known| known.capability == capability && known.what == what);
        if let Some(known) = known {
            known.times += 1;
            known.bytes = known.bytes.saturating_add(bytes);
        } else if list.listed.len() < MOST {
            list.listed.push(Attempt {
                capability,
                what,
                times: 1,
                bytes,
            });
        } else {
            list.more += 1;
        }
    }

    /// What was attempted until now.
    pub fn list(&self) -> AttemptList {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Cut, and with nothing in it that a terminal would take for its own.
fn shown(text: &str) -> String {
    text.chars()
        .take(MOST_TEXT)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_attempts_are_one_entry_and_the_rest_is_counted() {
        let attempts = Attempts::default();
        for bytes in [1, 2] {
            attempts.note(Capability::Http, "POST http://a/", bytes);
        }
        attempts.note(Capability::State, "POST http://a/", 4);
        for index in 0..MOST {
            attempts.note(Capability::Files, &format!("remove /out/{index}"), 0);
        }
        let list = attempts.list();
        assert_eq!(list.listed.len(), MOST);
        assert_eq!((list.listed[0].times, list.listed[0].bytes), (2, 3));
        assert_eq!(list.listed[1].capability, Capability::State);
        assert_eq!(list.more, 2);
    }

    #[test]
    fn texts_of_guests_are_cut_and_cleaned() {
        let attempts = Attempts::default();
        attempts.note(
            Capability::State,
            &format!("set \x1b{}", "é".repeat(2_000)),
            0,
        );
        let list = attempts.list();
        assert_eq!(list.listed[0].what.chars().count(), MOST_TEXT);
        assert!(list.listed[0].what.starts_with("set \u{fffd}é"));
    }
}
