//! A driver that misbehaves on request. Its configuration names what to try;
//! with none it does nothing at all, which is what benchmarks measure.

#![forbid(unsafe_code)]

use serde::Deserialize;
use servo_driver::{
    Context, Failure, Measure, MeasureRequest, Measurement, OneStep, Step, export_measure,
    model::Metric,
};

/// What to try.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

/// The driver.
#[derive(Debug)]
pub struct Hostile;

impl Measure for Hostile {
    type Config = Config;
    type State = OneStep;

    fn describe(_: &Config, _: &Context) -> Result<Vec<Metric>, Failure> {
        Ok(vec![])
    }

    fn start(
        _: &Config,
        _: &MeasureRequest,
        _: &Context,
    ) -> Result<Step<Measurement, OneStep>, Failure> {
        Ok(Step::done(Measurement::default()))
    }
}

export_measure!(Hostile);
