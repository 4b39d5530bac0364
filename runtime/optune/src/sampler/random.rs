//! Unseen points in random order.
//!
//! Kept beside the estimator because it is the yardstick: an optimizer that
//! does not beat it on a problem should not be believed on that problem.

use super::seen::Seen;
use super::{Observation, Sampler, generator};
use crate::space::{Point, Space};

/// Draws evenly, without repeats.
#[derive(Debug)]
pub struct RandomSampler {
    space: Space,
    seed: u64,
    told: u64,
    seen: Seen,
}

impl RandomSampler {
    /// A sampler over a space.
    #[must_use]
    pub fn new(space: Space, seed: u64) -> Self {
        Self {
            space,
            seed,
            told: 0,
            seen: Seen::default(),
        }
    }
}

impl Sampler for RandomSampler {
    fn tell(&mut self, observation: Observation) {
        self.told += 1;
        self.seen.insert(observation.point);
    }

    fn ask(&mut self) -> Option<Point> {
        self.seen
            .unseen(&self.space, &mut generator(self.seed, self.told))
    }
}
