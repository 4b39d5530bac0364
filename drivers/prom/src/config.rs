//! The driver's configuration section, as the operator writes it.
//!
//! Keys are those of the original driver, so that its section can be taken
//! over as it stands. Every value is checked by its type, hence a mistake
//! fails already the description, and the message names the key.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer};

use crate::checked::{self, Problem};

/// The whole section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where Prometheus is; `http://prometheus:9090` if nothing is said.
    pub prometheus_endpoint: Option<Endpoint>,
    /// What can be measured, by name.
    pub metrics: Metrics,
    /// Headers of every request, such as the tenant of a shared server.
    #[serde(default)]
    pub headers: Headers,
    /// How much history the check before the wait asks for.
    #[serde(default)]
    pub check_window: CheckWindow,
}

impl Config {
    /// Where Prometheus is.
    pub fn endpoint(&self) -> &str {
        match &self.prometheus_endpoint {
            Some(Endpoint(text)) => text,
            None => "http://prometheus:9090",
        }
    }
}

/// An address without credentials and query. Its scheme and host are checked
/// by the HTTP client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked::text(deserializer, Self::parse)
    }
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Err("is empty: write an address or leave the key away");
        }
        if text.contains('@') {
            return Err("must not hold a user name or password: take them out; \
                 credentials belong to the rule in `grants.http`, and the host adds them");
        }
        if text.contains(['?', '#']) {
            return Err("must end with its host, port or path: take out what follows `?` or `#`");
        }
        Ok(Self(text.to_owned()))
    }
}

/// Headers by name. Which of them may be sent is the rule's to say.
#[derive(Debug, Clone, Default)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.0.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked::map(deserializer, Self::parse)
    }
}

impl Headers {
    fn parse(headers: BTreeMap<String, String>) -> Result<Self, Problem> {
        let name = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        if headers.keys().any(|n| n.is_empty() || !n.bytes().all(name)) {
            return Err("has a name that is none: use letters, digits, `-` and `_`");
        }
        if headers
            .values()
            .any(|value| value.contains(char::is_control))
        {
            return Err("has a value with a control character: take it out");
        }
        Ok(Self(headers))
    }
}

/// The metrics by name; at least one.
#[derive(Debug, Clone)]
pub struct Metrics(BTreeMap<String, Metric>);

impl Metrics {
    /// The metric of this name.
    pub fn get(&self, name: &str) -> Option<&Metric> {
        self.0.get(name)
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Metric)> {
        self.0.iter().map(|(name, metric)| (name.as_str(), metric))
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked::map(deserializer, Self::parse)
    }
}

impl Metrics {
    fn parse(metrics: BTreeMap<String, Metric>) -> Result<Self, Problem> {
        if metrics.is_empty() {
            return Err("is empty: at least one metric is needed");
        }
        if metrics.contains_key("") {
            return Err("has a metric with an empty name");
        }
        Ok(Self(metrics))
    }
}

/// One metric.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// What is asked.
    pub query: PromQl,
    /// Unit for display.
    pub unit: Option<String>,
    /// Distance between two points.
    #[serde(default)]
    pub period: Period,
}

/// A query in Prometheus' own language. Only Prometheus can tell whether it is
/// one; here it is only known not to be blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromQl(String);

impl PromQl {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for PromQl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked::text(deserializer, Self::parse)
    }
}

impl PromQl {
    fn parse(text: &str) -> Result<Self, Problem> {
        if text.trim().is_empty() {
            return Err("is empty: write a PromQL query");
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whole seconds between two points, at least one; 60 if nothing is said.
/// Fractions are cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(u32);

impl Period {
    /// In seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for Period {
    fn default() -> Self {
        Self(60)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked::number(deserializer, Self::parse)
    }
}

impl Period {
    fn parse(seconds: f64) -> Result<Self, Problem> {
        if !(1.0..=86_400.0).contains(&seconds) {
            return Err("must be 1 to 86400 seconds");
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Self(seconds as u32))
    }
}

/// How far back the check before the wait looks; nothing: there is no check.
///
/// A minute, because the check is about the query and not about history: it
/// must not fail for a Prometheus that has only just been started. An hour at
/// most, so that it never asks for more points than Prometheus gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckWindow(Option<Duration>);

impl CheckWindow {
    /// Its length, if there shall be a check.
    pub fn length(self) -> Option<Duration> {
        self.0
    }
}

impl Default for CheckWindow {
    fn default() -> Self {
        Self(Some(Duration::from_secs(60)))
    }
}

impl<'de> Deserialize<'de> for CheckWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked::number(deserializer, Self::parse)
    }
}

impl CheckWindow {
    fn parse(seconds: f64) -> Result<Self, Problem> {
        if !(0.0..=3600.0).contains(&seconds) {
            return Err("must be 0 (no check) to 3600 seconds");
        }
        Ok(Self(
            (seconds > 0.0).then(|| Duration::from_secs_f64(seconds)),
        ))
    }
}
