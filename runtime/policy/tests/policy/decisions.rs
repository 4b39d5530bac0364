//! Requests against rules, as tables. The names of the tests are the rows of
//! the list of attacks that they answer.

use servo_policy::{DenialReason, HttpRules, RequestHead, Rule};

fn rules(lines: &[&str]) -> HttpRules {
    HttpRules::new(
        lines
            .iter()
            .map(|line| (line.parse::<Rule>().unwrap(), false, None)),
    )
    .unwrap()
}

/// `METHOD scheme://authority|path`, the bar where authority and path part, so
/// that hostile forms need no parser of their own.
fn decide(rules: &HttpRules, request: &str) -> Result<String, servo_policy::Denial> {
    let (method, rest) = request.split_once(' ').unwrap();
    let (scheme, rest) = rest.split_once("://").unwrap();
    let (authority, path_and_query) = rest.split_once('|').unwrap();
    rules
        .decide(&RequestHead {
            method,
            scheme,
            authority,
            path_and_query,
        })
        .map(|allowed| allowed.target.url())
}

fn all_denied(rules: &HttpRules, requests: &[&str]) {
    for request in requests {
        if let Ok(url) = decide(rules, request) {
            panic!("{request} was allowed as {url}");
        }
    }
}

fn all_allowed(rules: &HttpRules, requests: &[(&str, &str)]) {
    for (request, sent) in requests {
        match decide(rules, request) {
            Ok(url) => assert_eq!(url, *sent, "{request}"),
            Err(denial) => panic!("{denial}"),
        }
    }
}

#[test]
fn no_rules_allow_nothing() {
    all_denied(
        &HttpRules::none(),
        &["GET http://a.example|/", "GET https://10.0.0.1|/"],
    );
}

#[test]
fn c1_host_not_on_the_list() {
    let rules = rules(&["GET https://api.example.com/"]);
    all_allowed(
        &rules,
        &[
            ("GET https://api.example.com|/", "https://api.example.com/"),
            ("GET https://API.Example.COM|/", "https://api.example.com/"),
            ("GET https://api.example.com.|/", "https://api.example.com/"),
        ],
    );
    all_denied(
        &rules,
        &[
            "GET https://example.com|/",
            "GET https://api.example.com.evil.io|/",
            "GET https://evilapi.example.com|/",
            "GET https://api.example.com..|/",
            "GET https://.api.example.com|/",
            "GET https://api.example.co|/",
            "GET https://api-example.com|/",
            "GET https://93.184.215.14|/",
            "GET https://|/",
            "GET https://.|/",
        ],
    );
}

#[test]
fn c2_port() {
    let rules = rules(&["GET https://a.example/", "GET http://b.example:8080/"]);
    all_allowed(
        &rules,
        &[
            ("GET https://a.example:443|/", "https://a.example/"),
            ("GET https://a.example|/", "https://a.example/"),
            ("GET http://b.example:8080|/", "http://b.example:8080/"),
        ],
    );
    all_denied(
        &rules,
        &[
            "GET https://a.example:8443|/",
            "GET https://a.example:80|/",
            "GET https://a.example:|/",
            "GET https://a.example:0|/",
            "GET https://a.example:0443|/",
            "GET https://a.example:+443|/",
            "GET https://a.example:443:443|/",
            "GET https://a.example:65979|/",
            "GET http://b.example|/",
            "GET http://b.example:80|/",
        ],
    );
}

#[test]
fn c3_scheme() {
    let rules = rules(&["GET https://a.example/"]);
    all_denied(
        &rules,
        &[
            "GET http://a.example|/",
            "GET http://a.example:443|/",
            "GET ftp://a.example|/",
            "GET file://a.example|/",
            "GET ws://a.example|/",
            "GET ://a.example|/",
        ],
    );
}

