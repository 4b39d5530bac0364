//! Whether what a driver or the service says keeps the contract.
//!
//! Pure, and the same for every driver. A description that contradicts itself
//! is an error, a present value that does not fit only a warning: an
//! application may well run on a value nobody described (section 15.1,
//! recommendation). A value that the service asks for must fit, because after
//! this check a driver sees it.

use std::collections::HashSet;
use std::fmt;

use thiserror::Error;

use crate::{
    Application, AppliedApplication, Control, Measurement, Metrics, Number, Reading, Reason,
    Sample, Scalar, Setting, SettingKind,
};

/// Fraction of a step that counts as rounding (section 20.1).
const TOLERANCE: f64 = 1.0 / 1024.0;

/// How far off a grid point, relatively, still is the grid point itself:
/// decimal steps such as 0.1 are not exact in binary.
const SAME: f64 = 1e-9;

/// A later timestamp is no time in seconds: it would lie after the year 5000,
/// so it is a time in milliseconds.
const LATEST: f64 = 1e11;

/// What is wrong, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct Finding {
    /// What it is about.
    pub place: Place,
    /// What is wrong.
    pub problem: Box<Problem>,
}

impl Finding {
    fn new(place: Place, problem: Problem) -> Self {
        Self {
            place,
            problem: Box::new(problem),
        }
    }

