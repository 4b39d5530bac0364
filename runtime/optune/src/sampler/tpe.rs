//! A tree-structured Parzen estimator over the grid.
//!
//! The densities are those of the crate `tpe`; the split, the candidates and
//! the choice are ours, because a study here needs four things that one
//! `TpeOptimizer` a parameter does not give: candidates judged as whole points
//! (so that a point seen before can be passed over for the next best one),
//! failed trials in the bad density at any split, a histogram for values
//! without order, and answers that depend on nothing but seed and history.
//!
//! It starts with `2 x dimensions` low-discrepancy points, at most half of the
//! budget. After that, every candidate pool holds draws from the good density
//! and the grid neighbours of the best points, since the last steps to an
//! optimum of a grid are single steps.

use rand::RngExt as _;
use rand::distr::Distribution as _;
use rand::rngs::ChaCha8Rng;
use tpe::density_estimation::{
    BuildDensityEstimator as _, DefaultEstimator, DensityEstimator as _,
};

use super::seen::Seen;
use super::sobol::SobolSampler;
use super::{Observation, Sampler, generator};
use crate::space::{Domain, Point, Space};

/// Share of the scored trials that count as good.
const GAMMA: f64 = 0.2;
/// Whole points drawn from the good density for one answer.
const DRAWS: usize = 24;
/// Draws a dimension of which the best is kept, for one candidate.
const DRAWS_A_DIMENSION: usize = 8;
/// Best points whose neighbours are candidates.
const CENTRES: usize = 2;

/// The default sampler.
#[derive(Debug)]
pub struct TpeSampler {
    space: Space,
    seed: u64,
    start: u64,
    sobol: SobolSampler,
    told: Vec<Observation>,
    seen: Seen,
}

/// Densities of one dimension.
struct Densities {
    good: DefaultEstimator,
    bad: DefaultEstimator,
    count: u64,
}

impl TpeSampler {
    /// A sampler for a space and a number of trials.
    #[must_use]
    pub fn new(space: Space, seed: u64, trials: u32) -> Self {
        let start = (2 * space.dimensions.len() as u64)
            .min(u64::from(trials) / 2)
            .max(2);
        let sobol = SobolSampler::new(space.clone(), seed);
        Self {
            space,
            seed,
            start,
            sobol,
            told: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Scored trials, best first; equal costs in the order told.
    fn ranked(&self) -> Vec<(&Point, f64)> {
        let mut scored: Vec<(&Point, f64)> = self
            .told
            .iter()
            .filter_map(|each| Some((&each.point, each.cost?)))
            .collect();
        scored.sort_by(|a, b| a.1.total_cmp(&b.1));
        scored
    }

    fn densities(&self, ranked: &[(&Point, f64)]) -> Option<Vec<Densities>> {
        let split = ((ranked.len() as f64 * GAMMA).ceil() as usize).clamp(1, ranked.len().max(1));
        let (good, bad) = ranked.split_at_checked(split)?;
        let failed = self
            .told
            .iter()
            .filter(|each| each.cost.is_none())
            .map(|each| &each.point);
        let bad: Vec<&Point> = bad.iter().map(|each| each.0).chain(failed).collect();
        let good: Vec<&Point> = good.iter().map(|each| each.0).collect();
        self.space
            .dimensions
            .iter()
            .enumerate()
            .map(|(at, dimension)| {
                let count = dimension.domain.count();
                let range = tpe::categorical_range(usize::try_from(count).ok()?).ok()?;
                let builder = match dimension.domain {
                    Domain::Range { .. } => tpe::parzen_estimator(),
                    Domain::Enum { .. } => tpe::histogram_estimator(),
                };
                let density = |points: &[&Point]| {
                    let xs = points
                        .iter()
                        .filter_map(|point| point.0.get(at))
                        .map(|index| centre(*index));
                    builder.build_density_estimator(xs, range).ok()
                };
                Some(Densities {
                    good: density(&good)?,
                    bad: density(&bad)?,
                    count,
                })
            })
            .collect()
    }

    fn candidates(
        &self,
        densities: &[Densities],
        ranked: &[(&Point, f64)],
        generator: &mut ChaCha8Rng,
    ) -> Vec<Point> {
        let mut pool: Vec<Point> = (0..DRAWS)
            .map(|_| Point(densities.iter().map(|each| each.draw(generator)).collect()))
            .collect();
        for (best, _) in ranked.iter().take(CENTRES) {
            pool.extend(neighbours(&self.space, best, generator));
        }
        pool.retain(|point| !self.seen.contains(point));
        pool
    }
}

impl Densities {
    /// Log of the ratio that the expected improvement grows with.
    fn gain(&self, index: u64) -> f64 {
        self.good.log_pdf(centre(index)) - self.bad.log_pdf(centre(index))
    }

    fn draw(&self, generator: &mut ChaCha8Rng) -> u64 {
        let mut best = (f64::NEG_INFINITY, 0);
        for _ in 0..DRAWS_A_DIMENSION {
            let drawn = self.good.sample(generator);
            let index = (drawn.max(0.0) as u64).min(self.count.saturating_sub(1));
            let gain = self.gain(index);
            if gain > best.0 {
                best = (gain, index);
            }
        }
        best.1
    }
}

/// Middle of a cell, where both estimators are asked.
fn centre(index: u64) -> f64 {
    index as f64 + 0.5
}

/// Points one step away in one dimension; of an enumeration one other value.
fn neighbours(space: &Space, point: &Point, generator: &mut ChaCha8Rng) -> Vec<Point> {
    let mut found = Vec::new();
    for (at, dimension) in space.dimensions.iter().enumerate() {
        let Some(index) = point.0.get(at).copied() else {
            continue;
        };
        let count = dimension.domain.count();
        let steps = match dimension.domain {
            Domain::Range { .. } => vec![index.checked_sub(1), index.checked_add(1)],
            Domain::Enum { .. } => vec![Some(
                (index + generator.random_range(1..count.max(2))) % count.max(1),
            )],
        };
        for step in steps.into_iter().flatten().filter(|step| *step < count) {
            let mut next = point.clone();
            if let Some(slot) = next.0.get_mut(at) {
                *slot = step;
                found.push(next);
            }
        }
    }
    found
}

impl Sampler for TpeSampler {
    fn tell(&mut self, observation: Observation) {
        self.sobol.tell(observation.clone());
        self.seen.insert(observation.point.clone());
        self.told.push(observation);
    }

    fn ask(&mut self) -> Option<Point> {
        if self.seen.covers(&self.space) {
            return None;
        }
        let told = self.told.len() as u64;
        let ranked = self.ranked();
        // One more than the start: the first told is the baseline.
        if told <= self.start || ranked.len() < 2 {
            return self.sobol.ask();
        }
        let mut generator = generator(self.seed, told);
        let choice = self.densities(&ranked).and_then(|densities| {
            self.candidates(&densities, &ranked, &mut generator)
                .into_iter()
                .map(|point| {
                    let gain: f64 = densities
                        .iter()
                        .zip(&point.0)
                        .map(|(each, index)| each.gain(*index))
                        .sum();
                    (gain, point)
                })
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, point)| point)
        });
        choice.or_else(|| self.seen.unseen(&self.space, &mut generator))
    }
}
