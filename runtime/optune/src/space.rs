//! The search space: what a descriptor lets the optimizer choose.
//!
//! Spaces here are small grids (ranges with a step, enumerations), so a point
//! is a tuple of indices and nothing is ever rounded on the way back: the
//! value sent for index `i` is always the same JSON value. Settings that are
//! pinned are known but never sent; settings with one possible value are sent
//! but are no dimension. The settings found at the start are kept as exact
//! values beside the grid, because an application may stand between two steps
//! and must still be put back where it was.
//!
//! Limits: 128 dimensions (a descriptor with more is not something a study of
//! a hundred trials can explore, and the low-discrepancy start is defined up
//! to 256), 2^53 steps in a range (indices are exact as `f64`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};

/// Most free dimensions of a space.
pub const MAX_DIMENSIONS: usize = 128;
/// Most settings of a descriptor, pinned ones included.
const MAX_SETTINGS: usize = 1024;
/// Longest name of a component or a setting, in bytes.
const MAX_NAME: usize = 256;
/// Most steps of one range: above this an index is no longer exact as `f64`.
const MAX_STEPS: f64 = 9_007_199_254_740_992.0;
/// How far from a step a value may be and still count as on it, in steps
/// (protocol 15.1).
const TOLERANCE: f64 = 1.0 / 1024.0;
/// Steps given to a fractional range that names none.
const DEFAULT_STEPS: f64 = 20.0;

/// Why a description gives no search space.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// The description has not the shape of protocol section 15.
    #[error("{at}: {what}")]
    Malformed {
        /// Where in the description.
        at: String,
        /// What is wrong there.
        what: String,
    },
    /// A value that may be changed is not known, so it could not be put back.
    #[error(
        "{at}: the present value is unknown, so it could not be restored; let the adjust driver report `value` or `default`, or pin the setting"
    )]
    UnknownValue {
        /// The setting.
        at: String,
    },
    /// More free settings than a study can explore.
    #[error(
        "the description has {found} settings that may change; at most {MAX_DIMENSIONS} are supported, pin the others"
    )]
    TooManyDimensions {
        /// How many were found.
        found: usize,
    },
}

/// Values of settings: component, then setting, then a number or a text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(pub BTreeMap<String, BTreeMap<String, Value>>);

impl Settings {
    /// Sets one value.
    pub fn set(&mut self, component: &str, setting: &str, value: Value) {
        self.0
            .entry(component.to_owned())
            .or_default()
            .insert(setting.to_owned(), value);
    }

    /// One value.
    #[must_use]
    pub fn get(&self, component: &str, setting: &str) -> Option<&Value> {
        self.0.get(component)?.get(setting)
    }

    /// The `state` of an ADJUST command (protocol 5.3).
    #[must_use]
    pub fn to_state(&self) -> Value {
        let components: Map<String, Value> = self
            .0
            .iter()
            .map(|(component, settings)| {
                let settings: Map<String, Value> = settings
                    .iter()
                    .map(|(name, value)| (name.clone(), json!({ "value": value })))
                    .collect();
                (component.clone(), json!({ "settings": settings }))
            })
            .collect();
        json!({ "application": { "components": components } })
    }
}

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
    },
    /// A list of values without order.
    Enum {
        /// The values as described.
        values: Vec<Value>,
    },
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
            Domain::Range { min, step, count } => {
                number(min + index.min(count.saturating_sub(1)) as f64 * step)
            }
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
            Domain::Range { min, step, count } => {
                let at = (value.as_f64()? - min) / step;
                let index = at.round();
                let inside =
                    index >= 0.0 && index < *count as f64 && (at - index).abs() <= TOLERANCE;
                inside.then_some(index as u64)
            }
            Domain::Enum { values } => values
                .iter()
                .position(|each| same(each, value))
                .map(|index| index as u64),
        }
    }
}

impl Domain {
    /// Whether a value lies between the lowest and the highest, or is listed.
    fn spans(&self, value: &Value) -> bool {
        match (self, value.as_f64()) {
            (Domain::Range { min, step, count }, Some(value)) => {
                let max = min + step * count.saturating_sub(1) as f64;
                let slack = step * TOLERANCE;
                (min - slack..=max + slack).contains(&value)
            }
            _ => self.index_of(value).is_some(),
        }
    }
}

