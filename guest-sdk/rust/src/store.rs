//! A small store that outlives a call.
//!
//! For drivers that must remember what they set. It belongs to one driver of
//! one servo; the limits are 128 bytes a key and 64 KiB for all keys and
//! values together. What only has to last from one step to the next belongs
//! into the step's state instead.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    failure::Failure,
    host::{Access, Host as _},
    json,
};

/// Why the store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Key or value is empty or too long, or the store is full.
    #[error("the store does not take it: {0}")]
    TooLarge(String),
    /// The store cannot be read or written now. Not the same as a missing key.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A value is not of the type it was read as.
    #[error("the stored value {0}")]
    Type(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// The store, from [`Context::store`](crate::Context::store).
#[derive(Clone)]
pub struct Store {
    host: Access,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    pub(crate) fn new(host: Access) -> Self {
        Self { host }
    }

    /// The text of a key, or nothing when the key is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn get(&self, key: &str) -> Result<Option<String>, Error> {
        self.host.store_get(key)
    }

    /// Sets a key. It is on disk before this returns, and never half written.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] and [`Error::Unavailable`].
    pub fn set(&self, key: &str, value: &str) -> Result<(), Error> {
        self.host.store_set(key, value)
    }

    /// The value of a key that was written with [`put`](Self::put).
    ///
    /// # Errors
    ///
    /// [`Error::Type`] when it is something else, [`Error::Unavailable`].
    pub fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.get(key)? else {
            return Ok(None);
        };
        json::from_slice(text.as_bytes())
            .map(Some)
            .map_err(|error| Error::Type(error.within(key)))
    }

    /// Sets a key to a value, as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Type`] when it has no JSON form, [`Error::TooLarge`],
    /// [`Error::Unavailable`].
    pub fn put<T: Serialize>(&self, key: &str, value: &T) -> Result<(), Error> {
        let text = serde_json::to_string(value)
            .map_err(|error| Error::Type(format!("{key} has no JSON form: {error}")))?;
        self.set(key, &text)
    }

    /// Removes a key. Removing a missing key is not an error.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn remove(&self, key: &str) -> Result<(), Error> {
        self.host.store_remove(key)
    }

    /// All keys, sorted.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        self.host.store_keys()
    }
}
