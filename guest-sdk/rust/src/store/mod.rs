//! A small store that outlives a call.
//!
//! For drivers that must remember what they set. It belongs to one driver of
//! one servo; the limits are 128 bytes a key and 64 KiB for all keys and
//! values together. What only has to last from one step to the next belongs
//! into the step's state instead.

pub(crate) mod error;

use serde::{Serialize, de::DeserializeOwned};

pub use self::error::Error;
use crate::{access::Access, host::Host as _, json};

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
