//! The bodies of the fuzz targets, on bytes of chance and on words that are
//! likely in their inputs.

use proptest::prelude::*;
use proptest::sample::select;

const WORDS: &[&str] = &[
    "http:",
    "folders:",
    "limits:",
    "actions:",
    "credentials:",
    "settings:",
    "scratch:",
    "rule:",
    "private:",
    "networks:",
    "bearer:",
    "header:",
    "oauth2:",
    "run:",
    "where:",
    "[",
    "]",
    "{",
    "}",
    ",",
    " ",
    "\n",
    "- ",
    "'",
    "\"",
    "true",
    "GET ",
    "http://",
    "https://",
    "a.example",
    "*.",
    "${config.endpoint}",
    "${config.net}",
    "{10.1.0.0/16}",
    "[fd00:1::5]",
    ":80",
    ":8080",
    "/v1",
    "/",
    "..",
    "%2e",
    "%",
    "?",
    "#",
    "@",
    "\\",
    "|",
    "1MiB",
    "5s",
    "100/s",
    "office",
    "10.1.2.3",
    "1..5",
    "/a+/",
    "\u{e9}",
    "\0",
];

fn input() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn j9_bytes_are_no_trouble(data in input()) {
        crate::bodies::policy_text(&data);
        crate::bodies::rule_text(&data);
        crate::bodies::decision(&data);
        crate::bodies::units(&data);
    }

    #[test]
    fn j9_requests_near_a_rule(chosen: u8, how: u8, authority in select(&["a.example", "x.a.example", "10.1.2.3", "10.9.9.9:8080", "[fd00:1::5]", "localhost", "q.example.org:8443"][..]), tail in input()) {
        let tail = String::from_utf8_lossy(&tail);
        crate::bodies::decision(&[&[chosen, how], format!("{authority}|/{tail}").as_bytes()].concat());
        crate::bodies::decision(&[&[chosen, how], format!("{authority}{tail}|/v1").as_bytes()].concat());
    }
}
