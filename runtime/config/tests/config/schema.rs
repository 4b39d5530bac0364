//! The JSON Schema of `servo.yaml` and the parser say the same.
//!
//! A sample that uses every key is made from the schema itself. What is then
//! done to it (a key too much, a key too little, a value of another kind) must
//! be refused by a schema validator and by the parser alike.

use std::path::Path;

use boon::{Compiler, Schemas};
use serde_json::{Map, Value, json};
use servo_config::ConfigFile;
use servo_policy::Budget;

/// A validator of the field, not ours.
struct Validator {
    schemas: Schemas,
    index: boon::SchemaIndex,
}

impl Validator {
    fn new() -> Self {
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler
            .add_resource("http://servo.example/schema", ConfigFile::schema())
            .unwrap();
        let index = compiler
            .compile("http://servo.example/schema", &mut schemas)
            .unwrap();
        Self { schemas, index }
    }

    fn refusal(&self, instance: &Value) -> Option<String> {
        let outcome = self.schemas.validate(instance, self.index);
        outcome.err().map(|error| error.to_string())
    }
}

/// JSON is YAML.
fn refusal_of_parser(instance: &Value) -> Option<String> {
    let text = instance.to_string();
    let parsed = ConfigFile::parse(&text, Path::new("servo.yaml"));
    parsed.err().map(|error| error.headline())
}

/// A value that uses every key a schema has, and the pointers to all objects
/// whose keys the schema knows.
fn sample(root: &Value, schema: &Value, at: &str, known: &mut Vec<String>) -> Value {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        return sample(root, target, at, known);
    }
    if let Some(options) = schema.get("anyOf").or(schema.get("oneOf")) {
        let options = options.as_array().unwrap();
        let constants: Vec<&Value> = options.iter().filter_map(|it| it.get("const")).collect();
        if let Some(last) = constants.last() {
            return (*last).clone();
        }
        let option = options.iter().find(|it| it["type"] != "null").unwrap();
        return sample(root, option, at, known);
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.last().unwrap().clone();
    }
    if let Some(example) = schema.pointer("/examples/0") {
        return example.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").unwrap(),
        kind => kind,
    };
    match kind.as_str().unwrap_or_else(|| panic!("{at}: {schema}")) {
        "object" => match schema.get("properties").and_then(Value::as_object) {
            // The names are the operator's, the values are not.
            None if schema["additionalProperties"].is_object() => {
                let value = &schema["additionalProperties"];
                json!({ "web.cpu": sample(root, value, &format!("{at}/web.cpu"), known) })
            }
            None => json!({ "endpoint": "http://a.example", "deep": { "list": [1, null, "x"] } }),
            Some(properties) => {
                assert_eq!(schema["additionalProperties"], false, "{at}");
                known.push(at.to_owned());
                let member = |(name, schema): (&String, &Value)| {
                    let at = format!("{at}/{name}");
                    (name.clone(), sample(root, schema, &at, known))
                };
                Value::Object(properties.iter().map(member).collect::<Map<_, _>>())
            }
        },
        "array" => json!([sample(root, &schema["items"], &format!("{at}/0"), known)]),
        "string" => json!("a"),
        "boolean" => json!(true),
        "integer" | "number" => json!(7),
        other => panic!("{at}: {other}"),
    }
}

fn whole() -> (Value, Vec<String>) {
    let schema = ConfigFile::schema();
    let mut known = Vec::new();
    let sample = sample(&schema, &schema, "", &mut known);
    (sample, known)
}

/// Every place of a value, as pointers.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                places(value, &format!("{at}/{name}"), out);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), out);
            }
        }
        _ => {}
    }
}

#[test]
fn every_key_of_the_schema_is_read_by_the_parser() {
    let validator = Validator::new();
    let (sample, known) = whole();
    assert_eq!(validator.refusal(&sample), None, "{sample}");
    assert_eq!(refusal_of_parser(&sample), None, "{sample}");
    // The sample is the file: nothing of the types is missing in it.
    let limits = sample
        .pointer("/drivers/measure/grants/limits")
        .and_then(Value::as_object)
        .unwrap();
    let names: Vec<&str> = Budget::default()
        .table()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(limits.keys().collect::<Vec<_>>(), names);
    for place in [
        "",
        "/optune",
        "/drivers",
        "/drivers/adjust",
        "/drivers/adjust/grants",
        "/drivers/adjust/grants/http/0",
        "/drivers/adjust/grants/http/0/bearer",
        "/drivers/adjust/grants/http/0/limits",
        "/drivers/adjust/grants/http/0/oauth2/client_secret",
        "/drivers/adjust/grants/folders/0",
        "/drivers/adjust/grants/limits",
        "/ceiling",
        "/ceiling/http/0",
        "/ceiling/folders/0",
        "/ceiling/limits",
        "/ceiling/settings/web.cpu",
    ] {
        assert!(
            known.iter().any(|known| known == place),
            "{place}: {known:?}"
        );
    }
}