#[test]
fn c4_method() {
    let rules = rules(&["GET,PATCH https://a.example/"]);
    all_denied(
        &rules,
        &[
            "POST https://a.example|/",
            "HEAD https://a.example|/",
            "get https://a.example|/",
            "Get https://a.example|/",
            "GETS https://a.example|/",
            "CONNECT https://a.example|/",
            "TRACE https://a.example|/",
            "GET, https://a.example|/",
            " https://a.example|/",
        ],
    );
}

#[test]
fn c5_path() {
    let rules = rules(&["GET https://a.example/v1", "GET https://a.example/v1/"]);
    all_allowed(
        &rules,
        &[
            ("GET https://a.example|/v1", "https://a.example/v1"),
            ("GET https://a.example|/v1/", "https://a.example/v1/"),
            (
                "GET https://a.example|/v1/x?q=1",
                "https://a.example/v1/x?q=1",
            ),
            ("GET https://a.example|/%76%31/x", "https://a.example/v1/x"),
            (
                "GET https://a.example|/v1/a%c3%a9",
                "https://a.example/v1/a%C3%A9",
            ),
            (
                "GET https://a.example|/v1/a%20b",
                "https://a.example/v1/a%20b",
            ),
            ("GET https://a.example|/v1?", "https://a.example/v1?"),
            ("GET https://a.example|/v1/%25", "https://a.example/v1/%25"),
        ],
    );
    all_denied(
        &rules,
        &[
            "GET https://a.example|",
            "GET https://a.example|/",
            "GET https://a.example|/v1evil",
            "GET https://a.example|/v1%65vil",
            "GET https://a.example|/V1",
            "GET https://a.example|/v1/../admin",
            "GET https://a.example|/v1/..",
            "GET https://a.example|/v1/./x",
            "GET https://a.example|/v1/%2e%2e/admin",
            "GET https://a.example|/v1/.%2E/admin",
            "GET https://a.example|/v1/%252e%252e/admin",
            "GET https://a.example|/v1/..%20/admin",
            "GET https://a.example|/v1/..;/admin",
            "GET https://a.example|/v1/..%3b/admin",
            "GET https://a.example|/v1;params",
            "GET https://a.example|/v1/x;params",
            "GET https://a.example|/v1/%2Fadmin",
            "GET https://a.example|/v1%2fadmin",
            "GET https://a.example|/v1/%5C..%5cadmin",
            "GET https://a.example|/v1/..\\admin",
            "GET https://a.example|/v1//x",
            "GET https://a.example|//v1/x",
            "GET https://a.example|/v1//",
            "GET https://a.example|/v1/%c0%ae%c0%ae/admin",
            "GET https://a.example|/v1/%",
            "GET https://a.example|/v1/%4",
            "GET https://a.example|/v1/%zz",
            "GET https://a.example|/v1/%00",
            "GET https://a.example|/v1/%0d%0ax",
            "GET https://a.example|/v1/\u{ff0e}\u{ff0e}/admin",
            "GET https://a.example|v1/x",
            "GET https://a.example|*",
            "GET https://a.example|https://a.example/v1",
        ],
    );
    let long = format!("GET https://a.example|/v1/{}", "x".repeat(100 * 1024));
    all_denied(&rules, &[&long]);
}

#[test]
fn c5_a_path_is_that_path_alone() {
    let exact = rules(&["GET https://a.example/v1"]);
    all_allowed(
        &exact,
        &[
            ("GET https://a.example|/v1", "https://a.example/v1"),
            ("GET https://a.example|/%76%31?q", "https://a.example/v1?q"),
        ],
    );
    all_denied(
        &exact,
        &[
            "GET https://a.example|/v1/",
            "GET https://a.example|/v1/x",
            "GET https://a.example|/v1x",
            "GET https://a.example|/",
        ],
    );
}

