//! What a person sees who has made a mistake in `servo.yaml`: the place, the
//! line with a caret, and what to do.

use std::path::Path;

use servo_config::{ConfigFile, DriverRole};

fn parse(text: &str) -> ConfigFile {
    ConfigFile::parse(text, Path::new("servo.yaml")).unwrap_or_else(|error| panic!("{error}"))
}

/// Each text and everything said about it. The texts are read, not parsed by eye:
/// the caret must stand under what is wrong.
const READING: &[(&str, &str)] = &[
    (
        "drivers:\n  measure:\n    sorce: ./ab.wasm\n",
        "servo.yaml:3:5: drivers.measure.sorce: unknown key; did you mean `source`? the keys here \
         are source, config, grants\n\
         \u{20} 3 |     sorce: ./ab.wasm\n\
         \u{20}   |     ^^^^^",
    ),
    (
        // Nothing is alike, so nothing is guessed.
        "drivers:\n  measure: { wasm: x }\n",
        "servo.yaml:2:14: drivers.measure.wasm: unknown key; the keys here are source, config, \
         grants\n\
         \u{20} 2 |   measure: { wasm: x }\n\
         \u{20}   |              ^^^^",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    \"source\": b\n",
        "servo.yaml:4:5: drivers.measure.source: the key stands here twice; keep one of the two\n\
         \u{20} 4 |     \"source\": b\n\
         \u{20}   |     ^^^^^^^^",
    ),
    (
        "drivers:\n  measure:\n    source: [a, b]\n",
        "servo.yaml:3:13: drivers.measure.source: a text is expected here; correct the value or \
         its indentation\n\
         \u{20} 3 |     source: [a, b]\n\
         \u{20}   |             ^",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants: { limits: { requests: many } }\n",
        "servo.yaml:4:35: drivers.measure.grants.limits.requests: this is no whole number, or one \
         that does not fit here; write a whole number, such as 1000\n\
         \u{20} 4 |     grants: { limits: { requests: many } }\n\
         \u{20}   |                                   ^^^^",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants:\n      limits:\n        cpu: 2 seconds # plenty\n",
        "servo.yaml:6:14: drivers.measure.grants.limits.cpu: \"2 seconds\" is not a duration; write \
         a whole number and one of ms, s, m, h, such as 30s\n\
         \u{20} 6 |         cpu: 2 seconds # plenty\n\
         \u{20}   |              ^^^^^^^^^",
    ),
    (
        "drivers:\n  measure:\n    source: a\n    grants:\n      http:\n        - private: true\n",
        "servo.yaml:6:11: drivers.measure.grants.http[0].rule: the key is missing; add `rule:`\n\
         \u{20} 6 |         - private: true\n\
         \u{20}   |           ^^^^^^^",
    ),
    (
        "drivers:\n  adjust: &x { source: a }\n",
        "servo.yaml:2:14: drivers.adjust: anchors and aliases are refused, because a grant must \
         stand where it is read; write the value out where it belongs\n\
         \u{20} 2 |   adjust: &x { source: a }\n\
         \u{20}   |              ^",
    ),
    (
        "drivers:\n  adjust:\n    <<: { source: a }\n",
        "servo.yaml:3:5: drivers.adjust.<<: merge keys are refused, because a grant must stand \
         where it is read; write out what is to be merged\n\
         \u{20} 3 |     <<: { source: a }\n\
         \u{20}   |     ^^",
    ),
    (
        "# nothing but a comment\n",
        "servo.yaml:2:1: the file ends too early; at least `drivers:` must stand in it",
    ),
];

#[test]
fn a_mistake_is_shown_with_its_line_and_a_caret() {
    for (text, said) in READING {
        let error = ConfigFile::parse(text, Path::new("servo.yaml")).unwrap_err();
        assert_eq!(error.to_string(), *said, "{text}");
    }
}

