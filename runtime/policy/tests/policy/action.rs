//! Actions: what a driver can say, and that nothing of it becomes another
//! argument, an option or a program.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use servo_policy::{Action, ActionRefusal, Grants, GrantsSpec, HttpRules, PolicyError};

fn resolve(yaml: &str) -> Result<Grants, Vec<(String, String)>> {
    let spec: GrantsSpec = serde_saphyr::from_str(yaml).unwrap_or_else(|e| panic!("{yaml}: {e}"));
    spec.resolve_all(&json!({}), Path::new("/etc/servo"))
        .map_err(|errors| errors.iter().map(|e| (e.key(), e.to_string())).collect())
}

const LOAD: &str = "
http: [{ rule: 'GET http://shop.example/api/' }, { rule: 'POST http://shop.example/orders' }]
actions:
  load:
    run: [/usr/bin/ab, -q, -n, '{requests}', '{mode}', '{tag}', '{url}', '{requests}']
    where: { requests: 1..100000, mode: [fast, slow, 3], tag: '/[a-z]{1,8}(-[0-9]+)?/', url: http-rule }
    wall: 2m
";

fn load() -> (Action, HttpRules) {
    let grants = resolve(LOAD).unwrap();
    (grants.actions.into_iter().next().unwrap(), grants.http)
}

const GOOD: [(&str, &str); 4] = [
    ("requests", "1000"),
    ("mode", "slow"),
    ("tag", "a-1"),
    ("url", "http://SHOP.example:80/api/x?q='1'"),
];

#[test]
fn an_action_is_filled() {
    let (action, rules) = load();
    assert_eq!(action.wall, Duration::from_secs(120));
    assert_eq!(action.program(), Path::new("/usr/bin/ab"));
    assert_eq!(
        action.fill(&GOOD, &rules).unwrap(),
        [
            "/usr/bin/ab",
            "-q",
            "-n",
            "1000",
            "slow",
            "a-1",
            // What was decided on is what is passed on.
            "http://shop.example/api/x?q=%271%27",
            "1000",
        ]
    );
    assert_eq!(
        action.explain(),
        "have `/usr/bin/ab -q -n {requests} {mode} {tag} {url} {requests}` run (requests: a whole \
         number from 1 to 100000; mode: one of fast, slow, 3; tag: what matches \
         /[a-z]{1,8}(-[0-9]+)?/; url: a URL that it may GET; requests: a whole number from 1 to \
         100000; at most 2m)"
    );
}

#[test]
fn values_that_are_refused() {
    let (action, rules) = load();
    for (hole, values) in [
        (
            "requests",
            &[
                "0",
                "100001",
                "-1",
                "+1",
                "01",
                "1.0",
                "1e3",
                "0x10",
                "",
                " 1",
                "1 ",
                "99999999999999999999",
                "1\n",
            ][..],
        ),
        ("mode", &["Fast", "fast slow", "", "-fast", "fast\0", "3.0"]),
        (
            "tag",
            &[
                "A",
                "a-",
                "a-1x",
                "xa b",
                "-a",
                "a\n",
                "abcdefghi",
                "a;rm",
                "$(id)",
                "a-1\na",
            ],
        ),
    ] {
        for value in values {
            let mut values = GOOD;
            values.iter_mut().find(|(name, _)| *name == hole).unwrap().1 = value;
            let refused = action.fill(&values, &rules).unwrap_err();
            assert!(
                matches!(&refused, ActionRefusal::Value { hole: at, .. } if at == hole),
                "{value:?}"
            );
            assert!(
                value.len() < 3 || !refused.to_string().contains(value),
                "{refused}"
            );
        }
    }
    for value in [
        "http://shop.example/",
        "http://shop.example/orders",
        "https://shop.example/api",
        "http://u@shop.example/api",
        "http://shop.example/api/../x",
        "http://evil.example/api",
        "http://shop.example\\@evil.example/api",
        "http://shop.example/api#x",
    ] {
        let mut values = GOOD;
        values[3].1 = value;
        let refused = action.fill(&values, &rules).unwrap_err();
        assert!(
            matches!(refused, ActionRefusal::Url { .. }),
            "{value}: {refused}"
        );
    }
    for value in [
        "file:/etc/passwd",
        "shop.example/api",
        "--url=http://shop.example/api",
        "",
    ] {
        let mut values = GOOD;
        values[3].1 = value;
        assert!(
            matches!(
                action.fill(&values, &rules),
                Err(ActionRefusal::Value { .. })
            ),
            "{value}"
        );
    }
    assert!(matches!(
        action.fill(&GOOD[..3], &rules),
        Err(ActionRefusal::Missing { .. })
    ));
    let twice = [GOOD.to_vec(), vec![("mode", "fast")]].concat();
    assert!(matches!(
        action.fill(&twice, &rules),
        Err(ActionRefusal::Twice { .. })
    ));
    let unknown = [GOOD.to_vec(), vec![("more", "x")]].concat();
    let refused = action.fill(&unknown, &rules).unwrap_err().to_string();
    assert!(
        refused.ends_with("it has requests, mode, tag, url, requests"),
        "{refused}"
    );
}

