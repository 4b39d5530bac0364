//! What can be changed about the sample application.
//!
//! A value of [`Settings`] is always within its ranges: the only ways to one
//! are the default and [`Settings::patched`], which checks the whole document
//! before it changes anything. So no worker ever sees half of a change.

use serde::Serialize;
use serde_json::{Map, Value};

/// The settings in force. Serializes as the document of `GET /settings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Settings {
    workers: u32,
    batch: u32,
    cache: u32,
}

impl Default for Settings {
    /// What the application starts with: safe, and far from the best.
    fn default() -> Self {
        Self {
            workers: 2,
            batch: 1,
            cache: 0,
        }
    }
}

/// One setting: its name and the values it takes (`min`, `min + step`, … `max`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its name in the document.
    pub name: &'static str,
    /// Smallest value.
    pub min: u32,
    /// Largest value.
    pub max: u32,
    /// Distance between two neighbouring values.
    pub step: u32,
    /// What it counts, for display.
    pub unit: &'static str,
}

/// Threads that serve quotes.
pub const WORKERS: Member = Member {
    name: "workers",
    min: 1,
    max: 16,
    step: 1,
    unit: "threads",
};

/// Most requests that a worker takes at once.
pub const BATCH: Member = Member {
    name: "batch",
    min: 1,
    max: 32,
    step: 1,
    unit: "requests",
};

/// Quotes that are kept in memory.
pub const CACHE: Member = Member {
    name: "cache",
    min: 0,
    max: 4096,
    step: 256,
    unit: "entries",
};

/// Every setting, in the order of the document.
pub const MEMBERS: [Member; 3] = [WORKERS, BATCH, CACHE];

/// Why a settings document was refused. The text names the member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The document is JSON, but no object.
    #[error(
        "the settings must be a JSON object with some of `workers`, `batch` and `cache`, not {0}"
    )]
    NotAnObject(&'static str),
    /// No setting has this name.
    #[error("`{0}` is no setting; the settings are `workers`, `batch` and `cache`")]
    Unknown(String),
    /// The value is no whole number.
    #[error("`{}` must be a whole number from {} to {}, not {found}", .member.name, .member.min, .member.max)]
    NotWhole {
        /// The setting.
        member: Member,
        /// The value as JSON text, shortened.
        found: String,
    },
    /// The number is below the smallest or above the largest.
    #[error("`{}` must be from {} to {}, not {found}", .member.name, .member.min, .member.max)]
    OutOfRange {
        /// The setting.
        member: Member,
        /// The number.
        found: u64,
    },
    /// The number lies between two steps.
    #[error("`{}` must be a multiple of {}, not {found}", .member.name, .member.step)]
    OffStep {
        /// The setting.
        member: Member,
        /// The number.
        found: u32,
    },
}

impl SettingsError {
    /// The member at fault, where it is one.
    #[must_use]
    pub fn member(&self) -> Option<&str> {
        match self {
            Self::NotAnObject(_) => None,
            Self::Unknown(name) => Some(name),
            Self::NotWhole { member, .. }
            | Self::OutOfRange { member, .. }
            | Self::OffStep { member, .. } => Some(member.name),
        }
    }
}

impl Settings {
    /// Threads that serve quotes.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.workers
    }

    /// Most requests that a worker takes at once.
    #[must_use]
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// Quotes that are kept in memory.
    #[must_use]
    pub fn cache(&self) -> u32 {
        self.cache
    }

    /// These settings with the members of `document` in place of their own.
    ///
    /// # Errors
    /// The first member that is unknown or has a value it cannot take. Nothing
    /// of the document counts then.
    pub fn patched(self, document: &Value) -> Result<Self, SettingsError> {
        let members = object(document)?;
        let mut new = self;
        for (name, value) in members {
            match name.as_str() {
                "workers" => new.workers = number(WORKERS, value)?,
                "batch" => new.batch = number(BATCH, value)?,
                "cache" => new.cache = number(CACHE, value)?,
                _ => return Err(SettingsError::Unknown(shortened(name))),
            }
        }
        Ok(new)
    }
}

