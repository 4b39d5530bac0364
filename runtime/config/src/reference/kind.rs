//! What a key takes, in words, from its schema.

use serde_json::Value;

/// What a value of this schema is; `root` has the definitions.
pub(super) fn of(root: &Value, schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return match root.pointer(name.trim_start_matches('#')) {
            Some(definition) => of(root, definition),
            None => String::new(),
        };
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        if let Some(options) = schema.get(several).and_then(Value::as_array) {
            let mut words: Vec<String> = Vec::new();
            for option in options {
                let word = of(root, option);
                if !word.is_empty() && !words.contains(&word) {
                    words.push(word);
                }
            }
            return words.join(" or ");
        }
    }
    if let Some(value) = schema.get("const") {
        return format!("`{}`", plain(value));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values
            .iter()
            .map(|value| format!("`{}`", plain(value)))
            .collect();
        return values.join(" or ");
    }
    match name(schema) {
        "string" => "text".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "integer" => "whole number".to_owned(),
        "number" => "number".to_owned(),
        "array" => match schema.get("items") {
            Some(items) => format!("list of {}", plural(&of(root, items))),
            None => "list".to_owned(),
        },
        "object" => "mapping".to_owned(),
        _ => String::new(),
    }
}

/// The type that is not `null`.
fn name(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) if kind != "null" => kind,
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or_default(),
        _ => "",
    }
}

fn plural(word: &str) -> String {
    match word {
        "text" | "mapping" | "number" | "whole number" => format!("{word}s"),
        other => other.to_owned(),
    }
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
