//! The values that a setting of the application may take.
//!
//! A driver describes what is possible; this says what is wanted. The two are
//! kept apart: what the service is told is what the driver described.

use std::fmt;

use schemars::JsonSchema;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Ceiling;
use crate::Advice;

/// The values that a setting may take: a range, or a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingCeilingSpec {
    /// The smallest number allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest number allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// All values that are allowed, texts or numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<SettingValue>>,
}

/// A text or a number.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SettingValue {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// By hand, so that an error says what belongs there.
impl<'de> Deserialize<'de> for SettingValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = SettingValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a text")
            }

            fn visit_u64<E>(self, number: u64) -> Result<SettingValue, E> {
                Ok(SettingValue::Number(number as f64))
            }

            fn visit_i64<E>(self, number: i64) -> Result<SettingValue, E> {
                Ok(SettingValue::Number(number as f64))
            }

            fn visit_f64<E>(self, number: f64) -> Result<SettingValue, E> {
                Ok(SettingValue::Number(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<SettingValue, E> {
                Ok(SettingValue::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// The values that a setting may take.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SettingCeiling {
    Range { min: f64, max: f64 },
    Values(Vec<SettingValue>),
}

impl SettingCeilingSpec {
    pub(super) fn resolve(&self, name: &str) -> Result<SettingCeiling, Advice> {
        let parts = name.split_once('.');
        if parts.is_none_or(|(component, setting)| component.is_empty() || setting.is_empty()) {
            return Err(Advice::new(
                format!("{name:?} names no setting"),
                "write `component.setting`",
            ));
        }
        match (&self.min, &self.max, &self.values) {
            (None, None, Some(values)) => {
                let finite = |value: &SettingValue| match value {
                    SettingValue::Number(number) => number.is_finite(),
                    SettingValue::Text(_) => true,
                };
                if !values.iter().all(finite) {
                    return Err(Advice::new(
                        "a value is no finite number",
                        "write a plain one",
                    ));
                }
                Ok(SettingCeiling::Values(values.clone()))
            }
            (None, None, None) => Err(Advice::new(
                "nothing is said about it",
                "write `min` and `max`, or `values`",
            )),
            (_, _, Some(_)) => Err(Advice::new(
                "a range and a list are both given",
                "keep one of the two",
            )),
            (min, max, None) => {
                let (low, high) = (min.unwrap_or(f64::MIN), max.unwrap_or(f64::MAX));
                if !low.is_finite() || !high.is_finite() {
                    return Err(Advice::new(
                        "a bound is no finite number",
                        "write a plain one",
                    ));
                }
                if low > high {
                    return Err(Advice::new(
                        format!("`min` ({low}) is above `max` ({high})"),
                        "exchange them",
                    ));
                }
                Ok(SettingCeiling::Range {
                    min: low,
                    max: high,
                })
            }
        }
    }
}

impl Ceiling {
    /// May a setting be given this value?
    ///
    /// # Errors
    /// It may not: why, and which key decides.
    pub fn admits_setting(
        &self,
        component: &str,
        setting: &str,
        value: &Value,
    ) -> Result<(), String> {
        let Some(settings) = &self.settings else {
            return Ok(());
        };
        let name = format!("{component}.{setting}");
        let Some(ceiling) = settings.get(&name) else {
            return Err(format!(
                "{name} may not be changed: `ceiling.settings` does not list it"
            ));
        };
        if ceiling.admits(value) {
            return Ok(());
        }
        Err(format!(
            "{name} = {value} is not within `ceiling.settings.{name}`: {ceiling}"
        ))
    }
}

impl SettingCeiling {
    fn admits(&self, value: &Value) -> bool {
        match self {
            Self::Range { min, max } => value
                .as_f64()
                .is_some_and(|number| (*min..=*max).contains(&number)),
            Self::Values(values) => values.iter().any(|allowed| match allowed {
                SettingValue::Number(allowed) => value.as_f64() == Some(*allowed),
                SettingValue::Text(allowed) => value.as_str() == Some(allowed),
            }),
        }
    }
}

impl fmt::Display for SettingCeiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { min, max } if *min == f64::MIN => write!(f, "at most {max}"),
            Self::Range { min, max } if *max == f64::MAX => write!(f, "at least {min}"),
            Self::Range { min, max } => write!(f, "{min} to {max}"),
            Self::Values(values) if values.is_empty() => f.write_str("no value"),
            Self::Values(values) => {
                f.write_str("one of ")?;
                for (index, value) in values.iter().enumerate() {
                    let join = if index == 0 { "" } else { " | " };
                    match value {
                        SettingValue::Number(number) => write!(f, "{join}{number}")?,
                        SettingValue::Text(text) => write!(f, "{join}{text}")?,
                    }
                }
                Ok(())
            }
        }
    }
}
