//! The reference is what the parsers read: each key of each schema is in it and
//! the other way round, each example is understood, and the kept file is the
//! one that this build prints.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use servo_artifact::manifest;
use servo_config::reference::{DRIVER_TOML, FILES, Section, markdown, schema_of};
use servo_config::{Ceilings, ConfigFile, DriverRole};

fn compare(section: &Section, schema: &Value) {
    let place = section.place;
    let read: BTreeSet<&str> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let described: BTreeSet<&str> = section.rows.iter().map(|row| row.key).collect();
    assert_eq!(read, described, "{place}");
    assert_eq!(section.rows.len(), described.len(), "{place}");
    let required: BTreeSet<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for row in section.rows {
        let is_required = required.contains(row.key);
        assert_eq!(
            row.default == "required",
            is_required,
            "{place}.{}",
            row.key
        );
        let said = &schema["properties"][row.key]["description"];
        assert!(said.is_string(), "{place}.{} has no sentence", row.key);
    }
}

#[test]
fn each_key_of_each_file_is_described_and_no_other() {
    for section in FILES {
        compare(section, &schema_of(section.place));
    }
    let schema = manifest::schema();
    for section in DRIVER_TOML {
        compare(section, schema.pointer(section.schema).unwrap());
    }
    // No mapping of the manifest is left out; limits have a table of their own.
    let defined = schema["$defs"].as_object().unwrap().iter();
    let defined: BTreeSet<String> = defined
        .filter(|(name, of)| of.get("properties").is_some() && *name != "LimitsSpec")
        .map(|(name, _)| format!("/$defs/{name}"))
        .collect();
    let told: BTreeSet<String> = DRIVER_TOML
        .iter()
        .map(|section| section.schema.to_owned())
        .filter(|schema| !schema.is_empty())
        .collect();
    assert_eq!(defined, told);
}

#[test]
fn each_example_of_the_operators_files_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    for section in FILES {
        for row in section.rows {
            let example = row.example;
            let text = match section.place {
                "servo.yaml" if row.key == "drivers" => example.to_owned(),
                "servo.yaml" => format!("{example}\ndrivers: {{}}\n"),
                "optune" => format!("optune:\n  {example}\ndrivers: {{}}\n"),
                "drivers" => format!("drivers:\n  {example}\n"),
                "the file of --ceiling" => {
                    let path = folder.path().join("ceiling.yaml");
                    let needed = match row.key {
                        "ceiling" => "",
                        _ => "ceiling: { credentials: false }\n",
                    };
                    std::fs::write(&path, format!("{needed}{example}\n")).unwrap();
                    Ceilings::read(&path).unwrap_or_else(|error| panic!("{example}: {error}"));
                    continue;
                }
                _ => format!("drivers:\n  adjust:\n    {example}\n"),
            };
            let file = ConfigFile::parse(&text, Path::new("servo.yaml"))
                .unwrap_or_else(|error| panic!("{error}"));
            file.grants(DriverRole::Adjust)
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

#[test]
fn each_example_of_driver_toml_is_understood() {
    for section in DRIVER_TOML {
        for row in section.rows {
            let needs: &[(&str, &str)] = match section.place {
                "[[asks.http]]" => &[
                    ("rule", "rule = \"GET,POST https://a.example/\""),
                    ("why", "why = \"reads\""),
                ],
                "[[asks.folder]]" => &[
                    ("name", "name = \"logs\""),
                    ("access", "access = \"read\""),
                    ("why", "why = \"reads\""),
                ],
                _ => &[],
            };
            let head: &[(&str, &str)] = &[
                ("name", "name = \"http\""),
                ("version", "version = \"1.0.0\""),
                ("kind", "kind = \"adjust\""),
                ("description", "description = \"Adjusts.\""),
            ];
            let top = section.place == "driver.toml";
            let lines = |of: &[(&str, &'static str)], here: bool| {
                let lines = of.iter().filter(|(key, _)| !(here && *key == row.key));
                lines
                    .map(|(_, line)| format!("{line}\n"))
                    .collect::<String>()
            };
            let table = match section.place {
                "driver.toml" => String::new(),
                "asks" => "[asks]\n".to_owned(),
                place => format!("{place}\n"),
            };
            let text = format!(
                "{}{table}{}{}\n",
                lines(head, top),
                lines(needs, true),
                row.example
            );
            manifest::from_toml(&text, Path::new("driver.toml"))
                .unwrap_or_else(|error| panic!("{text}\n{error}"));
        }
    }
}

#[test]
fn the_kept_reference_is_that_of_this_build() {
    let made = markdown(&manifest::schema());
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("REFERENCE.md");
    let kept = std::fs::read_to_string(kept).unwrap_or_default();
    let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join("REFERENCE.md");
    std::fs::write(&beside, &made).unwrap();
    assert!(
        made == kept,
        "write it anew: servo config reference > runtime/config/REFERENCE.md, or take {}",
        beside.display()
    );
    // Each cell is filled where there is something to say, in no language of
    // the parsers.
    for word in ["Spec", "Option<", "u64", "struct ", "|  |  |  |"] {
        assert!(!made.contains(word), "{word}");
    }
}
