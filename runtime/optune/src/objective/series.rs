//! A metric as one number.

use servo_protocol::{Measurement, Named, Reading, Sample, Scalar};

use super::{Known, ScoreError};

/// How a time series becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reducer {
    /// Mean over the instances of the mean over their points, as the service's
    /// objectives were checked (protocol 19.5): a pod that reports twice as
    /// often has no more weight.
    Mean,
    /// A percentile over all points of all instances.
    Percentile(u8),
    /// Mean over the instances of their latest point.
    Last,
}

impl Reducer {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "mean" => Some(Self::Mean),
            "median" => Some(Self::Percentile(50)),
            "last" => Some(Self::Last),
            _ => {
                let percent: u8 = name
                    .strip_prefix('p')
                    .filter(|digits| digits.len() == 2)?
                    .parse()
                    .ok()?;
                (50..=99)
                    .contains(&percent)
                    .then_some(Self::Percentile(percent))
            }
        }
    }
}

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
        Reading::Single(None) => return Err(not("the value is null")),
        Reading::Single(Some(Scalar::Number(number))) => number.as_f64(),
        // Drivers that parse the output of programs pass numbers on as texts.
        Reading::Single(Some(Scalar::Text(text))) => text
            .trim()
            .parse()
            .map_err(|_| not("the value is a text"))?,
        Reading::Series(instances) => {
            let series: Vec<Vec<f64>> = instances
                .iter()
                .map(|instance| {
                    let values = instance
                        .points
                        .iter()
                        .filter_map(|point| Some(point.value?.as_f64()));
                    values.filter(|value| value.is_finite()).collect()
                })
                .filter(|values: &Vec<f64>| !values.is_empty())
                .collect();
            reduce(&series, reducer).ok_or_else(|| not("its time series holds no points"))?
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

fn reduce(series: &[Vec<f64>], reducer: Reducer) -> Option<f64> {
    match reducer {
        Reducer::Mean => mean(
            series
                .iter()
                .filter_map(|values| mean(values.iter().copied())),
        ),
        Reducer::Last => mean(series.iter().filter_map(|values| values.last().copied())),
        Reducer::Percentile(percent) => {
            let mut all: Vec<f64> = series.iter().flatten().copied().collect();
            all.sort_by(f64::total_cmp);
            percentile(&all, f64::from(percent) / 100.0)
        }
    }
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
