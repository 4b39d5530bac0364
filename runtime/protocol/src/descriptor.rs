//! What an application looks like and what can be measured (protocol section 15).
//!
//! Unknown members travel on: the service may understand what we do not.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Members, Named, Number, Scalar, Steps};

/// The `descriptor` of a DESCRIPTION.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Descriptor {
    /// The application's settings.
    #[serde(default)]
    pub application: Application,
    /// What can be measured.
    #[serde(default)]
    pub measurement: MetricsDescriptor,
    /// What to optimise for, when the operator says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimization: Option<Optimization>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

/// The operator's wish (`OPTUNE_PERF`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Optimization {
    /// A formula over metric names, opaque here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perf: Option<String>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

/// The metrics of a measure driver.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MetricsDescriptor {
    /// By name.
    #[serde(default)]
    pub metrics: Metrics,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

/// Metrics by name.
pub type Metrics = Named<Metric>;

/// One metric. Every member is optional (section 15.2).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Metric {
    /// Unit for display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// A note for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation: Option<String>,
    /// Smallest value it can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Number>,
    /// Largest value it can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Number>,
    /// Members this version does not know (`index`, `weight`, `cookie`, ...).
    #[serde(flatten)]
    pub extra: Members,
}

/// An application as an adjust driver describes it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Application {
    /// The parts, each with its settings.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub components: Named<Component>,
    /// Members this version does not know (among them application-level `settings`,
    /// which no service ever supported).
    #[serde(flatten)]
    pub extra: Members,
}

impl Application {
    /// The setting of a component.
    #[must_use]
    pub fn setting(&self, component: &str, setting: &str) -> Option<&Setting> {
        self.components.get(component)?.settings.get(setting)
    }

    /// Every (component, setting name, setting), in order.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str, &Setting)> {
        self.components.iter().flat_map(|(component, described)| {
            described
                .settings
                .iter()
                .map(move |(name, setting)| (component.as_str(), name.as_str(), setting))
        })
    }
}

/// A part of the application.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Component {
    /// Its settings.
    pub settings: Named<Setting>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

/// One thing about the application that can be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Kind, limits and present value.
    pub kind: SettingKind,
    /// Unit for display.
    pub unit: Option<String>,
    /// The value assumed when nothing is configured.
    pub default: Option<Scalar>,
    /// The service must know the setting but not change it.
    pub pinned: bool,
    /// Members this version does not know.
    pub extra: Members,
}

/// What kind of setting it is.
#[derive(Debug, Clone, PartialEq)]
pub enum SettingKind {
    /// A number in a range.
    Range {
        /// Smallest value allowed.
        min: Number,
        /// Largest value allowed.
        max: Number,
        /// Distance of neighbouring values; any value when absent.
        step: Option<Number>,
        /// What is in force now, where known.
        value: Option<Number>,
    },
    /// One of a list.
    Enum {
        /// Every value allowed.
        values: Vec<Scalar>,
        /// What is in force now, where known.
        value: Option<Scalar>,
    },
}

impl Setting {
    /// A setting with nothing but its kind.
    #[must_use]
    pub fn new(kind: SettingKind) -> Self {
        Self {
            kind,
            unit: None,
            default: None,
            pinned: false,
            extra: Members::new(),
        }
    }

    /// Its steps, where it has any.
    #[must_use]
    pub fn steps(&self) -> Option<Steps> {
        match &self.kind {
            SettingKind::Range { min, step, .. } => step.map(|step| Steps {
                from: min.as_f64(),
                width: step.as_f64(),
            }),
            SettingKind::Enum { .. } => None,
        }
    }

    /// Whether two of its values are one ([`Scalar::same_value`]).
    #[must_use]
    pub fn same_value(&self, a: &Scalar, b: &Scalar) -> bool {
        a.same_value(b, self.steps())
    }

    /// The present value, where known.
    #[must_use]
    pub fn value(&self) -> Option<Scalar> {
        match &self.kind {
            SettingKind::Range { value, .. } => value.map(Scalar::Number),
            SettingKind::Enum { value, .. } => value.clone(),
        }
    }
}

/// The wire form. A present value that is unknown is written as null.
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<Scalar>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<Number>,
    #[serde(default)]
    value: Option<Scalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Scalar>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pinned: Option<bool>,
    #[serde(flatten)]
    extra: Members,
}

impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut wire = Wire {
            kind: None,
            values: None,
            min: None,
            max: None,
            step: None,
            value: self.value(),
            unit: self.unit.clone(),
            default: self.default.clone(),
            pinned: self.pinned.then_some(true),
            extra: self.extra.clone(),
        };
        match &self.kind {
            SettingKind::Range { min, max, step, .. } => {
                wire.kind = Some("range".to_owned());
                wire.min = Some(*min);
                wire.max = Some(*max);
                wire.step = *step;
            }
            SettingKind::Enum { values, .. } => {
                wire.kind = Some("enum".to_owned());
                wire.values = Some(values.clone());
            }
        }
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Setting {
    /// A missing `type` means `range`; any other type is an error.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let kind = match wire.kind.as_deref() {
            None | Some("range") => SettingKind::Range {
                min: wire.min.ok_or_else(|| D::Error::missing_field("min"))?,
                max: wire.max.ok_or_else(|| D::Error::missing_field("max"))?,
                step: wire.step,
                value: match wire.value {
                    None => None,
                    Some(Scalar::Number(number)) => Some(number),
                    Some(Scalar::Text(text)) => {
                        return Err(D::Error::custom(format_args!(
                            "the value of a range is a number, not the text `{text}`"
                        )));
                    }
                },
            },
            Some("enum") => SettingKind::Enum {
                values: wire
                    .values
                    .ok_or_else(|| D::Error::missing_field("values"))?,
                value: wire.value,
            },
            Some(other) => {
                return Err(D::Error::custom(format_args!(
                    "unknown setting type `{other}`; the types are range and enum"
                )));
            }
        };
        Ok(Self {
            kind,
            unit: wire.unit,
            default: wire.default,
            pinned: wire.pinned.unwrap_or(false),
            extra: wire.extra,
        })
    }
}
