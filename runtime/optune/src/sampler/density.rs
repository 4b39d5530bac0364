//! How often values of one dimension occur in a set of points.
//!
//! Two things keep the ratio of two such densities meaningful where neither set
//! has a point. Each is mixed with an even distribution, both to the same share,
//! so that far from all points the ratio is one; and no kernel is narrower than
//! the set can tell. Without them, once there are some hundred points, the ratio
//! is largest where both densities are next to nothing, and a search that
//! follows it leaves the good region for ever.

use std::collections::BTreeMap;
use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

use crate::space::Domain;

/// Kernels are at least a share of the range that is 1 by this.
const FINEST: f64 = 100.0;
/// Narrowest kernel, in steps.
const NARROWEST: f64 = 0.5;
/// Draws of a kernel that fall outside of the range before its edge is taken.
const DRAWS: usize = 16;

/// A distribution over the indices of a dimension.
#[derive(Debug)]
pub(super) enum Density {
    /// Values in an order: a kernel around each that occurs, in steps, of the
    /// weights `all` together, and the even one of the weight `even`.
    Ordered {
        count: f64,
        kernels: Vec<Kernel>,
        even: f64,
        all: f64,
    },
    /// Values without order: how often each occurs, and one more, so that the
    /// ratio asks for a value that was hardly tried.
    Listed { weights: Vec<f64>, all: f64 },
}

/// A normal distribution within the range.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Points at its centre.
    weight: f64,
    centre: f64,
    width: f64,
    /// Share of it that lies within the range.
    inside: f64,
}

/// Middle of a cell.
fn middle(index: u64) -> f64 {
    index as f64 + 0.5
}

impl Density {
    /// Of points at these indices; `share` is that of the even distribution,
    /// above 0 and below 1.
    pub(super) fn of(domain: &Domain, indices: &[u64], share: f64) -> Self {
        // As a number of points; without any point it is all there is.
        let even = (indices.len() as f64 * share / (1.0 - share)).max(f64::MIN_POSITIVE);
        match domain {
            Domain::Range { count, .. } => {
                let count = *count as f64;
                let mut centres: BTreeMap<u64, f64> = BTreeMap::new();
                for index in indices {
                    *centres.entry(*index).or_default() += 1.0;
                }
                let points = indices.len() as f64;
                let centres = centres
                    .into_iter()
                    .map(|(index, weight)| (middle(index), weight));
                let kernels = kernels(&centres.collect::<Vec<_>>(), count, points);
                Self::Ordered {
                    count,
                    kernels,
                    even,
                    all: points + even,
                }
            }
            Domain::Enum { values } => {
                let mut weights = vec![1.0; values.len()];
                for index in indices {
                    let slot = usize::try_from(*index).ok();
                    if let Some(weight) = slot.and_then(|slot| weights.get_mut(slot)) {
                        *weight += 1.0;
                    }
                }
                let all = weights.iter().sum();
                Self::Listed { weights, all }
            }
        }
    }

    /// Logarithm of the density at an index; always finite.
    pub(super) fn log(&self, index: u64) -> f64 {
        match self {
            Self::Ordered {
                count,
                kernels,
                even,
                all,
            } => {
                let at = middle(index);
                let sum: f64 = kernels.iter().map(|kernel| kernel.at(at)).sum();
                ((sum + even / count) / all).ln()
            }
            Self::Listed { weights, all } => {
                let slot = usize::try_from(index).ok();
                let weight = slot.and_then(|slot| weights.get(slot)).copied();
                (weight.unwrap_or(1.0) / all).ln()
            }
        }
    }

    /// An index, drawn by this distribution.
    pub(super) fn draw(&self, generator: &mut ChaCha8Rng) -> u64 {
        match self {
            Self::Ordered {
                count,
                kernels,
                all,
                ..
            } => {
                let mut left = generator.random::<f64>() * all;
                let drawn = kernels.iter().find(|kernel| {
                    left -= kernel.weight;
                    left < 0.0
                });
                let at = match drawn {
                    Some(kernel) => kernel.draw(*count, generator),
                    None => generator.random::<f64>() * count,
                };
                at.clamp(0.0, count - 1.0).floor() as u64
            }
            Self::Listed { weights, all } => {
                let mut left = generator.random::<f64>() * all;
                let passed = weights.iter().take_while(|weight| {
                    left -= **weight;
                    left >= 0.0
                });
                (passed.count() as u64).min(weights.len().saturating_sub(1) as u64)
            }
        }
    }
}

