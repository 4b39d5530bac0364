//! The operator's file: what it means, and what is said when it is wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use servo_config::{ConfigFile, DriverRole, DriverSections};

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
        "servo.yaml:1:1: driver: unknown key; did you mean `drivers`? the keys here are optune, \
         drivers, networks, ceiling",
    ),
    (
        "drivers:\n  measure:\n    sorce: x\n",
        "servo.yaml:3:5: drivers.measure.sorce: unknown key; did you mean `source`? the keys here \
         are source, config, grants",
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
        "servo.yaml:4:13: drivers.measure.config: a mapping (`key: value` lines) is expected here; \
         correct the value or its indentation",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants:\n      limits: { memory: 64MB }\n",
        "servo.yaml:5:25: drivers.measure.grants.limits.memory: \"64MB\" is not a size; write a \
         whole number and one of B, KiB, MiB, GiB, such as 64MiB",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants:\n      http:\n        \
         - { rule: \"GET http://x/\", privat: true }\n",
        "servo.yaml:6:36: drivers.measure.grants.http[0].privat: unknown key; did you mean \
         `private`? the keys here are rule, private, networks, ca, limits, \
         headers, reads, redirects, client_certificate, plaintext, bearer, basic, header, sigv4, oauth2",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants:\n      http:\n        \
         - { rule: \"GET http://x/\", private: yes }\n",
        "servo.yaml:6:45: drivers.measure.grants.http[0].private: this is neither true nor false; \
         write true or false",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants:\n      folders:\n        - name: a\n          \
         path: b\n          access: all\n",
        "servo.yaml:8:19: drivers.measure.grants.folders[0].access: `all` is not known here; use \
         one of read, write",
    ),
    (
        "drivers:\n\tmeasure: {}\n",
        "servo.yaml:2:2: drivers.measure: tabs disallowed within this context (block \
         indentation); correct it here; text with special characters needs quotes",
    ),
    (
        "drivers:\n  adjust: &x {source: a}\n  measure: *x\n",
        "servo.yaml:2:14: drivers.adjust: anchors and aliases are refused, because a grant must \
         stand where it is read; write the value out where it belongs",
    ),
    (
        "drivers:\n  measure:\n    <<: {source: a}\n",
        "servo.yaml:3:5: drivers.measure.<<: merge keys are refused, because a grant must stand \
         where it is read; write out what is to be merged",
    ),
    (
        "drivers: {}\n---\ndrivers: {}\n",
        "servo.yaml:3:1: a second document begins; write one file for each servo",
    ),
];

#[test]
fn what_is_wrong_is_said_with_place_key_and_remedy() {
    for (text, said) in WRONG {
        let error = ConfigFile::parse(text, Path::new("servo.yaml")).unwrap_err();
        assert_eq!(error.headline(), *said, "{text}");
    }
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

#[test]
fn a_driver_without_a_source_keeps_its_grants() {
    let text = "drivers:\n  measure:\n    grants:\n      http: [ { rule: \"GET ${config.a}\" } ]\n";
    let file = ConfigFile::parse(text, Path::new("servo.yaml")).unwrap();
    assert_eq!(file.source(DriverRole::Measure), None);
    let config = json!({ "a": "https://x.example/" });
    let grants = file
        .grants_with(DriverRole::Measure, config.as_object().unwrap())
        .unwrap();
    let rules: Vec<String> = grants
        .http
        .iter()
        .map(|grant| grant.rule.to_string())
        .collect();
    assert_eq!(rules, ["GET https://x.example/"]);
}

/// `config.yaml`, the section asked for, and what comes of it: the section as
/// JSON, nothing, or a line that says what is wrong.
const SECTIONS: &[(&str, Result<Option<&str>, &str>)] = &[
    (
        "ab: { url: x, deep: [1, two] }\n",
        Ok(Some(r#"{"url":"x","deep":[1,"two"]}"#)),
    ),
    ("# nothing\n", Ok(None)),
    ("", Ok(None)),
    ("k8s: { a: 1 }\nversion: 3\n", Ok(None)),
    ("ab:\nk8s: {}\n", Ok(Some("{}"))),
    // Anchors were common in these files, and nothing is granted in them.
    ("x: &x { a: 1 }\nab: *x\n", Ok(Some(r#"{"a":1}"#))),
    // YAML 1.2: a word.
    ("ab: { on: yes }\n", Ok(Some(r#"{"on":"yes"}"#))),
    (
        "k8s: {}\nab: 5\n",
        Err(
            "config.yaml:2:5: ab: a number stands where the settings of the driver belong; write \
             `key: value` lines under `ab:`",
        ),
    ),
    (
        "ab: {}\nab: {}\n",
        Err("config.yaml:2:1: ab: the key stands here twice; keep one of the two"),
    ),
    (
        "- ab\n",
        Err(
            "config.yaml:1:1: a mapping (`key: value` lines) is expected here; correct the value or \
             its indentation",
        ),
    ),
];

#[test]
fn the_section_of_a_driver_in_the_originals_file() {
    for (text, expected) in SECTIONS {
        let section = DriverSections::parse(text, Path::new("config.yaml"))
            .and_then(|sections| sections.section("ab"))
            .map(|section| section.map(|members| serde_json::Value::Object(members).to_string()))
            .map_err(|error| error.headline());
        let expected = expected
            .map(|text| text.map(str::to_owned))
            .map_err(str::to_owned);
        assert_eq!(section, expected, "{text}");
    }
    assert!(matches!(
        DriverSections::read(Path::new("/nowhere/config.yaml")),
        Ok(None)
    ));
}

/// A mounted ConfigMap is such a link: what it leads to is nobody's folder.
#[test]
fn field_16_paths_belong_to_where_the_operator_named_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (named, elsewhere) = (folder.path().join("named"), folder.path().join("data"));
    std::fs::create_dir(&named).unwrap();
    std::fs::create_dir(&elsewhere).unwrap();
    let text = "drivers:\n  measure:\n    source: ./http.wasm\n";
    std::fs::write(elsewhere.join("servo.yaml"), text).unwrap();
    std::os::unix::fs::symlink(elsewhere.join("servo.yaml"), named.join("servo.yaml")).unwrap();
    let file = ConfigFile::read(&named.join("servo.yaml")).unwrap();
    let shown = file.source(DriverRole::Measure).unwrap();
    // As text: paths that only look different are equal.
    assert_eq!(shown.to_str(), named.join("http.wasm").to_str());
    let file = ConfigFile::parse(text, Path::new("./servo.yaml")).unwrap();
    let shown = file.source(DriverRole::Measure).unwrap();
    assert_eq!(shown.to_str(), Some("./http.wasm"));
}

/// Plain scalars of a driver's own section mean what YAML 1.2 says.
#[test]
fn field_15_numbers_are_those_of_yaml_1_2() {
    let text = "drivers:\n  measure:\n    source: a\n    config:\n      values: [1_000, 0o10, 0x1F, 1e3, .5, 0x1_F, 010]\n";
    let file = ConfigFile::parse(text, Path::new("servo.yaml")).unwrap();
    let values = &file.drivers.measure.unwrap().config["values"];
    let expected = serde_json::json!(["1_000", 8, 31, 1000.0, 0.5, "0x1_F", 10.0]);
    assert_eq!(*values, expected);
}
