//! What was measured (protocol section 16.2).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Members, Named, Number, Scalar};

/// Everything one MEASURE brought.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measurement {
    /// One sample for each metric.
    pub metrics: Named<Sample>,
    /// Notes about the whole measurement.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub annotations: Named<Annotation>,
}

/// A note about a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Annotation {
    /// One text.
    Text(String),
    /// Several.
    List(Vec<String>),
    /// Anything else a driver of the original convention sends.
    Other(serde_json::Value),
}

/// One metric as measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What was read.
    pub reading: Reading,
    /// Unit, where it is not the described one.
    pub unit: Option<String>,
    /// A note for people, usually the query.
    pub annotation: Option<String>,
    /// Members this version does not know.
    pub extra: Members,
}

impl Sample {
    /// A sample without unit and note.
    #[must_use]
    pub fn new(reading: Reading) -> Self {
        Self {
            reading,
            unit: None,
            annotation: None,
            extra: Members::new(),
        }
    }
}

/// What was read for one metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// One value; none when the backend had none.
    Single(Option<Scalar>),
    /// One time series for each instance. May be empty: no data.
    Series(Vec<Instance>),
}

/// The time series of one instance: a pod, a host, a set of labels.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Instance {
    /// Who it is. Empty when the sender gave none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The points in the order of time.
    #[serde(rename = "data")]
    pub points: Vec<Point>,
}

/// One point of a time series: `[time, value]` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "(Number, Option<Number>)", into = "(Number, Option<Number>)")]
pub struct Point {
    /// Unix time in seconds.
    pub time: Number,
    /// The value, where there is one.
    pub value: Option<Number>,
}

impl From<(Number, Option<Number>)> for Point {
    fn from((time, value): (Number, Option<Number>)) -> Self {
        Self { time, value }
    }
}

impl From<Point> for (Number, Option<Number>) {
    fn from(point: Point) -> Self {
        (point.time, point.value)
    }
}

/// The wire form. `value` is doubly optional because null is a value.
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotation: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    value: Option<Option<Scalar>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<Instance>>,
    #[serde(flatten)]
    extra: Members,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Scalar>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Serialize for Sample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (value, values) = match &self.reading {
            Reading::Single(value) => (Some(value.clone()), None),
            Reading::Series(instances) => (None, Some(instances.clone())),
        };
        Wire {
            unit: self.unit.clone(),
            annotation: self.annotation.clone(),
            value,
            values,
            extra: self.extra.clone(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sample {
    /// `values` wins over `value`: one driver sends both, the second as null.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let reading = match (wire.values, wire.value) {
            (Some(instances), _) => Reading::Series(instances),
            (None, Some(value)) => Reading::Single(value),
            (None, None) => return Err(D::Error::custom("a sample has `value` or `values`")),
        };
        Ok(Self {
            reading,
            unit: wire.unit,
            annotation: wire.annotation,
            extra: wire.extra,
        })
    }
}
