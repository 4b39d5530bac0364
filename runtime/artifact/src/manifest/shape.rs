//! A `driver.toml` beside its schema, before it is read into types.
//!
//! The types say what is wrong with a value. What is no key, is missing or is no
//! value of its kind is said here, in the words of the file: the reader's own
//! errors speak of types that its author has never seen.

use std::ops::Range;

use serde_json::Value;
use servo_policy::Advice;
use servo_text::nearest;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// What does not fit.
pub(super) struct Misfit {
    /// Where, in bytes of the text.
    pub(super) span: Range<usize>,
    /// The key, for example `asks.http[0].rule`.
    pub(super) key: String,
    /// What is wrong, and what to write.
    pub(super) advice: Advice,
    /// A key is missing. It may be one that is misspelt.
    missing: bool,
}

/// What does not fit, and stands first; a missing key only if all others fit.
pub(super) fn first_misfit(schema: &Value, document: &Spanned<DeTable<'_>>) -> Option<Misfit> {
    let mut shape = Shape {
        root: schema,
        misfits: Vec::new(),
    };
    shape.table(schema, document.get_ref(), &document.span(), "");
    let order = |misfit: &Misfit| (misfit.missing, misfit.span.start);
    shape.misfits.into_iter().min_by_key(order)
}

struct Shape<'a> {
    root: &'a Value,
    misfits: Vec<Misfit>,
}

impl<'a> Shape<'a> {
    fn add(&mut self, span: Range<usize>, key: &str, problem: String, remedy: String) {
        self.misfits.push(Misfit {
            span,
            key: key.to_owned(),
            advice: Advice::new(problem, remedy),
            missing: false,
        });
    }

    fn table(&mut self, schema: &'a Value, table: &DeTable<'_>, span: &Range<usize>, path: &str) {
        let Some(Value::Object(known)) = schema.get("properties") else {
            return;
        };
        for (key, value) in table {
            let name: &str = key.get_ref();
            let path = within(path, name);
            match known.get(name) {
                Some(schema) => self.value(schema, value, &path),
                None => {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    let slip = nearest(name, &names)
                        .map(|name| format!("did you mean `{name}`? "))
                        .unwrap_or_default();
                    let remedy = format!("{slip}the keys here are {}", names.join(", "));
                    self.add(key.span(), &path, "unknown key".to_owned(), remedy);
                }
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !table.keys().any(|key| key.get_ref() == name) {
                self.misfits.push(Misfit {
                    span: span.clone(),
                    key: within(path, name),
                    advice: Advice::new("the key is missing", format!("add `{name} = `")),
                    missing: true,
                });
            }
        }
    }

    fn value(&mut self, schema: &'a Value, value: &Spanned<DeValue<'_>>, path: &str) {
        let schema = self.resolved(schema);
        if let Some(known) = choices(schema) {
            let remedy = || format!("use one of {}", known.join(", "));
            match value.get_ref() {
                DeValue::String(text) if known.contains(&text.as_ref()) => {}
                DeValue::String(text) => {
                    let problem = format!("`{text}` is not known here");
                    self.add(value.span(), path, problem, remedy());
                }
                other => {
                    let problem = format!("{} stands where a text belongs", named(other));
                    self.add(value.span(), path, problem, remedy());
                }
            }
            return;
        }
        match (kind(schema), value.get_ref()) {
            ("object", DeValue::Table(table)) => self.table(schema, table, &value.span(), path),
            ("array", DeValue::Array(items)) => {
                let Some(schema) = schema.get("items") else {
                    return;
                };
                for (index, item) in items.iter().enumerate() {
                    self.value(schema, item, &format!("{path}[{index}]"));
                }
            }
            ("integer", DeValue::Integer(number)) if !is_count(number) => {
                let problem = format!("{number} does not fit here");
                let remedy = "write a whole number, such as 1000".to_owned();
                self.add(value.span(), path, problem, remedy);
            }
            ("string", DeValue::String(_))
            | ("integer", DeValue::Integer(_))
            | ("boolean", DeValue::Boolean(_)) => {}
            (wanted, other) => {
                let (belongs, write) = match wanted {
                    "string" => ("a text", example(schema)),
                    "integer" => ("a whole number", "a whole number, such as 1000".to_owned()),
                    "boolean" => ("true or false", "true or false".to_owned()),
                    "array" => ("a list", "a list: `[..]`".to_owned()),
                    "object" => ("a table", "a table: `{ .. }`".to_owned()),
                    // The types know more of it.
                    _ => return,
                };
                let problem = format!("{} stands where {belongs} belongs", named(other));
                self.add(value.span(), path, problem, format!("write {write}"));
            }
        }
    }

    /// What a schema says: its definition, without the `null` of what may be absent.
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let found = self.root.pointer(name.trim_start_matches('#'));
            return found.unwrap_or(schema);
        }
        let options = schema.get("anyOf").and_then(Value::as_array);
        let mut options = options.into_iter().flatten();
        match options.find(|option| kind(option) != "null") {
            Some(option) => self.resolved(option),
            None => schema,
        }
    }
}

/// The texts that may stand here, if they are counted.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    if let Some(Value::Array(values)) = schema.get("enum") {
        return Some(values.iter().filter_map(Value::as_str).collect());
    }
    let options = schema.get("oneOf")?.as_array()?;
    let texts = options.iter().map(|option| option.get("const")?.as_str());
    texts.collect()
}

/// The type that is not `null`, if there is one.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.find(|kind| *kind != "null").unwrap_or_default()
        }
        _ => "",
    }
}

fn is_count(number: &DeInteger<'_>) -> bool {
    u64::from_str_radix(number.as_str(), number.radix()).is_ok()
}

fn example(schema: &Value) -> String {
    match schema.pointer("/examples/0").and_then(Value::as_str) {
        Some(example) => format!("a text, such as \"{example}\""),
        None => "a text in quotes".to_owned(),
    }
}

fn named(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn within(outer: &str, name: &str) -> String {
    if outer.is_empty() {
        name.to_owned()
    } else {
        format!("{outer}.{name}")
    }
}
