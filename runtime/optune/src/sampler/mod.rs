//! Which point to try next: ask and tell over a discrete grid.
//!
//! A sampler keeps no clock and no random state of its own: every answer is a
//! function of the seed and of what it was told, so a service that was killed
//! rebuilds it by telling the recorded trials again and goes on with the very
//! points it would have chosen. Asking twice without telling gives the same
//! point twice.
//!
//! Costs are minimised; the caller turns a score round when more is better. A
//! failed trial is told without a cost and counts as worse than any cost. No
//! sampler proposes a point again while there are unseen ones: a study has 20
//! to 100 trials, so a repeat wastes several percent of it.

mod density;
mod grid;
mod random;
mod seen;
mod sobol;
mod tpe;

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use self::grid::GridSampler;
pub use self::random::RandomSampler;
pub use self::sobol::SobolSampler;
pub use self::tpe::TpeSampler;
use crate::space::{Point, Space};

/// One finished trial, as samplers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Where.
    pub point: Point,
    /// Less is better; `None` when the trial failed. Never NaN.
    pub cost: Option<f64>,
}

/// Proposes points of a space.
pub trait Sampler: Send {
    /// Takes the result of one trial into account.
    fn tell(&mut self, observation: Observation);

    /// The next point, or `None` when every point of the space was told.
    fn ask(&mut self) -> Option<Point>;
}

/// Which sampler a study uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SamplerKind {
    /// The whole grid when it fits the budget, else [`SamplerKind::Tpe`].
    #[default]
    Auto,
    /// A low-discrepancy start, then a tree-structured Parzen estimator.
    Tpe,
    /// Unseen points in random order: the yardstick.
    Random,
    /// Every point once, in shuffled order.
    Grid,
}

impl SamplerKind {
    /// The sampler for a space and a number of trials.
    #[must_use]
    pub fn build(self, space: &Space, seed: u64, trials: u32) -> Box<dyn Sampler> {
        let space = space.clone();
        match self {
            SamplerKind::Auto if space.size() <= u128::from(trials) => {
                Box::new(GridSampler::new(space, seed))
            }
            SamplerKind::Auto | SamplerKind::Tpe => Box::new(TpeSampler::new(space, seed, trials)),
            SamplerKind::Random => Box::new(RandomSampler::new(space, seed)),
            SamplerKind::Grid => Box::new(GridSampler::new(space, seed)),
        }
    }
}

/// The generator for one answer. ChaCha8 is fixed across versions and
/// machines, so a recorded seed keeps its meaning.
fn generator(seed: u64, told: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(told);
    generator
}

#[cfg(test)]
mod tests;
