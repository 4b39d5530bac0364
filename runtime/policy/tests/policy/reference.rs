//! A second matcher, slow and obviously right, against the real one.
//!
//! The reference works on nothing but split and decoded strings: it cuts the
//! URL at the characters that RFC 3986 names, decodes every segment, and
//! compares lists. Requests are made from the same parts as the rules and then
//! mutated, so that near misses are common and both verdicts occur.

use proptest::prelude::*;
use proptest::sample::select;
use servo_policy::{HttpRules, RequestHead, Rule};

use crate::matcher::{parts, query_is_fine, reference};

const HOSTS: &[&str] = &[
    "a.example",
    "b.example",
    "x.a.example",
    "localhost",
    "*.a.example",
    "*.example.org",
    "10.1.2.3",
    "{10.1.2.0/24}",
    "{10.1.0.0/16}",
    "{10.0.0.0/8}",
    "{10.1.2.3/32}",
    "[fd00:1::5]",
    "{fd00:1::/32}",
    "{fd00:1::/48}",
];

const PORTS: &[&str] = &["", ":80", ":443", ":8080"];
const SEGMENTS: &[&str] = &[
    "v1", "v2", "api", "a b", "\u{e9}", "x%y", "$", "evil", "V1", "~",
];

fn escape(segment: &str) -> String {
    segment
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() {
                char::from(b).to_string()
            } else {
                format!("%{b:02x}")
            }
        })
        .collect()
}

fn path() -> impl Strategy<Value = String> {
    (
        proptest::collection::vec(select(SEGMENTS), 0..4),
        any::<bool>(),
    )
        .prop_map(|(parts, slash)| {
            let mut out: String = parts.iter().map(|p| format!("/{}", escape(p))).collect();
            if slash || out.is_empty() {
                out.push('/');
            }
            out
        })
}

/// As a path, and with stars.
fn pattern() -> impl Strategy<Value = String> {
    (path(), proptest::collection::vec(0..3_u8, 4)).prop_map(|(path, stars)| {
        let segments = path.split('/').enumerate();
        let starred = segments.map(|(at, segment)| match stars.get(at) {
            Some(0) if !segment.is_empty() => "*",
            _ => segment,
        });
        starred.collect::<Vec<_>>().join("/")
    })
}

fn rule() -> impl Strategy<Value = String> {
    (
        select(&["GET", "GET,POST", "PUT"][..]),
        select(&["http", "https"][..]),
        select(HOSTS),
        select(PORTS),
        pattern(),
    )
        .prop_map(|(methods, scheme, host, port, path)| {
            format!("{methods} {scheme}://{host}{port}{path}")
        })
}

/// What attackers put into URLs, at a place of chance.
const NEEDLES: &[&str] = &[
    "..", "/..", "/../", "%2e%2e", "/%2E./", "%2f", "%5C", "\\", "//", "/", ";", "%3b", "%00", "%",
    "%2", "%zz", "%25", "%252e", "@", "a@", ":", ":80", ".", "#", "?", "??", " ", "%20", "\r\n",
    "\0", "\u{fc}", "\u{ff0e}", "%c0%ae", "evil", "-", "%41", "%7E", "*", "*.", "[", "]", "'",
    "\"", "{", "|", "1",
];

fn mutate(text: String) -> impl Strategy<Value = String> {
    proptest::collection::vec(
        (any::<prop::sample::Index>(), select(NEEDLES), any::<bool>()),
        0..3,
    )
    .prop_map(move |changes| {
        let mut text = text.clone();
        for (place, needle, replace) in changes {
            let places: Vec<usize> = text
                .char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .collect();
            let at = *place.get(&places);
            let end = text[at..]
                .chars()
                .next()
                .filter(|_| replace)
                .map_or(at, |c| at + c.len_utf8());
            text.replace_range(at..end, needle);
        }
        text
    })
}