/// The grants of a driver, and everything said about them.
const GRANTS: &[(&str, &[&str])] = &[
    (
        "http:\n        - { rule: \"GET http://a.example/\" }\n        - rule: 'get http://b.example/'\n",
        &[
            "servo.yaml:9:18: drivers.measure.grants.http[1].rule: \"get\" is not a method that can be \
           granted in the rule `get http://b.example/`; list methods in upper case, separated by \
           commas: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS; there is no `any`\n\
           \u{20} 9 |         - rule: 'get http://b.example/'\n\
           \u{20}   |                  ^",
        ],
    ),
    (
        "http: [ { rule: GET http://shop.example:80x/ } ]\n",
        &[
            "servo.yaml:7:47: drivers.measure.grants.http[0].rule: \"80x\" is not a port in the rule \
           `GET http://shop.example:80x/`; write a number from 1 to 65535, or leave the colon out \
           for the scheme's own port\n\
           \u{20} 7 |       http: [ { rule: GET http://shop.example:80x/ } ]\n\
           \u{20}   |                                               ^",
        ],
    ),
    (
        "http:\n        - { rule: \"GET ${config.endpoint}/x\", private: true }\n",
        &[
            "servo.yaml:8:24: drivers.measure.grants.http[0].rule: the rule needs `config.endpoint`, \
           but the driver's config has no such key; add `endpoint` to `drivers.measure.config`, or \
           write what it stands for into the rule\n\
           \u{20} 8 |         - { rule: \"GET ${config.endpoint}/x\", private: true }\n\
           \u{20}   |                        ^^^^^^^^^^^^^^^^^^",
        ],
    ),
    (
        // Filled in, it is wrong: the text of the file cannot be pointed into.
        "http:\n        - rule: GET ${config.host}\n",
        &[
            "servo.yaml:8:17: drivers.measure.grants.http[0].rule: the path is missing in the rule `GET \
           http://a.example`; end the rule with a path; `/` alone means the whole host\n\
           \u{20} 8 |         - rule: GET ${config.host}\n\
           \u{20}   |                 ^^^^^^^^^^^^^^^^^^",
        ],
    ),
    (
        "limits: { memory: 64GiB, wall: 1m, step_wall: 2m }\n",
        &[
            "servo.yaml:7:25: drivers.measure.grants.limits.memory: 64GiB is out of range; use a value \
           from 64KiB to 4GiB\n\
           \u{20} 7 |       limits: { memory: 64GiB, wall: 1m, step_wall: 2m }\n\
           \u{20}   |                         ^^^^^",
        ],
    ),
    (
        "scratch: 1B\n      folders:\n        - { name: Logs, path: logs }\n        - name: a\n          path: /\n",
        &[
            "servo.yaml:9:19: drivers.measure.grants.folders[0].name: \"Logs\" is not a folder name; use \
             lower-case letters, digits and hyphens, starting with a letter, at most 63\n\
             \u{20} 9 |         - { name: Logs, path: logs }\n\
             \u{20}   |                   ^^^^",
            "servo.yaml:11:17: drivers.measure.grants.folders[1].path: \"/\" does not lead to a folder \
             below the root; write an absolute path, or one relative to the file\n\
             \u{20} 11 |           path: /\n\
             \u{20}    |                 ^",
            "servo.yaml:7:16: drivers.measure.grants.scratch: 1B is out of range; use a size from 4KiB \
             to 4GiB, or leave the key out for no scratch folder\n\
             \u{20} 7 |       scratch: 1B\n\
             \u{20}   |                ^^",
        ],
    ),
    (
        "http:\n        - rule: GET,PUT http://a.example/\n        - rule: PUT http://a.example/\n",
        &[
            "servo.yaml:9:17: drivers.measure.grants.http[1]: this rule and grants.http[0] are about the \
           same requests (PUT http://a.example/); merge the two into one, so that the order of the \
           rules cannot matter\n\
           \u{20} 9 |         - rule: PUT http://a.example/\n\
           \u{20}   |                 ^^^^^^^^^^^^^^^^^^^^^",
        ],
    ),
];

#[test]
fn grants_that_cannot_be_used_are_shown_where_they_stand_and_all_at_once() {
    for (grants, expected) in GRANTS {
        let text = format!(
            "# A comment: with a colon.\ndrivers:\n  measure:\n    source: ./ab.wasm\n    config: {{ \
             host: 'http://a.example' }}\n    grants:\n      {grants}"
        );
        let errors = parse(&text).grants(DriverRole::Measure).unwrap_err();
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(said, *expected, "{text}");
        assert_eq!(errors.to_string(), expected.join("\n"), "{text}");
    }
}

