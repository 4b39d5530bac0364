//! How far a call is while it waits.
//!
//! A driver says how far it is when a wait begins, and then it is gone. So the
//! host counts on by itself: towards the end of what the command says the call
//! takes, and where that is no longer than the wait, towards the end of the
//! wait. It never says that all is done; the driver still has to look.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::progress::ProgressSink;

/// Percent that only a result exceeds.
const ALMOST: f64 = 99.0;

/// A shorter wait of which the command says nothing is not counted: it is one
/// look of many at something that is not ready yet, and not the rest of the call.
const LONG: Duration = Duration::from_secs(30);

/// A wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// Percent done when it began.
    pub(super) progress: Option<f64>,
    /// When it began.
    pub(super) since: Instant,
    /// How long it takes.
    pub(super) whole: Duration,
    /// When the call began.
    pub(super) call: Instant,
    /// How long the call takes at least, as the command says.
    pub(super) length: Duration,
}

impl Wait {
    /// Percent done at a moment; none when the driver gave none.
    fn percent(&self, now: Instant) -> Option<f64> {
        let begun = self.progress?;
        let before = self.since.saturating_duration_since(self.call);
        let ahead = self.length.saturating_sub(before).max(self.whole);
        let waited = now.saturating_duration_since(self.since).min(self.whole);
        if ahead.is_zero() || (ahead == self.whole && ahead < LONG) {
            return Some(begun);
        }
        let share = waited.as_secs_f64() / ahead.as_secs_f64();
        let counted = begun + (100.0 - begun) * share;
        Some(counted.min(ALMOST).floor().max(begun))
    }
}

/// The wait that is under way, if one is.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Option<Wait>>);

impl Waiting {
    fn wait(&self) -> MutexGuard<'_, Option<Wait>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises the newest progress to where the wait is now.
    pub(crate) fn count(&self, progress: &ProgressSink) {
        let percent = self.wait().and_then(|wait| wait.percent(Instant::now()));
        if let Some(percent) = percent {
            progress.raise(percent);
        }
    }

    /// Counts until what is returned is dropped.
    pub(super) fn during(&self, progress: &ProgressSink, wait: Wait) -> Counting<'_> {
        *self.wait() = Some(wait);
        self.count(progress);
        Counting(self)
    }
}

/// A wait that is counted.
pub(super) struct Counting<'a>(&'a Waiting);

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        *self.0.wait() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Percent at the beginning of a wait, when the call began before it, the
    /// whole wait, the length the command states; second and percent.
    #[test]
    fn percent_of_a_wait() {
        let call = Instant::now();
        type Case<'a> = (f64, u64, u64, u64, &'a [(u64, f64)]);
        let cases: &[Case] = &[
            // All of the call is this wait.
            (
                0.0,
                0,
                300,
                300,
                &[(0, 0.0), (150, 50.0), (299, 99.0), (300, 99.0)],
            ),
            // A warm-up, and then the rest of it.
            (0.0, 0, 30, 330, &[(15, 4.0), (30, 9.0), (1000, 9.0)]),
            (10.0, 30, 300, 330, &[(0, 10.0), (150, 55.0), (300, 99.0)]),
            // The command says nothing, or too little.
            (40.0, 5, 60, 0, &[(0, 40.0), (30, 70.0), (60, 99.0)]),
            (40.0, 5, 60, 2, &[(30, 70.0)]),
            (99.5, 0, 60, 0, &[(30, 99.5)]),
            (100.0, 0, 60, 0, &[(60, 100.0)]),
            (7.0, 0, 0, 0, &[(0, 7.0)]),
            (40.0, 0, 10, 2, &[(5, 40.0), (10, 40.0)]),
        ];
        for (progress, before, whole, length, expected) in cases {
            let since = call + seconds(*before);
            let wait = Wait {
                progress: Some(*progress),
                since,
                whole: seconds(*whole),
                call,
                length: seconds(*length),
            };
            for (at, percent) in *expected {
                let counted = wait.percent(since + seconds(*at));
                assert_eq!(counted, Some(*percent), "{wait:?} at {at}");
            }
            let silent = Wait {
                progress: None,
                ..wait
            };
            assert_eq!(silent.percent(since), None);
        }
    }
}