    /// The reason for the final report (section 18).
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self.place {
            Place::Setting { .. } | Place::Component(_) | Place::Application => {
                Reason::InvalidSetting
            }
            Place::Metric(_) | Place::Instance { .. } | Place::Measurement => {
                Reason::InvalidMeasurement
            }
        }
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The application as a whole.
    Application,
    /// A component.
    Component(String),
    /// A setting.
    Setting {
        /// The component's name.
        component: String,
        /// The setting's name.
        setting: String,
    },
    /// The measurement as a whole.
    Measurement,
    /// A metric.
    Metric(String),
    /// A time series of a metric.
    Instance {
        /// The metric's name.
        metric: String,
        /// The instance's id.
        id: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application => f.write_str("the application"),
            Self::Component(name) => write!(f, "component `{name}`"),
            Self::Setting { component, setting } => {
                write!(f, "setting `{setting}` of component `{component}`")
            }
            Self::Measurement => f.write_str("the measurement"),
            Self::Metric(name) => write!(f, "metric `{name}`"),
            Self::Instance { metric, id } => write!(f, "metric `{metric}`, instance `{id}`"),
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// A name is empty.
    #[error("its name is empty")]
    EmptyName,
    /// A number is a NaN or an infinity.
    #[error("{what} is {value}, which is not a finite number")]
    NotFinite {
        /// Which number.
        what: &'static str,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// The bounds are the wrong way round.
    #[error("min {min} is above max {max}")]
    MinAboveMax {
        /// Lower bound.
        min: String,
        /// Upper bound.
        max: String,
    },
    /// A step of zero or less.
    #[error("step {0} is not above zero; leave it out when any value between min and max will do")]
    BadStep(String),
    /// An enum without values.
    #[error("it has no values to choose from")]
    NoValues,
    /// An enum repeats a value.
    #[error("the value {0} is listed twice")]
    RepeatedValue(String),
    /// The range is not a whole number of steps.
    #[error("max {max} is not a whole number of steps {step} above min {min}")]
    UnevenRange {
        /// Lower bound.
        min: String,
        /// Upper bound.
        max: String,
        /// Step.
        step: String,
    },
    /// A value lies outside the range.
    #[error("{value} is outside {min} to {max}")]
    OutsideRange {
        /// The value.
        value: String,
        /// Lower bound.
        min: String,
        /// Upper bound.
        max: String,
    },
    /// A value lies between two steps.
    #[error("{value} is not min {min} plus a whole number of steps {step}")]
    OffGrid {
        /// The value.
        value: String,
        /// Lower bound.
        min: String,
        /// Step.
        step: String,
    },
    /// A value is not one of the list.
    #[error("{value} is none of {allowed}")]
    NotListed {
        /// The value.
        value: String,
        /// The list.
        allowed: String,
    },
    /// Text where a number is needed.
    #[error("`{0}` is text, a number is needed")]
    NotANumber(String),
    /// A setting without a value.
    #[error("it has no value")]
    NoValue,
    /// The driver described no such thing.
    #[error("the driver described no such {0}")]
    NotDescribed(&'static str),
    /// A pinned setting may not be changed.
    #[error("it is pinned to {now} and cannot become {wanted}")]
    Pinned {
        /// The present value.
        now: String,
        /// The value asked for.
        wanted: String,
    },
    /// No metrics where some were asked for.
    #[error("it holds no metrics")]
    NoMetrics,
    /// An instance without id.
    #[error("an instance has no id")]
    NoInstanceId,
    /// Two instances with one id.
    #[error("two instances have this id")]
    RepeatedInstance,
    /// Instances are not sorted.
    #[error("its instances are not sorted by id")]
    UnsortedInstances,
    /// Points are not in the order of time.
    #[error("its points are not in the order of time")]
    UnsortedPoints,
    /// A timestamp that cannot be in seconds.
    #[error("the timestamp {0} is not in seconds; is it in milliseconds?")]
    NotSeconds(String),
}

/// Checks a described application. Returns warnings.
///
/// # Errors
/// The first contradiction: an empty name, a number that is not finite,
/// `min` above `max`, a step that is not above zero (zero is fine when `min`
/// equals `max`), an enum without values or with a repeated one.
pub fn check_application(application: &Application) -> Result<Vec<Finding>, Finding> {
    let mut warnings = Vec::new();
    for (component, described) in &application.components {
        if component.is_empty() {
            let place = Place::Component(component.clone());
            return Err(Finding::new(place, Problem::EmptyName));
        }
        for (name, setting) in &described.settings {
            let at = |problem| Finding::new(setting_place(component, name), problem);
            if name.is_empty() {
                return Err(at(Problem::EmptyName));
            }
            check_kind(setting).map_err(at)?;
            if let Some(value) = setting.value()
                && let Err(problem) = fit(setting, &value)
            {
                warnings.push(at(problem));
            }
            if let Some(Scalar::Number(default)) = &setting.default {
                finite("default", *default).map_err(at)?;
            }
            if let Some(problem) = uneven(setting) {
                warnings.push(at(problem));
            }
        }
    }
    Ok(warnings)
}

/// Checks described metrics.
///
/// # Errors
/// The first contradiction: an empty name, bounds that are not finite or the
/// wrong way round.
pub fn check_metrics(metrics: &Metrics) -> Result<(), Finding> {
    for (name, metric) in metrics {
        let at = |problem| Finding::new(Place::Metric(name.clone()), problem);
        if name.is_empty() {
            return Err(at(Problem::EmptyName));
        }
        for (what, bound) in [("min", metric.min), ("max", metric.max)] {
            bound
                .map_or(Ok(()), |bound| finite(what, bound))
                .map_err(at)?;
        }
        if let (Some(min), Some(max)) = (metric.min, metric.max) {
            ordered(min, max).map_err(at)?;
        }
    }
    Ok(())
}

/// Checks a measurement against what was asked for.
///
/// `wanted` and `control` are those of the command: a measurement without
/// metrics is fine when the service asked for none, or for an SLO check only.
///
/// # Errors
/// The first breach of section 16.2: no metrics, numbers that are not finite,
/// ids that are missing, repeated or not sorted, points out of order,
/// timestamps that are not in seconds.
pub fn check_measurement(
    measurement: &Measurement,
    wanted: Option<&[String]>,
    control: &Control,
) -> Result<(), Finding> {
    let none_wanted = wanted.is_some_and(<[String]>::is_empty) || control.slo_check();
    if measurement.metrics.is_empty() && !none_wanted {
        return Err(Finding::new(Place::Measurement, Problem::NoMetrics));
    }
    for (name, sample) in &measurement.metrics {
        check_sample(name, sample)?;
    }
    Ok(())
}

fn check_sample(name: &str, sample: &Sample) -> Result<(), Finding> {
    let at = |problem| Finding::new(Place::Metric(name.to_owned()), problem);
    if name.is_empty() {
        return Err(at(Problem::EmptyName));
    }
    let instances = match &sample.reading {
        Reading::Single(Some(Scalar::Number(value))) => {
            return finite("the value", *value).map_err(at);
        }
        Reading::Single(_) => return Ok(()),
        Reading::Series(instances) => instances,
    };
    let mut seen = HashSet::new();
    for instance in instances {
        let id = instance.id.as_str();
        let at_instance = |problem| {
            let place = Place::Instance {
                metric: name.to_owned(),
                id: id.to_owned(),
            };
            Finding::new(place, problem)
        };
        if id.is_empty() {
            return Err(at(Problem::NoInstanceId));
        }
        if !seen.insert(id) {
            return Err(at_instance(Problem::RepeatedInstance));
        }
        for point in &instance.points {
            finite("a timestamp", point.time).map_err(at_instance)?;
            if point.time.as_f64() > LATEST {
                return Err(at_instance(Problem::NotSeconds(point.time.to_string())));
            }
            if let Some(value) = point.value {
                finite("a value", value).map_err(at_instance)?;
            }
        }
        let times = instance.points.iter().map(|point| point.time.as_f64());
        if !times.is_sorted() {
            return Err(at_instance(Problem::UnsortedPoints));
        }
    }
    if !instances.iter().map(|instance| &instance.id).is_sorted() {
        return Err(at(Problem::UnsortedInstances));
    }
    Ok(())
}

/// Checks the values of an ADJUST against the description, and returns them as
/// the driver shall see them: a value within the tolerance of a grid point
/// becomes that grid point.
///
/// # Errors
/// The first value that does not fit: to be reported as `rejected`, reason
/// `invalid-setting`, before any driver runs.
pub fn check_adjustment(
    wanted: &AppliedApplication,
    described: &Application,
) -> Result<AppliedApplication, Finding> {
    let mut fitted = wanted.clone();
    for (component, applied) in &mut fitted.components {
        let known = described.components.get(component).ok_or_else(|| {
            let place = Place::Component(component.clone());
            Finding::new(place, Problem::NotDescribed("component"))
        })?;
        for (name, applied) in &mut applied.settings {
            let at = |problem| Finding::new(setting_place(component, name), problem);
            let setting = known
                .settings
                .get(name)
                .ok_or_else(|| at(Problem::NotDescribed("setting")))?;
            let value = applied.value.as_ref().ok_or_else(|| at(Problem::NoValue))?;
            if setting.pinned
                && let Some(now) = setting.value()
                && !setting.same_value(&now, value)
            {
                return Err(at(Problem::Pinned {
                    now: now.to_string(),
                    wanted: value.to_string(),
                }));
            }
            applied.value = Some(fit(setting, value).map_err(at)?);
        }
    }
    Ok(fitted)
}

/// Checks the settings that a driver says are in force.
///
/// # Errors
/// The first name that is empty or number that is not finite.
pub fn check_applied(applied: &AppliedApplication) -> Result<(), Finding> {
    for (component, name, value) in applied.values() {
        let at = |problem| Finding::new(setting_place(component, name), problem);
        if component.is_empty() || name.is_empty() {
            return Err(at(Problem::EmptyName));
        }
        if let Scalar::Number(number) = value {
            finite("the value", *number).map_err(at)?;
        }
    }
    Ok(())
}

fn setting_place(component: &str, setting: &str) -> Place {
    Place::Setting {
        component: component.to_owned(),
        setting: setting.to_owned(),
    }
}

fn finite(what: &'static str, number: Number) -> Result<(), Problem> {
    if number.is_finite() {
        Ok(())
    } else {
        Err(Problem::NotFinite {
            what,
            value: number.to_string(),
        })
    }
}

fn ordered(min: Number, max: Number) -> Result<(), Problem> {
    if min.as_f64() > max.as_f64() {
        Err(Problem::MinAboveMax {
            min: min.to_string(),
            max: max.to_string(),
        })
    } else {
        Ok(())
    }
}

fn check_kind(setting: &Setting) -> Result<(), Problem> {
    match &setting.kind {
        SettingKind::Range {
            min,
            max,
            step,
            value,
        } => {
            finite("min", *min)?;
            finite("max", *max)?;
            ordered(*min, *max)?;
            if let Some(step) = step {
                finite("step", *step)?;
                let single = min.as_f64() >= max.as_f64();
                if step.as_f64() < 0.0 || (step.as_f64() == 0.0 && !single) {
                    return Err(Problem::BadStep(step.to_string()));
                }
            }
            value.map_or(Ok(()), |value| finite("value", value))
        }
        SettingKind::Enum { values, value } => {
            if values.is_empty() {
                return Err(Problem::NoValues);
            }
            for (index, one) in values.iter().enumerate() {
                if let Scalar::Number(number) = one {
                    finite("one of the values", *number)?;
                }
                if values.iter().take(index).any(|other| other.same_as(one)) {
                    return Err(Problem::RepeatedValue(one.to_string()));
                }
            }
            match value {
                Some(Scalar::Number(number)) => finite("value", *number),
                _ => Ok(()),
            }
        }
    }
}

/// The range is not a whole number of steps.
fn uneven(setting: &Setting) -> Option<Problem> {
    let SettingKind::Range {
        min,
        max,
        step: Some(step),
        ..
    } = &setting.kind
    else {
        return None;
    };
    let steps = (max.as_f64() - min.as_f64()) / step.as_f64();
    (step.as_f64() > 0.0 && !near_whole(steps)).then(|| Problem::UnevenRange {
        min: min.to_string(),
        max: max.to_string(),
        step: step.to_string(),
    })
}

fn near_whole(steps: f64) -> bool {
    let off = (steps - steps.round()).abs();
    off <= TOLERANCE || off <= SAME * steps.abs()
}

/// The value as the driver shall see it.
fn fit(setting: &Setting, value: &Scalar) -> Result<Scalar, Problem> {
    let (min, max, step) = match &setting.kind {
        SettingKind::Enum { values, .. } => {
            return values
                .iter()
                .find(|listed| listed.same_as(value))
                .or_else(|| values.iter().find(|listed| listed.same_value(value, None)))
                .cloned()
                .ok_or_else(|| Problem::NotListed {
                    value: value.to_string(),
                    allowed: values
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(", "),
                });
        }
        SettingKind::Range { min, max, step, .. } => (min, max, step),
    };
    let Scalar::Number(number) = value else {
        return Err(Problem::NotANumber(value.to_string()));
    };
    finite("the value", *number)?;
    let (low, high, wanted) = (min.as_f64(), max.as_f64(), number.as_f64());
    let step = step.filter(|step| step.as_f64() > 0.0);
    let slack = step.map_or(0.0, |step| step.as_f64() * TOLERANCE);
    if wanted < low - slack || wanted > high + slack {
        return Err(Problem::OutsideRange {
            value: value.to_string(),
            min: min.to_string(),
            max: max.to_string(),
        });
    }
    let Some(step) = step else {
        return Ok(value.clone());
    };
    let steps = (wanted - low) / step.as_f64();
    if !near_whole(steps) {
        return Err(Problem::OffGrid {
            value: value.to_string(),
            min: min.to_string(),
            step: step.to_string(),
        });
    }
    let inside = low <= wanted && wanted <= high;
    if inside && (steps - steps.round()).abs() <= SAME * steps.abs().max(1.0) {
        return Ok(value.clone());
    }
    let grid_point = steps.round().mul_add(step.as_f64(), low);
    Ok(Scalar::from(grid_point.clamp(low, high)))
}
