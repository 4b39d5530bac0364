//! A tree-structured Parzen estimator over the grid.
//!
//! What is better than most is told from the rest by how often its values occur
//! there (see [`super::density`]). A study here needs four things beyond the
//! usual method: candidates judged as whole points (so that a point seen before
//! can be passed over for the next best one), failed trials in the bad density
//! at any split, counts for values without order, and answers that depend on
//! nothing but seed and history.
//!
//! It starts with `2 x dimensions` low-discrepancy points, at most half of the
//! budget. After that, every candidate pool holds draws from the good density
//! and the grid neighbours of the best points, since the last steps to an
//! optimum of a grid are single steps.

use super::density::Density;
use super::seen::Seen;
use super::sobol::SobolSampler;
use super::{Observation, Sampler, generator};
use crate::space::{Domain, Point, Space};
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

/// Share of the scored trials that count as good.
const GAMMA: f64 = 0.2;
/// Most trials that count as good. In a long study a share would take in what
/// is far from the best, and the good density would become that of all.
const MOST_GOOD: usize = 25;
/// Most scored trials that count as bad: the worst. In a long study most trials
/// lie around the best points, and were the not quite so good ones among them
/// called bad, that would be what is shunned.
const MOST_BAD: usize = 100;
/// Largest space of which every unseen point is a candidate when no other is
/// left.
const WALKED: u128 = 65_536;
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
    good: Density,
    bad: Density,
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
        let share = (ranked.len() as f64 * GAMMA).ceil() as usize;
        let split = share.min(MOST_GOOD).clamp(1, ranked.len().max(1));
        let (good, rest) = ranked.split_at_checked(split)?;
        let bad = rest.get(rest.len().saturating_sub(MOST_BAD)..)?;
        let failed = self
            .told
            .iter()
            .filter(|each| each.cost.is_none())
            .map(|each| &each.point);
        let bad: Vec<&Point> = bad.iter().map(|each| each.0).chain(failed).collect();
        let good: Vec<&Point> = good.iter().map(|each| each.0).collect();
        // As if two more points were drawn evenly.
        let share = (2.0 / (good.len() as f64 + 1.0)).min(0.5);
        let densities = self.space.dimensions.iter().enumerate();
        let densities = densities.map(|(at, dimension)| {
            let of = |points: &[&Point]| {
                let indices = points.iter().filter_map(|point| point.0.get(at).copied());
                Density::of(&dimension.domain, &indices.collect::<Vec<_>>(), share)
            };
            Densities {
                good: of(&good),
                bad: of(&bad),
            }
        });
        Some(densities.collect())
    }

    fn candidates(
        &self,
        densities: &[Densities],
        ranked: &[(&Point, f64)],
        generator: &mut ChaCha8Rng,
    ) -> Vec<Point> {
        let mut pool = Self::drawn(densities, DRAWS_A_DIMENSION, generator);
        for (best, _) in ranked.iter().take(CENTRES) {
            pool.extend(neighbours(&self.space, best, generator));
        }
        pool.retain(|point| !self.seen.contains(point));
        // The best of several draws a dimension is sooner or later always the
        // same few points, and those were tried. Then single draws have to do,
        // and at last the neighbours of the best point that has an untried one.
        if pool.is_empty() {
            pool = Self::drawn(densities, 1, generator);
            pool.retain(|point| !self.seen.contains(point));
        }
        for (best, _) in ranked {
            if !pool.is_empty() {
                break;
            }
            pool.extend(neighbours(&self.space, best, generator));
            pool.retain(|point| !self.seen.contains(point));
        }
        // Near the end of a space, and where all its good points were tried,
        // what is left is judged as well, and not only drawn from.
        if pool.is_empty() && self.space.size() <= WALKED {
            pool = (0..self.space.size())
                .map(|n| self.space.nth(n))
                .filter(|point| !self.seen.contains(point))
                .collect();
        }
        pool
    }

    /// Points drawn from the good density, each index the best of some draws.
    fn drawn(densities: &[Densities], draws: usize, generator: &mut ChaCha8Rng) -> Vec<Point> {
        let mut point = || {
            Point(
                densities
                    .iter()
                    .map(|each| each.draw(draws, generator))
                    .collect(),
            )
        };
        (0..DRAWS).map(|_| point()).collect()
    }
}

impl Densities {
    /// Log of the ratio that the expected improvement grows with.
    fn gain(&self, index: u64) -> f64 {
        self.good.log(index) - self.bad.log(index)
    }

    fn draw(&self, draws: usize, generator: &mut ChaCha8Rng) -> u64 {
        let mut best = (f64::NEG_INFINITY, 0);
        for _ in 0..draws {
            let index = self.good.draw(generator);
            let gain = self.gain(index);
            if gain > best.0 {
                best = (gain, index);
            }
        }
        best.1
    }
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
