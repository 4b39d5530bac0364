//! From an error of the parser to one for a person.
//!
//! The parser knows what is wrong and where, but not which key that is nor what
//! to do. Where the file is well-formed YAML, the tree of places tells the key.
//! Where it is not, there is no tree, and the key is guessed from indentation
//! and braces: a guess about a file that is broken at that very place.

use std::path::Path;

use serde_saphyr::Error;
use servo_text::nearest;

use crate::error::{ConfigError, Stretch};
use crate::places::{Places, stretch, within};

/// Turns a parser's error into one for people.
pub(crate) fn explain(error: &Error, text: &str, file: &Path) -> ConfigError {
    let error = error.without_snippet();
    let place = error.location().as_ref().map(stretch);
    let where_ = Whereabouts {
        places: Places::of(text),
        text,
        place,
    };
    let (key, problem, remedy) = words(error, &where_);
    let explained = ConfigError::new(file, problem, remedy).with_key(key);
    match place {
        Some(stretch) => explained.at(text, stretch),
        None => explained,
    }
}

/// Key, problem and remedy.
fn words(error: &Error, at: &Whereabouts<'_>) -> (String, String, String) {
    match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let slip = nearest(field, expected)
                .map(|name| format!("did you mean `{name}`? "))
                .unwrap_or_default();
            (
                at.key(field),
                "unknown key".to_owned(),
                format!("{slip}the keys here are {}", expected.join(", ")),
            )
        }
        Error::SerdeMissingField { field, .. } => (
            at.inside(field),
            "the key is missing".to_owned(),
            format!("add `{field}:`"),
        ),
        Error::DuplicateMappingKey { key, .. } => (
            at.key(key.as_deref().unwrap_or_default()),
            "the key stands here twice".to_owned(),
            "keep one of the two".to_owned(),
        ),
        Error::MergeKeyNotAllowed { .. } => (
            at.key("<<"),
            "merge keys are refused, because a grant must stand where it is read".to_owned(),
            "write out what is to be merged".to_owned(),
        ),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => (
            at.value(),
            format!("`{variant}` is not known here"),
            format!("use one of {}", expected.join(", ")),
        ),
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        }
        | Error::SerdeInvalidValue {
            unexpected,
            expected,
            ..
        } => {
            let (problem, remedy) = misplaced(unexpected, expected);
            (at.value(), problem, remedy)
        }
        Error::Eof { .. } => (
            String::new(),
            "the file ends too early".to_owned(),
            "at least `drivers:` must stand in it".to_owned(),
        ),
        Error::MultipleDocuments { .. } => (
            String::new(),
            "a second document begins".to_owned(),
            "write one file for each servo".to_owned(),
        ),
        Error::Budget { breach, .. } => (
            at.value(),
            match breach {
                serde_saphyr::budget::BudgetBreach::Anchors { .. }
                | serde_saphyr::budget::BudgetBreach::Aliases { .. } => {
                    "anchors and aliases are refused, because a grant must stand where it is read"
                }
                _ => "this is too much for a configuration",
            }
            .to_owned(),
            "write the value out where it belongs".to_owned(),
        ),
        Error::InvalidBooleanStrict { .. } => (
            at.value(),
            "this is neither true nor false".to_owned(),
            "write true or false".to_owned(),
        ),
        Error::InvalidScalar { ty, .. } if ty.starts_with(['u', 'i']) => (
            at.value(),
            "this is no whole number, or one that does not fit here".to_owned(),
            "write a whole number, such as 1000".to_owned(),
        ),
        Error::Unexpected { expected, .. } => {
            let expected = match expected.trim_end_matches(" start") {
                "mapping" => "a mapping (`key: value` lines)",
                "sequence" => "a list (lines that begin with `- `)",
                "string scalar" => "a text",
                other => other,
            };
            (
                at.value(),
                format!("{expected} is expected here"),
                "correct the value or its indentation".to_owned(),
            )
        }
        // What a type of ours says holds the remedy already.
        Error::Message { .. } => match plain(&error.to_string()).split_once(": ") {
            Some((problem, remedy)) => (at.value(), problem.to_owned(), remedy.to_owned()),
            None => (
                at.value(),
                plain(&error.to_string()),
                "correct the value".to_owned(),
            ),
        },
        other => (
            at.value(),
            plain(&other.to_string()),
            "correct it here; text with special characters needs quotes".to_owned(),
        ),
    }
}

/// Problem and remedy of a value of another kind than belongs there, from the words
/// of serde for the two.
#[must_use]
pub fn misplaced(unexpected: &str, expected: &str) -> (String, String) {
    let (found, belongs) = (found(unexpected), belongs(expected));
    (
        format!("{found} stands where {belongs} belongs"),
        format!("write {belongs}"),
    )
}

