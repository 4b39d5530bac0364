//! What a person finds without a manual: help with examples, exit codes, the
//! contract. That this suite is here also makes cargo build the binary, which
//! the end-to-end suites run.
#![allow(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::process::{Command, Output};

fn servo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_servo"))
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_verb_has_help_with_an_example_that_is_one_of_its_own() {
    for verb in [
        vec!["demo"],
        vec!["run"],
        vec!["check"],
        vec!["measure"],
        vec!["adjust"],
        vec!["limits"],
        vec!["config", "schema"],
        vec!["config", "reference"],
        vec!["optune"],
        vec!["driver", "new"],
        vec!["driver", "build"],
        vec!["driver", "run"],
        vec!["driver", "inspect"],
        vec!["driver", "test"],
        vec!["driver", "wit"],
    ] {
        let mut arguments = verb.clone();
        arguments.push("--help");
        let output = servo(&arguments);
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{verb:?}");
        let example = format!("Example: servo {}", verb.join(" "));
        assert!(help.contains(&example), "{verb:?}: {help}");
        assert!(output.stderr.is_empty(), "{verb:?}");
    }
}

#[test]
fn the_first_help_says_where_to_start_and_names_every_verb() {
    let output = servo(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for part in [
        "Start here: `servo demo`",
        "Exit codes: 0 done, 1 it ran and failed, 2 wrong usage or configuration.",
        "\n  demo ",
        "\n  run ",
        "\n  check ",
        "\n  measure ",
        "\n  adjust ",
        "\n  limits ",
        "\n  config ",
        "\n  optune ",
        "\n  driver ",
    ] {
        assert!(help.contains(part), "{part:?}: {help}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_so_on_standard_error_only() {
    for (arguments, named) in [
        (&[][..], "Usage"),
        (&["tune"], "tune"),
        (&["run"], "<APP_ID>"),
        (&["demo", "--trials", "0"], "--trials"),
        (&["driver", "new", "x"], "--kind"),
        (&["optune"], "--token-file"),
        (
            &["run", "shop", "-c", "/nowhere/servo.yaml"],
            "/nowhere/servo.yaml",
        ),
        (
            &["driver", "inspect", "/nowhere/ab.wasm"],
            "/nowhere/ab.wasm",
        ),
        (
            &["driver", "run", "/nowhere/ab.wasm", "describe"],
            "/nowhere/ab.wasm",
        ),
        (&["demo", "--drivers", "/nowhere"], "--drivers"),
        (&["limits", "cpus"], "cpus"),
    ] {
        let output = servo(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_limit_is_shown_with_its_default_its_range_and_its_reason() {
    let output = servo(&["limits", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let table = text(&servo(&["limits"]).stdout);
    for row in &rows {
        let (key, value) = (row["key"].as_str().unwrap(), row["value"].as_str().unwrap());
        assert!(table.contains(&format!("{key} ")) && table.contains(value));
        assert!(row["reason"].as_str().unwrap().len() > 20, "{row}");
    }
    let of = |key: &str| rows.iter().find(|row| row["key"] == key).unwrap();
    assert_eq!(of("cpu")["range"]["low"], "1ms");
    assert_eq!(of("cpu")["metric"], "servo_limit_hits_total{limit=\"cpu\"}");
    assert!(of("memories").get("range").is_none());
    let one = text(&servo(&["limits", "handles"]).stdout);
    assert!(one.starts_with("handles  1024  (16 to 100000)\n"), "{one}");
}

#[test]
fn the_contract_is_printed_whole_and_as_it_is_in_the_source() {
    let output = servo(&["driver", "wit"]);
    assert_eq!(output.status.code(), Some(0));
    let printed = text(&output.stdout);
    let tree = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut found = 0;
    for file in std::fs::read_dir(tree).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(printed.contains(text.trim()), "{text}");
        found += 1;
    }
    assert_eq!(found, 4);
    assert!(
        printed.starts_with("package servo:driver@0.2.0;")
            || printed.contains("\npackage servo:driver@0.2.0;")
    );
}
