//! A limit on how fast an application's servo is served, by delay.
//!
//! Some answers make the original ask again at once, without end (protocol
//! 5.5). None of ours should, but a refusal would only be repeated, so a servo
//! that runs away is slowed down instead. The delay stays well under the 5 s
//! in which the original, which has no timeout, must be answered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::options::AppKey;

/// Requests that are served without delay.
const BURST: f64 = 200.0;
/// Requests a second after that.
const RATE: f64 = 50.0;
/// Longest delay of one request.
const MOST: Duration = Duration::from_secs(2);
/// Applications that are remembered; more only come from guessed names, and
/// forgetting one merely gives it a new burst.
const REMEMBERED: usize = 4096;

/// The state of every application.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<AppKey, Bucket>>);

#[derive(Debug)]
struct Bucket {
    left: f64,
    filled: Instant,
}

impl Rates {
    /// Waits as long as the application has to.
    pub(super) async fn wait(&self, app: &AppKey) {
        let delay = self.delay(app, Instant::now());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    fn delay(&self, app: &AppKey, now: Instant) -> Duration {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED && !buckets.contains_key(app) {
            buckets.clear();
        }
        let bucket = buckets.entry(app.clone()).or_insert(Bucket {
            left: BURST,
            filled: now,
        });
        let gained = now.saturating_duration_since(bucket.filled).as_secs_f64() * RATE;
        bucket.left = (bucket.left + gained).min(BURST) - 1.0;
        bucket.filled = now;
        if bucket.left >= 0.0 {
            return Duration::ZERO;
        }
        let delay = Duration::from_secs_f64(-bucket.left / RATE).min(MOST);
        // What is owed never grows beyond the longest delay.
        bucket.left = bucket.left.max(-RATE * MOST.as_secs_f64());
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servo_that_runs_away_is_slowed_and_forgiven() {
        let rates = Rates::default();
        let app = AppKey::new("acme", "shop").unwrap();
        let start = Instant::now();
        for n in 0..200 {
            assert_eq!(rates.delay(&app, start), Duration::ZERO, "request {n}");
        }
        assert_eq!(rates.delay(&app, start), Duration::from_millis(20));
        for _ in 0..1000 {
            assert!(rates.delay(&app, start) <= MOST);
        }
        assert_eq!(
            rates.delay(&AppKey::new("acme", "other").unwrap(), start),
            Duration::ZERO
        );
        assert_eq!(
            rates.delay(&app, start + Duration::from_secs(60)),
            Duration::ZERO
        );
    }
}
