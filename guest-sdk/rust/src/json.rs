//! JSON whose errors name the place by its path, not by line and column: the
//! text came from a program, and nobody has it in front of them.
//!
//! The path is found after the fact, by walking the text up to where the
//! parser stopped. Wrapping the parser so that it keeps track of the path costs
//! a component a second copy of all its parsing code, 60 KB in a driver with a
//! dozen types; this costs one function.

use std::fmt;

use serde::de::DeserializeOwned;

/// Where and why a JSON document is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonError {
    path: String,
    message: String,
}

impl JsonError {
    /// The error with the name of the whole document put before the path.
    pub(crate) fn within(&self, root: &str) -> String {
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        format!("{root}{dot}{}: {}", self.path, self.message)
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "at {}: {}", self.path, self.message)
        }
    }
}

pub(crate) fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    serde_json::from_slice(text).map_err(|error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = error.to_string();
        let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
        let path = if error.is_data() {
            path(text, error.line(), error.column())
        } else {
            String::new()
        };
        JsonError { path, message }
    })
}

/// A level of the document: an object with the key last read in it, or a list
/// with the index reached.
enum Level {
    Object(Option<String>),
    List(usize),
}

/// The path of the value that ends, or of the key that stands, right before
/// this place. The text before it is JSON, since the parser came that far.
fn path(text: &[u8], line: usize, column: usize) -> String {
    let start: usize = text
        .split(|byte| *byte == b'\n')
        .take(line - 1)
        .map(|l| l.len() + 1)
        .sum();
    let mut levels: Vec<Level> = Vec::new();
    let mut bytes = text.iter().take(start + column).enumerate();
    let mut key_next = false;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' => {
                levels.push(Level::Object(None));
                key_next = true;
            }
            b'[' => levels.push(Level::List(0)),
            b'}' | b']' => {
                levels.pop();
                key_next = false;
            }
            b',' => match levels.last_mut() {
                Some(Level::List(index)) => *index += 1,
                _ => key_next = true,
            },
            b'"' => {
                let mut escaped = false;
                let end = bytes.find(|(_, byte)| {
                    let ends = **byte == b'"' && !escaped;
                    escaped = **byte == b'\\' && !escaped;
                    ends
                });
                let inside = end.and_then(|(end, _)| text.get(at + 1..end));
                if let (true, Some(inside), Some(Level::Object(key))) =
                    (key_next, inside, levels.last_mut())
                {
                    *key = Some(String::from_utf8_lossy(inside).into_owned());
                    key_next = false;
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object(Some(key)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&key);
            }
            Level::Object(None) => {}
            Level::List(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<Inner>,
        #[serde(default)]
        map: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        key: u32,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    enum Kind {
        A,
    }

    #[test]
    fn errors_name_the_place() {
        for (text, place) in [
            (r#"{}"#, "missing field `name`"),
            (r#"{"name": 3}"#, "at name: invalid type"),
            (r#"{"name": "n", "nme": 1}"#, "at nme: unknown field `nme`"),
            (
                r#"{"name": "}\"{", "inner": {"key": -1}}"#,
                "at inner.key: invalid value",
            ),
            (
                "{\"name\": \"n\",\n \"inner\":\n {\"key\": \"x\"}}",
                "at inner.key: invalid type",
            ),
            (
                r#"{"name": "n", "inner": {}}"#,
                "at inner: missing field `key`",
            ),
            (
                r#"{"name": "n", "inner": {"key": 1, "kind": "B"}}"#,
                "at inner.kind: unknown variant",
            ),
            (
                r#"{"name": "n", "inner": {"key": 1, "other": [1, {"a": 2}]}}"#,
                "at inner.other: unknown field",
            ),
            (
                r#"{"name": "n", "list": [{"key": 1}, {"key": 2}, {"key": null}]}"#,
                "at list[2].key: invalid type",
            ),
            (
                r#"{"name": "n", "list": [{"key": 1}, 7]}"#,
                "at list[1]: invalid type",
            ),
            (
                r#"{"name": "n", "map": {"a": {"key": 1}, "b": {"key": true}}}"#,
                "at map.b.key: invalid type",
            ),
            (r#"{"name": "n""#, "EOF while parsing"),
            (r#"{"name": "n"} x"#, "trailing characters"),
        ] {
            let error = from_slice::<Outer>(text.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(place), "{text}: {error}");
            assert!(!error.contains("line"), "{error}");
        }
    }
}
