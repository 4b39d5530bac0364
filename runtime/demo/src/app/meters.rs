//! The application's own figures, as `GET /metrics` shows them.
//!
//! Written out by hand in the Prometheus text format 0.0.4: a dozen lines of
//! counters need no registry.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::Settings;

/// Upper bounds of the latency buckets in microseconds, doubling from 1 ms: from
/// a cache hit on an idle machine to a full queue behind one worker.
const BUCKETS: [u64; 11] = [
    1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 1_024_000,
];

#[derive(Default)]
pub(super) struct Meters {
    pub(super) requests: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) passes: AtomicU64,
    pub(super) round_trips: AtomicU64,
    in_flight: AtomicI64,
    /// One for each bound, and one for everything slower.
    latency: [AtomicU64; BUCKETS.len() + 1],
    latency_micros: AtomicU64,
}

/// One request under way; counted out when dropped, however it ends.
pub(super) struct InFlight<'a> {
    meters: &'a Meters,
    since: Instant,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.meters.in_flight.fetch_sub(1, Relaxed);
        self.meters.observe(self.since.elapsed());
    }
}

pub(super) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
}

impl Meters {
    pub(super) fn begin(&self) -> InFlight<'_> {
        self.requests.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight {
            meters: self,
            since: Instant::now(),
        }
    }

    fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.latency.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.latency_micros.fetch_add(micros, Relaxed);
    }

    /// The page in the Prometheus text format.
    pub(super) fn page(&self, settings: Settings) -> String {
        let mut page = String::new();
        let mut family = |name: &str, kind: &str, help: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(
                page,
                "# HELP servo_demo_{name} {help}\n# TYPE servo_demo_{name} {kind}\nservo_demo_{name} {value}"
            );
        };
        for (name, help, counter) in [
            ("requests_total", "Quotes asked for.", &self.requests),
            (
                "rejected_total",
                "Quotes refused because the queue was full.",
                &self.rejected,
            ),
            (
                "cache_hits_total",
                "Quotes answered from the cache.",
                &self.hits,
            ),
            (
                "cache_misses_total",
                "Quotes that needed the database.",
                &self.misses,
            ),
            ("passes_total", "Passes of all workers.", &self.passes),
            (
                "database_round_trips_total",
                "Questions to the database.",
                &self.round_trips,
            ),
        ] {
            family(name, "counter", help, counter.load(Relaxed).to_string());
        }
        let in_flight = self.in_flight.load(Relaxed).to_string();
        family("in_flight", "gauge", "Quotes under way.", in_flight);
        for (name, help, value) in [
            (
                "setting_workers",
                "Threads that serve quotes.",
                settings.workers(),
            ),
            (
                "setting_batch",
                "Most requests in one pass.",
                settings.batch(),
            ),
            ("setting_cache", "Quotes kept in memory.", settings.cache()),
        ] {
            family(name, "gauge", help, value.to_string());
        }
        self.histogram(&mut page);
        page
    }

    fn histogram(&self, page: &mut String) {
        const NAME: &str = "servo_demo_request_seconds";
        let _ = writeln!(
            page,
            "# HELP {NAME} Time from a request to its answer.\n# TYPE {NAME} histogram"
        );
        let mut count = 0;
        let bounds = BUCKETS
            .iter()
            .map(|micros| (*micros as f64 / 1e6).to_string())
            .chain(["+Inf".to_owned()]);
        for (bound, bucket) in bounds.zip(&self.latency) {
            count += bucket.load(Relaxed);
            let _ = writeln!(page, "{NAME}_bucket{{le=\"{bound}\"}} {count}");
        }
        let sum = self.latency_micros.load(Relaxed) as f64 / 1e6;
        let _ = writeln!(page, "{NAME}_sum {sum}\n{NAME}_count {count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_fall_into_cumulative_buckets() {
        let meters = Meters::default();
        for micros in [1, 1_000, 1_001, 5_000, 3_000_000] {
            meters.observe(Duration::from_micros(micros));
        }
        let page = meters.page(Settings::default());
        for line in [
            "servo_demo_request_seconds_bucket{le=\"0.001\"} 2",
            "servo_demo_request_seconds_bucket{le=\"0.002\"} 3",
            "servo_demo_request_seconds_bucket{le=\"0.004\"} 3",
            "servo_demo_request_seconds_bucket{le=\"0.008\"} 4",
            "servo_demo_request_seconds_bucket{le=\"1.024\"} 4",
            "servo_demo_request_seconds_bucket{le=\"+Inf\"} 5",
            "servo_demo_request_seconds_sum 3.007002",
            "servo_demo_request_seconds_count 5",
            "servo_demo_setting_workers 2",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }

    #[test]
    fn a_request_is_in_flight_until_dropped() {
        let meters = Meters::default();
        let one = meters.begin();
        assert!(meters.page(Settings::default()).contains("in_flight 1\n"));
        drop(one);
        assert!(meters.page(Settings::default()).contains("in_flight 0\n"));
    }
}
