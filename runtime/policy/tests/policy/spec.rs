//! Grants as an operator writes them: what is understood, and what is refused
//! with which words.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use servo_policy::{
    Access, Budget, ByteSize, Grants, GrantsSpec, LimitsSpec, PolicyError, Rule, Span, resolve_ask,
};

fn read(yaml: &str) -> Result<GrantsSpec, String> {
    serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
}

fn resolve(yaml: &str, config: &Value) -> Result<Grants, PolicyError> {
    read(yaml).unwrap().resolve(config, Path::new("/etc/servo"))
}

fn refusal(yaml: &str) -> String {
    resolve(yaml, &json!({})).unwrap_err().to_string()
}

#[test]
fn a_whole_grant_is_understood() {
    let grants = resolve(
        r#"
http:
  - { rule: "GET ${config.endpoint}/api/", private: true }
  - { rule: "GET,PATCH https://k8s.example/apis/", ca: ca.crt }
folders:
  - { name: scripts, path: ./scripts, access: read }
  - { name: out, path: ../out, access: write }
scratch: 16MiB
limits: { memory: 128MiB, cpu: 2s, wall: 90m, requests: 10000 }
"#,
        &json!({ "endpoint": "http://127.0.0.1:9000/" }),
    )
    .unwrap();
    let rules: Vec<_> = grants
        .http
        .iter()
        .map(|g| (g.rule.to_string(), g.private))
        .collect();
    assert_eq!(
        rules,
        [
            ("GET http://127.0.0.1:9000/api/".to_owned(), true),
            ("GET,PATCH https://k8s.example/apis/".to_owned(), false),
        ]
    );
    let ca = grants.http.iter().nth(1).unwrap().ca.clone();
    assert_eq!(ca, Some(PathBuf::from("/etc/servo/ca.crt")));
    let folders: Vec<_> = grants
        .folders
        .iter()
        .map(|f| (f.path.to_str().unwrap(), f.access))
        .collect();
    assert_eq!(
        folders,
        [
            ("/etc/servo/scripts", Access::Read),
            ("/etc/out", Access::Write)
        ]
    );
    assert_eq!(grants.scratch, Some(ByteSize::mib(16)));
    assert_eq!(grants.budget.memory, ByteSize::mib(128));
    assert_eq!(grants.budget.wall, Duration::from_secs(90 * 60));
    assert_eq!(grants.budget.handles, Budget::default().handles);
}

#[test]
fn nothing_written_is_nothing_granted() {
    for yaml in ["{}", "http: []", "limits: {}"] {
        let grants = resolve(yaml, &json!({})).unwrap();
        assert_eq!(grants, Grants::none(), "{yaml}");
    }
}

#[test]
fn j1_odd_text_is_an_error_that_names_the_key() {
    for (yaml, words) in [
        ("htpp: []", &["unknown field", "htpp"][..]),
        (
            "http: [{ rule: 'GET http://a/', privat: true }]",
            &["unknown field", "privat"],
        ),
        ("http: [{ private: true }]", &["missing field", "rule"]),
        (
            "http: [{ rule: 'GET http://a/', private: maybe }]",
            &["bool"],
        ),
        (
            "folders: [{ name: a, path: b, access: execute }]",
            &["execute", "read"],
        ),
        ("limits: { memroy: 1MiB }", &["unknown field", "memroy"]),
        ("limits: { memory: 64 }", &["64", "size", "MiB"]),
        ("limits: { memory: 64MB }", &["64MB", "KiB, MiB, GiB"]),
        ("limits: { memory: 64 MiB }", &["64 MiB", "size"]),
        ("limits: { memory: -1MiB }", &["-1MiB"]),
        ("limits: { memory: 1.5GiB }", &["1.5GiB"]),
        ("limits: { memory: 18446744073709551615GiB }", &["size"]),
        ("limits: { cpu: 2 }", &["duration", "ms, s, m, h"]),
        ("limits: { cpu: 2 s }", &["duration"]),
        ("limits: { cpu: 2sec }", &["2sec"]),
        ("limits: { cpu: 1m30s }", &["1m30s"]),
        ("limits: { requests: many }", &["many"]),
        ("limits: { requests: -1 }", &["-1"]),
        ("scratch: true", &["true"]),
    ] {
        let error = read(yaml).expect_err(yaml);
        for word in words {
            assert!(error.contains(word), "{yaml}: {error:?} lacks {word:?}");
        }
    }
}

