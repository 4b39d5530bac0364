//! The agent and the local service under faults, by the thousand and by seed.
//!
//! One run is one world: one servo with its journal in a real folder, the real
//! service with its real store, and an application that the drivers reach
//! through a network of their own. Both networks lose, delay, double and cut
//! what they carry; servo and service are killed at any await and started
//! again; disks are full for a while; wall clocks jump; the operator stops the
//! study or sends signals. When the storm is over and the world has settled,
//! [`check`] says what is not as it must be.
//!
//! All time is that of a paused clock, and all chance comes from one seed, so
//! a run takes a tenth of a second and can be had again. Only the order of what
//! happens in the very same millisecond is the runtime's own; a seed that fails
//! once in a few runs fails for such a reason.
//!
//! ```text
//! cargo test -p servo-faults                            50 seeds, always the same
//! SERVO_FAULT_RUNS=1000 cargo test -p servo-faults      that many
//! SERVO_FAULT_SEED=17 cargo test -p servo-faults        this one alone, told in full
//! cargo bench -p servo-faults                           1,000 seeds, and what they met
//! ```
//!
//! What this cannot show is what only real processes, sockets and disks do:
//! see `tests/tests/end_to_end/faults.rs` and the agent's `tests/kill.rs` for those.
#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    reason = "a panic is how a world says that it is broken itself"
)]

pub mod application;
pub mod chance;
pub mod check;
pub mod clock;
pub mod crash;
pub mod drivers;
pub mod log;
pub mod net;
pub mod office;
pub mod servant;
pub mod storm;
pub mod world;

pub use world::{Outcome, play};

/// The first of the seeds that are always played.
const FIRST: u64 = 1;

/// The seeds to play: `SERVO_FAULT_SEED` alone, or `SERVO_FAULT_RUNS` from the
/// first on, or as many as said.
///
/// # Panics
/// When one of the variables is no number.
#[must_use]
pub fn seeds(usual: u64) -> Vec<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        match text.trim().parse::<u64>() {
            Ok(number) => Some(number),
            Err(error) => panic!("{name}={text}: {error}"),
        }
    };
    if let Some(seed) = number("SERVO_FAULT_SEED") {
        return vec![seed];
    }
    let runs = number("SERVO_FAULT_RUNS").unwrap_or(usual);
    (FIRST..FIRST.saturating_add(runs)).collect()
}
