//! `driver.toml`, what is embedded of it, and what is told about it.

use std::path::Path;

use crate::common::{DRIVER_TOML, MEASURE, component, driver, manifest, with_section};
use servo_artifact::manifest::{embed, from_toml, read};
use servo_artifact::{Artifact, CancelSupport, DriverKind};

#[test]
fn every_field_is_read() {
    let read = manifest(DRIVER_TOML);
    assert_eq!(read.name.as_str(), "shop");
    assert_eq!(read.version.to_string(), "1.2.3");
    assert_eq!(read.kind, DriverKind::Measure);
    assert_eq!(read.cancel, CancelSupport::Report);
    assert_eq!(read.world.to_string(), "servo:driver@0.2.0");
    assert_eq!(read.asks.limits.requests, Some(200_000));
    let [ask] = read.asks.http.as_slice() else {
        panic!("{:?}", read.asks.http);
    };
    assert_eq!(ask.rule.placeholders().collect::<Vec<_>>(), ["endpoint"]);
    assert!(!ask.optional);
}

/// Each mistake: what replaces the line of that number, and what is said.
#[test]
fn mistakes_name_line_column_and_key() {
    let table = [
        (
            2,
            "name = \"Shop\"",
            "2:8: `name`: a name begins with a lower-case letter",
        ),
        (2, "name = \"\"", "2:8: `name`: a name begins"),
        (2, "", "`name`: the key is missing; add `name = `"),
        (
            2,
            "name = \"shop\"\ntitle = \"x\"",
            "3:1: `title`: unknown key; the keys here are name, version",
        ),
        (
            2,
            "name = \"shop\"\nname = \"x\"",
            "3:1: `.`: duplicate key",
        ),
        (3, "version = \"1.2\"", "3:11: `version`: "),
        (
            4,
            "kind = \"both\"",
            "4:8: `kind`: `both` is not known here; use one of measure, adjust",
        ),
        (
            5,
            "description = \"\"",
            "5:15: `description`: say it in one sentence",
        ),
        (
            5,
            "description = \"a\\nb\"",
            "5:15: `description`: the character \\u{a}",
        ),
        (
            5,
            "description = \"a\\u202Eb\"",
            "5:15: `description`: the character \\u{202e}",
        ),
        (
            6,
            "cancel = true",
            "6:10: `cancel`: true or false stands where a text belongs; use one of none, report, step",
        ),
        (
            2,
            "nme = \"shop\"",
            "2:1: `nme`: unknown key; did you mean `name`?",
        ),
        (
            2,
            "name = 7",
            "2:8: `name`: a whole number stands where a text belongs; write a text in quotes",
        ),
        (
            3,
            "version = 1.2",
            "3:11: `version`: a number stands where a text belongs",
        ),
        (
            9,
            "rule = \"GET ${endpoint}/\"",
            "9:8: `asks.http[0].rule`: `$` begins a placeholder",
        ),
        (
            9,
            "rule = \"GET ${config.}/\"",
            "9:8: `asks.http[0].rule`: `$` begins a placeholder",
        ),
        (
            9,
            "rule = \"get http://a.example/\"",
            "9:8: `asks.http[0].rule`: ",
        ),
        (
            9,
            "rule = \"GET ftp://a.example/\"",
            "9:8: `asks.http[0].rule`: the scheme",
        ),
        (
            9,
            "rule = \"GET http://a.example\"",
            "9:8: `asks.http[0].rule`: the path is missing",
        ),
        (
            10,
            "",
            "`asks.http[0].why`: the key is missing; add `why = `",
        ),
        (
            10,
            "why = \"w\"\nprivate = true",
            "11:1: `asks.http[0].private`: unknown key; the keys here are",
        ),
        (
            10,
            "why = \"w\"\nheader = []",
            "11:1: `asks.http[0].header`: unknown key; did you mean `headers`?",
        ),
        (
            10,
            "why = \"w\"\nheaders = \"x\"",
            "11:11: `asks.http[0].headers`: a text stands where a list belongs",
        ),
        (
            10,
            "why = \"w\"\nheaders = [7]",
            "11:12: `asks.http[0].headers[0]`: a whole number stands where a text belongs",
        ),
        (
            10,
            "why = \"w\"\noptional = \"yes\"",
            "11:12: `asks.http[0].optional`: a text stands where true or false belongs",
        ),
        (
            10,
            "why = \"w\"\ncredential = \"token\"",
            "11:14: `asks.http[0].credential`: `token` is not known here; use one of bearer, basic",
        ),
        (
            13,
            "requests = \"many\"",
            "13:12: `asks.limits.requests`: a text stands where a whole number belongs",
        ),
        (
            13,
            "requests = -1",
            "13:12: `asks.limits.requests`: -1 does not fit here; write a whole number",
        ),
        (
            13,
            "memory = 64",
            "13:10: `asks.limits.memory`: a whole number stands where a text belongs; write a text, such as \"64MiB\"",
        ),
        (13, "requests = 99999999999999", "`asks.limits"),
        (13, "memory = \"64GB\"", "13:10: `asks.limits.memory`: "),
        (
            13,
            "reqests = 1",
            "13:1: `asks.limits.reqests`: unknown key; did you mean `requests`?",
        ),
    ];
    for (number, line, expected) in table {
        let mut lines: Vec<&str> = DRIVER_TOML.lines().collect();
        let (Some(slot), true) = (lines.get_mut(number - 1), number > 0) else {
            panic!("no line {number}");
        };
        *slot = line;
        let error = from_toml(&lines.join("\n"), Path::new("here/driver.toml"))
            .expect_err(line)
            .to_string();
        assert!(error.starts_with("here/driver.toml:"), "{line}: {error}");
        assert!(error.contains(expected), "{line}: {error}");
        // Words of the reader's own language are none for an author.
        for word in [
            "unknown field",
            "unknown variant",
            "invalid type",
            "invalid value",
            "missing field",
            "did not match",
        ] {
            assert!(!error.contains(word), "{line}: {error}");
        }
    }
}

