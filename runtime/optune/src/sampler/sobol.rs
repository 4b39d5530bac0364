//! A low-discrepancy sequence over the grid.
//!
//! The first points of a study should be spread, not merely random: with two
//! points a dimension, random draws leave whole settings untried. The Sobol
//! sequence is Owen-scrambled by the seed, so two studies of one space differ.

use super::seen::Seen;
use super::{Observation, Sampler, generator};
use crate::space::{Point, Space};

/// Length of the sequence that is looked through for an unseen point. The
/// crate defines 2^16 points; after this many repeats a random one is as good.
const LOOK: u32 = 4096;

/// Sobol points in order, seen ones left out.
#[derive(Debug)]
pub struct SobolSampler {
    space: Space,
    seed: u64,
    told: u64,
    seen: Seen,
}

impl SobolSampler {
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

/// The `n`-th point of the sequence with this seed.
fn point(space: &Space, seed: u64, n: u32) -> Point {
    let seed = (seed ^ (seed >> 32)) as u32;
    let indices = space.dimensions.iter().zip(0_u32..).map(|(dimension, at)| {
        let count = dimension.domain.count();
        let unit = f64::from(sobol_burley::sample(n, at, seed));
        ((unit * count as f64) as u64).min(count.saturating_sub(1))
    });
    Point(indices.collect())
}

impl Sampler for SobolSampler {
    fn tell(&mut self, observation: Observation) {
        self.told += 1;
        self.seen.insert(observation.point);
    }

    fn ask(&mut self) -> Option<Point> {
        if self.seen.covers(&self.space) {
            return None;
        }
        (0..LOOK)
            .map(|n| point(&self.space, self.seed, n))
            .find(|point| !self.seen.contains(point))
            .or_else(|| {
                self.seen
                    .unseen(&self.space, &mut generator(self.seed, self.told))
            })
    }
}