#[test]
fn limits_outside_their_range_name_key_and_range() {
    for (yaml, words) in [
        (
            "limits: { memory: 0B }",
            &["grants.limits.memory", "0B", "64KiB to 4GiB"][..],
        ),
        (
            "limits: { memory: 5GiB }",
            &["grants.limits.memory", "5GiB"],
        ),
        (
            "limits: { requests: 0 }",
            &["grants.limits.requests", "from 1 to"],
        ),
        ("limits: { cpu: 0s }", &["grants.limits.cpu", "1ms"]),
        ("limits: { wall: 1000h }", &["grants.limits.wall", "168h"]),
        (
            "limits: { concurrent_requests: 100000 }",
            &["grants.limits.concurrent_requests", "4096"],
        ),
        (
            "limits: { wall: 1m, step_wall: 2m }",
            &["step_wall", "2m", "1m", "raise `wall`"],
        ),
        ("scratch: 0B", &["grants.scratch", "leave"]),
        ("scratch: 5GiB", &["grants.scratch", "4GiB"]),
    ] {
        let error = refusal(yaml);
        for word in words {
            assert!(error.contains(word), "{yaml}: {error:?} lacks {word:?}");
        }
    }
}

#[test]
fn a_short_call_shortens_the_default_step() {
    let grants = resolve("limits: { wall: 1m }", &json!({})).unwrap();
    assert_eq!(grants.budget.step_wall, Duration::from_secs(60));
}

#[test]
fn every_default_is_within_its_own_range() {
    let text: String = Budget::default()
        .table()
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    let spec: LimitsSpec = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(spec.resolve().unwrap(), Budget::default());
    assert!(spec.beyond(&Budget::default()).is_empty());
}

#[test]
fn what_a_manifest_needs_beyond_the_budget_is_named() {
    let asked: LimitsSpec = serde_saphyr::from_str("{ requests: 10000000, memory: 1MiB }").unwrap();
    let beyond = asked.beyond(&Budget::default());
    assert_eq!(
        beyond,
        [("requests", "10000000".to_owned(), "10000".to_owned())]
    );
}

#[test]
fn units_print_as_they_are_read() {
    for text in ["0B", "1B", "1000B", "1KiB", "64MiB", "3GiB", "1536MiB"] {
        assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
    }
    for text in ["0ms", "1ms", "1500ms", "2s", "90s", "30m", "1h"] {
        assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "s",
        "01s",
        "+1s",
        "1S",
        "1s ",
        " 1s",
        "1µs",
        "99999999999999999999s",
        "5124095576030432h",
    ] {
        assert!(text.parse::<Span>().is_err(), "{text}");
    }
}

