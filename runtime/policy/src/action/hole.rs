//! What may stand in a hole.

use std::fmt;
use std::ops::RangeInclusive;

use regex::bytes::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Advice, Denial, HttpRules, RequestHead};

/// Bytes of a value.
const LONGEST: usize = 4 * 1024;

/// Bytes that a compiled pattern may take. The engine is linear in the value
/// whatever the pattern is; this keeps the pattern itself small.
const PATTERN_SIZE: usize = 256 * 1024;

/// What may stand in a hole, as the operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum HoleSpec {
    /// `1..100`, `/pattern/` or `http-rule`.
    Text(String),
    /// One of these.
    List(Vec<String>),
}

/// What may stand in a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    Integer(RangeInclusive<u64>),
    OneOf(Vec<String>),
    Matching(Pattern),
    Url,
}

/// A pattern that the whole value must match.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    text: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl HoleSpec {
    /// The values of a list.
    pub(super) fn items(&self) -> &[String] {
        match self {
            Self::List(items) => items,
            Self::Text(_) => &[],
        }
    }

    /// # Errors
    /// What is wrong, and the remedy.
    pub(super) fn resolve(&self) -> Result<Hole, Advice> {
        match self {
            Self::List(items) => {
                if items.is_empty() {
                    return Err(Advice::new(
                        "the list is empty, so nothing can be run",
                        "list a value",
                    ));
                }
                if let Some(odd) = items.iter().find(|item| !is_argument(item)) {
                    return Err(Advice::new(
                        format!("{odd:?} could be read as an option, or cannot be written"),
                        "use plain values that do not begin with `-`",
                    ));
                }
                Ok(Hole::OneOf(items.clone()))
            }
            Self::Text(text) if text == "http-rule" => Ok(Hole::Url),
            Self::Text(text) => {
                let slashes = text
                    .strip_prefix('/')
                    .and_then(|rest| rest.strip_suffix('/'));
                match (slashes, text.split_once("..")) {
                    (Some(pattern), _) => Pattern::parse(pattern).map(Hole::Matching),
                    (None, Some((low, high))) => match (integer(low), integer(high)) {
                        (Some(low), Some(high)) if low <= high => Ok(Hole::Integer(low..=high)),
                        _ => Err(Advice::new(
                            format!("{text:?} is not a range"),
                            "write two whole numbers, the smaller one first, as in 1..100",
                        )),
                    },
                    (None, None) => Err(Advice::new(
                        format!("{text:?} says nothing about values"),
                        "write 1..100, a list, /pattern/ or http-rule",
                    )),
                }
            }
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, Advice> {
        let build = |text: &str| {
            RegexBuilder::new(text)
                .unicode(false)
                .size_limit(PATTERN_SIZE)
                .build()
        };
        let wrong = || {
            Advice::new(
                format!("/{text}/ is not a pattern"),
                "write a regular expression of plain ASCII",
            )
        };
        if text.is_empty() || !text.is_ascii() {
            return Err(wrong());
        }
        // Alone first: `a)|(b` would otherwise slip out of the group around it.
        build(text).map_err(|_| wrong())?;
        let regex = build(&format!("\\A(?:{text})\\z")).map_err(|_| wrong())?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }
}

impl Hole {
    /// The argument for a value; none when it may not stand here.
    ///
    /// # Errors
    /// It is a URL that the rules do not allow.
    pub(super) fn fill(&self, value: &str, rules: &HttpRules) -> Result<Option<String>, Denial> {
        if !is_argument(value) {
            return Ok(None);
        }
        let fits = match self {
            Self::Integer(range) => integer(value).is_some_and(|number| range.contains(&number)),
            Self::OneOf(items) => items.iter().any(|item| item == value),
            Self::Matching(pattern) => pattern.regex.is_match(value.as_bytes()),
            Self::Url => return allowed_url(value, rules),
        };
        Ok(fits.then(|| value.to_owned()))
    }
}

/// The canonical form of a URL that the rules allow to be read: what was decided
/// on is what is passed on.
fn allowed_url(value: &str, rules: &HttpRules) -> Result<Option<String>, Denial> {
    let Some((scheme, rest)) = value.split_once("://") else {
        return Ok(None);
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let request = RequestHead {
        method: "GET",
        scheme,
        authority,
        path_and_query,
    };
    rules
        .decide(&request)
        .map(|allowed| Some(allowed.target.url()))
}

/// A whole number in its one spelling.
fn integer(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let straight = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| plain && straight)
}

/// Not empty, not too long, no option, no character that is not seen.
fn is_argument(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= LONGEST
        && !value.starts_with('-')
        && !value.chars().any(char::is_control)
}

/// The name of the first hole in an argument.
pub(super) fn name_in(argument: &str) -> Option<&str> {
    argument.split('{').skip(1).find_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let first = name.starts_with(|c: char| c.is_ascii_lowercase());
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        (first && name.bytes().all(plain)).then_some(name)
    })
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(range) => {
                write!(
                    f,
                    "a whole number from {} to {}",
                    range.start(),
                    range.end()
                )
            }
            Self::OneOf(items) => write!(f, "one of {}", items.join(", ")),
            Self::Matching(pattern) => write!(f, "what matches /{}/", pattern.text),
            Self::Url => f.write_str("a URL that it may GET"),
        }
    }
}

impl<'de> Deserialize<'de> for HoleSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = HoleSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("1..100, a list, /pattern/ or http-rule")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<HoleSpec, E> {
                Ok(HoleSpec::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<HoleSpec, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(HoleSpec::List(list))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for HoleSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HoleSpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What may stand in a hole.",
            "anyOf": [
                { "type": "string", "pattern": "^([0-9]+\\.\\.[0-9]+|/.+/|http-rule)$", "examples": ["1..100"] },
                { "type": "array", "minItems": 1, "items": { "type": "string" } },
            ],
        })
    }
}
