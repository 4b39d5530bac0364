//! What may cross the boundary from a guest to the host.
//!
//! A result is data of the enemy until it has passed here: bounded in size and
//! count, free of NaN and infinities, with names that are unique. What the
//! values mean (a range whose minimum is above its maximum) is checked by the
//! agent, which knows the protocol; this is what keeps the host itself safe.

use std::collections::HashSet;

use crate::bindings::adjust::{self, AdjustStep, Adjustment};
use crate::bindings::measure::{self, MeasureStep, Measurement};
use crate::bindings::model::{
    Application, EnumSetting, Metric, Pause, RangeSetting, Reading, Sample, Scalar, Setting,
    SettingKind, SettingValue,
};
use crate::outcome::Limit;

/// Metrics, components or settings in one answer. The largest real application
/// has some dozens; a list page of the service shows a few hundred.
const MAX_NAMES: usize = 1_000;

/// Values of one enumerated setting.
const MAX_CHOICES: usize = 1_000;

/// Bytes of one name, id or unit.
const MAX_NAME_BYTES: usize = 1_000;

/// Longest wait a pause may ask for, in seconds: a week, the longest wall time
/// of a call.
const MAX_WAIT: f64 = 7.0 * 24.0 * 3600.0;

/// Why an answer was not let through.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Violation {
    /// A limit of the budget.
    Limit(Limit),
    /// The contract, in words.
    Contract(String),
}

/// Sizes that apply to the answers of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) result_bytes: u64,
    pub(crate) state_bytes: u64,
}

type Checked = Result<(), Violation>;

fn contract(text: impl Into<String>) -> Violation {
    Violation::Contract(text.into())
}

/// Adds up what an answer weighs and notes the first thing that is wrong.
struct Scale {
    left: u64,
}

impl Scale {
    fn new(bounds: &Bounds) -> Self {
        Self {
            left: bounds.result_bytes,
        }
    }

    fn bytes(&mut self, count: usize) -> Checked {
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or(Violation::Limit(Limit::ResultBytes))?;
        Ok(())
    }

    fn text(&mut self, text: &str) -> Checked {
        self.bytes(text.len())
    }

    fn optional(&mut self, text: Option<&String>) -> Checked {
        text.map_or(Ok(()), |text| self.text(text))
    }

    fn number(&mut self, what: &str, value: f64) -> Checked {
        self.bytes(8)?;
        if value.is_finite() {
            Ok(())
        } else {
            Err(contract(format!("{what} is not a finite number")))
        }
    }

    fn optional_number(&mut self, what: &str, value: Option<f64>) -> Checked {
        value.map_or(Ok(()), |value| self.number(what, value))
    }

    fn scalar(&mut self, what: &str, value: &Scalar) -> Checked {
        match value {
            Scalar::Integer(_) => self.bytes(8),
            Scalar::Number(value) => self.number(what, *value),
            Scalar::Text(text) => self.text(text),
        }
    }

    /// Names that are present, short enough, unique and few enough.
    fn names<'a>(&mut self, what: &str, names: impl ExactSizeIterator<Item = &'a str>) -> Checked {
        if names.len() > MAX_NAMES {
            return Err(contract(format!(
                "{} {what}s in one answer; at most {MAX_NAMES} are accepted",
                names.len()
            )));
        }
        let mut seen = HashSet::with_capacity(names.len());
        for name in names {
            if name.is_empty() || name.len() > MAX_NAME_BYTES {
                return Err(contract(format!(
                    "a {what} has a name of {} bytes; 1 to {MAX_NAME_BYTES} are accepted",
                    name.len()
                )));
            }
            self.text(name)?;
            if !seen.insert(name) {
                return Err(contract(format!("two {what}s are named {name:?}")));
            }
        }
        Ok(())
    }
}

pub(crate) fn metrics(bounds: &Bounds, metrics: &[Metric]) -> Checked {
    let scale = &mut Scale::new(bounds);
    scale.names("metric", metrics.iter().map(|metric| metric.name.as_str()))?;
    for metric in metrics {
        scale.optional(metric.unit.as_ref())?;
        scale.optional(metric.annotation.as_ref())?;
        scale.optional_number("a metric's minimum", metric.min)?;
        scale.optional_number("a metric's maximum", metric.max)?;
    }
    Ok(())
}