#[test]
fn rules_that_do_not_follow_the_grammar() {
    // (rule, byte the caret is under, a word of the message)
    for (rule, offset, word) in [
        ("", 0, "space"),
        ("GET", 3, "one space"),
        ("http://a/", 9, "one space"),
        ("get http://a/", 0, "upper case"),
        ("GET,PURGE http://a/", 4, "PURGE"),
        ("GET,CONNECT http://a/", 4, "CONNECT"),
        ("GET,GET http://a/", 4, "twice"),
        ("GET, POST http://a/", 4, "method"),
        ("* http://a/", 0, "no `any`"),
        ("GET  http://a/", 4, "one space"),
        ("GET http://a/ ", 13, "one space"),
        ("GET http://a/\n", 13, "cannot be part"),
        ("GET a/", 4, "http://"),
        ("GET ftp://a/", 4, "ftp"),
        ("GET HTTP://a/", 4, "lower case"),
        ("GET http:///", 11, "empty"),
        ("GET http://a", 12, "path is missing"),
        ("GET http://a:80", 15, "path is missing"),
        ("GET http://a?x/", 12, "path is missing"),
        ("GET http://a:/", 13, "port"),
        ("GET http://a:0/", 13, "port"),
        ("GET http://a:99999/", 13, "port"),
        ("GET http://a:*/", 13, "port"),
        ("GET http://u@a/", 12, "user information"),
        ("GET http://a.*/", 13, "wildcard"),
        ("GET http://*/", 11, "wildcard"),
        ("GET http://*.com/", 11, "top-level"),
        ("GET http://*.*.a.com/", 13, "cannot be part"),
        ("GET http://a..b/", 13, "label"),
        ("GET http://-a/", 11, "label"),
        ("GET http://a b/", 12, "one space"),
        ("GET http://b\u{fc}cher.example/", 12, "punycode"),
        ("GET http://127.1/", 11, "address"),
        ("GET http://[::ffff:1.2.3.4]/", 11, "written as IPv6"),
        ("GET http://[fe80::1%25eth0]/", 11, "zone"),
        ("GET http://a/../b", 13, "dot segment"),
        ("GET http://a/b//c", 15, "empty segment"),
        ("GET http://a/%2f", 13, "separator"),
        ("GET http://a/b?c", 14, "query"),
        ("GET http://a/b#c", 14, "fragment"),
        ("GET http://a\\b/", 12, "path is missing"),
        ("GET http://a/x*", 14, "whole segment"),
        ("GET http://a/*x/y", 13, "whole segment"),
        ("GET http://a/x/**", 15, "whole segment"),
        ("GET http://a/**/x", 13, "whole segment"),
        ("GET http://a/a.*", 15, "whole segment"),
        ("GET http://a/x/*?q", 15, "whole segment"),
        ("GET http://{10.0.0.0/8/", 20, "end with `}`"),
        ("GET http://{10.0.0.0/8}", 23, "path is missing"),
        ("GET http://{10.0.0.0}/", 20, "prefix"),
        ("GET http://{10.0.0.1/8}/", 12, "10.0.0.0/8"),
        ("GET http://{10.0.0.0/0}/", 21, "wider"),
        ("GET http://{10.0.0.0/7}/", 21, "wider"),
        ("GET http://{10.0.0.0/08}/", 21, "prefix"),
        ("GET http://{fd00::/8}/", 19, "wider"),
        ("GET http://{::ffff:10.0.0.0/112}/", 12, "written as IPv6"),
        ("GET http://{FD00:1:0::/32}/", 12, "canonical"),
        ("GET http://{10.0.0.0/8}x/", 24, "end with `}`"),
        ("GET http://x{10.0.0.0/8}/", 12, "cannot be part"),
        ("GET http://[10.0.0.0/8]/", 11, "IPv6"),
        ("GET http://{office}/", 12, "neither"),
        ("GET http://{}/", 12, "neither"),
        ("GET http://*.{10.0.0.0/8}/", 13, "cannot be part"),
    ] {
        let error = rule.parse::<Rule>().expect_err(rule);
        assert_eq!(error.offset, offset, "{rule:?}: {error}");
        assert!(
            error.to_string().contains(word),
            "{rule:?}: {error} lacks {word:?}"
        );
    }
}

#[test]
fn a_rule_error_shows_where() {
    let error = refusal("http: [{ rule: 'GET http://shop.example:80x/' }]");
    assert_eq!(
        error,
        "grants.http[0].rule: \"80x\" is not a port (byte 24)\n  \
         GET http://shop.example:80x/\n  \
         \u{20}                       ^\n  \
         write a number from 1 to 65535, or leave the colon out for the scheme's own port"
    );
}

#[test]
fn rules_print_as_they_are_read() {
    for (text, canonical) in [
        ("GET http://a/", "GET http://a/"),
        (
            "POST,GET https://A.Example.:443/V1/%7e",
            "GET,POST https://a.example/V1/~",
        ),
        (
            "GET http://[2001:DB8::1]:8080/",
            "GET http://[2001:db8::1]:8080/",
        ),
        (
            "GET https://*.Example.com/x/",
            "GET https://*.example.com/x/",
        ),
        (
            "GET http://{10.20.0.0/16}:8080/metrics",
            "GET http://{10.20.0.0/16}:8080/metrics",
        ),
        ("GET http://{FD00:1::/32}:80/", "GET http://{fd00:1::/32}/"),
        ("GET http://a/*/x/%2a/", "GET http://a/*/x/%2A/"),
    ] {
        let rule: Rule = text.parse().unwrap();
        assert_eq!(rule.to_string(), canonical);
        assert_eq!(canonical.parse::<Rule>().unwrap(), rule);
    }
}

