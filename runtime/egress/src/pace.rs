//! How fast one rule may be used.
//!
//! A bucket of tokens belongs to a rule of a lane and not to a call: a driver
//! that fails and is called again must not become a storm on somebody else's
//! machine. What is too fast is refused at once and told when to come back;
//! making it wait here would hold its memory and hide from it that it should
//! slow down.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use servo_policy::Rate;
use tokio::time::Instant;

/// The bucket. It is kept as the moment at which it will be full again.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Takes one token.
    ///
    /// # Errors
    /// There is none; the next one will be there after so long.
    pub(crate) fn take(&self, rate: Rate) -> Result<(), Duration> {
        let now = Instant::now();
        let mut full_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = rate.per / rate.requests.max(1);
        let wait = full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now)) + one;
        match wait.checked_sub(rate.per) {
            None | Some(Duration::ZERO) => {
                *full_at = Some(now + wait);
                Ok(())
            }
            Some(short) => Err(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pace: &Pace, rate: Rate) -> usize {
        (0..1_000).take_while(|_| pace.take(rate).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_at_once_and_then_one_by_one() {
        let (pace, rate) = (Pace::default(), "4/m".parse().unwrap());
        assert_eq!(taken(&pace, rate), 4);
        assert_eq!(pace.take(rate), Err(Duration::from_secs(15)));
        tokio::time::advance(Duration::from_secs(14)).await;
        assert_eq!(pace.take(rate), Err(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(&pace, rate), 1);
        // A long silence gives no more than a full bucket.
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(taken(&pace, rate), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_cost_nothing() {
        let (pace, rate) = (Pace::default(), "1/s".parse().unwrap());
        assert_eq!(taken(&pace, rate), 1);
        for _ in 0..100 {
            assert_eq!(pace.take(rate), Err(Duration::from_secs(1)));
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(&pace, rate), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn odd_and_large_rates() {
        for requests in [1, 3, 7, 999] {
            let rate = Rate {
                requests,
                per: Duration::from_secs(1),
            };
            assert_eq!(taken(&Pace::default(), rate), requests as usize);
        }
        let rate = Rate {
            requests: u32::MAX,
            per: Duration::from_secs(1),
        };
        assert_eq!(taken(&Pace::default(), rate), 1_000);
    }
}
