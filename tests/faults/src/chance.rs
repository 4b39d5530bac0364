//! Everything that is left to chance, from one seed.
//!
//! Each part of the world has a stream of its own, so that one more draw in
//! one part does not change what happens in all others: a failing seed stays a
//! failing seed while its cause is looked for.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

/// Which part of the world draws.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    /// What the world is like.
    Plan,
    /// What happens to it.
    Storm,
    /// The network to the service.
    Line,
    /// The network to the application.
    Field,
    /// What a crash leaves behind.
    Wreck,
}

/// One stream of chance.
#[derive(Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64, stream: Stream) -> Self {
        let mut bytes = [0; 32];
        let words = [seed, stream as u64 + 1];
        for (place, byte) in bytes
            .iter_mut()
            .zip(words.iter().flat_map(|word| word.to_le_bytes()))
        {
            *place = byte;
        }
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// Whether something of this probability happens.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.0.random::<f64>() < probability
    }

    /// A number, both ends included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    /// A length of time between two numbers of seconds, in milliseconds.
    pub fn seconds(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low * 1000, high * 1000))
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let last = u64::try_from(of.len()).ok()?.checked_sub(1)?;
        let index = usize::try_from(self.between(0, last)).ok()?;
        of.get(index).copied()
    }
}