#[test]
fn placeholders() {
    let config = json!({
        "endpoint": "http://a.example:9000/base/",
        "bare": "http://a.example",
        "host": "b.example",
        "port": 9000,
        "deep": { "ns": "shop" },
        "list": [1], "empty": "", "none": null, "space": "http://a b",
        "slash": "x/../y", "star": "*", "at": "good@evil",
    });
    for (rule, filled) in [
        (
            "GET ${config.endpoint}/api/",
            Ok("GET http://a.example:9000/base/api/"),
        ),
        (
            "GET ${config.endpoint}api/",
            Ok("GET http://a.example:9000/base/api/"),
        ),
        ("GET ${config.bare}/", Ok("GET http://a.example/")),
        (
            "GET http://${config.host}:${config.port}/ns/${config.deep.ns}/",
            Ok("GET http://b.example:9000/ns/shop/"),
        ),
        ("GET ${config.bare}", Err("path is missing")),
        (
            "GET ${config.missing}/",
            Err("`config.missing`, but the driver's config has no such key"),
        ),
        ("GET ${config.none}/", Err("no such key")),
        ("GET ${config.deep}/", Err("neither text nor a number")),
        ("GET ${config.list}/", Err("neither text nor a number")),
        ("GET ${config.empty}/", Err("empty")),
        ("GET ${config.space}/", Err("a space")),
        ("GET http://${config.at}/", Err("holds one of `/")),
        ("GET http://a/${config.slash}/", Err("holds one of `/")),
        ("GET http://${config.star}.a.example/", Err("`*`")),
        (
            "GET ${env.HOME}/",
            Err("only values of the driver's config"),
        ),
        ("GET ${config}/", Err("only values of the driver's config")),
        ("${config.host} http://a/", Err("cannot stand for methods")),
        ("GET http://a/${config.host", Err("not closed")),
    ] {
        let yaml = format!("http: [{{ rule: '{rule}' }}]");
        match (resolve(&yaml, &config), filled) {
            (Ok(grants), Ok(text)) => {
                assert_eq!(grants.http.iter().next().unwrap().rule.to_string(), text)
            }
            (Err(error), Err(word)) => assert!(error.to_string().contains(word), "{rule}: {error}"),
            (result, _) => panic!("{rule}: {result:?}"),
        }
    }
}

#[test]
fn e3_credentials_in_a_url_are_refused_without_being_shown() {
    let config = json!({ "endpoint": "http://me:hush@a.example/x", "path": "http://a.example/@x" });
    let error = resolve("http: [{ rule: 'GET ${config.endpoint}/' }]", &config).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("a user name or a password"), "{text}");
    assert!(!text.contains("hush"), "{text}");
    assert!(resolve("http: [{ rule: 'GET ${config.path}/' }]", &config).is_ok());
}

#[test]
fn optional_asks_drop_out() {
    let config = json!({ "endpoint": "http://a.example" });
    let ask = |rule, optional| resolve_ask(rule, optional, &config, "asks.http[0].rule");
    assert_eq!(ask("GET ${config.other}/", true), Ok(None));
    assert!(ask("GET ${config.other}/", false).is_err());
    assert!(ask("GET ${config.endpoint}/", true).unwrap().is_some());
    assert!(
        ask("GET ${config.endpoint}", true).is_err(),
        "a faulty ask is not an absent one"
    );
}