fn request() -> impl Strategy<Value = (String, String, String, String)> {
    let host = select(
        &[
            "a.example",
            "A.EXAMPLE.",
            "b.example",
            "x.a.example",
            "q.example.org",
            "localhost",
            "x.y.a.example",
            "10.1.2.3",
            "10.1.2.4",
            "10.1.3.3",
            "10.2.0.1",
            "[fd00:1::5]",
            "[fd00:1::6]",
            "[fd00:2::5]",
        ][..],
    );
    (
        select(&["GET", "GET", "GET", "POST", "PUT", "get", "TRACE"][..]),
        select(&["http", "https"][..]),
        (host, select(PORTS)).prop_flat_map(|(host, port)| mutate(format!("{host}{port}"))),
        path().prop_flat_map(mutate),
    )
        .prop_map(|(method, scheme, authority, path)| {
            (method.into(), scheme.into(), authority, path)
        })
}

/// A host that the authority of a rule is about.
fn inhabitant(authority: &str) -> String {
    let Some((inner, port)) = authority
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
    else {
        return authority.replace('*', "w");
    };
    let (address, _) = inner.split_once('/').unwrap();
    match address.strip_suffix("::") {
        Some(head) => format!("[{head}::5]{port}"),
        None => format!("{address}{port}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The request is made from the rule's own parts, so that matches are common.
    #[test]
    fn j9_agrees_with_the_reference(
        lines in proptest::collection::btree_set(rule(), 1..4),
        (method, scheme, authority, path) in request(),
        aim in any::<Option<prop::sample::Index>>(),
        here in any::<bool>(),
    ) {
        let lines: Vec<String> = lines.into_iter().collect();
        let (scheme, authority, path) = match aim {
            None => (scheme, authority, path),
            Some(index) => {
                let url = index.get(&lines).split_once(' ').unwrap().1;
                let (scheme, rest) = url.split_once("://").unwrap();
                let (authority, prefix) = parts(rest);
                let path = if here { prefix.to_owned() } else { format!("{}{path}", prefix.trim_end_matches('/')) };
                (scheme.to_owned(), inhabitant(authority), path.replacen('*', "w", 1))
            }
        };
        let parsed: Vec<Rule> = lines.iter().map(|l| l.parse().unwrap()).collect();
        // Two spellings of one rule are refused as a set; not this test's matter.
        let Ok(rules) = HttpRules::new(parsed.into_iter().map(|r| (r, false, None))) else { return Ok(()) };
        let expected = lines.iter().any(|line| reference(line, &method, &scheme, &authority, &path));
        let head = RequestHead { method: &method, scheme: &scheme, authority: &authority, path_and_query: &path };
        let query_ok = path.split_once('?').is_none_or(|(_, query)| query_is_fine(query));
        prop_assert_eq!(rules.decide(&head).is_ok(), expected && query_ok, "{:?} {:?}", lines, head);
    }

    /// Whichever order the rules stand in, the same one answers.
    #[test]
    fn j2_the_order_of_rules_does_not_matter(
        lines in proptest::collection::btree_set(rule(), 1..6),
        (method, scheme, authority, path) in request(),
        shuffle in any::<u64>(),
    ) {
        let lines: Vec<String> = lines.into_iter().collect();
        let mut shuffled = lines.clone();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, usize::try_from(shuffle >> at).unwrap() % (at + 1));
        }
        let parse = |lines: &[String]| HttpRules::new(lines.iter().map(|l| (l.parse::<Rule>().unwrap(), false, None)));
        let (Ok(one), Ok(other)) = (parse(&lines), parse(&shuffled)) else {
            prop_assert_eq!(parse(&lines).is_ok(), parse(&shuffled).is_ok());
            return Ok(());
        };
        let head = RequestHead { method: &method, scheme: &scheme, authority: &authority, path_and_query: &path };
        let answer = |rules: &HttpRules| rules.decide(&head).ok().map(|allowed| rules.get(allowed.rule).unwrap().rule.clone());
        prop_assert_eq!(answer(&one), answer(&other));
        for rule in one.iter().map(|grant| &grant.rule) {
            prop_assert_eq!(one.cover(rule), other.cover(rule));
            prop_assert!(one.touch(rule));
        }
    }

    /// What was allowed, sent as it is, is allowed by the same rule and is the
    /// same text again: there is one canonical form.
    #[test]
    fn what_is_allowed_is_already_canonical(line in rule(), path in path().prop_flat_map(mutate), here in any::<bool>(), query in "[ -~]{0,12}") {
        let rule: Rule = line.parse().unwrap();
        let rules = HttpRules::new([(rule, true, None)]).unwrap();
        let (scheme, rest) = line.split_once(' ').unwrap().1.split_once("://").unwrap();
        let (authority, prefix) = parts(rest);
        let authority = inhabitant(authority);
        let path = if here { format!("{prefix}?{query}") } else { format!("{}{path}?{query}", prefix.trim_end_matches('/')) };
        let method = line.split([',', ' ']).next().unwrap();
        let head = RequestHead { method, scheme, authority: &authority, path_and_query: &path };
        if let Ok(first) = rules.decide(&head) {
            let url = first.target.url();
            prop_assert!(url.is_ascii() && !url.contains(' ') && !url.contains('#'));
            let head = RequestHead {
                method,
                scheme: first.target.scheme.as_str(),
                authority: &first.target.authority(),
                path_and_query: &first.target.path_and_query,
            };
            let second = rules.decide(&head).unwrap();
            prop_assert_eq!(second, first);
        }
    }

    /// Rules survive being printed and read.
    #[test]
    fn rules_are_canonical(line in rule()) {
        let rule: Rule = line.parse().unwrap();
        prop_assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule);
    }

    /// Nothing a guest can say makes the decision or its denial panic.
    #[test]
    fn j9_no_panic(method in ".{0,8}", scheme in ".{0,8}", authority in ".{0,40}", path in ".{0,60}", rule in ".{0,60}") {
        let rules = HttpRules::new(["GET http://a.example/v1"].iter().map(|l| (l.parse().unwrap(), false, None))).unwrap();
        let head = RequestHead { method: &method, scheme: &scheme, authority: &authority, path_and_query: &path };
        let denial = rules.decide(&head).unwrap_err();
        prop_assert!(!denial.request().chars().any(char::is_control));
        let _ = rule.parse::<Rule>().map_err(|error| error.to_string());
    }
}

