//! Values that may be anything and are read as far as they can be used.
//!
//! Nothing is kept that will not be: a text is cut while it is read, and what
//! is of another kind is skipped.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use servo_protocol::State;

use crate::machine::cut;
use crate::text;

/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 16 * 1024;

/// A text, for people: cut, and without what a reader would mistake.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Text {
    /// Not there, or null.
    #[default]
    Absent,
    /// Something else than a text.
    Other,
    /// So.
    Is(String),
}

impl Text {
    pub(super) fn said(self) -> Option<String> {
        match self {
            Self::Is(text) => Some(text),
            Self::Absent | Self::Other => None,
        }
    }
}

/// A number; nothing where it is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Percent {
    pub(super) present: bool,
    pub(super) value: Option<f64>,
}

/// Whether there is something, and not null.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Present(pub(super) bool);

/// Whether there is something, and the settings in it where it is a state.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Settings {
    pub(super) present: bool,
    pub(super) state: Option<Box<State>>,
}

/// What one JSON value is, as far as somebody here cares.
enum Scalar {
    Null,
    Number(f64),
    Text(String),
    Other,
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text::lines(&cut(value, MAX_TEXT))))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Scalar, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match from.deserialize_any(AnyValue)? {
            Scalar::Null => Self::Absent,
            Scalar::Text(text) => Self::Is(text),
            Scalar::Number(_) | Scalar::Other => Self::Other,
        })
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = match from.deserialize_any(AnyValue)? {
            Scalar::Number(value) => Some(value),
            _ => None,
        };
        Ok(Self {
            present: true,
            value,
        })
    }
}

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<IgnoredAny>::deserialize(from)?.is_some()))
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Option::<Value>::deserialize(from)?;
        Ok(Self {
            present: value.is_some(),
            state: value
                .and_then(|value| State::deserialize(value).ok())
                .map(Box::new),
        })
    }
}
