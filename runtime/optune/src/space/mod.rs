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

mod domain;
mod error;
mod settings;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use servo_text::shown_within;

pub use self::domain::Domain;
use self::domain::{enumeration, range, same};
pub use self::error::SpaceError;
use self::error::malformed;
pub use self::settings::Settings;
use crate::text;

/// Most free dimensions of a space.
pub const MAX_DIMENSIONS: usize = 128;
/// Most settings of a descriptor, pinned ones included.
const MAX_SETTINGS: usize = 1024;
/// Longest name of a component or a setting, in bytes.
const MAX_NAME: usize = 256;
/// Longest unit that is shown, in bytes.
const MAX_UNIT: usize = 60;

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
                    &format!(
                        "type `{}` is neither `range` nor `enum`",
                        shown_within(other, 60)
                    ),
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
            let unit = body.get("unit").and_then(Value::as_str);
            let unit = unit.map(|unit| shown_within(unit, MAX_UNIT).to_string());
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
                .is_some_and(|fixed| same(fixed, value, None)),
        }
    }

    /// Whether two values of a setting are one: by step, else as 32-bit floats.
    #[must_use]
    pub fn same_value(&self, component: &str, setting: &str, a: &Value, b: &Value) -> bool {
        let steps = self
            .dimension(component, setting)
            .and_then(|dimension| dimension.domain.steps());
        same(a, b, steps)
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

fn name_fits(name: &str) -> Result<(), SpaceError> {
    if !text::is_plain(name) {
        return Err(malformed(
            "application",
            &format!(
                "a name has characters that cannot be shown: {}",
                shown_within(name, 80)
            ),
        ));
    }
    if name.len() > MAX_NAME {
        return Err(malformed(
            "application",
            &format!("a name is longer than {MAX_NAME} bytes"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
