//! What the fuzz targets do with their bytes. `cargo test` does the same with
//! bytes of chance, so that a target that no longer holds is found at once.

use std::path::Path;

use serde_json::json;
use servo_policy::{
    ByteSize, CeilingSpec, GrantsSpec, HttpRules, Networks, Rate, RequestHead, Rule, Span,
};

use super::matcher::{LITERALS, query_is_fine, reference};

/// Grants and ceilings in YAML: read, resolved, explained, compared, and never a
/// panic.
pub fn policy_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let config = json!({ "endpoint": "http://a.example:9000/", "net": "{10.0.0.0/8}", "n": 3 });
    let base = Path::new("/etc/servo");
    let networks = [("office".to_owned(), vec!["10.1.0.0/16".to_owned()])];
    let networks = Networks::parse(&networks.into_iter().collect()).unwrap();
    if let Ok(spec) = serde_saphyr::from_str::<CeilingSpec>(text)
        && let Ok(ceiling) = spec.resolve(base, &networks)
    {
        let _ = (
            ceiling.explain(),
            ceiling.admits_setting("a", "b", &json!(1)),
        );
    }
    let Ok(spec) = serde_saphyr::from_str::<GrantsSpec>(text) else {
        return;
    };
    match spec.resolve_within(&config, base, &networks) {
        Ok(grants) => {
            let _ = (grants.permissions(), grants.changed_limits());
            for grant in grants.http.iter() {
                assert!(grants.http.cover(&grant.rule) && grants.http.touch(&grant.rule));
            }
        }
        Err(errors) => {
            for error in errors.iter() {
                assert!(error.key().starts_with("grants"), "{error}");
            }
        }
    }
}

/// A rule that is read prints as itself; one that is not points into its text.
pub fn rule_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Rule>() {
        Ok(rule) => {
            let printed = rule.to_string();
            assert_eq!(printed.parse::<Rule>().unwrap(), rule, "{printed}");
            assert!(rule.covers(&rule));
            let _ = rule.explain();
        }
        Err(error) => {
            assert!(error.offset <= text.len());
            let _ = error.to_string();
        }
    }
}

const RULES: [&str; 14] = [
    "GET http://a.example/",
    "GET http://a.example/v1",
    "GET http://a.example/v1/*/x",
    "GET http://a.example/*/%2A/",
    "GET,POST http://a.example:8080/v1/",
    "GET https://*.a.example/a%20b",
    "PUT https://x.a.example/",
    "GET http://localhost/%C3%A9/x%25y",
    "GET http://10.1.2.3/",
    "GET http://{10.1.0.0/16}/v1",
    "GET http://{10.0.0.0/8}:8080/",
    "GET https://[fd00:1::5]/",
    "GET https://{fd00:1::/32}/v1",
    "GET https://*.example.org:8443/",
];

/// One byte chooses rules, one the method and the scheme; the rest is authority
/// and path, parted by the first bar.
pub fn decision(data: &[u8]) {
    let [chosen, how, rest @ ..] = data else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let Some((authority, path)) = text.split_once('|') else {
        return;
    };
    // The reference knows a few addresses of IPv6 and not their grammar.
    let host = authority.split_inclusive(']').next().unwrap_or_default();
    let known = LITERALS.contains(&host.to_ascii_lowercase().as_str());
    if (authority.contains(['[', ']']) && !known) || path.len() > 8_000 {
        return;
    }
    let at = usize::from(*chosen);
    let lines = [RULES[at % 14], RULES[(at / 14) % 14]];
    let lines = if lines[0] == lines[1] {
        &lines[..1]
    } else {
        &lines
    };
    let method = ["GET", "POST", "PUT", "get", "TRACE"][usize::from(how % 5)];
    let scheme = if how / 5 % 2 == 0 { "http" } else { "https" };
    let rules = lines
        .iter()
        .map(|l| (l.parse::<Rule>().unwrap(), false, None));
    let rules = HttpRules::new(rules).unwrap();
    let head = RequestHead {
        method,
        scheme,
        authority,
        path_and_query: path,
    };
    let expected = lines
        .iter()
        .any(|line| reference(line, method, scheme, authority, path));
    let query = path
        .split_once('?')
        .is_none_or(|(_, query)| query_is_fine(query));
    match rules.decide(&head) {
        Ok(allowed) => {
            assert!(expected && query, "{lines:?} allowed {head:?}");
            let url = allowed.target.url();
            assert!(url.is_ascii() && !url.contains([' ', '#']), "{url}");
        }
        Err(denial) => {
            assert!(!(expected && query), "{lines:?} denied {head:?}: {denial}");
            assert!(!denial.request().chars().any(char::is_control));
        }
    }
}

/// Sizes, durations and rates print as they are read.
pub fn units(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(size) = text.parse::<ByteSize>() {
        assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
    }
    if let Ok(span) = text.parse::<Span>() {
        assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
    }
    if let Ok(rate) = text.parse::<Rate>() {
        assert_eq!(rate.to_string(), text);
    }
}
