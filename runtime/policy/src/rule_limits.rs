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

use crate::{Advice, Budget, ByteSize, PolicyError, Span};

/// `limits:` of a rule, as the operator writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleLimitsSpec {
    /// Requests in a time, such as `100/s`. Without it: `request_rate` of the
    /// budget, each second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Requests in flight at once, over all calls of the driver; at most what the
    /// budget gives one call.
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

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;

/// The most requests of a rate; more is a slip.
const RATE_TOP: u32 = 1_000_000;

/// What an undone encoding may come to.
const DECOMPRESSED: std::ops::RangeInclusive<u64> = KIB..=64 * GIB;

impl RuleLimitsSpec {
    /// The limits of one rule; what is wrong with them goes to `wrong`, under
    /// `key`. A limit above that of the whole call would never bite, hence is
    /// refused; `budget` is none where that is itself in doubt.
    pub(crate) fn resolve(
        &self,
        key: &str,
        budget: Option<&Budget>,
        wrong: &mut Vec<PolicyError>,
    ) -> RuleLimits {
        let mut refuse = |name: &str, advice: Advice| {
            wrong.push(PolicyError::Grant {
                key: format!("{key}.{name}"),
                advice,
            });
        };
        if let Some(rate) = self.rate
            && rate.requests > RATE_TOP
        {
            let advice = Advice::new(
                format!("{rate} is out of range"),
                format!("use at most {RATE_TOP} requests"),
            );
            refuse("rate", advice);
        }
        let mut bounded = |name: &str,
                           given: Option<u64>,
                           show: fn(u64) -> String,
                           whole: Option<(&str, u64)>| {
            let Some(value) = given else { return };
            if value == 0 {
                refuse(
                    name,
                    Advice::new(
                        format!("{} is out of range", show(0)),
                        format!("use at least {}", show(1)),
                    ),
                );
            } else if let Some((outer, most)) = whole
                && value > most
            {
                let (value, most) = (show(value), show(most));
                refuse(
                    name,
                    Advice::new(
                        format!("{value} is more than the whole call may use ({most})"),
                        format!("lower it, or raise `grants.limits.{outer}`"),
                    ),
                );
            }
        };
        let whole = |name, of: fn(&Budget) -> u64| budget.map(|budget| (name, of(budget)));
        let plain = |n: u64| n.to_string();
        let size = |n: u64| ByteSize(n).to_string();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        bounded(
            "concurrency",
            self.concurrency.map(u64::from),
            plain,
            whole("concurrent_requests", |b| b.concurrent_requests.into()),
        );
        bounded(
            "request_bytes",
            self.request_bytes.map(ByteSize::bytes),
            size,
            whole("request_bytes", |b| b.request_bytes),
        );
        bounded(
            "response_bytes",
            self.response_bytes.map(ByteSize::bytes),
            size,
            whole("response_bytes", |b| b.response_bytes),
        );
        bounded(
            "time",
            self.time.map(|time| millis(time.0)),
            |ms| Span(Duration::from_millis(ms)).to_string(),
            budget.map(|budget| ("request_time", millis(budget.request_time))),
        );
        if let Some(size) = self.decompressed_bytes
            && !DECOMPRESSED.contains(&size.bytes())
        {
            let (low, high) = (
                ByteSize(*DECOMPRESSED.start()),
                ByteSize(*DECOMPRESSED.end()),
            );
            let advice = Advice::new(
                format!("{size} is out of range"),
                format!("use a size from {low} to {high}"),
            );
            refuse("decompressed_bytes", advice);
        }
        RuleLimits {
            rate: self.rate,
            concurrency: self.concurrency,
            request_bytes: self.request_bytes.map(ByteSize::bytes),
            response_bytes: self.response_bytes.map(ByteSize::bytes),
            decompressed_bytes: self.decompressed_bytes.map(ByteSize::bytes),
            time: self.time.map(|time| time.0),
        }
    }
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