/// Every pattern of at most three segments against every path of at most four:
/// what one pattern covers, and what two have in common, is what the reference
/// says of the paths themselves.
#[test]
fn c5_patterns_cover_and_touch_as_their_paths_do() {
    fn words(letters: &[&str], most: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..most {
            last = last
                .iter()
                .flat_map(|word| letters.iter().map(move |letter| format!("{word}/{letter}")))
                .collect();
            all.extend(last.iter().cloned());
        }
        let slashed = all.iter().map(|word| format!("{word}/"));
        slashed
            .chain(all.iter().filter(|word| !word.is_empty()).cloned())
            .collect()
    }
    let paths = words(&["a", "b", "zz"], 4);
    let patterns: Vec<(Rule, Vec<bool>)> = words(&["a", "b", "*"], 3)
        .into_iter()
        .map(|path| {
            let line = format!("GET http://h{path}");
            let matched = paths
                .iter()
                .map(|path| reference(&line, "GET", "http", "h", path));
            (line.parse().unwrap(), matched.collect())
        })
        .collect();
    assert_eq!((patterns.len(), paths.len()), (79, 241));
    for (one, ours) in &patterns {
        for (other, theirs) in &patterns {
            let pairs = || ours.iter().zip(theirs);
            let within = pairs().all(|(ours, theirs)| *ours || !theirs);
            let common = pairs().any(|(ours, theirs)| *ours && *theirs);
            assert_eq!(one.path.covers(&other.path), within, "{one} covers {other}");
            assert_eq!(
                one.path.touches(&other.path),
                common,
                "{one} touches {other}"
            );
        }
    }
}
