//! Values that are checked while they are read.
//!
//! serde's own `try_from` checks a value after the parser has left it, and the
//! error then names a place further on, often another key. A check inside the
//! visitor is still at the value.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};

/// What is wrong with a value, to be read after the name of its key. It does
/// not repeat the value, which may be a secret.
pub(crate) type Problem = &'static str;

/// Reads a text.
pub(crate) fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    check: fn(&str) -> Result<T, Problem>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text(check))
}

/// Reads a number.
pub(crate) fn number<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    check: fn(f64) -> Result<T, Problem>,
) -> Result<T, D::Error> {
    deserializer.deserialize_f64(Number(check))
}

/// Reads an object.
pub(crate) fn map<'de, D: Deserializer<'de>, T, V: Deserialize<'de>>(
    deserializer: D,
    check: fn(BTreeMap<String, V>) -> Result<T, Problem>,
) -> Result<T, D::Error> {
    deserializer.deserialize_map(Map(check, PhantomData))
}

struct Text<T>(fn(&str) -> Result<T, Problem>);

impl<T> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.0(text).map_err(E::custom)
    }
}

struct Number<T>(fn(f64) -> Result<T, Problem>);

impl<T> de::Visitor<'_> for Number<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.0(number).map_err(E::custom)
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_f64(number as f64)
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_f64(number as f64)
    }
}

struct Map<T, V>(
    fn(BTreeMap<String, V>) -> Result<T, Problem>,
    PhantomData<V>,
);

impl<'de, T, V: Deserialize<'de>> de::Visitor<'de> for Map<T, V> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<T, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = access.next_entry()? {
            map.insert(key, value);
        }
        self.0(map).map_err(de::Error::custom)
    }
}