/// One setting that the optimizer may change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// Component name.
    pub component: String,
    /// Setting name.
    pub setting: String,
    /// Unit, for display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Possible values.
    pub domain: Domain,
}

/// A point of the grid: one index for each dimension of the space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Point(pub Vec<u64>);

/// The grid that a study explores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// Settings with more than one value, in the order of the description.
    pub dimensions: Vec<Dimension>,
    /// Settings with one possible value: sent with every point.
    pub fixed: Settings,
}

impl Space {
    /// Reads `descriptor.application` (protocol 15.1) and gives the space and
    /// the present values of everything that is not pinned.
    ///
    /// # Errors
    /// When the description is malformed, too large, or does not tell the
    /// present value of a setting that may be changed.
    pub fn describe(application: &Value) -> Result<(Space, Settings), SpaceError> {
        let (space, present) = Self::read(application)?;
        space.all_known(&present)?;
        Ok((space, present))
    }

    /// As [`Space::describe`], but a present value may be missing.
    ///
    /// # Errors
    /// When the description is malformed or too large.
    pub fn read(application: &Value) -> Result<(Space, Settings), SpaceError> {
        let mut space = Space::default();
        let mut present = Settings::default();
        let mut seen = 0_usize;
        let components = match application.get("components") {
            None | Some(Value::Null) => return Ok((space, present)),
            Some(Value::Object(components)) => components,
            Some(_) => return Err(malformed("application.components", "is not an object")),
        };
        for (component, body) in components {
            name_fits(component)?;
            let settings = match body.get("settings") {
                None | Some(Value::Null) => continue,
                Some(Value::Object(settings)) => settings,
                Some(_) => return Err(malformed(component, "`settings` is not an object")),
            };
            for (setting, body) in settings {
                name_fits(setting)?;
                seen += 1;
                if seen > MAX_SETTINGS {
                    return Err(malformed(
                        component,
                        &format!("more than {MAX_SETTINGS} settings"),
                    ));
                }
                space.add(&mut present, component, setting, body)?;
            }
        }
        if space.dimensions.len() > MAX_DIMENSIONS {
            return Err(SpaceError::TooManyDimensions {
                found: space.dimensions.len(),
            });
        }
        Ok((space, present))
    }

    fn add(
        &mut self,
        present: &mut Settings,
        component: &str,
        setting: &str,
        body: &Value,
    ) -> Result<(), SpaceError> {
        if body.get("pinned") == Some(&Value::Bool(true)) {
            return Ok(());
        }
        let at = format!("{component}/{setting}");
        let domain = match body.get("type").and_then(Value::as_str).unwrap_or("range") {
            "range" => range(&at, body)?,
            "enum" => enumeration(&at, body)?,
            other => {
                return Err(malformed(
                    &at,
                    &format!("type `{other}` is neither `range` nor `enum`"),
                ));
            }
        };
        let value = ["value", "default"]
            .iter()
            .filter_map(|key| body.get(*key))
            .find(|value| value.is_number() || value.is_string());
        if let Some(value) = value {
            present.set(component, setting, value.clone());
        }
        if domain.count() > 1 {
            let unit = body.get("unit").and_then(Value::as_str).map(str::to_owned);
            self.dimensions.push(Dimension {
                component: component.into(),
                setting: setting.into(),
                unit,
                domain,
            });
        } else {
            self.fixed.set(component, setting, domain.value(0));
        }
        Ok(())
    }