/// A kernel for each centre, as wide as the larger gap beside it.
fn kernels(centres: &[(f64, f64)], count: f64, points: f64) -> Vec<Kernel> {
    let least = (count / (points + 1.0).min(FINEST))
        .max(NARROWEST)
        .min(count);
    centres
        .iter()
        .enumerate()
        .map(|(at, (centre, weight))| {
            let before = at.checked_sub(1).and_then(|before| centres.get(before));
            let after = centres.get(at + 1);
            let low = before.map_or(0.0, |each| centre - each.0);
            let high = after.map_or(0.0, |each| each.0 - centre);
            let widest = if centres.len() > 1 {
                low.max(high)
            } else {
                count
            };
            Kernel::new(*centre, *weight, widest.clamp(least, count), count)
        })
        .collect()
}

impl Kernel {
    fn new(centre: f64, weight: f64, width: f64, count: f64) -> Self {
        let below = |at: f64| normal_below((at - centre) / width);
        Self {
            weight,
            centre,
            width,
            inside: (below(count) - below(0.0)).max(f64::MIN_POSITIVE),
        }
    }

    fn at(&self, at: f64) -> f64 {
        let far = (at - self.centre) / self.width;
        self.weight * (-0.5 * far * far).exp() / (TAU.sqrt() * self.width * self.inside)
    }

    fn draw(&self, count: f64, generator: &mut ChaCha8Rng) -> f64 {
        let mut at = self.centre;
        for _ in 0..DRAWS {
            // Box and Muller.
            let radius = (-2.0 * (1.0 - generator.random::<f64>()).ln()).sqrt();
            let far = radius * (TAU * generator.random::<f64>()).cos();
            at = self.centre + self.width * far;
            if (0.0..count).contains(&at) {
                break;
            }
        }
        at
    }
}

/// Share of the normal distribution below a value, to seven digits (Abramowitz
/// and Stegun 7.1.26).
fn normal_below(value: f64) -> f64 {
    let x = value.abs() * FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ]
    .into_iter()
    .fold(0.0, |sum, factor| (sum + factor) * t);
    let erf = 1.0 - series * (-x * x).exp();
    0.5 * (1.0 + erf.copysign(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::generator;

    fn range(count: u64) -> Domain {
        Domain::Range {
            min: 0.0,
            step: 1.0,
            count,
            continuous: false,
        }
    }

    #[test]
    fn it_is_a_distribution_and_draws_follow_it() {
        let listed = Domain::Enum {
            values: vec!["a".into(), "b".into(), "c".into()],
        };
        let table = [
            (range(12), vec![], 12),
            (range(12), vec![0, 0, 1, 11], 12),
            (range(50), (0..50).filter(|n| n % 7 == 0).collect(), 50),
            (listed.clone(), vec![], 3),
            (listed, vec![2, 2, 0], 3),
        ];
        for (domain, points, count) in table {
            let density = Density::of(&domain, &points, 0.2);
            let sum: f64 = (0..count).map(|index| density.log(index).exp()).sum();
            assert!((sum - 1.0).abs() < 0.05, "{domain:?} {points:?}: {sum}");
            let mut generator = generator(7, 1);
            let mut drawn = [0_u32; 50];
            for _ in 0..20_000 {
                drawn[density.draw(&mut generator) as usize] += 1;
            }
            for index in 0..count {
                let share = f64::from(drawn[index as usize]) / 20_000.0;
                let expected = density.log(index).exp();
                assert!((share - expected).abs() < 0.03, "{points:?} {index}");
            }
        }
    }

    #[test]
    fn far_from_every_point_two_densities_are_alike() {
        let many: Vec<u64> = (0..200).map(|n| 100 + n % 50).collect();
        let few: Vec<u64> = (0..20).map(|n| 300 + n % 30).collect();
        let many = Density::of(&range(1000), &many, 0.05);
        let few = Density::of(&range(1000), &few, 0.05);
        let ratio = |index| few.log(index) - many.log(index);
        assert!(ratio(990).abs() < 1e-6, "{}", ratio(990));
        assert!(ratio(310) > 1.0 && ratio(120) < -1.0);
    }
}
