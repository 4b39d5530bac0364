//! What one rule may use, beside what the whole call may.
//!
//! A budget belongs to a call and its driver; these belong to the server on the
//! other side. They hold over all calls of a driver, so that a driver which
//! fails and is called again cannot become a storm on somebody else's machine.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ByteSize, Span};

/// `limits:` of a rule, as the operator writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleLimitsSpec {
    /// Requests in a time, such as `100/s`. Without it: `request_rate` of the
    /// budget, each second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Requests in flight at once, over all calls of the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Bytes of one request body; at most what the budget gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_bytes: Option<ByteSize>,
    /// Bytes of one response body as they arrive; at most what the budget gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<ByteSize>,
    /// Lets the host undo gzip and deflate of response bodies, up to so many
    /// bytes each. Without it no encoding is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decompressed_bytes: Option<ByteSize>,
    /// One request from lookup to last byte; at most what the budget gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
}

/// What one rule may use. What is absent is limited by the call's budget alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleLimits {
    /// Requests in a time.
    pub rate: Option<Rate>,
    /// Requests in flight at once.
    pub concurrency: Option<u32>,
    /// Bytes of one request body.
    pub request_bytes: Option<u64>,
    /// Bytes of one response body, as they arrive.
    pub response_bytes: Option<u64>,
    /// Bytes of one response body once its encoding is undone; none: it is not.
    pub decompressed_bytes: Option<u64>,
    /// One request, from lookup to last byte.
    pub time: Option<Duration>,
}

/// Requests in a time, written `100/s`, `30/m` or `5/h`. So many may also come
/// all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least 1.
    pub requests: u32,
    /// In how long.
    pub per: Duration,
}

/// Text that is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a rate: write a whole number, `/` and one of s, m, h, such as 100/s")]
pub struct RateError(String);

const UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3_600)];

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let parse = || {
            let (number, unit) = text.split_once('/')?;
            let plain = !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
            let seconds = UNITS.iter().find(|(name, _)| *name == unit)?.1;
            let requests = number.parse().ok().filter(|_| plain)?;
            Some(Self {
                requests,
                per: Duration::from_secs(seconds),
            })
        };
        parse().ok_or_else(|| RateError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.per.as_secs();
        match UNITS.iter().find(|(_, scale)| *scale == seconds) {
            Some((unit, _)) => write!(f, "{}/{unit}", self.requests),
            None => write!(f, "{} in {seconds}s", self.requests),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[1-9][0-9]*/(s|m|h)$",
            "examples": ["100/s"],
        })
    }
}