/// What may stand beside a rule: the caret is under the key or the value that
/// is wrong.
const BESIDE_A_RULE: &[(&str, &str)] = &[
    (
        "bearer: {}",
        "servo.yaml:6:57: drivers.measure.grants.http[0].bearer: a secret comes from exactly one \
         place; write one of `file`, `env` and `command`",
    ),
    (
        "header: { name: Host, secret: { file: x } }",
        "servo.yaml:6:73: drivers.measure.grants.http[0].header.name: `host` is no header \
         for a secret, because it is made of the address that was matched; use `authorization` or a \
         header of the server's own",
    ),
    (
        "oauth2: { token_url: 'https://id.example/x?y', client_id: c, client_secret: { env: X } }",
        "servo.yaml:6:99: drivers.measure.grants.http[0].oauth2.token_url: `?` and `#` \
         cannot be part of a path in the rule `https://id.example/x?y`",
    ),
    (
        "networks: [office, ofice]",
        "servo.yaml:6:76: drivers.measure.grants.http[0].networks[1]: there is no network `ofice`; \
         did you mean `office`? the names in `networks` are office",
    ),
    (
        "private: true, networks: [office]",
        "servo.yaml:6:72: drivers.measure.grants.http[0].networks: `private: true` opens every \
         private address already; keep one of `private` and `networks`",
    ),
    (
        "limits: { time: 5m }",
        "servo.yaml:6:73: drivers.measure.grants.http[0].limits.time: 5m is more than the whole call \
         may use (30s); lower it, or raise `grants.limits.request_time`",
    ),
];

#[test]
fn j1_what_stands_beside_a_rule_is_pointed_at() {
    for (keys, said) in BESIDE_A_RULE {
        let text = format!(
            "networks: {{ office: [10.1.0.0/16] }}\ndrivers:\n  measure:\n    source: a\n    grants:\n      \
             http: [ {{ rule: GET https://abcdefghijk.example/, {keys} }} ]\n"
        );
        let errors = parse(&text).grants(DriverRole::Measure).unwrap_err();
        let heads: Vec<String> = errors
            .iter()
            .map(servo_config::ConfigError::headline)
            .collect();
        assert_eq!(heads.len(), 1, "{heads:?}");
        assert!(heads[0].starts_with(said), "{text}{}\n{said}", heads[0]);
    }
}

#[test]
fn j1_unknown_and_doubled_keys_are_refused_everywhere() {
    for (keys, said) in [
        (
            "bearer: { flie: x }",
            "bearer.flie: unknown key; did you mean `file`?",
        ),
        (
            "limits: { rat: 1/s }",
            "limits.rat: unknown key; did you mean `rate`?",
        ),
        (
            "limits: { rate: fast }",
            "limits.rate: \"fast\" is not a rate",
        ),
        (
            "limits: { rate: 1/s, rate: 2/s }",
            "limits.rate: the key stands here twice",
        ),
        (
            "bearer: { file: x }, bearer: { file: y }",
            "bearer: the key stands here twice",
        ),
        ("basic: { user: x }", "basic.password: the key is missing"),
    ] {
        let text = format!(
            "drivers:\n  measure:\n    grants:\n      http:\n        - {{ rule: GET https://a.example/, {keys} }}\n"
        );
        let error = ConfigFile::parse(&text, Path::new("servo.yaml")).unwrap_err();
        let head = error.headline();
        assert!(
            head.starts_with("servo.yaml:") && head.contains(said),
            "{head}"
        );
        assert!(error.excerpt.is_some(), "{head}");
    }
}

#[test]
fn j1_names_of_networks_are_pointed_at() {
    for (networks, said) in [
        (
            "{ office: [10.1.2.0/16] }",
            "servo.yaml:2:22: networks.office[0]: the network is 10.1.0.0/16, not 10.1.2.0/16; write \
             zeros behind the prefix",
        ),
        (
            "{ office: [] }",
            "networks.office: the network is empty; list",
        ),
        (
            "{ office: [10.1.0.0/16], office: [] }",
            "the key stands here twice",
        ),
        (
            "{ Office: [10.1.0.0/16] }",
            "networks.Office: \"Office\" is not a name",
        ),
    ] {
        let text = format!("drivers: {{}}\nnetworks: {networks}\n");
        let error = ConfigFile::parse(&text, Path::new("servo.yaml")).unwrap_err();
        assert!(error.headline().contains(said), "{}", error.headline());
    }
}

