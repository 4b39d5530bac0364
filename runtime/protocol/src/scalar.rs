//! Numbers and plain values.
//!
//! `3` and `3.0` are the same to JSON but not to the backends that print them,
//! so a number remembers which of the two it is. An in-memory float may be a
//! NaN or an infinity, because drivers hand us floats; the checks report those
//! with a path, and the writer refuses them: JSON has no word for them and
//! `null` would be a lie.

use std::fmt;

use serde::de::{self, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Above this, neighbouring whole numbers are no longer distinct as `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A number that remembers whether it was written as a whole one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Written without fraction or exponent.
    Integer(i64),
    /// Any other.
    Float(f64),
}

impl Number {
    /// The value. Whole numbers above 2^53 are rounded.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Whether JSON can carry it.
    #[must_use]
    pub fn is_finite(self) -> bool {
        match self {
            Self::Integer(_) => true,
            Self::Float(value) => value.is_finite(),
        }
    }
}

/// The steps of a range: `from`, `from + width`, ...
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steps {
    /// Where they begin.
    pub from: f64,
    /// Distance of two neighbours. Where it is not above zero there are none.
    pub width: f64,
}

impl Number {
    /// Whether two values of a setting are one: when both round to the same
    /// step, or, without steps, to the same 32-bit float. Many backends keep
    /// settings as such floats and answer `0.4000000059604645` for `0.4`.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn same_value(self, other: Self, steps: Option<Steps>) -> bool {
        let (a, b) = (self.as_f64(), other.as_f64());
        if !(a.is_finite() && b.is_finite()) {
            return false;
        }
        if self == other || a == b {
            return true;
        }
        match steps.filter(|steps| steps.width > 0.0) {
            Some(Steps { from, width }) => {
                ((a - from) / width).round() == ((b - from) / width).round()
            }
            // Beyond the largest such float all would be one.
            None => (a as f32).is_finite() && a as f32 == b as f32,
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Number {
    /// A float that is exactly whole is written as a whole number.
    fn from(value: f64) -> Self {
        if value.fract() == 0.0
            && value.abs() < EXACT
            && !(value == 0.0 && value.is_sign_negative())
        {
            #[allow(clippy::cast_possible_truncation)]
            Self::Integer(value as i64)
        } else {
            Self::Float(value)
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Self::Float(value) => Err(S::Error::custom(format_args!(
                "JSON has no {value}; check values before they are sent"
            ))),
        }
    }
}

/// Reads numbers, and text where `text` says so.
struct ScalarVisitor {
    text: bool,
}

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text {
            "a number or text"
        } else {
            "a number"
        })
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(Number::Integer(value)))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
        #[allow(clippy::cast_precision_loss)]
        Ok(Scalar::Number(
            i64::try_from(value).map_or(Number::Float(value as f64), Number::Integer),
        ))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(Number::Float(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
        if self.text {
            Ok(Scalar::Text(value.to_owned()))
        } else {
            Err(E::invalid_type(de::Unexpected::Str(value), &self))
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(ScalarVisitor { text: false })? {
            Scalar::Number(number) => Ok(number),
            Scalar::Text(_) => Err(de::Error::custom("a number is expected")),
        }
    }
}

/// A plain value, as a setting has it or a metric reports it.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A number.
    Number(Number),
    /// Text, opaque.
    Text(String),
}

impl Scalar {
    /// The number, where it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }

    /// Equal as the service means it: numbers by value, text by bytes.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => {
                a == b || a.as_f64().total_cmp(&b.as_f64()).is_eq()
            }
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl Scalar {
    /// Whether two values of a setting are one: numbers as
    /// [`Number::same_value`] says, text by bytes. This is the one comparison
    /// of values that were asked for, are reported or are in force.
    #[must_use]
    pub fn same_value(&self, other: &Self, steps: Option<Steps>) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.same_value(*b, steps),
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<f64> for Scalar {
    fn from(value: f64) -> Self {
        Self::Number(value.into())
    }
}

impl From<Number> for Scalar {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor { text: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backend that keeps settings as 32-bit floats answers other digits.
    #[test]
    fn field_01_values_are_compared_by_step_else_as_32_bit_floats() {
        let number = |value: f64| Scalar::from(value);
        let steps = |from, width| Some(Steps { from, width });
        let table = [
            (0.4, 0.400_000_005_960_464_5, steps(0.0, 0.1), true),
            (0.4, 0.400_000_005_960_464_5, None, true),
            (0.1, 0.100_000_001_490_116_12, steps(0.1, 0.05), true),
            (0.4, 0.41, steps(0.0, 0.1), true),
            (0.4, 0.5, steps(0.0, 0.1), false),
            (0.4, 0.41, None, false),
            (0.4, 0.400_000_1, None, false),
            (3.0, 3.0, steps(0.5, 1.0), true),
            (1.25, 2.25, steps(0.25, 0.5), false),
            // A step that is none.
            (0.4, 0.41, steps(0.0, 0.0), false),
            (0.4, 0.41, steps(0.0, f64::NAN), false),
            (-0.0, 0.0, None, true),
            (1e300, 2e300, None, false),
            (1e300, 1e300, None, true),
            (f64::NAN, f64::NAN, None, false),
            (f64::INFINITY, f64::INFINITY, steps(0.0, 1.0), false),
        ];
        for (a, b, steps, expected) in table {
            let (a, b) = (number(a), number(b));
            assert_eq!(a.same_value(&b, steps), expected, "{a} {b} {steps:?}");
            assert_eq!(b.same_value(&a, steps), expected, "{b} {a} {steps:?}");
        }
        let (one, text) = (Scalar::from(1_i64), Scalar::from("1"));
        assert!(one.same_value(&number(1.0), None));
        assert!(!one.same_value(&text, None));
        assert!(text.same_value(&text, None));
        assert!(!text.same_value(&Scalar::from("1.0"), None));
        let (a, b) = (Scalar::from(i64::MAX), Scalar::from(i64::MAX - 1));
        assert!(a.same_value(&b, None));
        assert!(!Scalar::from(7_i64).same_value(&Scalar::from(8_i64), None));
    }
}