pub(crate) fn application(bounds: &Bounds, application: &Application) -> Checked {
    let scale = &mut Scale::new(bounds);
    let components = &application.components;
    scale.names("component", components.iter().map(|it| it.name.as_str()))?;
    for component in components {
        let settings = &component.settings;
        scale.names("setting", settings.iter().map(|it| it.name.as_str()))?;
        for setting in settings {
            check_setting(scale, setting)?;
        }
    }
    Ok(())
}

fn check_setting(scale: &mut Scale, setting: &Setting) -> Checked {
    let name = &setting.name;
    scale.optional(setting.unit.as_ref())?;
    if let Some(default) = &setting.default {
        scale.scalar(name, default)?;
    }
    match &setting.kind {
        SettingKind::Range(RangeSetting {
            min,
            max,
            step,
            value,
        }) => {
            scale.number(name, *min)?;
            scale.number(name, *max)?;
            scale.optional_number(name, *step)?;
            scale.optional_number(name, *value)
        }
        SettingKind::Choice(EnumSetting { values, value }) => {
            if values.len() > MAX_CHOICES {
                return Err(contract(format!(
                    "setting {name:?} has {} values; at most {MAX_CHOICES} are accepted",
                    values.len()
                )));
            }
            for choice in values.iter().chain(value) {
                scale.scalar(name, choice)?;
            }
            Ok(())
        }
    }
}

pub(crate) fn measure_step(bounds: &Bounds, step: &MeasureStep) -> Checked {
    match step {
        MeasureStep::Done(measurement) => check_measurement(bounds, measurement),
        MeasureStep::Wait(pause) => check_pause(bounds, pause),
    }
}

fn check_measurement(bounds: &Bounds, measurement: &Measurement) -> Checked {
    let scale = &mut Scale::new(bounds);
    let samples = &measurement.samples;
    scale.names("metric", samples.iter().map(|it| it.metric.as_str()))?;
    for sample in samples {
        check_sample(scale, sample)?;
    }
    let notes = &measurement.notes;
    scale.names("note", notes.iter().map(|it| it.name.as_str()))?;
    for note in notes {
        scale.text(&note.text)?;
    }
    Ok(())
}

fn check_sample(scale: &mut Scale, sample: &Sample) -> Checked {
    scale.optional(sample.unit.as_ref())?;
    scale.optional(sample.annotation.as_ref())?;
    match &sample.reading {
        Reading::Single(None) => Ok(()),
        Reading::Single(Some(value)) => scale.scalar(&sample.metric, value),
        Reading::Series(instances) => {
            let mut seen = HashSet::with_capacity(instances.len().min(MAX_NAMES));
            for instance in instances {
                scale.text(&instance.id)?;
                if instance.id.is_empty() || instance.id.len() > MAX_NAME_BYTES {
                    return Err(contract(format!(
                        "an instance of {:?} has an id of {} bytes",
                        sample.metric,
                        instance.id.len()
                    )));
                }
                if !seen.insert(instance.id.as_str()) {
                    return Err(contract(format!(
                        "two instances of {:?} have the id {:?}",
                        sample.metric, instance.id
                    )));
                }
                for point in &instance.points {
                    scale.number("a timestamp", point.time)?;
                    scale.optional_number(&sample.metric, point.value)?;
                }
            }
            Ok(())
        }
    }
}

pub(crate) fn adjust_step(bounds: &Bounds, step: &AdjustStep) -> Checked {
    match step {
        AdjustStep::Done(Adjustment { settings }) => in_force(bounds, settings),
        AdjustStep::Wait(pause) => check_pause(bounds, pause),
    }
}

pub(crate) fn measure_undo(bounds: &Bounds, step: &measure::UndoStep) -> Checked {
    match step {
        measure::UndoStep::Done => Ok(()),
        measure::UndoStep::Wait(pause) => check_pause(bounds, pause),
    }
}

pub(crate) fn adjust_undo(bounds: &Bounds, step: &adjust::UndoStep) -> Checked {
    match step {
        adjust::UndoStep::Done(Adjustment { settings }) => in_force(bounds, settings),
        adjust::UndoStep::Wait(pause) => check_pause(bounds, pause),
    }
}

/// The settings of an answer, or of a failure.
pub(crate) fn in_force(bounds: &Bounds, settings: &[SettingValue]) -> Checked {
    check_settings(&mut Scale::new(bounds), settings)
}

