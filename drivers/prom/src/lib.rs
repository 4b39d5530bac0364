//! Measures an application by what Prometheus knows of it.
//!
//! Prometheus has recorded everything already, so a measurement is waiting and
//! then one question for each metric. The questions are asked once before the
//! wait, because a mistake in a query should not take an hour to show; the
//! wait is one pause between two steps, and what travels through it is the
//! window it is for, so that a call continued late or elsewhere still reads
//! the window it began with.

#![forbid(unsafe_code)]

mod answer;
mod checked;
mod config;
mod labels;
mod server;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use servo_driver::{
    Context, Control, Failure, Measure, MeasureRequest, Measurement, Report, Step, export_measure,
    model::{self, Sample},
};

pub use config::{CheckWindow, Config, Endpoint, Metric, Metrics, Period, PromQl};
use server::{Server, millis, seconds};

/// Prometheus refuses a query that would give more points than this for one
/// series, and does so only after the wait.
const MOST_POINTS: u64 = 11_000;

/// Characters of a note.
const NOTE: usize = 500;

/// The driver.
#[derive(Debug)]
pub struct Prom;

/// The measured window in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    start_ms: u64,
    end_ms: u64,
}

impl Measure for Prom {
    type Config = Config;
    type State = Window;

    fn describe(config: &Config, cx: &Context) -> Result<Vec<model::Metric>, Failure> {
        Server::new(config, cx)?;
        let described = config.metrics.iter().map(|(name, metric)| model::Metric {
            unit: metric.unit.clone(),
            ..model::Metric::new(name)
        });
        Ok(described.collect())
    }

    fn start(
        config: &Config,
        request: &MeasureRequest,
        cx: &Context,
    ) -> Result<Step<Measurement, Window>, Failure> {
        let server = Server::new(config, cx)?;
        let times = Times::new(&request.control)?;
        let wanted = wanted(config, request);
        if wanted.is_empty() {
            let names = request.metrics.join(", ");
            log::warn!("none of the metrics asked for is configured: {names}");
            return Ok(Step::done(Measurement::default()));
        }
        for (name, metric) in &wanted {
            times.check_points(name, metric)?;
        }
        if let Some(length) = config.check_window.length() {
            check(&server, &wanted, length, cx)?;
        }
        let start = cx.unix_time().saturating_add(times.warmup);
        let window = Window {
            start_ms: millis(start),
            end_ms: millis(start.saturating_add(times.duration)),
        };
        Ok(Step::wait(times.all(), window)
            .progress(0.0)
            .message(times.in_words()))
    }

    fn resume(
        config: &Config,
        request: &MeasureRequest,
        window: Window,
        cx: &Context,
    ) -> Result<Step<Measurement, Window>, Failure> {
        let server = Server::new(config, cx)?;
        let mut measurement = Measurement::default();
        for (name, metric) in wanted(config, request) {
            cx.progress(Report::percent(99.0).message(format!("reading {name}")))?;
            let read = server.query(name, metric, window.start_ms, window.end_ms)?;
            if !read.doubts.is_empty() {
                let text: String = read.doubts.join("; ").chars().take(NOTE).collect();
                measurement = measurement.note(format!("warnings of {name}"), text);
            }
            if read.series.is_empty() {
                log::warn!("{name}: the query gives no series in the measured window");
            }
            measurement.samples.push(Sample {
                unit: metric.unit.clone(),
                ..Sample::series(name, read.series).annotation(metric.query.as_str())
            });
        }
        Ok(Step::done(measurement))
    }
}

/// What is to be measured, in the order it was asked for and each once. What
/// is not configured is left out: the service asks for metrics it derives
/// itself.
fn wanted<'a>(config: &'a Config, request: &'a MeasureRequest) -> Vec<(&'a str, &'a Metric)> {
    if request.metrics.is_empty() {
        return config.metrics.iter().collect();
    }
    let mut seen = BTreeSet::new();
    let names = request.metrics.iter().map(String::as_str);
    names
        .filter(|name| seen.insert(*name))
        .filter_map(|name| Some((name, config.metrics.get(name)?)))
        .collect()
}

/// Asks for a little history, to learn before the wait that a query is wrong
/// or not allowed.
fn check(
    server: &Server,
    wanted: &[(&str, &Metric)],
    length: Duration,
    cx: &Context,
) -> Result<(), Failure> {
    let now = cx.unix_time();
    for (name, metric) in wanted {
        cx.progress(Report::percent(0.0).message(format!("checking {name}")))?;
        let start = millis(now.saturating_sub(length));
        let read = server.query(name, metric, start, millis(now))?;
        let count = read.series.len();
        log::info!("{name}: {count} series in the last {length:?}");
    }
    Ok(())
}

/// How long everything takes, checked.
struct Times {
    warmup: Duration,
    duration: Duration,
    delay: Duration,
}

impl Times {
    fn new(control: &Control) -> Result<Self, Failure> {
        let missing = "`control.duration` is missing: \
             it is the length of the measured window, in seconds";
        Ok(Self {
            warmup: control.warmup.unwrap_or_default(),
            duration: control.duration.ok_or_else(|| invalid(missing))?,
            delay: control.delay.unwrap_or_default(),
        })
    }

    fn all(&self) -> Duration {
        let window = self.warmup.saturating_add(self.duration);
        window.saturating_add(self.delay)
    }

    fn in_words(&self) -> String {
        let seconds = |time| seconds(millis(time));
        format!(
            "{} s warm-up, {} s measured, {} s until the data is complete",
            seconds(self.warmup),
            seconds(self.duration),
            seconds(self.delay)
        )
    }

    fn check_points(&self, name: &str, metric: &Metric) -> Result<(), Failure> {
        let period = metric.period.seconds();
        let points = self.duration.as_secs() / u64::from(period);
        if points <= MOST_POINTS {
            return Ok(());
        }
        let text = format!(
            "metric {name:?} would have {points} points in the measured window, and Prometheus \
             gives at most {MOST_POINTS}: set a `period` above {period} seconds"
        );
        Err(invalid(&text))
    }
}

fn invalid(text: &str) -> Failure {
    Failure::failed(text).reason("invalid-input")
}

export_measure!(Prom);
