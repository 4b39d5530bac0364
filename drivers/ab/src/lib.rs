//! Measures an application by loading it: Apache Benchmark as a component.
//!
//! Parameters, metrics, units and rounding are those of the `ab` driver of the
//! original agent, so a service configured for that one works unchanged. The
//! load comes from the component itself, because no driver may start a
//! program; the `load` module says how.

#![forbid(unsafe_code)]

mod histogram;
mod load;
mod plan;
mod report;
#[cfg(test)]
mod tests;

use servo_driver::{
    Context, Failure, Measure, MeasureRequest, Measurement, OneStep, Step, export_measure,
    model::Metric,
};

pub use plan::{Amount, Config, LoadMethod, Params};

/// The driver.
#[derive(Debug)]
pub struct Ab;

impl Measure for Ab {
    type Config = Config;
    type State = OneStep;

    fn describe(_: &Config, _: &Context) -> Result<Vec<Metric>, Failure> {
        Ok(report::metrics())
    }

    fn start(
        config: &Config,
        request: &MeasureRequest,
        cx: &Context,
    ) -> Result<Step<Measurement, OneStep>, Failure> {
        let plan = plan::Plan::new(config, &request.control)?;
        let tally = load::run(&plan, cx)?;
        Ok(Step::done(report::measurement(&plan, &tally)))
    }
}

export_measure!(Ab);
