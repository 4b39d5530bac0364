//! The clocks that guests see: right, and no finer than they need.
//!
//! A fine clock is how one program looks into the caches that it shares with
//! another. Load generators measure latencies with theirs, so a microsecond
//! stays; the nanoseconds below it are of use to nobody else.

use std::time::{Duration, Instant, SystemTime};

use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

use crate::fixed::CLOCK;

fn coarse(nanos: u128) -> u128 {
    nanos - nanos % CLOCK.as_nanos()
}

/// The time of day.
pub(crate) struct Wall;

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        CLOCK
    }

    fn now(&self) -> Duration {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let below = coarse(u128::from(now.subsec_nanos()));
        Duration::new(now.as_secs(), u32::try_from(below).unwrap_or_default())
    }
}

/// Time since the step began.
pub(crate) struct Monotonic(Instant);

impl Monotonic {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        u64::try_from(CLOCK.as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        u64::try_from(coarse(self.0.elapsed().as_nanos())).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_clocks_tell_whole_microseconds() {
        let clock = Monotonic::new();
        let (mut last, mut first) = (0, true);
        for _ in 0..1_000 {
            let now = clock.now();
            assert!(now >= last && now.is_multiple_of(1_000), "{now}");
            assert!(first || last <= now);
            (last, first) = (now, false);
            assert_eq!(Wall.now().subsec_nanos() % 1_000, 0);
        }
        assert_eq!((clock.resolution(), Wall.resolution()), (1_000, CLOCK));
    }
}