#[test]
fn c5_a_slash_at_the_end_is_everything_below() {
    let below = rules(&["GET https://a.example/v1/"]);
    all_allowed(
        &below,
        &[
            ("GET https://a.example|/v1/", "https://a.example/v1/"),
            ("GET https://a.example|/v1/x", "https://a.example/v1/x"),
            (
                "GET https://a.example|/v1/x/y/",
                "https://a.example/v1/x/y/",
            ),
        ],
    );
    all_denied(
        &below,
        &["GET https://a.example|/v1", "GET https://a.example|/v1x"],
    );
    let whole = rules(&["GET https://a.example/"]);
    all_allowed(
        &whole,
        &[
            ("GET https://a.example|", "https://a.example/"),
            ("GET https://a.example|?q", "https://a.example/?q"),
            ("GET https://a.example|/x/y", "https://a.example/x/y"),
        ],
    );
}

#[test]
fn c5_a_star_is_exactly_one_segment() {
    let starred = rules(&[
        "GET https://a.example/v1/*/status",
        "GET https://a.example/v2/*",
        "GET https://a.example/*/x/",
        "GET https://a.example/%2A",
    ]);
    all_allowed(
        &starred,
        &[
            (
                "GET https://a.example|/v1/shop/status",
                "https://a.example/v1/shop/status",
            ),
            (
                "GET https://a.example|/v1/*/status",
                "https://a.example/v1/*/status",
            ),
            (
                "GET https://a.example|/v1/a%20b/status?q",
                "https://a.example/v1/a%20b/status?q",
            ),
            ("GET https://a.example|/v2/x", "https://a.example/v2/x"),
            (
                "GET https://a.example|/b/x/y/z",
                "https://a.example/b/x/y/z",
            ),
            ("GET https://a.example|/*", "https://a.example/*"),
            ("GET https://a.example|/%2a", "https://a.example/%2A"),
        ],
    );
    all_denied(
        &starred,
        &[
            "GET https://a.example|/v1/status",
            "GET https://a.example|/v1//status",
            "GET https://a.example|/v1/a/b/status",
            "GET https://a.example|/v1/a/status/",
            "GET https://a.example|/v1/a/statusx",
            "GET https://a.example|/v1/a%2Fb/status",
            "GET https://a.example|/v1/../status",
            "GET https://a.example|/v2",
            "GET https://a.example|/v2/",
            "GET https://a.example|/v2/y/",
            "GET https://a.example|/v2/y/z",
            "GET https://a.example|/b/x",
            "GET https://a.example|/b",
        ],
    );
}

#[test]
fn j2_the_first_segment_that_differs_says_which_rule_is_narrower() {
    let lines = [
        "GET https://a.example/",
        "GET https://a.example/*/",
        "GET https://a.example/*/b",
        "GET https://a.example/a/",
        "GET https://a.example/a/*",
        "GET https://a.example/a/b",
    ];
    for turn in 0..lines.len() {
        let mut turned = lines;
        turned.rotate_left(turn);
        let rules = rules(&turned);
        for (path, line) in [
            ("/", 0),
            ("/x", 0),
            ("/x/y", 1),
            ("/x/b", 2),
            ("/a/", 3),
            ("/a/x/y", 3),
            ("/a/x", 4),
            ("/a/b", 5),
        ] {
            let head = RequestHead {
                method: "GET",
                scheme: "https",
                authority: "a.example",
                path_and_query: path,
            };
            let answering = rules.decide(&head).unwrap().rule;
            let rule = rules.get(answering).unwrap().rule.to_string();
            assert_eq!(rule, lines[line], "{path}");
        }
    }
}

#[test]
fn c6_user_info_and_fragments() {
    let rules = rules(&["GET https://allowed.example/"]);
    all_denied(
        &rules,
        &[
            "GET https://allowed.example@evil.example|/",
            "GET https://user:pass@allowed.example|/",
            "GET https://@allowed.example|/",
            "GET https://allowed.example:80@169.254.169.254|/",
            "GET https://allowed.example\\@evil.example|/",
            "GET https://evil.example\\.allowed.example|/",
            "GET https://evil.example#allowed.example|/",
            "GET https://evil.example?allowed.example|/",
            "GET https://evil.example/allowed.example|/",
            "GET https://allowed.example%2eevil.example|/",
            "GET https://allowed.example |/",
            "GET https://allowed\t.example|/",
            "GET https://allowed.example|/#fragment",
            "GET https://allowed.example|/?q#fragment",
        ],
    );
}

