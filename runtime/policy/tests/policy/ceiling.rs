//! Ceilings: what is wider is refused by name, and what is empty allows nothing.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use servo_policy::{Ceiling, CeilingSpec, Grants, GrantsSpec, Networks, PolicyError};

fn networks() -> Networks {
    let office = vec!["10.1.0.0/16".to_owned()];
    Networks::parse(&BTreeMap::from([("office".to_owned(), office)])).unwrap()
}

fn spec(yaml: &str) -> CeilingSpec {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

fn ceiling(yaml: &str) -> Ceiling {
    let resolved = spec(yaml).resolve(Path::new("/etc/servo"), &networks());
    resolved.unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

fn grants(yaml: &str) -> Grants {
    let spec: GrantsSpec = serde_saphyr::from_str(yaml).unwrap();
    spec.resolve_within(&json!({}), Path::new("/etc/servo"), &networks())
        .unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

/// The keys that are too wide, and what is said about each.
fn wider(above: &str, granted: &str) -> Vec<(String, String)> {
    match ceiling(above).check(&grants(granted)) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(|e| (e.key(), e.to_string())).collect(),
    }
}

fn assert_within(above: &str, granted: &str) {
    assert_eq!(wider(above, granted), [], "{above} <- {granted}");
}

#[track_caller]
fn assert_wider(above: &str, granted: &str, key: &str, word: &str) {
    let said = wider(above, granted);
    let [(at, words)] = said.as_slice() else {
        panic!("{above} <- {granted}: {said:?}");
    };
    assert_eq!(at, key, "{words}");
    assert!(words.contains(word), "{words} lacks {word:?}");
    assert!(words.contains("; "), "no remedy: {words}");
    assert!(words.contains("`ceiling"), "no key of the ceiling: {words}");
}

#[test]
fn j1_empty_is_not_all() {
    let http = "http: [{ rule: 'GET https://a.example/' }]";
    let folder = "folders: [{ name: a, path: a }]";
    // Absent: no ceiling on the matter.
    assert_within("credentials: true", http);
    assert_within("credentials: true", folder);
    // Empty: nothing.
    assert_wider(
        "http: []",
        http,
        "grants.http[0].rule",
        "GET https://a.example/",
    );
    assert_wider(
        "folders: []",
        folder,
        "grants.folders[0].path",
        "/etc/servo/a",
    );
    assert_wider("scratch: 0B", "scratch: 1MiB", "grants.scratch", "1MiB");
    assert!(
        ceiling("settings: {}")
            .admits_setting("web", "cpu", &json!(1))
            .is_err()
    );
    let none = "settings: { web.cpu: { values: [] } }";
    assert!(
        ceiling(none)
            .admits_setting("web", "cpu", &json!(1))
            .is_err()
    );
    for above in ["http: []", "folders: []", "scratch: 0B", "settings: {}"] {
        assert_within(above, "{}");
    }
    // A key whose lines are commented out, and a ceiling that is none.
    for yaml in [
        "http:",
        "http: # - { rule: x }",
        "folders: ~",
        "settings: null",
        "credentials:",
    ] {
        let read = serde_saphyr::from_str::<CeilingSpec>(yaml);
        let closed = read.is_err() || read.is_ok_and(|spec| spec != CeilingSpec::default());
        assert!(closed, "{yaml} is read as no ceiling");
    }
    assert!(serde_saphyr::from_str::<CeilingSpec>("limits: { cpu: , wall: 1h }").is_err());
}

#[test]
fn j3_a_rule_wider_than_its_ceiling_is_refused_by_what_is_wider() {
    let above = "http: [{ rule: 'GET,PUT https://*.shop.example/api/' }, { rule: 'GET,PUT https://*.shop.example/api' }, { rule: 'GET https://*.shop.example/v1/*/status' }, \
                 { rule: 'GET http://{10.0.0.0/8}:8080/', private: true }, \
                 { rule: 'GET https://in.example/', networks: [office, 10.3.0.0/16] }, \
                 { rule: 'POST https://*.shop.example/' }]";
    let rule = |text: &str| format!("http: [{{ {text} }}]");
    for within in [
        "rule: 'GET https://a.shop.example/api'",
        "rule: 'GET,PUT https://*.shop.example/api/x'",
        "rule: 'GET https://*.shop.example/api/*/x/'",
        "rule: 'GET https://a.shop.example/v1/*/status'",
        "rule: 'GET https://a.shop.example/v1/x/status'",
        // Two rules of the ceiling together.
        "rule: 'GET,POST https://a.shop.example/api'",
        "rule: 'GET http://10.1.2.3:8080/x', private: true",
        "rule: 'GET http://{10.1.0.0/16}:8080/', networks: [office]",
        "rule: 'GET https://in.example/x', networks: [office]",
        "rule: 'GET https://in.example/x', networks: [10.1.7.0/24, 10.3.0.0/24]",
    ] {
        assert_within(above, &rule(within));
    }
    for (granted, key, word) in [
        (
            "rule: 'GET,DELETE https://a.shop.example/api'",
            "rule",
            "DELETE https",
        ),
        ("rule: 'GET https://a.shop.example/'", "rule", "GET https"),
        ("rule: 'GET https://a.shop.example/*'", "rule", "GET https"),
        (
            "rule: 'GET https://a.shop.example/v1/x/status/'",
            "rule",
            "above the ceiling",
        ),
        (
            "rule: 'GET https://a.shop.example/v1/x/*'",
            "rule",
            "above the ceiling",
        ),
        (
            "rule: 'GET https://shop.example/api'",
            "rule",
            "above the ceiling",
        ),
        (
            "rule: 'GET http://a.shop.example/api'",
            "rule",
            "above the ceiling",
        ),
        (
            "rule: 'GET https://a.shop.example:8443/api'",
            "rule",
            "above the ceiling",
        ),
        (
            "rule: 'GET https://*.a.shop.example/api'",
            "rule",
            "above the ceiling",
        ),
        (
            "rule: 'GET https://a.shop.example/', private: true",
            "rule",
            "which allows `GET,PUT https://*.shop.example/api/` there",
        ),
        (
            "rule: 'GET https://a.shop.example/api', private: true",
            "private",
            "private",
        ),
        (
            "rule: 'GET http://{11.0.0.0/8}:8080/'",
            "rule",
            "above the ceiling",
        ),
        (
            "rule: 'GET https://in.example/', private: true",
            "private",
            "private",
        ),
        (
            "rule: 'GET https://in.example/', networks: [10.2.0.0/16]",
            "networks",
            "networks",
        ),
        (
            "rule: 'GET https://in.example/', networks: [10.0.0.0/8]",
            "networks",
            "networks",
        ),
        (
            "rule: 'GET https://a.shop.example/api', networks: [office]",
            "networks",
            "networks",
        ),
    ] {
        assert_wider(
            above,
            &rule(granted),
            &format!("grants.http[0].{key}"),
            word,
        );
    }
}

#[test]
fn j3_credentials_folders_and_limits_above_the_ceiling() {
    let rule = |with: &str| format!("http: [{{ rule: 'GET https://a.example/', {with} }}]");
    let key = "grants.http[0].bearer";
    assert_wider(
        "credentials: false",
        &rule("bearer: { env: A }"),
        key,
        "no credentials",
    );
    assert_wider(
        "credentials: false",
        &rule("client_certificate: { certificate: c, key: k }"),
        "grants.http[0].client_certificate",
        "no credentials",
    );
    assert_within("credentials: true", &rule("bearer: { env: A }"));
    assert_within("credentials: false", &rule("private: true"));

    // The host's own request for a token is a request, too.
    let token =
        "oauth2: { token_url: 'https://id.example/t', client_id: c, client_secret: { env: A } }";
    let above = "http: [{ rule: 'GET https://a.example/' }]";
    assert_wider(
        above,
        &rule(token),
        "grants.http[0].oauth2.token_url",
        "POST https://id",
    );
    let above = "http: [{ rule: 'GET https://a.example/' }, { rule: 'POST https://id.example/' }]";
    assert_within(above, &rule(token));
    let private = token.replace("client_id", "private: true, client_id");
    assert_wider(
        above,
        &rule(&private),
        "grants.http[0].oauth2.private",
        "private",
    );

    let above = "folders: [{ path: shown }, { path: /srv/out, access: write }]";
    let folder = |path: &str, access: &str| {
        format!("folders: [{{ name: a, path: {path}, access: {access} }}]")
    };
    for (path, access) in [
        ("shown", "read"),
        ("shown/x", "read"),
        ("/srv/out/y", "write"),
    ] {
        assert_within(above, &folder(path, access));
    }
    let path = "grants.folders[0].path";
    assert_wider(
        above,
        &folder("shown-not", "read"),
        path,
        "no folder of the ceiling",
    );
    assert_wider(
        above,
        &folder("shown/../x", "read"),
        path,
        "no folder of the ceiling",
    );
    assert_wider(
        above,
        &folder("/srv", "read"),
        path,
        "no folder of the ceiling",
    );
    assert_wider(
        above,
        &folder("shown/x", "write"),
        "grants.folders[0].access",
        "reading",
    );

    assert_wider(
        "scratch: 1MiB",
        "scratch: 2MiB",
        "grants.scratch",
        "ceiling (1MiB)",
    );
    assert_within("scratch: 1MiB", "scratch: 1MiB");
    let memory = "grants.limits.memory";
    let above = "limits: { memory: 32MiB }";
    assert_wider(
        above,
        "limits: { memory: 33MiB }",
        memory,
        "33MiB, above the ceiling (32MiB)",
    );
    assert_within(above, "limits: { memory: 32MiB }");
    // What is usual may be too much: it is said, not clipped.
    assert_wider(
        above,
        "{}",
        memory,
        "is 64MiB, above the ceiling (32MiB); write `memory: 32MiB`",
    );
    let key = "grants.http[0].limits.rate";
    let above = "limits: { request_rate: 300 }";
    assert_wider(above, &rule("limits: { rate: 301/m }"), key, "301");
    assert_within(above, &rule("limits: { rate: 300/s }"));
    let several = wider(
        "limits: { cpu: 1s, wall: 1m, step_wall: 10m }",
        "limits: { requests: 5 }",
    );
    let keys: Vec<&str> = several.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["grants.limits.cpu", "grants.limits.wall"]);
}

#[test]
fn k5_values_of_settings() {
    let above = ceiling(
        "settings: { web.cpu: { min: 0.5, max: 4 }, web.kind: { values: [small, large, 3] }, \
         web.low: { min: 2 }, web.high: { max: 2 }, web.a.b: { max: 1 } }",
    );
    let admits = |setting: &str, value: Value| above.admits_setting("web", setting, &value);
    for (setting, value) in [
        ("cpu", json!(0.5)),
        ("cpu", json!(4)),
        ("kind", json!("small")),
        ("kind", json!(3)),
        ("low", json!(1e300)),
        ("high", json!(-5)),
    ] {
        assert_eq!(admits(setting, value), Ok(()), "{setting}");
    }
    for (setting, value, words) in [
        (
            "cpu",
            json!(4.000_001),
            "web.cpu = 4.000001 is not within `ceiling.settings.web.cpu`: 0.5 to 4",
        ),
        ("cpu", json!(0.49), "0.5 to 4"),
        ("cpu", json!("2"), "0.5 to 4"),
        ("cpu", json!(null), "0.5 to 4"),
        ("kind", json!("Small"), "one of small | large | 3"),
        ("kind", json!("3"), "one of"),
        ("low", json!(1), "at least 2"),
        ("high", json!(3), "at most 2"),
        ("memory", json!(1), "does not list it"),
        ("a.b", json!(2), "at most 1"),
    ] {
        let problem = admits(setting, value.clone()).unwrap_err();
        assert!(problem.contains(words), "{setting} {value}: {problem}");
    }
    // A dot may stand in either name.
    assert!(above.admits_setting("web.a", "b", &json!(2)).is_err());
    assert!(
        Ceiling::default()
            .admits_setting("web", "cpu", &json!(9))
            .is_ok()
    );
}

#[test]
fn j1_a_ceiling_that_makes_no_sense_names_its_key() {
    for (yaml, key, word) in [
        ("{}", "ceiling", "limits nothing"),
        ("limits: {}", "ceiling.limits", "no limit"),
        (
            "limits: { memory: 0B }",
            "ceiling.limits.memory",
            "64KiB to 4GiB",
        ),
        (
            "http: [{ rule: 'GET http://a' }]",
            "ceiling.http[0].rule",
            "path",
        ),
        (
            "http: [{ rule: 'GET ${config.x}/' }]",
            "ceiling.http[0].rule",
            "http",
        ),
        (
            "http: [{ rule: 'GET http://a/', networks: [lab] }]",
            "ceiling.http[0].networks[0]",
            "lab",
        ),
        (
            "http: [{ rule: 'GET http://a/', networks: [office], private: true }]",
            "ceiling.http[0].networks",
            "keep one",
        ),
        ("folders: [{ path: / }]", "ceiling.folders[0].path", "root"),
        (
            "settings: { cpu: { max: 1 } }",
            "ceiling.settings.cpu",
            "component.setting",
        ),
        (
            "settings: { a.b: {} }",
            "ceiling.settings.a.b",
            "nothing is said",
        ),
        (
            "settings: { a.b: { min: 2, max: 1 } }",
            "ceiling.settings.a.b",
            "exchange",
        ),
        (
            "settings: { a.b: { min: 2, values: [1] } }",
            "ceiling.settings.a.b",
            "keep one",
        ),
        (
            "settings: { a.b: { min: .nan } }",
            "ceiling.settings.a.b",
            "finite",
        ),
    ] {
        let errors = spec(yaml)
            .resolve(Path::new("/etc"), &networks())
            .unwrap_err();
        let found: Vec<String> = errors.iter().map(PolicyError::key).collect();
        assert_eq!(found, [key], "{yaml}: {errors}");
        assert!(errors.to_string().contains(word), "{yaml}: {errors}");
    }
    for yaml in [
        "htpp: []",
        "http: [{ rule: x, ca: y }]",
        "http: []\nhttp: []",
        "settings: { a.b: { mni: 1 } }",
    ] {
        assert!(
            serde_saphyr::from_str::<CeilingSpec>(yaml).is_err(),
            "{yaml}"
        );
    }
}

#[test]
fn plain_words() {
    let above = ceiling(
        "http: [{ rule: 'GET https://a.example/', private: true }, \
         { rule: 'GET https://b.example/', networks: [office] }]\n\
         folders: [{ path: x, access: write }]\nscratch: 1MiB\nlimits: { cpu: 1s, memory: 64MiB }\n\
         credentials: false\nsettings: { a.b: { min: 1, max: 2 }, a.c: { values: [x] } }",
    );
    assert_eq!(
        above.explain(),
        [
            "requests within `GET https://a.example/` (private addresses allowed); \
             `GET https://b.example/` (and addresses in 10.1.0.0/16)",
            "folders within /etc/servo/x (reading and changing)",
            "a temporary folder of 1MiB",
            "limits: memory 64MiB, cpu 1s",
            "no credentials",
            "settings: a.b 1 to 2; a.c one of x, and no other",
        ]
    );
    assert_eq!(ceiling("http: []").explain(), ["no requests"]);
    assert!(above.confines());
    assert!(!ceiling("settings: {}").confines());
}

#[test]
fn j3_headers_above_the_ceiling() {
    let above = "http: [{ rule: 'GET https://a.example/', headers: [X_Scope-OrgID] }, \
                 { rule: 'GET https://b.example/' }]";
    let rule = |host: &str, headers: &str| {
        format!("http: [{{ rule: 'GET https://{host}.example/x', headers: [{headers}] }}]")
    };
    assert_within(above, &rule("a", "x-scope-orgid"));
    assert_within(above, &rule("b", ""));
    let key = "grants.http[0].headers";
    assert_wider(above, &rule("b", "x-scope-orgid"), key, "headers");
    assert_wider(above, &rule("a", "x-scope-orgid, cookie"), key, "headers");
    assert_eq!(
        ceiling(above).explain(),
        ["requests within `GET https://a.example/` with x-scope-orgid; `GET https://b.example/`"]
    );
}