/// What stands there: the words of serde's data model are not those of the file.
fn found(unexpected: &str) -> &str {
    match unexpected {
        "sequence" => "a list",
        "map" => "a mapping",
        "unit value" | "Option value" => "nothing",
        other => ["boolean ", "integer ", "floating point ", "string "]
            .iter()
            .find_map(|kind| other.strip_prefix(kind))
            .unwrap_or(other),
    }
}

/// What belongs there, in the same way.
fn belongs(expected: &str) -> &str {
    match expected {
        "a string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "path string" => "a path",
        "f64" => "a number",
        "u64" | "u32" | "u16" | "u8" | "usize" | "i64" => "a whole number",
        other if other.starts_with("struct ") => "a mapping",
        other => other,
    }
}

/// Where an error is, and what is known about that place.
struct Whereabouts<'a> {
    places: Places,
    text: &'a str,
    place: Option<Stretch>,
}

impl Whereabouts<'_> {
    /// The key that stands at the place.
    fn key(&self, name: &str) -> String {
        self.ask(Places::key_at).unwrap_or_else(|| {
            let guess = self.guess();
            match guess.rsplit_once('.') {
                Some((outer, _)) => within(outer, name),
                None => name.to_owned(),
            }
        })
    }

    /// The key whose value begins at the place.
    fn value(&self) -> String {
        self.ask(Places::value_at)
            .or_else(|| self.ask(Places::key_at))
            .unwrap_or_else(|| self.guess())
    }

    /// A key that is missing from the mapping that begins at the place.
    fn inside(&self, name: &str) -> String {
        if let Some(outer) = self.ask(Places::value_at) {
            return within(&outer, name);
        }
        // The parser points at the first key of a mapping in braces.
        match self.ask(Places::key_at) {
            Some(first) => within(first.rsplit_once('.').map_or("", |(outer, _)| outer), name),
            None => self.key(name),
        }
    }

    fn ask(&self, question: impl Fn(&Places, u64, u64) -> Option<String>) -> Option<String> {
        let place = self.place?;
        question(&self.places, place.line, place.column)
    }

    fn guess(&self) -> String {
        self.place.map_or_else(String::new, |place| {
            guessed_path(self.text, place.line, place.column).join(".")
        })
    }
}

/// The first line, without the place that is said elsewhere.
fn plain(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or_default();
    line.to_owned()
}

/// The keys that lead to a place in a text, by indentation and braces. Items of
/// lists are not counted.
fn guessed_path(text: &str, line: u64, column: u64) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let index = usize::try_from(line).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(column).unwrap_or(1);
    let mut path = Vec::new();
    // Only keys further left, or outside the present braces, lead here.
    let mut left_of = column;
    let mut outside = usize::MAX;
    for key in keys_of(lines.get(index).copied().unwrap_or_default())
        .into_iter()
        .rev()
        .filter(|key| key.column < column)
    {
        if key.depth < outside {
            path.push(key.name);
            left_of = key.column;
            outside = key.depth;
        }
    }
    for above in lines.iter().take(index).rev() {
        if let Some(key) = keys_of(above).first()
            && key.column < left_of
        {
            path.push(key.name);
            left_of = key.column;
        }
    }
    path.reverse();
    path
}

/// A key of a line.
struct Key<'a> {
    /// From 0.
    column: usize,
    /// Braces around it on this line.
    depth: usize,
    name: &'a str,
}

/// The keys of one line, comments left out.
fn keys_of(line: &str) -> Vec<Key<'_>> {
    let code = line.split(" #").next().unwrap_or_default();
    let mut keys = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, c) in code.char_indices() {
        match c {
            '{' | '[' => (start, depth) = (at + 1, depth + 1),
            '}' | ']' => (start, depth) = (at + 1, depth.saturating_sub(1)),
            ',' => start = at + 1,
            '-' if code
                .get(start..at)
                .is_some_and(|before| before.trim().is_empty()) =>
            {
                start = at + 1;
            }
            ':' => {
                let raw = code.get(start..at).unwrap_or_default();
                let name = raw.trim().trim_matches(['"', '\'']);
                let ends = code
                    .get(at + 1..)
                    .is_none_or(|rest| rest.is_empty() || rest.starts_with(' '));
                if ends && !name.is_empty() && !name.contains(' ') && !name.starts_with('#') {
                    let column = start + raw.len() - raw.trim_start().len();
                    keys.push(Key {
                        column,
                        depth,
                        name,
                    });
                    start = at + 1;
                }
            }
            _ => {}
        }
    }
    keys
}
