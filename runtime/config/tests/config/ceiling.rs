//! Ceilings in files: where they stand, and what is pointed at.

use std::path::Path;

use servo_config::{Ceilings, ConfigError, ConfigFile, DriverRole};

const GRANTS: &str = "drivers:
  adjust:
    source: a.wasm
    grants:
      http:
        - { rule: GET https://a.example/, private: true }
      limits:
        memory: 128MiB
";

fn heads(text: &str, above: Ceilings) -> Vec<String> {
    let file = ConfigFile::parse(text, Path::new("servo.yaml")).unwrap();
    match file.under(above).grants(DriverRole::Adjust) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ConfigError::headline).collect(),
    }
}

/// A ceiling in a file of its own.
fn elsewhere(text: &str) -> (tempfile::TempDir, Ceilings) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ceiling.yaml");
    std::fs::write(&path, text).unwrap();
    let ceilings = Ceilings::read(&path).unwrap_or_else(|error| panic!("{error}"));
    (folder, ceilings)
}

#[test]
fn j3_a_grant_above_the_ceiling_is_pointed_at_with_the_file_of_the_ceiling() {
    let inline = format!("{GRANTS}ceiling:\n  limits: {{ memory: 64MiB }}\n");
    assert_eq!(
        heads(&inline, Ceilings::default()),
        [
            "servo.yaml:8:17: drivers.adjust.grants.limits.memory: the limit `memory` is 128MiB, above \
             the ceiling (64MiB); write `memory: 64MiB` or less, or raise `ceiling.limits.memory` in \
             servo.yaml"
        ]
    );
    let (folder, above) = elsewhere(
        "ceiling: { http: [{ rule: GET https://*.example/ }] }\n"
            .replace("*.example", "a.example")
            .as_str(),
    );
    let said = heads(GRANTS, above.clone());
    let file = folder.path().join("ceiling.yaml");
    assert_eq!(
        said,
        [format!(
            "servo.yaml:6:52: drivers.adjust.grants.http[0].private: the ceiling does not allow \
             private addresses there; remove it, or say `private: true` in `ceiling.http` in {}",
            file.display()
        )]
    );
    // Both hold where both are given.
    assert_eq!(heads(&inline, above).len(), 2);
    assert_eq!(heads(GRANTS, Ceilings::default()), [] as [String; 0]);
}

#[test]
fn j3_what_is_usual_may_be_above_the_ceiling_and_is_not_clipped() {
    let text = "drivers:\n  adjust: { source: a.wasm }\nceiling: { limits: { wall: 1m } }\n";
    let said = heads(text, Ceilings::default());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("drivers.adjust.grants.limits.wall: the limit `wall` is 30m"));
}

#[test]
fn j1_a_ceiling_is_pointed_at_like_any_other_key() {
    for (ceiling, said) in [
        (
            "{ htpp: [] }",
            "servo.yaml:2:12: ceiling.htpp: unknown key; did you mean `http`?",
        ),
        ("", "the key has no value; write one, or remove the key"),
        (
            "{ http: }",
            "the key has no value; write one, or remove the key",
        ),
    ] {
        let text = format!("drivers: {{}}\nceiling: {ceiling}\n");
        let error = ConfigFile::parse(&text, Path::new("servo.yaml")).unwrap_err();
        assert!(
            error.headline().contains(said),
            "{ceiling}: {}",
            error.headline()
        );
        assert!(error.excerpt.is_some());
    }
    for (ceiling, said) in [
        (
            "{ http: [{ rule: GET https://a.example }] }",
            "servo.yaml:2:48: ceiling.http[0].rule: the path is missing",
        ),
        ("{}", "servo.yaml:2:1: ceiling: the ceiling limits nothing"),
        (
            "{ http: [{ rule: GET https://a.example/, networks: [ofice] }] }",
            "ceiling.http[0].networks[0]: there is no network `ofice`; did you mean `office`?",
        ),
        (
            "{ settings: { web.cpu: { min: 2, max: 1 } } }",
            "ceiling.settings.web.cpu: `min` (2) is above",
        ),
    ] {
        let text =
            format!("drivers: {{}}\nceiling: {ceiling}\nnetworks: {{ office: [10.1.0.0/16] }}\n");
        let file = ConfigFile::parse(&text, Path::new("servo.yaml")).unwrap();
        let error = file.ceilings().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert!(error.contains('^'), "{error}");
    }
}

#[test]
fn a_file_with_a_ceiling_holds_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ceiling.yaml");
    for (text, said) in [
        ("http: []\n", "unknown key"),
        ("ceiling: { http: [] }\ndrivers: {}\n", "unknown key"),
        ("networks: {}\n", "ceiling: the key is missing"),
        ("ceiling: {}\n", "limits nothing"),
        ("ceiling:\n  http: &x []\n", "anchors"),
        ("# none\n", "ends too early"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Ceilings::read(&path).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(
        Ceilings::read(&path).is_err(),
        "a missing ceiling is no ceiling"
    );
    // Its networks are its own: `office` of servo.yaml is another.
    let (_folder, above) = elsewhere(
        "networks: { office: [10.1.0.0/16] }\n\
         ceiling: { http: [{ rule: GET https://a.example/, networks: [office] }] }\n",
    );
    let wider = "networks: { office: [10.0.0.0/8] }\ndrivers:\n  adjust:\n    source: a\n    grants: \
                 { http: [{ rule: GET https://a.example/, networks: [office] }] }\n";
    assert!(heads(wider, above)[0].contains("http[0].networks"));
}
