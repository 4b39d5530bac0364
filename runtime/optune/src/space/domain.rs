//! What one setting ranges over.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use servo_protocol::Steps;

use super::error::{SpaceError, malformed};
use crate::text;

/// Most steps of one range: above this an index is no longer exact as `f64`.
const MAX_STEPS: f64 = 9_007_199_254_740_992.0;
/// How far from a step a value may be and still count as on it, in steps
/// (protocol 15.1).
const TOLERANCE: f64 = 1.0 / 1024.0;
/// Steps given to a fractional range that names none.
const DEFAULT_STEPS: f64 = 20.0;

/// What one dimension ranges over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub enum Domain {
    /// `min`, `min + step`, ... `count` values.
    Range {
        /// Lowest value.
        min: f64,
        /// Distance of two neighbours.
        step: f64,
        /// Number of values, at least two.
        count: u64,
        /// The description names no step: any value between two is one of its
        /// own.
        #[serde(default, skip_serializing_if = "is_false")]
        continuous: bool,
    },
    /// A list of values without order.
    Enum {
        /// The values as described.
        values: Vec<Value>,
    },
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Domain {
    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Domain::Range { count, .. } => *count,
            Domain::Enum { values } => values.len() as u64,
        }
    }

    /// The value at an index; past the end, the last one.
    #[must_use]
    pub fn value(&self, index: u64) -> Value {
        match self {
            Domain::Range {
                min, step, count, ..
            } => number(min + index.min(count.saturating_sub(1)) as f64 * step),
            Domain::Enum { values } => values
                .get(usize::try_from(index).unwrap_or(usize::MAX))
                .or_else(|| values.last())
                .cloned()
                .unwrap_or(Value::Null),
        }
    }

    /// The index of a value, if it is one of the domain.
    #[must_use]
    pub fn index_of(&self, value: &Value) -> Option<u64> {
        match self {
            Domain::Range {
                min, step, count, ..
            } => {
                let at = (value.as_f64()? - min) / step;
                let index = at.round();
                let inside =
                    index >= 0.0 && index < *count as f64 && (at - index).abs() <= TOLERANCE;
                inside.then_some(index as u64)
            }
            Domain::Enum { values } => values
                .iter()
                .position(|each| same(each, value, None))
                .map(|index| index as u64),
        }
    }
}

impl Domain {
    /// The steps that were described.
    pub(super) fn steps(&self) -> Option<Steps> {
        match self {
            Domain::Range {
                min,
                step,
                continuous: false,
                ..
            } => Some(Steps {
                from: *min,
                width: *step,
            }),
            _ => None,
        }
    }

    /// Whether a value lies between the lowest and the highest, or is listed.
    pub(super) fn spans(&self, value: &Value) -> bool {
        match (self, value.as_f64()) {
            (
                Domain::Range {
                    min, step, count, ..
                },
                Some(value),
            ) => {
                let max = min + step * count.saturating_sub(1) as f64;
                let slack = step * TOLERANCE;
                (min - slack..=max + slack).contains(&value)
            }
            _ => self.index_of(value).is_some(),
        }
    }
}

pub(super) fn range(at: &str, body: &Value) -> Result<Domain, SpaceError> {
    let bound = |key: &str| {
        body.get(key)
            .and_then(Value::as_f64)
            .filter(|each| each.is_finite())
            .ok_or_else(|| malformed(at, &format!("a range needs the number `{key}`")))
    };
    let (min, max) = (bound("min")?, bound("max")?);
    if min > max {
        return Err(malformed(at, "`min` is above `max`"));
    }
    let step = match body.get("step").and_then(Value::as_f64) {
        Some(step) if step.is_finite() && step > 0.0 => step,
        Some(step) if step != 0.0 => return Err(malformed(at, "`step` is below zero")),
        // No step is legal (protocol 15.1) and means a continuous setting.
        _ if min.fract() == 0.0
            && max.fract() == 0.0
            && max - min >= 1.0
            && max - min <= 1000.0 =>
        {
            1.0
        }
        _ if max > min => (max - min) / DEFAULT_STEPS,
        _ => 1.0,
    };
    let steps = (max - min) / step + TOLERANCE;
    if steps.is_nan() || steps >= MAX_STEPS {
        return Err(malformed(at, "the range has too many steps"));
    }
    Ok(Domain::Range {
        min,
        step,
        count: steps.floor() as u64 + 1,
        continuous: !body
            .get("step")
            .and_then(Value::as_f64)
            .is_some_and(|step| step > 0.0),
    })
}

pub(super) fn enumeration(at: &str, body: &Value) -> Result<Domain, SpaceError> {
    let values = body
        .get("values")
        .and_then(Value::as_array)
        .filter(|values| !values.is_empty())
        .ok_or_else(|| malformed(at, "an enum needs a list `values` that is not empty"))?;
    let mut distinct: Vec<Value> = Vec::new();
    for value in values {
        if value.as_str().is_some_and(|text| !text::is_plain(text)) {
            return Err(malformed(
                at,
                "`values` holds a text with characters that cannot be shown",
            ));
        }
        if !(value.is_number() || value.is_string()) {
            return Err(malformed(
                at,
                "`values` holds something that is neither a number nor a text",
            ));
        }
        if !distinct
            .iter()
            .any(|each| each == value || each.as_f64().is_some_and(|a| value.as_f64() == Some(a)))
        {
            distinct.push(value.clone());
        }
    }
    Ok(Domain::Enum { values: distinct })
}

/// Equal as values of a setting, by the comparison of the protocol.
pub(super) fn same(a: &Value, b: &Value, steps: Option<Steps>) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => servo_protocol::Number::from(a).same_value(b.into(), steps),
        _ => a == b,
    }
}

/// A number as people wrote it: twelve significant digits, whole when whole.
fn number(value: f64) -> Value {
    let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
    if rounded.fract() == 0.0 && rounded.abs() < MAX_STEPS {
        return Value::from(rounded as i64);
    }
    Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}