fn check_settings(scale: &mut Scale, settings: &[SettingValue]) -> Checked {
    let mut seen = HashSet::with_capacity(settings.len().min(MAX_NAMES));
    for setting in settings {
        scale.text(&setting.component)?;
        scale.text(&setting.setting)?;
        scale.scalar(&setting.setting, &setting.value)?;
        if !seen.insert((setting.component.as_str(), setting.setting.as_str())) {
            return Err(contract(format!(
                "setting {:?} of {:?} is answered twice",
                setting.setting, setting.component
            )));
        }
    }
    Ok(())
}

fn check_pause(bounds: &Bounds, pause: &Pause) -> Checked {
    if !(0.0..=MAX_WAIT).contains(&pause.wait) {
        return Err(contract(format!(
            "a pause asks for {} seconds; 0 to {MAX_WAIT} are accepted",
            pause.wait
        )));
    }
    if pause.state.len() as u64 > bounds.state_bytes {
        return Err(Violation::Limit(Limit::StateBytes));
    }
    if pause
        .progress
        .is_some_and(|percent| !(0.0..=100.0).contains(&percent))
    {
        return Err(contract("a pause reports a progress outside 0 to 100"));
    }
    let scale = &mut Scale::new(bounds);
    scale.optional(pause.message.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::model::{Instance, Point};

    const BOUNDS: Bounds = Bounds {
        result_bytes: 4096,
        state_bytes: 16,
    };

    fn sample(metric: &str, reading: Reading) -> Sample {
        Sample {
            metric: metric.to_owned(),
            reading,
            unit: None,
            annotation: None,
        }
    }

    fn done(samples: Vec<Sample>) -> MeasureStep {
        MeasureStep::Done(Measurement {
            samples,
            notes: vec![],
        })
    }

    fn wait(seconds: f64, state: &str, progress: Option<f64>) -> MeasureStep {
        MeasureStep::Wait(Pause {
            wait: seconds,
            state: state.to_owned(),
            progress,
            message: None,
        })
    }

    fn number(value: f64) -> Reading {
        Reading::Single(Some(Scalar::Number(value)))
    }

    fn point(time: f64, value: f64) -> Reading {
        Reading::Series(vec![Instance {
            id: "a".to_owned(),
            points: vec![Point {
                time,
                value: Some(value),
            }],
        }])
    }

    #[test]
    fn good_answers_pass() {
        let answers = [
            done(vec![sample("a", number(1.5)), sample("b", point(1.0, 2.0))]),
            done(vec![sample("a", Reading::Single(None))]),
            wait(30.0, "{}", Some(50.0)),
        ];
        for answer in answers {
            assert_eq!(measure_step(&BOUNDS, &answer), Ok(()), "{answer:?}");
        }
    }

    #[test]
    fn k1_numbers_that_are_not_finite_are_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for reading in [number(value), point(value, 1.0), point(1.0, value)] {
                let answer = done(vec![sample("a", reading)]);
                assert!(measure_step(&BOUNDS, &answer).is_err(), "{answer:?}");
            }
            assert!(measure_step(&BOUNDS, &wait(value, "{}", None)).is_err());
            assert!(measure_step(&BOUNDS, &wait(1.0, "{}", Some(value))).is_err());
        }
    }

    #[test]
    fn b15_names_are_unique_and_few() {
        let twice = done(vec![sample("a", number(1.0)), sample("a", number(2.0))]);
        assert!(matches!(
            measure_step(&BOUNDS, &twice),
            Err(Violation::Contract(_))
        ));
        let many = (0..=MAX_NAMES).map(|n| sample(&n.to_string(), number(1.0)));
        assert!(matches!(
            measure_step(&BOUNDS, &done(many.collect())),
            Err(Violation::Contract(_))
        ));
    }

    #[test]
    fn sizes_are_limited() {
        let large = sample("a", Reading::Single(Some(Scalar::Text("x".repeat(5000)))));
        assert_eq!(
            measure_step(&BOUNDS, &done(vec![large])),
            Err(Violation::Limit(Limit::ResultBytes))
        );
        assert_eq!(
            measure_step(&BOUNDS, &wait(1.0, "more than sixteen", None)),
            Err(Violation::Limit(Limit::StateBytes))
        );
    }

    #[test]
    fn a_pause_is_neither_negative_nor_endless() {
        for seconds in [-1.0, MAX_WAIT * 2.0] {
            assert!(measure_step(&BOUNDS, &wait(seconds, "{}", None)).is_err());
        }
    }
}
