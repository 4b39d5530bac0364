//! Keys that must have a value where they are written.
//!
//! A key whose value is gone, because its lines were commented out, reads like
//! one that is not there. Where absence means "no limit", that would open what
//! somebody meant to close.

use serde::{Deserialize, Deserializer};

/// Reads a value that may be absent with its key, and in no other way.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::<T>::deserialize(deserializer)?
        .map(Some)
        .ok_or_else(|| {
            serde::de::Error::custom("the key has no value: write one, or remove the key")
        })
}