#[test]
fn folders_that_are_refused() {
    for (yaml, word) in [
        ("folders: [{ name: A, path: a }]", "folder name"),
        ("folders: [{ name: '', path: a }]", "folder name"),
        ("folders: [{ name: ../x, path: a }]", "folder name"),
        ("folders: [{ name: 1a, path: a }]", "folder name"),
        ("folders: [{ name: scratch, path: a }]", "scratch"),
        (
            "folders: [{ name: a, path: x }, { name: a, path: y }]",
            "twice",
        ),
        (
            "folders: [{ name: a, path: x }, { name: b, path: x/. }]",
            "overlap",
        ),
        (
            "folders: [{ name: a, path: x }, { name: b, path: x/y/../z }]",
            "overlap",
        ),
        (
            "folders: [{ name: a, path: x/y }, { name: b, path: /etc/servo/x }]",
            "overlap",
        ),
        ("folders: [{ name: a, path: / }]", "root"),
        ("folders: [{ name: a, path: ../.. }]", "root"),
        ("folders: [{ name: a, path: ../../../../x }]", "root"),
    ] {
        let error = refusal(yaml);
        assert!(error.contains("grants.folders["), "{yaml}: {error}");
        assert!(error.contains(word), "{yaml}: {error} lacks {word:?}");
    }
    // A common beginning of the name is not a common folder.
    assert!(
        resolve(
            "folders: [{ name: a, path: x }, { name: b, path: xy }]",
            &json!({})
        )
        .is_ok()
    );
}

#[test]
fn an_authority_for_plain_http_is_refused() {
    let error = refusal("http: [{ rule: 'GET http://a/', ca: x.pem }]");
    assert!(error.contains("grants.http[0].ca"), "{error}");
}

#[test]
fn plain_words() {
    let grants = resolve(
        r"
http:
  - { rule: 'GET,POST http://10.0.0.7:9000/api/', private: true }
  - { rule: 'GET https://*.example.com/', ca: /ca.pem }
folders: [{ name: out, path: /srv/out, access: write }]
limits: { memory: 1GiB }
",
        &json!({}),
    )
    .unwrap();
    assert_eq!(
        grants.permissions(),
        [
            "send GET, POST to http://10.0.0.7:9000, every path below /api/ (private addresses allowed)",
            "send GET to https://*.example.com (any host of one label before `.example.com`), \
             every path (public addresses only; trusting only /ca.pem)",
            "read and change folder out (/srv/out)",
        ]
    );
    let limits: Vec<String> = grants
        .changed_limits()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(limits, ["memory 1GiB (usually 64MiB)"]);
    let scratch = resolve("scratch: 16MiB", &json!({})).unwrap();
    assert_eq!(
        scratch.permissions(),
        ["keep up to 16MiB in a temporary folder, removed after each call"]
    );
    assert!(Grants::none().permissions().is_empty());
    assert!(Grants::none().changed_limits().is_empty());
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let grants = read(
        r"
http:
  - { rule: 'get http://a.example/' }
  - { rule: 'GET http://a.example/' }
  - { rule: 'GET ${config.missing}/' }
folders: [{ name: A, path: a }, { name: ok, path: b }, { name: c, path: / }]
scratch: 1B
limits: { memory: 5GiB, requests: 0 }
",
    )
    .unwrap();
    let wrong = grants
        .resolve_all(&json!({}), Path::new("/etc/servo"))
        .unwrap_err();
    let keys: Vec<String> = wrong.iter().map(PolicyError::key).collect();
    assert_eq!(
        keys,
        [
            "grants.http[0].rule",
            "grants.http[2].rule",
            "grants.folders[0].name",
            "grants.folders[2].path",
            "grants.scratch",
            "grants.limits.memory",
            "grants.limits.requests",
        ]
    );
    let first = grants
        .resolve(&json!({}), Path::new("/etc/servo"))
        .unwrap_err();
    assert_eq!(wrong.to_string(), first.to_string());
    assert_eq!(first, wrong.into_first());
}

#[test]
fn a_grant_in_part_is_told_from_none() {
    let grants = resolve(
        "http: [{ rule: 'GET http://a.example/api/' }, { rule: 'GET https://*.b.example/' }]",
        &json!({}),
    )
    .unwrap();
    for (ask, all, some) in [
        ("GET http://a.example/api/v1/", true, true),
        ("GET,PUT http://a.example/api/", false, true),
        ("GET http://a.example/", false, true),
        ("PUT http://a.example/api/", false, false),
        ("GET https://a.example/api/", false, false),
        ("GET http://a.example:81/api/", false, false),
        ("GET http://a.example/other/", false, false),
        ("GET https://x.b.example/", true, true),
        ("GET https://b.example/", false, false),
    ] {
        let rule: Rule = ask.parse().unwrap();
        assert_eq!(grants.http.cover(&rule), all, "{ask}");
        assert_eq!(grants.http.touch(&rule), some, "{ask}");
    }
}
