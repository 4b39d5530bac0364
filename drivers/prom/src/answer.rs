//! What Prometheus answers to a range query.
//!
//! Values arrive as text, in the shortest form that reads back as the same
//! number, so they are read to the last bit. The text is looked at where it
//! stands and never copied: an answer may hold a million points.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny},
};

/// The labels of a series by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// The whole answer; of one that reports an error, usually without `data`.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) data: Option<Data>,
    #[serde(rename = "errorType")]
    pub(crate) error_type: Option<String>,
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Data {
    pub(crate) result: Vec<Series>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Series {
    pub(crate) metric: Labels,
    pub(crate) values: Vec<(f64, Value)>,
}

/// The value of a point; nothing where it is no finite number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Value(pub(crate) Option<f64>);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value(number(text)))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// The number a text stands for, if it is one as JSON writes it and finite.
/// `NaN`, `+Inf`, `1_000`, `" 8 "` and `1.0e400` are none.
pub(crate) fn number(text: &str) -> Option<f64> {
    let first = text.bytes().next()?;
    let last = text.bytes().next_back()?;
    // Of all JSON only numbers begin and end like this.
    let shape = (first == b'-' || first.is_ascii_digit()) && last.is_ascii_digit();
    if !shape || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
