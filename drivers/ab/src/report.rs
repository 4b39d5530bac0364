//! What the service is told: the original's five metrics under its names, the
//! same figures under names that can stand in a formula, and percentiles.

use servo_driver::{
    Measurement,
    model::{Metric, Sample, Scalar},
};

use crate::{load::Tally, plan::Plan};

const PERCENTILES: [(&str, f64); 4] = [
    ("latency_p50", 0.50),
    ("latency_p90", 0.90),
    ("latency_p95", 0.95),
    ("latency_p99", 0.99),
];

/// Name, plain name, unit, and what it is.
const METRICS: [(&str, &str, &str, &str); 5] = [
    (
        "requests throughput",
        "throughput",
        "requests/second",
        "answers in a second",
    ),
    (
        "time taken",
        "time_taken",
        "seconds",
        "length of the measured window",
    ),
    (
        "number of errors",
        "errors",
        "count",
        "requests without an answer",
    ),
    (
        "time per request (across all concurrent requests)",
        "latency_concurrent",
        "milliseconds",
        "measured time for each answer",
    ),
    (
        "time per request",
        "latency",
        "milliseconds",
        "measured time for each answer, times the requests in flight",
    ),
];

pub(crate) fn metrics() -> Vec<Metric> {
    let metric =
        |name: &str, unit: &str, what: &str| Metric::new(name).unit(unit).annotation(what).min(0.0);
    let literal = METRICS
        .iter()
        .map(|(name, _, unit, what)| metric(name, unit, what));
    let plain = METRICS
        .iter()
        .map(|(_, plain, unit, what)| metric(plain, unit, what));
    let percentiles = PERCENTILES.iter().map(|(name, share)| {
        metric(
            name,
            "milliseconds",
            &format!("{:.0} % of the answers came faster", share * 100.0),
        )
    });
    literal.chain(plain).chain(percentiles).collect()
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn measurement(plan: &Plan, tally: &Tally) -> Measurement {
    let seconds = tally.elapsed.as_secs_f64();
    let completed = tally.completed as f64;
    let each = seconds * 1000.0 / completed;
    let values: [Scalar; 5] = [
        rounded(completed / seconds, 100.0).into(),
        rounded(seconds, 1000.0).into(),
        tally.failed.into(),
        rounded(each, 1000.0).into(),
        rounded(each * plan.threads as f64, 1000.0).into(),
    ];
    let figures = || METRICS.iter().zip(&values);
    let literal = figures().map(|((name, _, unit, _), value)| sample(name, unit, value));
    let plain = figures().map(|((_, plain, unit, _), value)| sample(plain, unit, value));
    let percentiles = PERCENTILES.iter().filter_map(|(name, share)| {
        let value = rounded(tally.latencies.percentile(*share)?, 1000.0);
        Some(Sample::single(*name, value).unit("milliseconds"))
    });
    let mut measurement = Measurement::new(literal.chain(plain).chain(percentiles))
        .note("command", plan.command())
        .note("non_2xx", tally.non_2xx.to_string())
        .note("bytes", tally.bytes.to_string());
    if let Some(error) = &tally.first_error {
        measurement = measurement.note("first_error", error.to_string());
    }
    measurement
}

fn sample(name: &str, unit: &str, value: &Scalar) -> Sample {
    Sample::single(name, value.clone()).unit(unit)
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
