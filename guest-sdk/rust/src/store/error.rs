//! Why the store did not do what was asked.

use crate::failure::Failure;

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