#[test]
fn c7_wildcard_is_one_label() {
    let rules = rules(&["GET https://*.example.com/"]);
    all_allowed(
        &rules,
        &[
            ("GET https://a.example.com|/", "https://a.example.com/"),
            (
                "GET https://xn--bcher-kva.example.com|/",
                "https://xn--bcher-kva.example.com/",
            ),
        ],
    );
    all_denied(
        &rules,
        &[
            "GET https://example.com|/",
            "GET https://evilexample.com|/",
            "GET https://a.b.example.com|/",
            "GET https://.example.com|/",
            "GET https://example.com.evil.io|/",
            "GET https://a.example.com.evil.io|/",
            "GET https://*.example.com|/",
            "GET https://b\u{fc}cher.example.com|/",
        ],
    );
}

#[test]
fn c8_spellings_of_an_address() {
    let rules = rules(&[
        "GET http://127.0.0.1/",
        "GET http://[::1]/",
        "GET http://[2001:db8::1]/",
        "GET http://169.254.169.254/",
    ]);
    all_allowed(
        &rules,
        &[
            ("GET http://127.0.0.1|/", "http://127.0.0.1/"),
            ("GET http://[::1]|/", "http://[::1]/"),
            ("GET http://[2001:DB8::1]|/", "http://[2001:db8::1]/"),
        ],
    );
    all_denied(
        &rules,
        &[
            "GET http://2130706433|/",
            "GET http://0177.0.0.1|/",
            "GET http://0x7f.0.0.1|/",
            "GET http://0x7f000001|/",
            "GET http://127.1|/",
            "GET http://127.0.1|/",
            "GET http://127.0.0.01|/",
            "GET http://127.0.0.1.|/",
            "GET http://0|/",
            "GET http://0x|/",
            "GET http://[::]|/",
            "GET http://[::1|/",
            "GET http://::1|/",
            "GET http://[0:0:0:0:0:0:0:1]|/",
            "GET http://[::ffff:127.0.0.1]|/",
            "GET http://[::ffff:169.254.169.254]|/",
            "GET http://[::ffff:a9fe:a9fe]|/",
            "GET http://[::1%25eth0]|/",
            "GET http://[::1%eth0]|/",
            "GET http://[2001:db8::0001]|/",
            "GET http://[127.0.0.1]|/",
            "GET http://\u{ff11}27.0.0.1|/",
        ],
    );
}

#[test]
fn c12_controls_are_refused_everywhere() {
    let rules = rules(&["GET http://a.example/"]);
    for bad in ["\r\n", "\n", "\0", "\u{7f}", "\u{1}"] {
        for request in [
            format!("GET http://a.example|/x{bad}y"),
            format!("GET http://a.example|/x?q{bad}y"),
            format!("GET http://a.example{bad}|/"),
            format!("GET{bad} http://a.example|/"),
        ] {
            let denial = decide(&rules, &request).unwrap_err();
            assert!(
                !denial.to_string().contains(bad) || bad == "\n",
                "{denial:?}"
            );
            assert!(!denial.request().chars().any(char::is_control));
        }
    }
}

#[test]
fn queries_pass_in_one_spelling() {
    let rules = rules(&["GET http://a.example/"]);
    all_allowed(
        &rules,
        &[
            (
                "GET http://a.example|/q?a=1&b=/../%2F%2e;x",
                "http://a.example/q?a=1&b=/../%2F%2e;x",
            ),
            (
                "GET http://a.example|/q?m{job=\"x\"}[5m]",
                "http://a.example/q?m%7Bjob=%22x%22%7D%5B5m%5D",
            ),
            ("GET http://a.example|/q?it's", "http://a.example/q?it%27s"),
            ("GET http://a.example|/q?a?b", "http://a.example/q?a?b"),
        ],
    );
    all_denied(
        &rules,
        &[
            "GET http://a.example|/q?100%",
            "GET http://a.example|/q?%zz",
            "GET http://a.example|/q?\u{e9}",
        ],
    );
}