#[test]
fn any_key_can_be_pointed_at_and_a_missing_one_at_the_nearest_there_is() {
    let file = parse(
        "optune:\n  url: x\ndrivers:\n  measure: { source: ./a.wasm }\n  adjust:\n    config:\n      a: 1\n",
    );
    for (key, place) in [
        ("optune.url", Some((2, 8))),
        ("optune", Some((1, 1))),
        ("optune.token_file", Some((1, 1))),
        ("drivers.measure.source", Some((4, 22))),
        ("drivers.measure.grants.http", Some((4, 3))),
        ("drivers.adjust.source", Some((5, 3))),
        ("drivers.adjust.config.a", Some((7, 10))),
        ("elsewhere", None),
    ] {
        let error = file.error(key, "it is so", "do this");
        assert_eq!(error.place, place, "{key}");
        assert!(
            error
                .headline()
                .ends_with(&format!("{key}: it is so; do this"))
        );
    }
}

#[test]
fn a_long_line_is_cut_and_control_characters_are_harmless() {
    let text = format!(
        "drivers: {{ measure: {{ source: \"{}\", bad: \"\\e[31m\u{7f}\" }} }}\n",
        "x".repeat(300)
    );
    let said = ConfigFile::parse(&text, Path::new("servo.yaml"))
        .unwrap_err()
        .to_string();
    let lines: Vec<&str> = said.lines().collect();
    let [_, line, caret] = lines.as_slice() else {
        panic!("{said}");
    };
    assert!(line.chars().count() < 110, "{line}");
    assert!(!said.contains('\u{7f}'), "{said:?}");
    let at = caret.find('^').unwrap();
    assert!(line[at..].starts_with("bad:"), "{said}");
}

#[test]
fn a_file_that_is_no_text_is_refused_before_it_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("servo.yaml");
    let said = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        let said = ConfigFile::read(&path).unwrap_err().to_string();
        said.replace(&format!("{}", path.display()), "servo.yaml")
    };
    assert_eq!(
        said(b"drivers:\n  measure: \xff\xfe\n"),
        "servo.yaml:2:12: the file is not UTF-8 from here on; save it as UTF-8; text in another \
         encoding, or no text at all, cannot be understood\n\
         \u{20} 2 |   measure: \u{fffd}\u{fffd}\n\
         \u{20}   |            ^"
    );
    assert_eq!(
        said(&vec![b' '; (1 << 20) + 1]),
        "servo.yaml: 1048577 bytes are too many for a configuration; keep it below 1 MiB"
    );
    assert!(said(b"").starts_with("servo.yaml:1:1: the file ends too early"));
    let said = ConfigFile::read(folder.path()).unwrap_err().to_string();
    assert!(
        said.ends_with("check the path and its permissions"),
        "{said}"
    );
}

/// A slip in a key at each level of the file: where it stands, and the key that
/// was meant.
const MISSPELT: &[(&str, &str, &str)] = &[
    ("optunes: {}\ndrivers: {}\n", "1:1: optunes", "optune"),
    (
        "drivers: {}\noptune:\n  accont: a\n",
        "3:3: optune.accont",
        "account",
    ),
    ("drivers:\n  mesure: {}\n", "2:3: drivers.mesure", "measure"),
    (
        "drivers:\n  adjust:\n    grant: {}\n",
        "3:5: drivers.adjust.grant",
        "grants",
    ),
    (
        "drivers:\n  adjust:\n    grants:\n      folder: []\n",
        "4:7: drivers.adjust.grants.folder",
        "folders",
    ),
    (
        "drivers:\n  adjust:\n    grants:\n      limits:\n        memry: 1MiB\n",
        "5:9: drivers.adjust.grants.limits.memry",
        "memory",
    ),
    (
        "drivers:\n  adjust:\n    grants:\n      http:\n        - rule: GET https://a.example/\n          limits: { rat: 1/s }\n",
        "6:21: drivers.adjust.grants.http[0].limits.rat",
        "rate",
    ),
    (
        "drivers:\n  adjust:\n    grants:\n      http:\n        - rule: GET https://a.example/\n          baerer: { file: x }\n",
        "6:11: drivers.adjust.grants.http[0].baerer",
        "bearer",
    ),
    (
        "drivers:\n  adjust:\n    grants:\n      http:\n        - rule: GET https://a.example/\n          bearer: { fil: x }\n",
        "6:21: drivers.adjust.grants.http[0].bearer.fil",
        "file",
    ),
    (
        "drivers:\n  adjust:\n    grants:\n      actions:\n        load: { rn: [/bin/true] }\n",
        "5:17: drivers.adjust.grants.actions.load.rn",
        "run",
    ),
    (
        "ceiling:\n  setting: {}\ndrivers: {}\n",
        "2:3: ceiling.setting",
        "settings",
    ),
    (
        "ceiling:\n  http:\n    - { rul: GET https://a.example/ }\ndrivers: {}\n",
        "3:9: ceiling.http[0].rul",
        "rule",
    ),
    (
        "ceiling:\n  settings:\n    app.workers: { mim: 1 }\ndrivers: {}\n",
        "3:20: ceiling.settings.app.workers.mim",
        "min",
    ),
];

