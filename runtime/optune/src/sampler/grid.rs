//! Every point once.
//!
//! For spaces no larger than the budget nothing clever is needed, and the
//! answer is exact. The order is shuffled: an application that drifts during
//! the study (caches that warm up, a load that grows) would otherwise show the
//! drift as an effect of whichever setting changes slowest.

use rand::RngExt as _;

use super::seen::Seen;
use super::{Observation, Sampler, generator};
use crate::space::{Point, Space};

/// Largest grid that is shuffled; a larger one is walked in order, since
/// nobody will see its end.
const SHUFFLED: u128 = 65_536;

/// Walks the whole grid.
#[derive(Debug)]
pub struct GridSampler {
    space: Space,
    order: Vec<u32>,
    seen: Seen,
}

impl GridSampler {
    /// A sampler over a space.
    #[must_use]
    pub fn new(space: Space, seed: u64) -> Self {
        let size = space.size();
        let mut order: Vec<u32> = Vec::new();
        if size <= SHUFFLED {
            order = (0..u32::try_from(size).unwrap_or(0)).collect();
            let mut generator = generator(seed, 0);
            for last in (1..order.len()).rev() {
                order.swap(last, generator.random_range(0..=last));
            }
        }
        Self {
            space,
            order,
            seen: Seen::default(),
        }
    }
}

impl Sampler for GridSampler {
    fn tell(&mut self, observation: Observation) {
        self.seen.insert(observation.point);
    }

    fn ask(&mut self) -> Option<Point> {
        if self.order.is_empty() {
            return (0..self.space.size())
                .map(|n| self.space.nth(n))
                .find(|point| !self.seen.contains(point));
        }
        self.order
            .iter()
            .map(|n| self.space.nth(u128::from(*n)))
            .find(|point| !self.seen.contains(point))
    }
}