#[test]
fn the_most_specific_rule_answers_whatever_the_order() {
    let lines = [
        "GET https://*.example.com/",
        "GET https://a.example.com/",
        "GET https://a.example.com/v1/",
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let rules = rules(&order.map(|index| lines[index]));
        for (path, host, line) in [("/v1/x", "a", 2), ("/v2", "a", 1), ("/v1/x", "b", 0)] {
            let allowed = rules
                .decide(&RequestHead {
                    method: "GET",
                    scheme: "https",
                    authority: &format!("{host}.example.com"),
                    path_and_query: path,
                })
                .unwrap();
            let rule = rules.get(allowed.rule).unwrap().rule.to_string();
            assert_eq!(rule, lines[line], "{host} {path} in order {order:?}");
        }
    }
}

#[test]
fn two_rules_about_the_same_requests_are_refused() {
    let parse = |line: &str, private| (line.parse::<Rule>().unwrap(), private, None);
    let error = HttpRules::new([
        parse("GET,POST http://a.example/x", false),
        parse("PUT,GET http://a.example:80/%78", true),
    ])
    .unwrap_err();
    assert!(error.to_string().contains("grants.http[1]"), "{error}");
    assert!(error.to_string().contains("grants.http[0]"), "{error}");
    assert!(
        HttpRules::new([
            parse("GET http://a.example/", false),
            parse("PUT http://a.example/", true)
        ])
        .is_ok()
    );
}

#[test]
fn coverage_of_what_a_manifest_asks() {
    let rules = rules(&[
        "GET https://*.example.com/v1/",
        "POST https://a.example.com/",
    ]);
    for (ask, covered) in [
        ("GET https://a.example.com/v1/x", true),
        ("GET,POST https://a.example.com/v1/", true),
        ("GET https://*.example.com/v1/", true),
        ("GET https://a.example.com/v1", false),
        ("GET https://a.example.com/v1/*", true),
        ("GET https://a.example.com/*/x", false),
        ("POST https://*.example.com/v1/", false),
        ("PUT https://a.example.com/", false),
        ("GET http://a.example.com/v1/x", false),
    ] {
        assert_eq!(rules.cover(&ask.parse().unwrap()), covered, "{ask}");
    }
}

