//! When a request is sent again.
//!
//! Only what passes by itself is worth another try: no connection, a broken
//! one, a timeout, and the statuses with which servers and proxies say "not
//! now". The pauses double and are spread at random, so that many servos do
//! not come back in step.

use std::time::Duration;

use super::{date, error::Error, message::Method, response::Response};
use crate::{access::Access, host::Host as _};

/// How often and how patiently a request is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    attempts: u32,
    first: Duration,
    longest: Duration,
    any_method: bool,
}

impl Default for Retry {
    /// Three attempts, half a second apart and then one, for methods that can
    /// be repeated without harm. A `retry-after` of up to 30 s is honoured.
    fn default() -> Self {
        Self {
            attempts: 3,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
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

    /// Repeats POST and PATCH too. Only for requests that the server
    /// recognises when they come twice.
    #[must_use]
    pub fn any_method(mut self) -> Self {
        self.any_method = true;
        self
    }

    /// How long to wait before the next attempt; nothing when this outcome is
    /// final.
    pub(super) fn pause(
        &self,
        method: Method,
        attempt: u32,
        outcome: &Result<Response, Error>,
        host: &Access,
    ) -> Option<Duration> {
        if attempt >= self.attempts || !(self.any_method || method.is_idempotent()) {
            return None;
        }
        let asked = match outcome {
            Ok(response) if matches!(response.status(), 429 | 502 | 503 | 504) => response
                .header("retry-after")
                .and_then(|text| asked(text, host)),
            Err(error) if error.is_connection() => None,
            _ => return None,
        };
        if let Some(asked) = asked {
            return (asked <= self.longest).then_some(asked);
        }
        let doubled = self
            .first
            .saturating_mul(1 << (attempt - 1).min(16))
            .min(self.longest);
        #[allow(clippy::cast_precision_loss)]
        let share = (host.random() >> 11) as f64 / (1_u64 << 53) as f64;
        Some(doubled.mul_f64(0.5 + share / 2.0))
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