#[test]
fn j1_actions_that_make_no_sense_are_refused_by_key() {
    let with = |run: &str, more: &str| format!("actions: {{ a: {{ run: {run}{more} }} }}");
    for (yaml, key, word) in [
        (with("[]", ""), "a.run", "absolute path"),
        (with("[ab]", ""), "a.run", "absolute path"),
        (with("[/usr/bin/../bin/ab]", ""), "a.run", "absolute path"),
        (
            with("['/bin/a', 'x={n}']", ", where: { n: 1..2 }"),
            "a.run[1]",
            "whole argument",
        ),
        (
            with("['/bin/a', '{n}{n}']", ", where: { n: 1..2 }"),
            "a.run[1]",
            "whole argument",
        ),
        (with("['/bin/a', '{n}']", ""), "a.run[1]", "add `n:`"),
        (
            with("[/bin/a]", ", where: { n: 1..2 }"),
            "a.where.n",
            "no argument",
        ),
        (
            with("[/bin/a, '{n}']", ", where: { n: 2..1 }"),
            "a.where.n",
            "smaller one",
        ),
        (
            with("[/bin/a, '{n}']", ", where: { n: -1..1 }"),
            "a.where.n",
            "range",
        ),
        (
            with("[/bin/a, '{n}']", ", where: { n: anything }"),
            "a.where.n",
            "/pattern/",
        ),
        (
            with("[/bin/a, '{n}']", ", where: { n: [] }"),
            "a.where.n",
            "empty",
        ),
        (
            with("[/bin/a, '{n}']", ", where: { n: [-x] }"),
            "a.where.n",
            "option",
        ),
        (
            with("[/bin/a, '{n}']", ", where: { n: '/(/' }"),
            "a.where.n",
            "not a pattern",
        ),
        (
            with("[/bin/a, '{n}']", ", where: { n: '/a)|(b/' }"),
            "a.where.n",
            "not a pattern",
        ),
        (
            with("[/bin/a, '{n}']", ", where: { n: '//' }"),
            "a.where.n",
            "not a pattern",
        ),
        (
            with("[/bin/a, '{n}']", ", where: { n: '/(a{9999}){9999}/' }"),
            "a.where.n",
            "not a pattern",
        ),
        (with("[/bin/a]", ", wall: 0s"), "a.wall", "at least 1ms"),
        (with("[/bin/a]", ", wall: 31m"), "a.wall", "wall"),
        (
            "actions: { A: { run: [/bin/a] } }".to_owned(),
            "A",
            "not a name",
        ),
    ] {
        let said = resolve(&yaml).expect_err(&yaml);
        let last = said.last().unwrap();
        assert!(
            said.iter()
                .any(|(at, words)| *at == format!("grants.actions.{key}") && words.contains(word)),
            "{yaml}: {said:?}"
        );
        assert!(last.1.contains("; "), "no remedy: {last:?}");
    }
    for yaml in [
        "actions: { a: { run: [/bin/a], shell: true } }",
        "actions: { a: { run: /bin/a } }",
        "actions: { a: { run: [/bin/a], where: { n: { x: 1 } } } }",
        "actions: { a: { run: [/bin/a], run: [/bin/b] } }",
        "actions: { a: {} }",
    ] {
        assert!(
            serde_saphyr::from_str::<GrantsSpec>(yaml).is_err(),
            "{yaml}"
        );
    }
}

#[test]
fn an_action_and_a_folder_that_could_feed_it_are_refused_together() {
    let with = |access: &str, run: &str| {
        resolve(&format!(
            "folders: [{{ name: out, path: /srv/out, access: {access} }}]\nactions: {{ a: {{ run: {run} }} }}"
        ))
    };
    for run in [
        "[/srv/out/tool]",
        "[/bin/sh, /srv/out/x.sh]",
        "[/bin/sh, --rcfile=/srv/out/x]",
        "[/bin/sh, /srv/x/../out/x.sh]",
        "[/bin/sh, '{n}'], where: { n: [/srv/out/x, /bin/x] }",
    ] {
        let said = with("write", run).expect_err(run);
        assert!(
            said[0]
                .1
                .contains("folder \"out\", which the driver may change"),
            "{said:?}"
        );
        assert!(with("read", run).is_ok(), "{run}");
    }
    assert!(with("write", "[/srv/outer/tool, /srv]").is_ok());
}

#[test]
fn j3_an_action_above_the_ceiling_is_refused() {
    let grants = resolve("actions: { a: { run: [/bin/a] } }").unwrap();
    let ceiling = |yaml: &str| {
        let spec: servo_policy::CeilingSpec = serde_saphyr::from_str(yaml).unwrap();
        spec.resolve(Path::new("/"), &servo_policy::Networks::default())
    };
    assert!(ceiling("actions: [/bin/a]").unwrap().check(&grants).is_ok());
    assert!(ceiling("credentials: true").unwrap().check(&grants).is_ok());
    for above in ["actions: []", "actions: [/bin/b]"] {
        let errors = ceiling(above).unwrap().check(&grants).unwrap_err();
        let keys: Vec<String> = errors.iter().map(PolicyError::key).collect();
        assert_eq!(keys, ["grants.actions.a.run"], "{above}");
    }
    assert!(ceiling("actions: [a]").is_err());
    assert_eq!(ceiling("actions: []").unwrap().explain(), ["no actions"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a driver says, the arguments are as many as the operator wrote,
    /// what is literal stays, and no hole becomes an option.
    #[test]
    fn j9_an_argument_stays_one_argument(
        requests in "[-0-9 ]{0,4}|.{0,6}", mode in "fast|slow|.{0,6}", tag in "[a-z-]{0,4}|.{0,8}", url in "http://shop.example/api.{0,8}|.{0,20}",
    ) {
        let (action, rules) = load();
        let values = [("requests", &*requests), ("mode", &*mode), ("tag", &*tag), ("url", &*url)];
        if let Ok(argv) = action.fill(&values, &rules) {
            prop_assert_eq!(argv.len(), 8);
            prop_assert_eq!(&argv[..3], ["/usr/bin/ab", "-q", "-n"]);
            prop_assert!(argv[3..].iter().all(|it| !it.is_empty() && !it.starts_with('-') && !it.contains('\0')));
        }
    }
}
