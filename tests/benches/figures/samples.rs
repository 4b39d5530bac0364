//! Times of one thing, taken in turns with the things it is compared to.
//!
//! A ratio of two figures is only worth something when both were taken under
//! the same load. So nothing is measured by itself: all cases of a comparison
//! take turns, and the one that begins changes from round to round.

use std::time::Duration;

/// Times of one case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn extend(&mut self, times: impl IntoIterator<Item = Duration>) {
        self.0.extend(times);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that a share of the samples does not exceed (nearest rank).
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted[rank.clamp(1, sorted.len()) - 1]
    }

    pub(crate) fn p50(&self) -> Duration {
        self.quantile(0.50)
    }

    /// The 99th percentile; none of so few samples that it would be the largest.
    pub(crate) fn p99(&self) -> Option<Duration> {
        (self.len() >= 200).then(|| self.quantile(0.99))
    }
}

/// One of the cases that take turns.
pub(crate) struct Case<'a> {
    every: usize,
    run: Box<dyn FnMut() -> Duration + 'a>,
    samples: Samples,
}

impl<'a> Case<'a> {
    /// A case that runs in every round.
    pub(crate) fn new(run: impl FnMut() -> Duration + 'a) -> Self {
        Self::every(1, run)
    }

    /// A case that is so slow that it runs in some rounds only.
    pub(crate) fn every(every: usize, run: impl FnMut() -> Duration + 'a) -> Self {
        Self {
            every,
            run: Box::new(run),
            samples: Samples::default(),
        }
    }
}

/// Runs all cases in turns, after a few unrecorded rounds.
pub(crate) fn interleave<const N: usize>(rounds: usize, mut cases: [Case<'_>; N]) -> [Samples; N] {
    for case in &mut cases {
        for _ in 0..(200 / case.every).max(1).min(rounds.div_ceil(10)) {
            (case.run)();
        }
    }
    for round in 0..rounds {
        for turn in 0..N {
            let case = &mut cases[(round + turn) % N];
            if round % case.every == 0 {
                let time = (case.run)();
                case.samples.push(time);
            }
        }
    }
    cases.map(|case| case.samples)
}
