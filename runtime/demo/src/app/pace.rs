//! What serving costs, as lengths of time.
//!
//! Every cost of the sample application is a wait at one seam, so that its
//! landscape is the same on a small machine as on a large one, in a debug build
//! as in a release one, and with a load generator on the same two cores. Only
//! the picking and pricing of an item is work for the processor; it is small.
//!
//! Four costs pull against each other, and that is what puts the best settings
//! inside the ranges rather than at their edges:
//!
//! | setting | more of it helps | more of it hurts |
//! |---|---|---|
//! | `workers` | more round trips at a time | every pass holds a lock for a time that grows with the square of the workers (the coherency term of the universal scalability law) |
//! | `batch` | one round trip for several requests | a worker waits longer for its batch to fill |
//! | `cache` | more requests without a round trip | every pass sweeps the whole cache, one worker at a time |
//!
//! Tests put a counting pace in place of the real one, and so assert on round
//! trips and batches rather than on seconds.

use std::time::Duration;

/// Something a worker does that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// One question to the database.
    RoundTrip {
        /// Rows asked for: the misses of one pass.
        rows: u32,
    },
    /// The agreement with all other workers before a pass; one at a time.
    Agreement {
        /// Workers that must agree.
        workers: u32,
    },
    /// The look through the cache in a pass; one at a time.
    Sweep {
        /// Entries in the cache.
        entries: u32,
    },
}

/// How long things take. One method spends a cost; the other only tells,
/// because lingering ends early when the batch is full.
pub trait Pace: Send + Sync + 'static {
    /// Blocks the calling worker for as long as `cost` takes.
    fn spend(&self, cost: Cost);

    /// The longest that a worker waits for a batch of this size to fill.
    fn linger(&self, batch: u32) -> Duration;
}

/// The pace of the application as people run it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealPace;

/// A database in the next rack, with a query that is not trivial.
const ROUND_TRIP: Duration = Duration::from_millis(12);
/// Each further row of the same question.
const ROW: Duration = Duration::from_micros(300);
/// Agreement of one pair of workers: 16 workers hold the lock for 3 ms.
const PAIR: Duration = Duration::from_micros(12);
/// One entry looked at: 4096 entries take 3 ms.
const ENTRY: Duration = Duration::from_nanos(750);
/// For each request that a batch could hold: 32 of them linger for 16 ms.
const LINGER: Duration = Duration::from_micros(500);

impl Pace for RealPace {
    fn spend(&self, cost: Cost) {
        std::thread::sleep(match cost {
            Cost::RoundTrip { rows } => ROUND_TRIP + ROW * rows,
            Cost::Agreement { workers } => PAIR * workers.saturating_mul(workers),
            Cost::Sweep { entries } => ENTRY * entries,
        });
    }

    fn linger(&self, batch: u32) -> Duration {
        LINGER * batch.saturating_sub(1)
    }
}
