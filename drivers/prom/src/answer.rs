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
/// Success is what `status` says: relatives of Prometheus send the members of
/// an error, empty, along with it.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) data: Option<Data>,
    #[serde(rename = "errorType")]
    pub(crate) error_type: Option<String>,
    pub(crate) error: Option<String>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    /// VictoriaMetrics: a part of its storage did not answer.
    #[serde(rename = "isPartial", default)]
    pub(crate) is_partial: Option<bool>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        self.status == "success"
    }

    /// What the server itself says against its answer.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let mut doubts = self.warnings.clone().unwrap_or_default();
        if self.is_partial == Some(true) {
            doubts.push("the answer is partial (`isPartial`): data is missing in it".to_owned());
        }
        doubts
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Data {
    /// Required; `null` where a relative of Prometheus has no series.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) result: Option<Vec<Series>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Series {
    pub(crate) metric: Labels,
    pub(crate) values: Option<Vec<(f64, Value)>>,
    /// Points that are native histograms and no numbers.
    pub(crate) histograms: Option<Vec<IgnoredAny>>,
}

/// The value of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    /// A finite number.
    Number(f64),
    /// `NaN`, `+Inf` or `-Inf`.
    NotFinite,
    /// A text that Prometheus does not print.
    Odd,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(match (number(text), text) {
                    (Some(number), _) => Value::Number(number),
                    (None, "NaN" | "+Inf" | "-Inf") => Value::NotFinite,
                    (None, _) => Value::Odd,
                })
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// The number a text stands for, if it is one as JSON writes it and finite.
/// `NaN`, `+Inf`, `1_000`, `" 8 "` and `1.0e400` are none, and neither are `+3`,
/// `.5`, `7.` and `1.`: Prometheus prints the shortest decimal form, which has
/// no plus sign and digits on both sides of a point.
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
