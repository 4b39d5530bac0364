//! Wall clocks that jump. What time has passed is the business of the paused
//! clock alone, which no jump moves.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Where every wall clock stands at the beginning, in milliseconds.
const BEGINNING: i64 = 1_700_000_000_000;

/// The wall clock of one machine.
#[derive(Debug)]
pub struct Wall {
    began: Instant,
    offset: AtomicI64,
}

impl Wall {
    /// One that is right.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            offset: AtomicI64::new(BEGINNING),
        }
    }

    /// Moves it by milliseconds; backwards when they are negative.
    pub fn jump(&self, by: i64) {
        self.offset.fetch_add(by, Ordering::SeqCst);
    }

    /// What it shows.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(servo_optune::Clock::now(self))
    }
}

impl Default for Wall {
    fn default() -> Self {
        Self::new()
    }
}

impl servo_optune::Clock for Wall {
    fn now(&self) -> u64 {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let shown = self.offset.load(Ordering::SeqCst).saturating_add(passed);
        u64::try_from(shown).unwrap_or_default()
    }
}
