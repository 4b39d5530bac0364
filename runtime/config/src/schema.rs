//! The JSON Schema of the operator's file, for editors and for checks in CI.
//!
//! It is made from the types that the file is read into, so a key that is read
//! is described and a key that is not is refused. What a schema cannot say
//! (which rules contradict each other, which limit is too large) is left to
//! `servo check`.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};
use servo_policy::Budget;

use crate::file::{ConfigFile, Sections};

impl ConfigFile {
    /// The JSON Schema (draft 2020-12) of the file.
    #[must_use]
    pub fn schema() -> Value {
        let settings = SchemaSettings::draft2020_12();
        let mut schema = SchemaGenerator::new(settings)
            .into_root_schema_for::<Sections>()
            .to_value();
        // The types know a limit's range and reason, the budget its default.
        let limits = schema.pointer_mut("/$defs/LimitsSpec/properties");
        if let Some(Value::Object(limits)) = limits {
            for (name, default) in Budget::default().table() {
                if let Some(Value::Object(limit)) = limits.get_mut(name) {
                    not_null(limit);
                    limit.insert("default".to_owned(), typed(&default));
                }
            }
        }
        for keys in ["/properties", "/$defs/CeilingSpec/properties"] {
            for key in [
                "ceiling",
                "http",
                "folders",
                "scratch",
                "limits",
                "credentials",
                "actions",
                "settings",
            ] {
                let found = schema.pointer_mut(&format!("{keys}/{key}"));
                if let Some(Value::Object(found)) = found {
                    not_null(found);
                }
            }
        }
        unfold(&mut schema);
        schema
    }
}

/// A key that must have a value where it is written. The generator knows only
/// that it may be absent.
fn not_null(key: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = key.get_mut("type") {
        kinds.retain(|kind| kind != "null");
    }
    if let Some(Value::Array(options)) = key.get_mut("anyOf") {
        options.retain(|option| option["type"] != "null");
    }
}

/// Names for networks. The parser knows which networks there are.
pub(crate) fn networks(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "type": "array",
            "minItems": 1,
            "items": { "type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]{1,3}$" },
        },
        "propertyNames": { "pattern": "^[a-z][a-z0-9-]{0,62}$" },
        "examples": [{ "office": ["10.1.0.0/16", "fd00:1::/48"] }],
    })
}

/// Descriptions come from text that is folded for the width of a page.
fn unfold(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            members.values_mut().for_each(unfold);
        }
        Value::Array(items) => items.iter_mut().for_each(unfold),
        _ => {}
    }
}

/// A number where it is one: the others have units.
fn typed(text: &str) -> Value {
    text.parse::<u64>()
        .map_or_else(|_| Value::from(text), Value::from)
}