#[test]
fn rules_may_be_filled_in_wherever_a_grant_allows_it() {
    let good = [
        "GET ${config.endpoint}/",
        "GET ${config.url}",
        "GET,POST ${config.a.b-c_d}/api/",
        "GET https://${config.host}/x/",
        "GET https://${config.host}:${config.port}/x/",
        "GET https://h.example/${config.path}/x",
        "DELETE https://*.example.com/",
    ];
    for rule in good {
        let toml = DRIVER_TOML.replace("GET ${config.endpoint}/metrics", rule);
        assert!(from_toml(&toml, Path::new("d")).is_ok(), "{rule}");
    }
}

#[test]
fn folders_are_told_apart() {
    let folder = |name: &&str| {
        format!("[[asks.folder]]\nname = \"{name}\"\naccess = \"read\"\nwhy = \"w\"\n")
    };
    let with = |names: &[&str]| {
        let folders: String = names.iter().map(folder).collect();
        from_toml(&format!("{DRIVER_TOML}{folders}"), Path::new("d"))
    };
    assert_eq!(with(&["a", "b"]).unwrap().asks.folder.len(), 2);
    for (names, expected) in [
        (&["a", "b", "a"][..], "`a` stands there twice"),
        (&["scratch"], "name of the temporary folder"),
        (&["../etc"], "a name begins with"),
    ] {
        let error = with(names).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let many: Vec<String> = (0..17).map(|i| format!("f{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(with(&many).unwrap_err().to_string().contains("at most 16"));
}

#[test]
fn embedding_replaces_what_was_there_and_nothing_else() {
    let bare = with_section(component(&[], &[MEASURE]), "producers", b"x");
    let first = embed(&bare, &manifest(DRIVER_TOML)).unwrap();
    assert!(
        first.starts_with(&bare),
        "the component itself is unchanged"
    );
    assert_eq!(embed(&first, &manifest(DRIVER_TOML)).unwrap(), first);

    // Also where something came after it, and where there were two.
    let doubled = with_section(first, "servo-driver-manifest", b"{}");
    let doubled = with_section(doubled, "producers", b"y");
    let other = manifest(&DRIVER_TOML.replace("1.2.3", "2.0.0"));
    let again = embed(&doubled, &other).unwrap();
    assert_eq!(read(&again).unwrap(), other);
    assert!(again.starts_with(&with_section(bare, "producers", b"y")));
}

#[test]
fn only_components_are_given_a_manifest() {
    let error = embed(&crate::common::core_module(), &manifest(DRIVER_TOML)).unwrap_err();
    assert!(
        error.to_string().contains("core WebAssembly module"),
        "{error}"
    );
}

/// The embedded bytes are what a signature covers and a digest names, so their
/// form is part of the format.
#[test]
fn the_embedded_form_is_fixed() {
    let json = String::from_utf8(manifest(DRIVER_TOML).to_json().unwrap()).unwrap();
    assert_eq!(
        json,
        r#"{"name":"shop","version":"1.2.3","kind":"measure","description":"Measures the shop.","cancel":"report","world":"servo:driver@0.2.0","asks":{"http":[{"rule":"GET ${config.endpoint}/metrics","why":"reads the figures"}],"limits":{"requests":200000}}}"#
    );
}

#[test]
fn an_inspection_tells_what_a_driver_wants_in_plain_words() {
    let artifact = Artifact::from_bytes(driver()).unwrap();
    let config = serde_json::json!({ "endpoint": "http://shop.example:9000" });
    let text = artifact.inspect(Some(&config)).to_string();
    let digest = artifact.digest();
    let size = artifact.bytes().len();
    assert_eq!(
        text,
        format!(
            "\
shop 1.2.3 - measures an application
  Measures the shop.

digest   {digest}
size     {size} bytes
world    servo:driver@0.2.0
cancel   report: noticed; it stops in good order

It asks for (and has none of it until you grant it):
  - http: GET ${{config.endpoint}}/metrics
    to send GET requests to ${{config.endpoint}}/metrics
    here that is: GET http://shop.example:9000/metrics
    it says: reads the figures
  - limits: requests 200000
    to use up to 200000 of `requests` where 10000 is usual

It can reach nothing but:
  wasi:http        HTTP requests that a granted rule allows, otherwise none
"
        )
    );
    let json = serde_json::to_value(artifact.inspect(None)).unwrap();
    assert_eq!(json["kind"], "measure");
    assert_eq!(json["digest"], digest.to_string());
    assert_eq!(json["asks"][0]["why"], "reads the figures");
    assert!(json["asks"][0]["resolved"].is_null());
}
