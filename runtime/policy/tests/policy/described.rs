//! The printed reference is what the parser reads: each key of each schema is
//! described and the other way round, and each example is understood.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use servo_policy::reference::{KEY_SECTIONS, KeySection, RULE_GRAMMAR};
use servo_policy::{
    CeilingSpec, CredentialKind, GrantsSpec, HttpGrantSpec, Networks, Rule, fill, header_table,
};

#[test]
fn each_key_of_each_schema_is_described_and_no_other() {
    for section in KEY_SECTIONS {
        let schema = section.schema();
        let properties = schema.get("properties").unwrap().as_object().unwrap();
        let read: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        let keys = section.keys();
        let described: BTreeSet<&str> = keys.iter().map(|key| key.key).collect();
        assert_eq!(read, described, "{}", section.place);
        assert_eq!(keys.len(), described.len(), "{}", section.place);
        let required = schema.get("required").and_then(Value::as_array);
        let required: BTreeSet<&str> = required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for key in &keys {
            let place = format!("{}.{}", section.place, key.key);
            assert!(!key.meaning.is_empty(), "{place} has no sentence");
            assert!(!key.default.is_empty(), "{place} has no default");
            assert_eq!(
                key.default == "required",
                required.contains(key.key),
                "{place}"
            );
            assert!(
                key.example.starts_with(&format!("{}: ", key.key)),
                "{place}"
            );
        }
    }
}

/// The mapping with one key as in its example, in the place of the section.
fn document(section: &KeySection, key: &str, example: &str) -> (bool, Value) {
    let mut lines: Vec<&str> = section.needs.lines().collect();
    lines.retain(|line| !line.starts_with(&format!("{key}:")));
    lines.push(example);
    let mapping: Value = serde_saphyr::from_str(&lines.join("\n"))
        .unwrap_or_else(|error| panic!("{}.{key}: {error}", section.place));
    assert!(mapping.get(key).is_some(), "{}.{key}", section.place);
    let rule = |with: Value| {
        let mut rule = json!({ "rule": "POST https://a.example/" });
        let (Value::Object(rule), Value::Object(with)) = (&mut rule, with) else {
            unreachable!()
        };
        rule.extend(with);
        json!({ "http": [rule] })
    };
    let clear = |mut mapping: Value| {
        if mapping.get("plaintext").is_some() {
            mapping["rule"] = json!("GET,POST http://a.example/");
            mapping["bearer"] = json!({ "env": "A" });
        }
        mapping
    };
    let grants = match section.place {
        "grants" => mapping,
        "grants.http[]" => json!({ "http": [clear(mapping)] }),
        "grants.http[].limits" => rule(json!({ "limits": mapping })),
        "a secret" => rule(json!({ "bearer": mapping })),
        "grants.http[].basic" => rule(json!({ "basic": mapping })),
        "grants.http[].header" => rule(json!({ "header": mapping })),
        "grants.http[].sigv4" => rule(json!({ "sigv4": mapping })),
        "grants.http[].oauth2" => {
            let mut mapping = mapping;
            if mapping.get("plaintext").is_some() {
                mapping["token_url"] = json!("http://id.example/token");
            }
            rule(json!({ "oauth2": mapping }))
        }
        "grants.http[].client_certificate" => rule(json!({ "client_certificate": mapping })),
        "grants.folders[]" => json!({ "folders": [mapping] }),
        "grants.actions.NAME" => json!({ "actions": { "load": mapping } }),
        "ceiling" => return (true, mapping),
        "ceiling.http[]" => return (true, json!({ "http": [mapping] })),
        "ceiling.folders[]" => return (true, json!({ "folders": [mapping] })),
        "ceiling.settings.COMPONENT.SETTING" => {
            return (true, json!({ "settings": { "a.b": mapping } }));
        }
        place => panic!("{place} is not tried"),
    };
    (false, grants)
}

#[test]
fn each_example_is_understood() {
    let base = Path::new("/etc/servo");
    for section in KEY_SECTIONS {
        for key in section.keys() {
            let place = format!("{}.{}", section.place, key.key);
            let (ceiling, document) = document(section, key.key, key.example);
            let problem = if ceiling {
                let spec: CeilingSpec = serde_json::from_value(document)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
                spec.resolve(base, &Networks::default()).err()
            } else {
                let spec: GrantsSpec = serde_json::from_value(document)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
                spec.resolve_all(&json!({}), base).err()
            };
            assert!(problem.is_none(), "{place}: {problem:?}");
        }
    }
}

#[test]
fn each_rule_of_the_grammar_is_one() {
    let config = json!({ "endpoint": "http://a.example:9000", "host": "a.example", "port": 9000 });
    for part in RULE_GRAMMAR {
        assert!(
            !part.meaning.is_empty() && !part.examples.is_empty(),
            "{}",
            part.name
        );
        for example in part.examples {
            let rule = fill(example, &config, "rule");
            let rule = rule.unwrap_or_else(|error| panic!("{}: {error}", part.name));
            assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule);
        }
    }
}

#[test]
fn each_kind_of_credential_has_an_example_that_is_one() {
    let base = Path::new("/etc/servo");
    for kind in CredentialKind::ALL {
        let named: CredentialKind = serde_json::from_value(json!(kind.key())).unwrap();
        assert_eq!(named, kind);
        let yaml = format!("rule: 'GET https://a.example/'\n{}", kind.example());
        let spec: HttpGrantSpec = serde_saphyr::from_str(&yaml).unwrap();
        let written = serde_json::to_value(&spec).unwrap();
        assert!(written.get(kind.key()).is_some(), "{written}");
        let grants = GrantsSpec {
            http: vec![spec],
            ..GrantsSpec::default()
        };
        let grants = grants.resolve(&json!({}), base).unwrap();
        let grant = grants.http.iter().next().unwrap();
        let added = grant.credential.is_some() || grant.identity.is_some();
        assert!(added && !kind.describe().is_empty());
    }
    // And no credential has another key.
    let section = KEY_SECTIONS
        .iter()
        .find(|s| s.place == "grants.http[]")
        .unwrap();
    let other = [
        "rule",
        "private",
        "networks",
        "headers",
        "reads",
        "redirects",
        "limits",
        "ca",
        "plaintext",
    ];
    let keys = section.keys();
    let credentials = keys
        .iter()
        .map(|key| key.key)
        .filter(|key| !other.contains(key));
    let kinds = CredentialKind::ALL.map(CredentialKind::key);
    assert_eq!(credentials.collect::<Vec<_>>(), kinds);
    assert!(header_table().len() > 40);
}
