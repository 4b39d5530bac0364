//! Latencies in bounded memory.
//!
//! A measurement may send hundreds of millions of requests, and a list of all
//! results is what made the original's tool run out of memory. Counts are kept
//! in 64 classes for every power of two, so a percentile is off by less than
//! 0.8 %: less than two runs of the same load differ.

use std::time::Duration;

/// Classes for each power of two; values below twice this many are exact.
const CLASSES: usize = 64;
const BITS: u32 = CLASSES.trailing_zeros();
/// Powers of two covered: up to 2^36 µs, some nineteen hours.
const POWERS: usize = 30;

/// How often each latency occurred.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; CLASSES * (POWERS + 1)],
            total: 0,
        }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let last = self.counts.len() - 1;
        if let Some(count) = self.counts.get_mut(class(micros).min(last)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The latency in milliseconds that this share of all (0 to 1) did not
    /// exceed; nothing when there are none.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    pub(crate) fn percentile(&self, share: f64) -> Option<f64> {
        let rank = ((share * self.total as f64).ceil() as u64).max(1);
        let mut below = 0;
        let class = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(middle(class) / 1000.0)
    }
}

fn class(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(BITS + 1);
    let within = usize::try_from(micros >> shift).unwrap_or(usize::MAX);
    CLASSES * shift as usize + within
}

/// The middle of a class, in microseconds.
#[allow(clippy::cast_precision_loss)]
fn middle(class: usize) -> f64 {
    let shift = (class / CLASSES).saturating_sub(1);
    let low = ((class - CLASSES * shift) as u64) << shift;
    low as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_falls_into_a_class_that_is_close() {
        for micros in (0..400).chain([1_000, 65_535, 65_536, 1_234_567, 60_000_000, 1 << 35]) {
            let found = middle(class(micros));
            let off = (found - micros as f64).abs();
            assert!(
                off <= micros as f64 * 0.008,
                "{micros} is taken for {found}"
            );
            assert!(
                class(micros) <= class(micros + 1),
                "classes are in order at {micros}"
            );
        }
    }

    #[test]
    fn percentiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(0.5), None);
        for micros in 1..=100 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, ms) in [
            (0.0, 0.001),
            (0.5, 0.05),
            (0.9, 0.09),
            (0.99, 0.099),
            (1.0, 0.1),
        ] {
            assert_eq!(histogram.percentile(share), Some(ms), "{share}");
        }
    }

    #[test]
    fn what_is_beyond_the_classes_counts_as_the_longest() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::MAX);
        assert!(histogram.percentile(0.5).unwrap() > 6e7);
    }
}