    /// Whether a value of every setting is among the present ones.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn all_known(&self, present: &Settings) -> Result<(), SpaceError> {
        let unknown = self
            .names()
            .find(|(component, setting)| present.get(component, setting).is_none());
        match unknown {
            None => Ok(()),
            Some((component, setting)) => Err(SpaceError::UnknownValue {
                at: format!("{component}/{setting}"),
            }),
        }
    }

    /// Component and name of every setting that is sent.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let free = self
            .dimensions
            .iter()
            .map(|each| (each.component.as_str(), each.setting.as_str()));
        let fixed = self.fixed.0.iter().flat_map(|(component, settings)| {
            settings
                .keys()
                .map(|setting| (component.as_str(), setting.as_str()))
        });
        free.chain(fixed)
    }

    fn dimension(&self, component: &str, setting: &str) -> Option<&Dimension> {
        self.dimensions
            .iter()
            .find(|each| each.component == component && each.setting == setting)
    }

    /// Whether a setting may have a value. Between two steps counts, since an
    /// application may be found there.
    #[must_use]
    pub fn allows(&self, component: &str, setting: &str, value: &Value) -> bool {
        match self.dimension(component, setting) {
            Some(dimension) => dimension.domain.spans(value),
            None => self
                .fixed
                .get(component, setting)
                .is_some_and(|fixed| same(fixed, value)),
        }
    }

    /// Whether two values of a setting are one, within the tolerance of the
    /// grid.
    #[must_use]
    pub fn same_value(&self, component: &str, setting: &str, a: &Value, b: &Value) -> bool {
        let Some(dimension) = self.dimension(component, setting) else {
            return same(a, b);
        };
        match (&dimension.domain, a.as_f64(), b.as_f64()) {
            (Domain::Range { step, .. }, Some(a), Some(b)) => (a - b).abs() <= step * TOLERANCE,
            _ => same(a, b),
        }
    }

    /// The values at a point.
    #[must_use]
    pub fn settings(&self, point: &Point) -> Settings {
        let mut settings = self.fixed.clone();
        for (dimension, index) in self.dimensions.iter().zip(&point.0) {
            settings.set(
                &dimension.component,
                &dimension.setting,
                dimension.domain.value(*index),
            );
        }
        settings
    }

    /// The point that has exactly these values, if there is one.
    #[must_use]
    pub fn point_of(&self, settings: &Settings) -> Option<Point> {
        self.dimensions
            .iter()
            .map(|each| {
                each.domain
                    .index_of(settings.get(&each.component, &each.setting)?)
            })
            .collect::<Option<Vec<_>>>()
            .map(Point)
    }

    /// Number of points; saturates.
    #[must_use]
    pub fn size(&self) -> u128 {
        self.dimensions.iter().fold(1_u128, |size, each| {
            size.saturating_mul(u128::from(each.domain.count()))
        })
    }

    /// The point with a running number below [`Space::size`].
    #[must_use]
    pub fn nth(&self, mut n: u128) -> Point {
        let mut indices: Vec<u64> = self
            .dimensions
            .iter()
            .rev()
            .map(|each| {
                let count = u128::from(each.domain.count()).max(1);
                let index = n % count;
                n /= count;
                u64::try_from(index).unwrap_or(0)
            })
            .collect();
        indices.reverse();
        Point(indices)
    }
}

fn range(at: &str, body: &Value) -> Result<Domain, SpaceError> {
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
    })
}

fn enumeration(at: &str, body: &Value) -> Result<Domain, SpaceError> {
    let values = body
        .get("values")
        .and_then(Value::as_array)
        .filter(|values| !values.is_empty())
        .ok_or_else(|| malformed(at, "an enum needs a list `values` that is not empty"))?;
    let mut distinct: Vec<Value> = Vec::new();
    for value in values {
        if !(value.is_number() || value.is_string()) {
            return Err(malformed(
                at,
                "`values` holds something that is neither a number nor a text",
            ));
        }
        if !distinct.iter().any(|each| same(each, value)) {
            distinct.push(value.clone());
        }
    }
    Ok(Domain::Enum { values: distinct })
}

/// Equal as settings: numbers by value, so that `1` and `1.0` are one.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
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

fn name_fits(name: &str) -> Result<(), SpaceError> {
    if name.len() > MAX_NAME {
        return Err(malformed(
            "application",
            &format!("a name is longer than {MAX_NAME} bytes"),
        ));
    }
    Ok(())
}

fn malformed(at: &str, what: &str) -> SpaceError {
    SpaceError::Malformed {
        at: at.to_owned(),
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests;
