//! How the service wants a call to be done (protocol section 16.1).

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use thiserror::Error;

use crate::duration::{DurationTextError, parse_duration_text};
use crate::{Members, Number};

/// A length of time: finite, zero or more, at most a thousand years.
///
/// Written as a number of seconds; read from a number, a numeric text or a
/// duration text (section 19.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Seconds(Duration);

/// Why something is not a length of time.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SecondsError {
    /// A number that is negative, not finite or above a thousand years.
    #[error(
        "{0} is no length of time; it must be zero or more seconds and at most a thousand years"
    )]
    Number(f64),
    /// A text that is neither a number nor a duration.
    #[error(transparent)]
    Text(#[from] DurationTextError),
}

impl Seconds {
    /// As a duration.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }

    /// From a number of seconds.
    ///
    /// # Errors
    /// The number is negative, not finite or absurdly large.
    pub fn new(seconds: f64) -> Result<Self, SecondsError> {
        if seconds > 1000.0 * 365.0 * 86_400.0 {
            return Err(SecondsError::Number(seconds));
        }
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| SecondsError::Number(seconds))
    }

    /// From a numeric text or a duration text.
    ///
    /// # Errors
    /// The text is neither.
    pub fn from_text(text: &str) -> Result<Self, SecondsError> {
        match text.trim().parse::<f64>() {
            Ok(seconds) => Self::new(seconds),
            Err(_) => Ok(Self(parse_duration_text(text)?)),
        }
    }
}

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Number::from(self.0.as_secs_f64()).serialize(serializer)
    }
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds as a number or text, or a duration such as 2h45m")
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Seconds, E> {
        Seconds::new(value as f64).map_err(E::custom)
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Seconds, E> {
        Seconds::new(value as f64).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Seconds, E> {
        Seconds::new(value).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Seconds, E> {
        Seconds::from_text(value).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

/// How a call is to be done. A member that is null counts as absent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Control {
    /// Time to wait before the measured window begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Seconds>,
    /// Length of the measured window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
    /// Time to wait after the window until the backend has all data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Seconds>,
    /// Older name for a similar shift of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<Seconds>,
    /// ADJUST only: how long to watch the application after a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Seconds>,
    /// Parameters of a load generator; the shape is the driver's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Members>,
    /// Anything else that the service and the driver agree on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userdata: Option<Members>,
    /// The environment the command asks for (section 9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Value>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

impl Control {
    /// Whether `userdata.slo_check` asks for a check that has no metrics
    /// (protocol sections 16.1 and 22.2, item 16).
    #[must_use]
    pub fn slo_check(&self) -> bool {
        self.userdata
            .as_ref()
            .and_then(|userdata| userdata.get("slo_check"))
            .is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
    }
}
