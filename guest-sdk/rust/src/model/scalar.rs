//! Values of settings and metrics.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::bindings::servo::driver::model::{Scalar, Setting, SettingKind};

impl Setting {
    /// Whether two values of this setting are the same: numbers when they round
    /// to the same of its steps, or, without a step, to the same 32-bit float.
    /// For a value that was written and is read back: backends round.
    ///
    /// ```
    /// use servo_driver::model::Setting;
    ///
    /// let cpu = Setting::range("cpu", 0.1, 4.0).step(0.1);
    /// assert!(cpu.same(&0.4.into(), &0.4000000059604645.into()));
    /// ```
    pub fn same(&self, a: &Scalar, b: &Scalar) -> bool {
        let steps = match &self.kind {
            SettingKind::Range(range) => range.step.map(|step| (range.min, step)),
            SettingKind::Choice(_) => None,
        };
        a.same_by(b, steps)
    }
}

impl Scalar {
    /// The number, if it is one.
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            Self::Text(_) => None,
        }
    }

    /// Whether both mean the same value, as backends keep values: `3` and `3.0`
    /// do, `3` and `"3"` do not, and numbers do that are the same 32-bit float,
    /// such as `0.4` and `0.4000000059604645`.
    ///
    /// Of a setting with a step ask [`Setting::same`].
    pub fn same(&self, other: &Self) -> bool {
        self.same_by(other, None)
    }

    /// The same, for a range that begins at the first number and has steps of
    /// the second: numbers are the same that round to the same step.
    pub fn same_by(&self, other: &Self, steps: Option<(f64, f64)>) -> bool {
        let (Some(a), Some(b)) = (self.as_f64(), other.as_f64()) else {
            return self == other;
        };
        if !(a.is_finite() && b.is_finite()) {
            return false;
        }
        match steps {
            _ if a == b => true,
            Some((min, step)) if step > 0.0 => {
                let nearest = |value: f64| ((value - min) / step).round();
                nearest(a) == nearest(b)
            }
            #[allow(clippy::cast_possible_truncation)]
            // Beyond the largest such float all would be one.
            _ => (a as f32).is_finite() && a as f32 == b as f32,
        }
    }

    /// The scalar as JSON; whole numbers stay whole.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Integer(value) => (*value).into(),
            Self::Number(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
        }
    }

    /// The scalar of a JSON text or number; nothing for anything else.
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::String(text) => Some(Self::Text(text.clone())),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) => Some(Self::Integer(whole)),
                None => number.as_f64().map(Self::Number),
            },
            _ => None,
        }
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Number(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or a text")
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(value))
            }

            #[allow(clippy::cast_precision_loss)]
            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(i64::try_from(value).map_or(Scalar::Number(value as f64), Scalar::Integer))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::Number(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_owned()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for Scalar {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u32> for Scalar {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

/// Counts beyond `i64::MAX` become fractional numbers.
impl From<u64> for Scalar {
    #[allow(clippy::cast_precision_loss)]
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Number(value as f64), Self::Integer)
    }
}

impl From<f64> for Scalar {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table is the host's too: both sides must call the same values the
    /// same.
    #[test]
    fn values_are_compared_as_the_host_compares_them() {
        #[derive(Deserialize)]
        struct Case {
            case: String,
            a: Scalar,
            b: Scalar,
            #[serde(default)]
            min: f64,
            step: Option<f64>,
            same: bool,
        }
        let table = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../runtime/protocol/tests/same_values.json"
        );
        let table = std::fs::read_to_string(table).unwrap();
        let table: Vec<Case> = serde_json::from_str(&table).unwrap();
        for case in table {
            let mut setting = Setting::range("x", case.min, 1e9);
            if let Some(step) = case.step {
                setting = setting.step(step);
            }
            for (a, b) in [(&case.a, &case.b), (&case.b, &case.a)] {
                assert_eq!(setting.same(a, b), case.same, "{}", case.case);
            }
        }
    }
}
