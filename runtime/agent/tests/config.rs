//! The operator's file: what it means, and what is said when it is wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use servo_agent::{ConfigFile, DriverRole};

const WHOLE: &str = r#"
optune: { url: "http://127.0.0.1:8080/accounts/acme/applications/shop/servo", token_file: ./token }
drivers:
  measure:
    source: ./drivers/ab.wasm
    config:
      endpoint: http://127.0.0.1:9000
      answer: no
      load: { clients: 8 }
    grants:
      http:
        - { rule: "GET ${config.endpoint}/", private: true }
      folders:
        - { name: scripts, path: ./scripts, access: read }
      scratch: 16MiB
      limits: { memory: 64MiB, cpu: 2s, wall: 30m, requests: 10000 }
  adjust:
    source: /opt/drivers/http.wasm
"#;

#[test]
fn a_whole_file() {
    let file = ConfigFile::parse(WHOLE, Path::new("/etc/servo/servo.yaml")).unwrap();
    assert_eq!(file.optune.token_file, Some(PathBuf::from("./token")));
    assert_eq!(
        file.source(DriverRole::Measure),
        Some(PathBuf::from("/etc/servo/./drivers/ab.wasm"))
    );
    assert_eq!(
        file.source(DriverRole::Adjust),
        Some(PathBuf::from("/opt/drivers/http.wasm"))
    );
    let measure = file.driver(DriverRole::Measure).unwrap();
    // YAML 1.2: `no` is a word.
    assert_eq!(
        serde_json::Value::Object(measure.config.clone()),
        json!({"endpoint": "http://127.0.0.1:9000", "answer": "no", "load": {"clients": 8}})
    );
    let grants = file.grants(DriverRole::Measure).unwrap();
    assert_eq!(grants.budget.wall, Duration::from_secs(1800));
    assert_eq!(grants.folders[0].path, PathBuf::from("/etc/servo/scripts"));
    assert_eq!(grants.http.iter().count(), 1);
    let adjust = file.grants(DriverRole::Adjust).unwrap();
    assert_eq!(adjust.http.iter().count(), 0, "nothing unless said");
}

/// Each text and the whole line said about it.
const WRONG: &[(&str, &str)] = &[
    (
        "",
        "servo.yaml:1:1: the file ends too early; at least `drivers:` must stand in it",
    ),
    (
        "driver: {}\n",
        "servo.yaml:1:1: driver: unknown key; the keys here are optune, drivers",
    ),
    (
        "drivers:\n  measure:\n    sorce: x\n",
        "servo.yaml:3:5: drivers.measure.sorce: unknown key; the keys here are source, config, \
         grants",
    ),
    (
        "drivers:\n  measure:\n    config: {}\n",
        "servo.yaml:3:5: drivers.measure.source: the key is missing; add `source:`",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    source: b\n",
        "servo.yaml:4:5: drivers.measure.source: the key stands here twice; keep one of the two",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    config: { b: 1, b: 2 }\n",
        "servo.yaml:4:21: drivers.measure.config.b: the key stands here twice; keep one of the two",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    config: 5\n",
        "servo.yaml:4:13: drivers.measure.config: mapping is expected here; correct the value or \
         its indentation",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants:\n      limits: { memory: 64MB }\n",
        "servo.yaml:5:25: drivers.measure.grants.limits.memory: \"64MB\" is not a size: write a \
         whole number and one of B, KiB, MiB, GiB, such as 64MiB; correct the value",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants:\n      http:\n        \
         - { rule: \"GET http://x/\", privat: true }\n",
        "servo.yaml:6:36: drivers.measure.grants.http.privat: unknown key; the keys here are \
         rule, private, ca",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants:\n      http:\n        \
         - { rule: \"GET http://x/\", private: yes }\n",
        "servo.yaml:6:45: drivers.measure.grants.http.private: this is neither true nor false; \
         write true or false",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants:\n      folders:\n        - name: a\n          \
         path: b\n          access: all\n",
        "servo.yaml:8:19: drivers.measure.grants.folders.access: `all` is not known here; use one \
         of read, write",
    ),
    (
        "drivers:\n\tmeasure: {}\n",
        "servo.yaml:2:2: drivers.measure: tabs disallowed within this context (block \
         indentation); correct it here; text with special characters needs quotes",
    ),
    (
        "drivers:\n  adjust: &x {source: a}\n  measure: *x\n",
        "servo.yaml:2:14: drivers.adjust: anchors, aliases or too much of something; write the \
         value out where it belongs",
    ),
    (
        "drivers:\n  measure:\n    <<: {source: a}\n",
        "servo.yaml:3:5: drivers.measure.<<: YAML merge keys are not allowed by configured \
         policy; correct it here; text with special characters needs quotes",
    ),
    (
        "drivers: {}\n---\ndrivers: {}\n",
        "servo.yaml:3:1: drivers: a second document begins; write one file for each servo",
    ),
];

#[test]
fn what_is_wrong_is_said_with_place_key_and_remedy() {
    for (text, said) in WRONG {
        let error = ConfigFile::parse(text, Path::new("servo.yaml")).unwrap_err();
        assert_eq!(error.to_string(), *said, "{text}");
    }
}

#[test]
fn grants_that_cannot_be_used_name_the_driver_and_the_key() {
    let text =
        "drivers:\n  adjust:\n    source: a\n    grants:\n      http: [ { rule: \"GET x\" } ]\n";
    let file = ConfigFile::parse(text, Path::new("servo.yaml")).unwrap();
    let said = file.grants(DriverRole::Adjust).unwrap_err().to_string();
    assert!(
        said.starts_with("servo.yaml: drivers.adjust: grants.http[0].rule: "),
        "{said}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let said = ConfigFile::read(Path::new("/nowhere/servo.yaml"))
        .unwrap_err()
        .to_string();
    assert!(said.starts_with("/nowhere/servo.yaml: "), "{said}");
    assert!(
        said.ends_with("check the path and its permissions"),
        "{said}"
    );
}
