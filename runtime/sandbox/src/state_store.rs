//! The small store that outlives a call (`servo:driver/state`).
//!
//! One file for each driver of each servo, replaced as a whole, so that a crash
//! leaves the old content or the new one. "Missing" and "unreadable" are
//! different answers: a driver that took the second for the first would forget
//! what it set.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Longest key in bytes: keys are names, not data.
pub const MAX_KEY_BYTES: usize = 128;

/// All keys and values together. What a driver must remember is what it set;
/// anything larger belongs to the application.
pub const MAX_STORE_BYTES: usize = 64 << 10;

/// Why the store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Key or value over the limits.
    #[error("{0}")]
    TooLarge(String),
    /// The store cannot be read or written now.
    #[error("{0}")]
    Unavailable(String),
}

/// A key-value store for one driver of one servo.
pub trait StateStore: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// The store cannot be read.
    fn get(&self, key: &str) -> Result<Option<String>, StateError>;
    /// Sets a key; kept for good when it returns.
    ///
    /// # Errors
    /// The entry is too large, or the store cannot be written.
    fn set(&self, key: &str, value: &str) -> Result<(), StateError>;
    /// Removes a key, if it is there.
    ///
    /// # Errors
    /// The store cannot be written.
    fn remove(&self, key: &str) -> Result<(), StateError>;
    /// All keys, sorted.
    ///
    /// # Errors
    /// The store cannot be read.
    fn keys(&self) -> Result<Vec<String>, StateError>;
}

pub(crate) type Entries = BTreeMap<String, String>;

/// Whether a key with this value fits.
pub(crate) fn check(entries: &Entries, key: &str, value: &str) -> Result<(), StateError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(StateError::TooLarge(format!(
            "a key has 1 to {MAX_KEY_BYTES} bytes; this one has {}",
            key.len()
        )));
    }
    let others: usize = entries
        .iter()
        .filter(|(known, _)| known.as_str() != key)
        .map(|(known, value)| known.len() + value.len())
        .sum();
    let total = others + key.len() + value.len();
    if total > MAX_STORE_BYTES {
        return Err(StateError::TooLarge(format!(
            "the store holds at most {MAX_STORE_BYTES} bytes; this would make {total}"
        )));
    }
    Ok(())
}

/// A store that is forgotten with the process, for calls from the command line.
#[derive(Debug, Default)]
pub struct MemoryState {
    entries: Mutex<Entries>,
}

impl StateStore for MemoryState {
    fn get(&self, key: &str) -> Result<Option<String>, StateError> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(entries.get(key).cloned())
    }

    fn set(&self, key: &str, value: &str) -> Result<(), StateError> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        check(&entries, key, value)?;
        entries.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn remove(&self, key: &str) -> Result<(), StateError> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(key);
        Ok(())
    }

    fn keys(&self) -> Result<Vec<String>, StateError> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(entries.keys().cloned().collect())
    }
}

/// A store in one JSON file.
#[derive(Debug)]
pub struct FileState {
    path: PathBuf,
    /// Serialises read-change-write; the file has one writer process.
    lock: Mutex<()>,
}

impl FileState {
    /// A store in `path`; the file appears with the first key that is set.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            lock: Mutex::new(()),
        }
    }

    fn read(&self) -> Result<Entries, StateError> {
        let unavailable = |problem: String| {
            StateError::Unavailable(format!("{}: {problem}", self.path.display()))
        };
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Entries::new());
            }
            Err(error) => return Err(unavailable(error.to_string())),
        };
        serde_json::from_str(&text).map_err(|error| unavailable(error.to_string()))
    }

    fn write(&self, entries: &Entries) -> Result<(), StateError> {
        let write = || -> std::io::Result<()> {
            let folder = self.path.parent().unwrap_or(std::path::Path::new("."));
            std::fs::create_dir_all(folder)?;
            let temporary = self.path.with_extension("new");
            let mut file = std::fs::File::create(&temporary)?;
            file.write_all(serde_json::to_string(entries)?.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, &self.path)?;
            std::fs::File::open(folder)?.sync_all()
        };
        write()
            .map_err(|error| StateError::Unavailable(format!("{}: {error}", self.path.display())))
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Entries) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.read()?;
        change(&mut entries)?;
        self.write(&entries)
    }
}

impl StateStore for FileState {
    fn get(&self, key: &str) -> Result<Option<String>, StateError> {
        Ok(self.read()?.remove(key))
    }

    fn set(&self, key: &str, value: &str) -> Result<(), StateError> {
        self.change(|entries| {
            check(entries, key, value)?;
            entries.insert(key.to_owned(), value.to_owned());
            Ok(())
        })
    }

    fn remove(&self, key: &str) -> Result<(), StateError> {
        self.change(|entries| {
            entries.remove(key);
            Ok(())
        })
    }

    fn keys(&self) -> Result<Vec<String>, StateError> {
        Ok(self.read()?.into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_store_remembers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("state.json");
        FileState::new(path.clone()).set("a", "1").unwrap();
        let again = FileState::new(path);
        again.set("b", "2").unwrap();
        again.remove("a").unwrap();
        assert_eq!(again.keys().unwrap(), ["b"]);
        assert_eq!(again.get("a").unwrap(), None);
        assert_eq!(again.get("b").unwrap().as_deref(), Some("2"));
    }

    #[test]
    fn an_unreadable_store_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        std::fs::write(&path, "{\"half").unwrap();
        let store = FileState::new(path.clone());
        assert!(matches!(store.get("a"), Err(StateError::Unavailable(_))));
        assert!(matches!(
            store.set("a", "1"),
            Err(StateError::Unavailable(_))
        ));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"half");
    }

    #[test]
    fn the_limits_hold() {
        let store = MemoryState::default();
        let long = "k".repeat(MAX_KEY_BYTES + 1);
        let large = "v".repeat(MAX_STORE_BYTES);
        for (key, value) in [("", "v"), (long.as_str(), "v"), ("k", large.as_str())] {
            assert!(matches!(
                store.set(key, value),
                Err(StateError::TooLarge(_))
            ));
        }
        let fits = "v".repeat(MAX_STORE_BYTES - 1);
        store.set("k", &fits).unwrap();
        store.set("k", &fits).unwrap();
        assert!(matches!(store.set("l", ""), Err(StateError::TooLarge(_))));
    }
}
