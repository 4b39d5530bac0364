//! When a failed request is repeated (protocol section 6).
//!
//! The table is data, so that it can be read beside the protocol's own. On top
//! of it: up to a tenth of jitter, so that many servos do not knock in step;
//! `Retry-After` of a busy service; and for a refusal (4xx) waits that grow to
//! minutes, because a wrong token does not get right by asking often.

use std::time::Duration;

use thiserror::Error;

/// The usual wait when nothing else is said.
const USUAL: Duration = Duration::from_secs(20);

/// The longest wait that a `Retry-After` can ask for: longer, and one wrong
/// header silences a servo for good.
const LONGEST: Duration = Duration::from_secs(3600);

/// The longest wait between requests that are refused.
const REFUSED: Duration = Duration::from_secs(300);

/// How long a superseded deployment keeps still (section 19.1).
const SUPERSEDED: Duration = Duration::from_secs(3600);

/// What kind of request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// HELLO.
    Hello,
    /// WHATS_NEXT.
    WhatsNext,
    /// A final report.
    Final,
    /// A progress report.
    Progress,
    /// GOODBYE.
    Goodbye,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    kind: RequestKind,
    /// First wait, where it is not the usual one.
    first: Option<Duration>,
    /// How often it is repeated; none: for ever.
    retries: Option<u32>,
}

const TABLE: [Row; 5] = [
    Row {
        kind: RequestKind::Hello,
        first: None,
        retries: None,
    },
    Row {
        kind: RequestKind::WhatsNext,
        first: Some(Duration::from_secs(1)),
        retries: None,
    },
    Row {
        kind: RequestKind::Final,
        first: None,
        retries: None,
    },
    Row {
        kind: RequestKind::Progress,
        first: None,
        retries: Some(1),
    },
    Row {
        kind: RequestKind::Goodbye,
        first: None,
        retries: Some(3),
    },
];

/// How a request failed, as far as it matters for repeating it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// No usable answer: no connection, a time limit, a server error, no JSON.
    Unanswered,
    /// The service is busy and says when to come back.
    Busy(Duration),
    /// The service refused it (4xx).
    Refused,
    /// The service says that another deployment took over.
    Superseded,
}

/// When failed requests are repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    usual: Duration,
    jitter: f64,
    /// Whether every failure is one without an answer.
    plain: bool,
}

/// `SERVO_RETRY_DELAY_SEC` is no positive number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no retry delay; write a number of seconds above 0 and at most 3600, for example 20 or 0.5"
)]
pub struct RetryDelayError(String);

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            usual: USUAL,
            jitter: 0.1,
            plain: false,
        }
    }
}

impl RetryPolicy {
    /// With the usual wait as `SERVO_RETRY_DELAY_SEC` says; fractions allowed.
    ///
    /// # Errors
    /// The text is not a number of seconds above 0 and at most 3600.
    pub fn parse(text: &str) -> Result<Self, RetryDelayError> {
        let error = || RetryDelayError(text.to_owned());
        let seconds: f64 = text.trim().parse().map_err(|_| error())?;
        let usual = Duration::try_from_secs_f64(seconds).map_err(|_| error())?;
        if usual.is_zero() || usual > LONGEST {
            return Err(error());
        }
        Ok(Self {
            usual,
            ..Self::default()
        })
    }

    /// With another usual wait.
    #[must_use]
    pub fn with_usual(self, usual: Duration) -> Self {
        Self { usual, ..self }
    }

    /// Without jitter, as the original.
    #[must_use]
    pub fn without_jitter(self) -> Self {
        Self {
            jitter: 0.0,
            ..self
        }
    }

    /// By the table alone, as the original: no jitter, and no difference
    /// between one failure and another.
    #[must_use]
    pub fn plain(self) -> Self {
        Self {
            plain: true,
            ..self.without_jitter()
        }
    }

