//! A table of the keys of one mapping.

use std::fmt::Write as _;

use serde_json::Value;
use servo_policy::reference::KeySection;

use super::rows::Section;
use super::{kind, row};

const HEAD: &str = "\n| key | takes | unit or form | default | example | what it is |\n\
                    |---|---|---|---|---|---|\n";

/// A mapping of the files.
pub(super) fn section(out: &mut String, section: &Section, root: &Value, schema: &Value) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\n### {}\n{HEAD}", heading(section.place));
    for key in section.rows {
        let property = schema.pointer(&format!("/properties/{}", key.key));
        let property = property.unwrap_or(&Value::Null);
        let about = property.get("description").and_then(Value::as_str);
        row(
            out,
            &[
                &format!("`{}`", key.key),
                &kind::of(root, property),
                key.unit,
                key.default,
                &format!("`{}`", key.example),
                about.unwrap_or_default(),
            ],
        );
    }
}

/// A mapping of grants or ceilings.
pub(super) fn policy(out: &mut String, section: &KeySection) {
    let schema = section.schema();
    let root = schema.as_value();
    let _ = write!(out, "\n### {}\n{HEAD}", heading(section.place));
    for key in section.keys() {
        let property = root.pointer(&format!("/properties/{}", key.key));
        row(
            out,
            &[
                &format!("`{}`", key.key),
                &kind::of(root, property.unwrap_or(&Value::Null)),
                key.unit,
                key.default,
                &format!("`{}`", key.example),
                &key.meaning,
            ],
        );
    }
}

/// A place in a file is code, a description of one is not.
fn heading(place: &str) -> String {
    if matches!(place, "servo.yaml" | "driver.toml") {
        "The whole file".to_owned()
    } else if place.contains(' ') && !place.contains(',') {
        place.replace("--ceiling", "`--ceiling`")
    } else {
        format!("`{place}`")
    }
}
