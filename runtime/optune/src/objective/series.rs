//! A metric as one number.

use servo_formula::Reducer;
use servo_protocol::{Measurement, Named, Reading, Sample, Scalar};

use super::{Known, ScoreError};

/// The value of a metric of a measurement.
pub(super) fn value(
    measurement: &Measurement,
    name: &str,
    reducer: Reducer,
) -> Result<f64, ScoreError> {
    let sample = find(&measurement.metrics, name).ok_or_else(|| ScoreError::Missing {
        name: super::shorten(name, 80),
        known: Known::of(measurement.metrics.keys().map(String::as_str)),
    })?;
    let not = |problem| ScoreError::NotANumber {
        name: super::shorten(name, 80),
        problem,
    };
    let value = match &sample.reading {
        // One value says nothing about how it moves.
        Reading::Single(_) if reducer == Reducer::Slope => return Err(not("it is no time series")),
        Reading::Single(None) => return Err(not("the value is null")),
        Reading::Single(Some(Scalar::Number(number))) => number.as_f64(),
        // Drivers that parse the output of programs pass numbers on as texts.
        Reading::Single(Some(Scalar::Text(text))) => text
            .trim()
            .parse()
            .map_err(|_| not("the value is a text"))?,
        Reading::Series(instances) => {
            let series: Vec<Vec<(f64, f64)>> = instances
                .iter()
                .map(|instance| {
                    let points = instance
                        .points
                        .iter()
                        .filter_map(|point| Some((point.time.as_f64(), point.value?.as_f64())));
                    points
                        .filter(|(time, value)| time.is_finite() && value.is_finite())
                        .collect()
                })
                .filter(|points: &Vec<(f64, f64)>| !points.is_empty())
                .collect();
            let problem = match reducer {
                Reducer::Slope => "its time series holds no two points at different times",
                _ => "its time series holds no points",
            };
            reduce(&series, reducer).ok_or_else(|| not(problem))?
        }
    };
    if value.is_finite() {
        Ok(value)
    } else {
        Err(not("the value is not finite"))
    }
}

fn find<'a>(metrics: &'a Named<Sample>, name: &str) -> Option<&'a Sample> {
    metrics.get(name)
}

fn reduce(series: &[Vec<(f64, f64)>], reducer: Reducer) -> Option<f64> {
    let values = |points: &[(f64, f64)]| mean(points.iter().map(|(_, value)| *value));
    match reducer {
        Reducer::Mean => mean(series.iter().filter_map(|points| values(points))),
        Reducer::Last => mean(
            series
                .iter()
                .filter_map(|points| points.last().map(|(_, value)| *value)),
        ),
        Reducer::Slope => mean(series.iter().filter_map(|points| slope(points))),
        Reducer::Percentile(percent) => {
            let mut all: Vec<f64> = series.iter().flatten().map(|(_, value)| *value).collect();
            all.sort_by(f64::total_cmp);
            percentile(&all, f64::from(percent) / 100.0)
        }
    }
}

/// Least squares. Times are taken from their mean, since time stamps are large
/// and their squares would swallow the differences.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let middle = mean(points.iter().map(|(time, _)| *time))?;
    let level = mean(points.iter().map(|(_, value)| *value))?;
    let (spread, common) = points.iter().fold((0.0, 0.0), |(spread, common), point| {
        let (time, value) = (point.0 - middle, point.1 - level);
        (spread + time * time, common + time * value)
    });
    (spread > 0.0).then(|| common / spread)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Linear interpolation between the two nearest ranks.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * sorted.len().checked_sub(1)? as f64;
    let low = *sorted.get(at.floor() as usize)?;
    let high = *sorted.get(at.ceil() as usize)?;
    Some(low + (high - low) * at.fract())
}
