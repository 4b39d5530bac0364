//! When a request is sent again.
//!
//! Only what passes by itself is worth another try: no connection, one that
//! closed early, a timeout, and the statuses with which servers and proxies say
//! "not now". The pauses double and are spread at random, so that many servos
//! do not come back in step. The contract does not say how much time a call has
//! left, so attempts and pauses together have a limit of their own that fits
//! well into the usual one of a step.

use std::time::Duration;

use super::{
    date,
    error::{Error, Kind},
    message::Method,
    response::Response,
};
use crate::{access::Access, host::Host as _};

/// How often and how patiently a request is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    attempts: u32,
    first: Duration,
    longest: Duration,
    within: Duration,
    any_method: bool,
}

impl Default for Retry {
    /// Three attempts, half a second apart and then one, for methods that can
    /// be repeated without harm, within two minutes in all. A `retry-after` of
    /// up to 30 s is honoured.
    fn default() -> Self {
        Self {
            attempts: 3,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            within: Duration::from_secs(120),
            any_method: false,
        }
    }
}

impl Retry {
    /// Every request is sent once.
    pub fn none() -> Self {
        Self::attempts(1)
    }

    /// At most this many attempts in all.
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts,
            ..Self::default()
        }
    }

    /// Sets the first pause; every later one is twice as long as the one
    /// before, up to `longest`. A server that asks for more than `longest` is
    /// not asked again.
    #[must_use]
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first;
        self.longest = longest;
        self
    }

    /// Sets how long all attempts and the pauses between them may take: no
    /// attempt is made that would begin later, and a repeated one may take
    /// what is left.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Repeats POST and PATCH too. Only for requests that the server
    /// recognises when they come twice.
    #[must_use]
    pub fn any_method(mut self) -> Self {
        self.any_method = true;
        self
    }

    pub(super) fn begin(self, method: Method, host: &Access) -> Attempts {
        Attempts {
            repeats: self.any_method || method.is_idempotent(),
            began: host.now(),
            made: 0,
            retry: self,
        }
    }
}

/// The attempts of one request.
pub(super) struct Attempts {
    retry: Retry,
    repeats: bool,
    began: Duration,
    made: u32,
}

impl Attempts {
    /// How long the next attempt may take. The first has the time that the
    /// request says.
    pub(super) fn limit(&self, asked: Option<Duration>, host: &Access) -> Option<Duration> {
        if self.made == 0 {
            return asked;
        }
        let left = self.left(host);
        Some(asked.map_or(left, |asked| asked.min(left)))
    }

    /// How long to wait before the next attempt; nothing when this outcome is
    /// final.
    pub(super) fn pause(
        &mut self,
        outcome: &Result<Response, Error>,
        host: &Access,
    ) -> Option<Duration> {
        self.made += 1;
        let asked = match outcome {
            // It never left, so any method can be sent again.
            Err(error) if let Kind::RateLimited(time) = error.kind() => Some(*time),
            _ if !self.repeats => return None,
            Ok(response) if matches!(response.status(), 429 | 502 | 503 | 504) => response
                .header("retry-after")
                .and_then(|text| asked(text, host)),
            Err(error) if error.is_connection() => None,
            _ => return None,
        };
        if self.made >= self.retry.attempts || asked.is_some_and(|time| time > self.retry.longest) {
            return None;
        }
        let pause = asked.unwrap_or_else(|| self.doubled(host));
        (pause < self.left(host)).then_some(pause)
    }

    fn left(&self, host: &Access) -> Duration {
        let passed = host.now().saturating_sub(self.began);
        self.retry.within.saturating_sub(passed)
    }

    fn doubled(&self, host: &Access) -> Duration {
        let doubled = self
            .retry
            .first
            .saturating_mul(1 << (self.made - 1).min(16))
            .min(self.retry.longest);
        #[allow(clippy::cast_precision_loss)]
        let share = (host.random() >> 11) as f64 / (1_u64 << 53) as f64;
        doubled.mul_f64(0.5 + share / 2.0)
    }
}

fn asked(text: &str, host: &Access) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = Duration::from_secs(date::unix_seconds(text)?);
    Some(until.saturating_sub(host.unix_time()))
}
