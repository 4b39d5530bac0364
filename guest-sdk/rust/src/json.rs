//! JSON whose errors name the place by its path, not by line and column: the
//! text came from a program, and nobody has it in front of them.

use std::fmt;

use serde::de::DeserializeOwned;

/// Where and why a JSON document is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonError {
    path: String,
    message: String,
}

impl JsonError {
    /// The error with the name of the whole document put before the path.
    pub(crate) fn within(&self, root: &str) -> String {
        if self.path.is_empty() || self.path == "." {
            format!("{root}: {}", self.message)
        } else {
            format!("{root}.{}: {}", self.path, self.message)
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() || self.path == "." {
            f.write_str(&self.message)
        } else {
            write!(f, "at {}: {}", self.path, self.message)
        }
    }
}

impl From<serde_path_to_error::Error<serde_json::Error>> for JsonError {
    fn from(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        Self {
            path: error.path().to_string(),
            message: error.inner().to_string(),
        }
    }
}

pub(crate) fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, JsonError> {
    Ok(serde_path_to_error::deserialize(value)?)
}

pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer)?;
    deserializer.end().map_err(|error| JsonError {
        path: String::new(),
        message: error.to_string(),
    })?;
    Ok(value)
}