    /// How long to wait after the `failures`-th failure in a row (from 1), or
    /// none when the request is given up. `chance` is a random number from 0
    /// up to 1.
    #[must_use]
    pub fn wait(
        &self,
        kind: RequestKind,
        failures: u32,
        failure: FailureKind,
        chance: f64,
    ) -> Option<Duration> {
        let row = TABLE.iter().find(|row| row.kind == kind)?;
        if row.retries.is_some_and(|retries| failures > retries) {
            return None;
        }
        let usual = match row.first {
            Some(first) if failures <= 1 => first.min(self.usual),
            _ => self.usual,
        };
        let wait = match failure {
            _ if self.plain => usual,
            FailureKind::Unanswered => usual,
            FailureKind::Busy(asked) => asked.min(LONGEST).max(usual),
            FailureKind::Refused => {
                let doublings = failures.saturating_sub(1).min(16);
                let grown = usual.saturating_mul(1 << doublings);
                grown.min(REFUSED.max(usual))
            }
            FailureKind::Superseded => SUPERSEDED,
        };
        Some(wait.mul_f64(1.0 + self.jitter * chance.clamp(0.0, 1.0)))
    }
}

/// Waits after turns that went wrong: from one second, doubling to a minute
/// (section 5.5, recommendation).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn next(&mut self) -> Duration {
        let wait = Duration::from_secs(1 << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        wait.min(Duration::from_secs(60))
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A random number from 0 up to 1. Without an entropy source there is no
/// jitter, which does no harm.
pub(crate) fn chance() -> f64 {
    getrandom::u32().map_or(0.0, |number| {
        f64::from(number) / (f64::from(u32::MAX) + 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(policy: &RetryPolicy, kind: RequestKind, failures: u32) -> Option<f64> {
        policy
            .wait(kind, failures, FailureKind::Unanswered, 0.0)
            .map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn the_table_of_section_6() {
        let policy = RetryPolicy::default();
        for (kind, waits) in [
            (
                RequestKind::Hello,
                [Some(20.0), Some(20.0), Some(20.0), Some(20.0)],
            ),
            (
                RequestKind::WhatsNext,
                [Some(1.0), Some(20.0), Some(20.0), Some(20.0)],
            ),
            (
                RequestKind::Final,
                [Some(20.0), Some(20.0), Some(20.0), Some(20.0)],
            ),
            (RequestKind::Progress, [Some(20.0), None, None, None]),
            (
                RequestKind::Goodbye,
                [Some(20.0), Some(20.0), Some(20.0), None],
            ),
        ] {
            for (failures, wait) in (1..).zip(waits) {
                assert_eq!(
                    seconds(&policy, kind, failures),
                    wait,
                    "{kind:?} {failures}"
                );
            }
        }
        assert_eq!(seconds(&policy, RequestKind::Final, u32::MAX), Some(20.0));
    }

    #[test]
    fn jitter_adds_up_to_a_tenth() {
        let policy = RetryPolicy::default();
        let wait = |chance| {
            let wait = policy.wait(RequestKind::Hello, 1, FailureKind::Unanswered, chance);
            wait.unwrap().as_secs_f64()
        };
        assert!((wait(0.5) - 21.0).abs() < 1e-9);
        assert!((wait(1.0) - 22.0).abs() < 1e-9);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&chance())));
    }

    #[test]
    fn refusals_grow_to_five_minutes_and_busy_services_are_obeyed() {
        let policy = RetryPolicy::default();
        let wait = |failures, failure| {
            let wait = policy.wait(RequestKind::Final, failures, failure, 0.0);
            wait.unwrap().as_secs()
        };
        let refused: Vec<_> = (1..=6).map(|n| wait(n, FailureKind::Refused)).collect();
        assert_eq!(refused, [20, 40, 80, 160, 300, 300]);
        assert_eq!(wait(u32::MAX, FailureKind::Refused), 300);
        assert_eq!(wait(1, FailureKind::Busy(Duration::from_secs(90))), 90);
        assert_eq!(wait(1, FailureKind::Busy(Duration::from_secs(2))), 20);
        assert_eq!(
            wait(1, FailureKind::Busy(Duration::from_secs(1_000_000))),
            3600
        );
        assert_eq!(wait(1, FailureKind::Superseded), 3600);
    }

    #[test]
    fn retry_delays_as_the_environment_has_them() {
        for (text, seconds) in [("20", 20.0), (" 0.5 ", 0.5), ("3600", 3600.0)] {
            let policy = RetryPolicy::parse(text).unwrap();
            let wait = policy.wait(RequestKind::Hello, 1, FailureKind::Unanswered, 0.0);
            assert_eq!(wait, Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "x", "0", "-1", "NaN", "inf", "3601", "20s"] {
            assert!(RetryPolicy::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn backoff_grows_to_a_minute() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.next().as_secs(), 1);
    }
}
