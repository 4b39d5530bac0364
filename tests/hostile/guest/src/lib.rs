//! A driver that misbehaves on request. Its configuration names what to try;
//! with none it does nothing at all, which is what benchmarks measure.
//!
//! One component with many behaviours is built once. What it answers is only a
//! hint for the reader of a failed test: the suites look at the outside, at
//! listeners, folders and counters, because a guest cannot tell what the host
//! did for it.

#![deny(unsafe_code)]

#[cfg(target_arch = "wasm32")]
mod attack;
mod behaviour;

use std::time::Duration;

pub use behaviour::{
    At, Behaviour, Config, FileAction, Fill, FolderPath, Handle, RawRequest, Through,
};
use servo_driver::{
    Context, Failure, Measure, MeasureRequest, Measurement, Step, export_measure, model::Metric,
};

/// What a behaviour found out: names and texts for the notes of the result.
pub type Findings = Vec<(String, String)>;

/// The driver.
#[derive(Debug)]
pub struct Hostile;

impl Measure for Hostile {
    type Config = Config;
    type State = String;

    fn describe(config: &Config, cx: &Context) -> Result<Vec<Metric>, Failure> {
        if config.at != At::Describe {
            return Ok(vec![]);
        }
        if let Behaviour::Metrics { count, alike } = config.behaviour {
            let name = |index: u32| if alike { 0 } else { index };
            return Ok((0..count)
                .map(|index| Metric::new(format!("m{}", name(index))))
                .collect());
        }
        behave(&config.behaviour, config.through, cx).map(|_| vec![])
    }

    fn start(
        config: &Config,
        _: &MeasureRequest,
        cx: &Context,
    ) -> Result<Step<Measurement, String>, Failure> {
        if config.at != At::Measure {
            return Ok(Step::done(Measurement::default()));
        }
        if let Behaviour::Pause { state_bytes } = config.behaviour {
            return Ok(Step::wait(Duration::from_secs(1), "s".repeat(state_bytes)));
        }
        if let Behaviour::PauseWith { text, times } = &config.behaviour {
            return Ok(Step::wait(Duration::from_secs(1), text.repeat(*times)));
        }
        let findings = behave(&config.behaviour, config.through, cx)?;
        Ok(Step::done(findings.into_iter().fold(
            Measurement::default(),
            |measurement, (name, text)| measurement.note(name, text),
        )))
    }

    fn cancelled(
        config: &Config,
        _: &MeasureRequest,
        _: String,
        _: Option<String>,
        cx: &Context,
    ) -> Result<Step<(), String>, Failure> {
        if config.at == At::Cancelled {
            behave(&config.behaviour, config.through, cx)?;
        }
        Ok(Step::done(()))
    }
}

#[cfg(target_arch = "wasm32")]
use attack::behave;

/// Outside a sandbox there is nothing to attack.
#[cfg(not(target_arch = "wasm32"))]
fn behave(behaviour: &Behaviour, _: Through, _: &Context) -> Result<Findings, Failure> {
    match behaviour {
        Behaviour::Nothing => Ok(vec![]),
        _ => Err(Failure::failed("only a component can do this")),
    }
}

export_measure!(Hostile);