#[test]
fn a_denial_prints_the_line_to_add() {
    let granted = rules(&["GET https://api.example.com/v1/"]);
    for (request, line) in [
        (
            "GET http://127.0.0.1:9000|/x?token=hush",
            Some(r#"- { rule: "GET http://127.0.0.1:9000/x", private: true }"#),
        ),
        (
            "POST https://api.example.com|/v1/x",
            Some(r#"- { rule: "POST https://api.example.com/v1/x" }"#),
        ),
        (
            "GET http://db|/",
            Some(r#"- { rule: "GET http://db/", private: true }"#),
        ),
        ("GET http://0.0.0.0|/", None),
        ("GET http://224.0.0.1|/", None),
        (
            "GET http://169.254.169.254|/latest/",
            Some(r#"- { rule: "GET http://169.254.169.254/latest/", private: true }"#),
        ),
        ("TRACE http://a.example|/", None),
        (
            "GET https://a.example|/x/*/y*",
            Some(r#"- { rule: "GET https://a.example/x/%2A/y%2A" }"#),
        ),
    ] {
        let denial = decide(&granted, request).unwrap_err();
        assert_eq!(denial.suggestion(), line, "{request}");
        assert!(!denial.to_string().contains("hush"), "{denial}");
        if let Some(line) = line {
            assert!(denial.to_string().contains(line));
            // The line works: what it allows is what was asked for.
            let rule = line.split('"').nth(1).unwrap();
            assert!(decide(&rules(&[rule]), request).is_ok(), "{line}");
            let below = denial.to_string().contains("everything below");
            assert_eq!(below, rule.ends_with('/'), "{denial}");
        }
    }
}

#[test]
fn a_denial_suggests_what_its_driver_asks_for() {
    let asked = [
        "GET,POST https://api.example.com/v1/",
        "GET https://*.example.org/",
    ]
    .map(|rule| servo_policy::Asked::from(rule.parse::<Rule>().unwrap()));
    let granted = rules(&["GET https://api.example.com/v1/"]).with_asked(asked);
    for (request, line) in [
        (
            "POST https://api.example.com|/v1/x/y",
            r#"- { rule: "POST https://api.example.com/v1/" }"#,
        ),
        (
            "GET https://a.example.org|/z",
            r#"- { rule: "GET https://*.example.org/" }"#,
        ),
        (
            "PUT https://api.example.com|/v1/x",
            r#"- { rule: "PUT https://api.example.com/v1/x" }"#,
        ),
    ] {
        let denial = decide(&granted, request).unwrap_err();
        assert_eq!(denial.suggestion(), Some(line), "{request}");
    }
}

#[test]
fn a_denial_reads_well() {
    let granted = rules(&["GET https://api.example.com/v1/"]);
    let text = |request| decide(&granted, request).unwrap_err().to_string();
    assert_eq!(
        text("POST http://api.example.com|/v2"),
        "POST http://api.example.com/v2 is not granted; the nearest rule, \
         `GET https://api.example.com/v1/`, differs in the method and the scheme and the port and the path\n\
         to allow it, add to `grants.http`:\n  \
         - { rule: \"POST http://api.example.com/v2\" }\n\
         before you do: plain http can be read and changed by anyone on the way\n\
         before you do: this method changes things at the other side"
    );
    assert_eq!(
        text("GET https://api.example.com|/v1/../x"),
        "GET https://api.example.com/v1/../x is refused: a dot segment is refused; no rule can allow this form"
    );
    let secret = text("GET https://user:secret@api.example.com|/v1/");
    assert!(!secret.contains("secret"), "{secret}");
    let denial = decide(&granted, "GET https://api.example.com|/v2").unwrap_err();
    assert!(matches!(denial.reason(), DenialReason::NoRule(Some(_))));
}

#[test]
fn a_denial_stays_short() {
    let path = format!("/{}", "long/".repeat(1_000));
    let denial = decide(
        &rules(&["GET http://a.example/x"]),
        &format!("GET http://a.example|{path}"),
    )
    .unwrap_err();
    assert!(denial.request().len() < 300);
    let line = denial.suggestion().unwrap();
    assert!(line.len() < 300, "{line}");
    let rule: Rule = line.split('"').nth(1).unwrap().parse().unwrap();
    assert!(rule.path.as_str().ends_with('/'));
}

#[test]
fn c8_a_network_is_about_address_literals_only() {
    let rules = rules(&[
        "GET http://{10.20.0.0/16}:8080/metrics",
        "GET http://{fd00:1::/32}/",
    ]);
    all_allowed(
        &rules,
        &[
            (
                "GET http://10.20.0.0:8080|/metrics",
                "http://10.20.0.0:8080/metrics",
            ),
            (
                "GET http://10.20.255.255:8080|/metrics",
                "http://10.20.255.255:8080/metrics",
            ),
            ("GET http://[fd00:1::7]|/", "http://[fd00:1::7]/"),
        ],
    );
    all_denied(
        &rules,
        &[
            "GET http://10.21.0.0:8080|/metrics",
            "GET http://10.19.255.255:8080|/metrics",
            "GET http://10.20.1.1|/metrics",
            "GET http://10.20.1.1:8080|/",
            "GET http://10.20.1.1:8080|/metrics/x",
            "GET http://{10.20.0.0/16}:8080|/metrics",
            "GET http://10.20.0.0/16:8080|/metrics",
            "GET http://10.20.1.1.example:8080|/metrics",
            "GET http://[::ffff:10.20.1.1]:8080|/metrics",
            "GET http://[64:ff9b::a14:101]:8080|/metrics",
            "GET http://169087233:8080|/metrics",
            "GET http://10.20.257:8080|/metrics",
            "GET http://[fd00:2::7]|/",
            "GET http://[fd00:1::7%25eth0]|/",
        ],
    );
}

#[test]
fn j2_the_narrower_of_two_networks_answers() {
    let lines = [
        "GET http://{10.0.0.0/8}/a",
        "GET http://{10.1.0.0/16}/",
        "GET http://10.1.2.3/",
        "GET http://{10.1.0.0/16}/a",
    ];
    let rules = rules(&lines);
    for (request, answering) in [
        ("GET http://10.2.0.1|/a", 0),
        ("GET http://10.1.0.1|/b", 1),
        ("GET http://10.1.0.1|/a", 3),
        ("GET http://10.1.2.3|/a", 2),
    ] {
        let (authority, path_and_query) = request[11..].split_once('|').unwrap();
        let head = RequestHead {
            method: "GET",
            scheme: "http",
            authority,
            path_and_query,
        };
        assert_eq!(rules.decide(&head).unwrap().rule.0, answering, "{request}");
    }
    let twice = ["GET http://{10.1.0.0/16}/", "GET,PUT http://{10.1.0.0/16}/"];
    let parsed = twice.map(|line| (line.parse::<Rule>().unwrap(), false, None));
    assert!(HttpRules::new(parsed).is_err());
}

#[test]
fn a_network_covers_what_lies_in_it() {
    let rules = rules(&[
        "GET http://{10.1.0.0/16}/api",
        "GET http://{10.1.0.0/16}/api/",
    ]);
    for (ask, all, some) in [
        ("GET http://{10.1.2.0/24}/api", true, true),
        ("GET http://10.1.2.3/api/x", true, true),
        ("GET http://{10.0.0.0/8}/api", false, true),
        ("GET http://{10.2.0.0/16}/api", false, false),
        ("GET http://10.2.0.1/api", false, false),
        ("GET http://a.example/api", false, false),
    ] {
        let rule: Rule = ask.parse().unwrap();
        assert_eq!(rules.cover(&rule), all, "{ask}");
        assert_eq!(rules.touch(&rule), some, "{ask}");
    }
}

#[test]
fn a_denial_knows_networks() {
    let rules = rules(&["GET http://{10.1.0.0/16}:8080/metrics"]);
    let denial = decide(&rules, "GET http://10.2.0.1:8080|/metrics").unwrap_err();
    assert_eq!(
        denial.to_string(),
        "GET http://10.2.0.1:8080/metrics is not granted; the nearest rule, \
         `GET http://{10.1.0.0/16}:8080/metrics`, differs in the network\n\
         to allow it, add to `grants.http`:\n  \
         - { rule: \"GET http://10.2.0.1:8080/metrics\", private: true }\n\
         before you do: plain http can be read and changed by anyone on the way\n\
         before you do: `private: true` lets the driver reach services of this machine and its \
         networks, many of which ask for no password"
    );
    // A name is not beside a network, whatever it resolves to.
    let denial = decide(&rules, "GET http://a.example:8080|/metrics").unwrap_err();
    assert_eq!(denial.reason(), &DenialReason::NoRule(None));
}

#[test]
fn a_denied_address_beside_networks_says_which_line_to_change() {
    let grant = |rule: &str| servo_policy::HttpGrant {
        networks: vec!["10.1.0.0/16".parse().unwrap()],
        ca: Some("/ca.pem".into()),
        ..servo_policy::HttpGrant::from((rule.parse::<Rule>().unwrap(), false, None))
    };
    for (rule, authority, line) in [
        (
            "GET https://10.2.0.1/",
            "10.2.0.1",
            "- { rule: \"GET https://10.2.0.1/\", networks: [10.1.0.0/16, 10.2.0.1/32] }",
        ),
        (
            "GET https://a.example/",
            "a.example",
            "- { rule: \"GET https://a.example/\", networks: [10.1.0.0/16, NETWORK] }",
        ),
    ] {
        let rules = HttpRules::new([grant(rule)]).unwrap();
        let allowed = rules
            .decide(&RequestHead {
                method: "GET",
                scheme: "https",
                authority,
                path_and_query: "/",
            })
            .unwrap();
        let class = rules
            .get(allowed.rule)
            .unwrap()
            .admits("10.2.0.1".parse().unwrap())
            .unwrap_err();
        let denial = servo_policy::Denial::address(
            rules.get(allowed.rule).unwrap(),
            allowed.method,
            &allowed.target,
            class,
        );
        assert_eq!(denial.suggestion(), Some(line));
        let text = denial.to_string();
        assert!(text.contains("keep them"), "{text}");
        // Where a name leads is not told.
        assert!(
            authority != "a.example" || !text.contains("10.2.0.1"),
            "{text}"
        );
    }
}

#[test]
fn a_denied_header_is_named_with_the_line_that_allows_it() {
    use servo_policy::{Credential, HeaderName, HttpGrant, SecretSource};
    let grant = HttpGrant {
        headers: vec![HeaderName::parse("x-own").unwrap()],
        ..HttpGrant::from((
            "GET http://a.example/v1/".parse::<Rule>().unwrap(),
            true,
            None,
        ))
    };
    let rules = HttpRules::new([grant.clone()]).unwrap();
    let head = RequestHead {
        method: "GET",
        scheme: "http",
        authority: "a.example",
        path_and_query: "/v1/x?token=hush",
    };
    let allowed = rules.decide(&head).unwrap();
    let ask = |grant: &HttpGrant, names: &[&str]| {
        grant.admits_headers(allowed.method, &allowed.target, names.iter().copied())
    };
    assert!(ask(&grant, &["accept", "x_own", "content-length"]).is_ok());
    let denial = ask(&grant, &["accept", "x_forwarded_for", "x-scope-orgid"]).unwrap_err();
    assert_eq!(
        denial.reason(),
        &DenialReason::Headers(vec![
            "x_forwarded_for".to_owned(),
            "x-scope-orgid".to_owned()
        ])
    );
    let line = "- { rule: \"GET http://a.example/v1/\", private: true, \
                headers: [x-forwarded-for, x-own, x-scope-orgid] }";
    assert_eq!(
        denial.to_string(),
        format!(
            "GET http://a.example/v1/x is granted, but not with the headers `x_forwarded_for`, \
             `x-scope-orgid`\nto allow it, change the line in `grants.http` to:\n  {line}\n\
             before you do: `x-forwarded-for` says on whose behalf the request comes, and servers \
             behind proxies believe it"
        )
    );
    assert_eq!(
        denial.short(),
        format!(
            "GET http://a.example/v1/x is granted, but not with the headers `x_forwarded_for`, \
             `x-scope-orgid`; to allow it, change its line in `grants.http` to `{line}`"
        )
    );
    // What the host sets is not the operator's to allow either.
    let secret = HttpGrant {
        credential: Some(Credential::Bearer(SecretSource::Env("A".to_owned()))),
        ..grant
    };
    let denial = ask(&secret, &["Authorization"]).unwrap_err();
    assert_eq!(denial.suggestion(), None);
    assert!(denial.to_string().contains("set by the host"), "{denial}");
}

#[test]
fn a_denial_is_short_where_one_line_is_wanted() {
    let granted = rules(&["GET https://api.example.com/v1/"]);
    let short = |request| decide(&granted, request).unwrap_err().short();
    assert_eq!(
        short("POST http://api.example.com|/v2?token=hush"),
        "POST http://api.example.com/v2 is not granted; to allow it, add \
         `- { rule: \"POST http://api.example.com/v2\" }` to `grants.http`"
    );
    assert_eq!(
        short("GET https://api.example.com|/v1/../x"),
        "GET https://api.example.com/v1/../x is refused: a dot segment is refused; no rule can \
         allow this form"
    );
}