fn object(document: &Value) -> Result<&Map<String, Value>, SettingsError> {
    Err(SettingsError::NotAnObject(match document {
        Value::Object(members) => return Ok(members),
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
    }))
}

fn number(member: Member, value: &Value) -> Result<u32, SettingsError> {
    let Some(found) = whole(value) else {
        return Err(SettingsError::NotWhole {
            member,
            found: shortened(&value.to_string()),
        });
    };
    let in_range = u32::try_from(found)
        .ok()
        .filter(|number| (member.min..=member.max).contains(number));
    let Some(number) = in_range else {
        return Err(SettingsError::OutOfRange { member, found });
    };
    if (number - member.min).is_multiple_of(member.step) {
        Ok(number)
    } else {
        Err(SettingsError::OffStep {
            member,
            found: number,
        })
    }
}

/// Accepts `4.0` beside `4`: JSON has one kind of number, and optimizers that
/// compute in floating point write whole ones that way.
fn whole(value: &Value) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && (0.0..EXACT).contains(&number)).then_some(number as u64)
    })
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LONGEST).collect();
    short.push_str("...");
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_that_are_taken() {
        for (document, expected) in [
            (json!({}), json!({"workers": 2, "batch": 1, "cache": 0})),
            (
                json!({"workers": 16}),
                json!({"workers": 16, "batch": 1, "cache": 0}),
            ),
            (
                json!({"cache": 4096, "batch": 32}),
                json!({"workers": 2, "batch": 32, "cache": 4096}),
            ),
            (
                json!({"workers": 1, "batch": 1, "cache": 256}),
                json!({"workers": 1, "batch": 1, "cache": 256}),
            ),
            (
                json!({"workers": 4.0}),
                json!({"workers": 4, "batch": 1, "cache": 0}),
            ),
        ] {
            let settings = Settings::default().patched(&document).unwrap();
            assert_eq!(
                serde_json::to_value(settings).unwrap(),
                expected,
                "{document}"
            );
        }
    }

    #[test]
    fn documents_that_are_refused() {
        for (document, message) in [
            (
                json!({"workers": 0}),
                "`workers` must be from 1 to 16, not 0",
            ),
            (
                json!({"workers": 17}),
                "`workers` must be from 1 to 16, not 17",
            ),
            (json!({"batch": 0}), "`batch` must be from 1 to 32, not 0"),
            (json!({"batch": 33}), "`batch` must be from 1 to 32, not 33"),
            (
                json!({"cache": 4352}),
                "`cache` must be from 0 to 4096, not 4352",
            ),
            (
                json!({"cache": 300}),
                "`cache` must be a multiple of 256, not 300",
            ),
            (
                json!({"cache": 5_000_000_000_u64}),
                "`cache` must be from 0 to 4096, not 5000000000",
            ),
            (
                json!({"workers": -1}),
                "`workers` must be a whole number from 1 to 16, not -1",
            ),
            (
                json!({"workers": 2.5}),
                "`workers` must be a whole number from 1 to 16, not 2.5",
            ),
            (
                json!({"workers": 1e300}),
                "`workers` must be a whole number from 1 to 16, not 1e+300",
            ),
            (
                json!({"batch": "4"}),
                "`batch` must be a whole number from 1 to 32, not \"4\"",
            ),
            (
                json!({"batch": null}),
                "`batch` must be a whole number from 1 to 32, not null",
            ),
            (
                json!({"threads": 4}),
                "`threads` is no setting; the settings are `workers`, `batch` and `cache`",
            ),
            (
                json!([1]),
                "the settings must be a JSON object with some of `workers`, `batch` and `cache`, not an array",
            ),
            (
                json!({"workers": 4, "batch": 99}),
                "`batch` must be from 1 to 32, not 99",
            ),
        ] {
            let error = Settings::default().patched(&document).unwrap_err();
            assert_eq!(error.to_string(), message, "{document}");
        }
    }

    #[test]
    fn a_long_wrong_value_is_shortened() {
        let document = json!({"batch": "x".repeat(10_000)});
        let text = Settings::default()
            .patched(&document)
            .unwrap_err()
            .to_string();
        assert!(text.len() < 120, "{text}");
    }
}