#[test]
fn a_key_too_much_is_refused_by_both() {
    let validator = Validator::new();
    let (sample, known) = whole();
    for place in known {
        let mut changed = sample.clone();
        let object = changed.pointer_mut(&place).and_then(Value::as_object_mut);
        object.unwrap().insert("zebra".to_owned(), json!(1));
        assert!(validator.refusal(&changed).is_some(), "schema: {place}");
        let said = refusal_of_parser(&changed).unwrap_or_else(|| panic!("parser: {place}"));
        assert!(said.contains("zebra: unknown key"), "{place}: {said}");
    }
}

#[test]
fn what_may_be_left_out_is_the_same_for_both() {
    let validator = Validator::new();
    let (sample, known) = whole();
    let mut required = Vec::new();
    for place in known {
        let object = sample.pointer(&place).and_then(Value::as_object).unwrap();
        for name in object.keys() {
            let mut changed = sample.clone();
            let members = changed.pointer_mut(&place).and_then(Value::as_object_mut);
            members.unwrap().shift_remove(name);
            let both = (
                validator.refusal(&changed).is_some(),
                refusal_of_parser(&changed).is_some(),
            );
            assert_eq!(both.0, both.1, "{place}/{name}: schema, parser");
            if both.0 {
                required.push(format!("{place}/{name}"));
            }
        }
    }
    for key in ["/drivers", "/drivers/measure/grants/http/0/rule"] {
        assert!(required.iter().any(|it| it == key), "{key}: {required:?}");
    }
}

#[test]
fn a_value_of_another_kind_is_refused_by_both() {
    let validator = Validator::new();
    let (sample, _) = whole();
    let mut all = Vec::new();
    places(&sample, "", &mut all);
    // What a driver is told is the driver's own.
    all.retain(|place| !place.contains("/config/"));
    // A value of a setting is any text or number.
    all.retain(|place| !place.contains("/web.cpu/"));
    assert!(all.len() > 60, "{all:?}");
    for place in all {
        let kept = sample.pointer(&place).unwrap();
        for wrong in [
            json!([[1]]),
            json!({ "a": { "b": 1 } }),
            json!("?"),
            json!(-1),
        ] {
            let alike = std::mem::discriminant(kept) == std::mem::discriminant(&wrong);
            // Free text takes any text, a mapping of the driver's any mapping.
            let free = alike && (kept == "a" || place.ends_with("/config"));
            // YAML takes a plain number for the text it is.
            let plain = kept.is_string() && wrong.is_number();
            if free || plain {
                continue;
            }
            let mut changed = sample.clone();
            if let Some(value) = changed.pointer_mut(&place) {
                *value = wrong.clone();
            }
            let both = (
                validator.refusal(&changed).is_some(),
                refusal_of_parser(&changed).is_some(),
            );
            // The grammar of rules is judged when they are resolved.
            if place.ends_with("/rule") || place.ends_with("/name") {
                assert!(both.0 || !both.1, "{place} = {wrong}: {both:?}");
            } else {
                assert_eq!(both, (true, true), "{place} = {wrong}: schema, parser");
            }
        }
    }
}

#[test]
fn every_key_says_what_it_is_for() {
    let schema = ConfigFile::schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let mut objects = vec![&schema];
    objects.extend(schema["$defs"].as_object().unwrap().values());
    let mut keys = 0;
    for object in objects {
        for (name, key) in object["properties"].as_object().into_iter().flatten() {
            let said = key["description"].as_str().unwrap_or_default();
            assert!(said.len() > 5 && !said.contains('\n'), "{name}: {key}");
            keys += 1;
        }
    }
    assert!(keys > 30, "{keys}");
    let memory = &schema["$defs"]["LimitsSpec"]["properties"]["memory"];
    assert_eq!(memory["default"], "64MiB");
    assert_eq!(
        schema["$defs"]["LimitsSpec"]["properties"]["requests"]["default"],
        10_000
    );
}

/// The examples that people copy from.
#[test]
fn the_examples_of_the_readme_are_valid() {
    let validator = Validator::new();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let examples: Vec<&str> = readme
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|text| text.contains("drivers:"))
        .collect();
    assert!(!examples.is_empty());
    for text in examples {
        let instance: Value = serde_saphyr::from_str(text).unwrap();
        assert_eq!(validator.refusal(&instance), None, "{text}");
        let parsed = ConfigFile::parse(text, Path::new("servo.yaml"));
        assert!(parsed.is_ok(), "{text}");
    }
}

/// A key whose lines are commented out is not one that is not there.
#[test]
fn j1_a_ceiling_without_a_value_is_refused_by_both() {
    let validator = Validator::new();
    let (sample, _) = whole();
    let keys = [
        "http",
        "folders",
        "scratch",
        "limits",
        "credentials",
        "actions",
        "settings",
    ];
    let places = keys.map(|key| format!("/ceiling/{key}"));
    for place in places
        .iter()
        .map(String::as_str)
        .chain(["/ceiling", "/ceiling/limits/cpu"])
    {
        let mut changed = sample.clone();
        *changed.pointer_mut(place).unwrap() = Value::Null;
        let both = (
            validator.refusal(&changed).is_some(),
            refusal_of_parser(&changed).is_some(),
        );
        assert_eq!(both, (true, true), "{place}: schema, parser");
    }
}