#[test]
fn a_misspelt_key_is_pointed_at_and_the_nearest_one_named_at_every_level() {
    for (text, place, meant) in MISSPELT {
        let error = ConfigFile::parse(text, Path::new("servo.yaml")).unwrap_err();
        let said = error.headline();
        let expected = format!("servo.yaml:{place}: unknown key; did you mean `{meant}`? ");
        assert!(said.starts_with(&expected), "{said}\n{expected}");
    }
}

/// Values of a kind that cannot stand there, at each level. Nothing that is said
/// comes from the types they are read into.
const MISTYPED: &[(&str, &str)] = &[
    ("drivers: 7\n", "1:10: drivers: "),
    ("drivers: [a]\n", "1:10: drivers: "),
    ("drivers: {}\noptune:\n  url: [a]\n", "3:8: optune.url: "),
    (
        "drivers:\n  adjust:\n    config: text\n",
        "3:13: drivers.adjust.config: ",
    ),
    (
        "drivers:\n  adjust:\n    grants: []\n",
        "3:13: drivers.adjust.grants: ",
    ),
    (
        "drivers:\n  adjust:\n    grants:\n      http: {}\n",
        "4:13: drivers.adjust.grants.http: ",
    ),
    (
        "drivers:\n  adjust:\n    grants:\n      scratch: many\n",
        "4:16: drivers.adjust.grants.scratch: ",
    ),
    (
        "drivers:\n  adjust:\n    grants:\n      actions:\n        load: { run: x }\n",
        "5:22: drivers.adjust.grants.actions.load.run: ",
    ),
    (
        "drivers:\n  adjust:\n    grants:\n      actions:\n        load: { run: [/bin/true], where: { a: { b: 1 } } }\n",
        "5:47: drivers.adjust.grants.actions.load.where.a: ",
    ),
    ("networks: [a]\ndrivers: {}\n", "1:11: networks: "),
    (
        "ceiling:\n  credentials: perhaps\ndrivers: {}\n",
        "2:16: ceiling.credentials: ",
    ),
    (
        "ceiling:\n  settings:\n    app.workers: { min: few }\ndrivers: {}\n",
        "3:25: ceiling.settings.app.workers.min: ",
    ),
    (
        "ceiling:\n  settings:\n    app.workers: { values: [[1]] }\ndrivers: {}\n",
        "3:29: ceiling.settings.app.workers.values[0]: ",
    ),
    (
        "ceiling:\n  settings:\n    app.workers: { values: [true] }\ndrivers: {}\n",
        "3:29: ceiling.settings.app.workers.values[0]: ",
    ),
];

#[test]
fn a_value_of_another_kind_is_pointed_at_in_words_of_the_file() {
    for (text, place) in MISTYPED {
        let error = ConfigFile::parse(text, Path::new("servo.yaml")).unwrap_err();
        let said = error.headline();
        let expected = format!("servo.yaml:{place}");
        assert!(said.starts_with(&expected), "{said}\n{expected}");
        for word in [
            "untagged",
            "variant",
            "invalid type",
            "invalid value",
            "unknown field",
            "u64",
            "u32",
            "f64",
            "i64",
            "struct",
            "Spec",
            "sequence",
            "scalar",
            "expected a ",
        ] {
            assert!(!said.contains(word), "{word}: {said}");
        }
    }
}
