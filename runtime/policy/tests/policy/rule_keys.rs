//! What may stand beside a rule: credentials, networks, limits. What is
//! understood, and what is refused with which key and which words.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use servo_policy::{
    AddressClass, Credential, GrantsSpec, HttpGrant, Networks, PolicyErrors, RuleLimits,
    SecretSource,
};

fn networks() -> Networks {
    let office = ["10.1.0.0/16", "fd00:1::/48"].map(str::to_owned).to_vec();
    Networks::parse(&BTreeMap::from([("office".to_owned(), office)])).unwrap()
}

fn resolve(yaml: &str) -> Result<servo_policy::Grants, PolicyErrors> {
    let spec: GrantsSpec = serde_saphyr::from_str(yaml).unwrap_or_else(|e| panic!("{yaml}: {e}"));
    let config = json!({ "token_url": "https://id.example/token", "net": "http://{10.0.0.0/8}" });
    spec.resolve_within(&config, Path::new("/etc/servo"), &networks())
}

/// The one rule with these keys behind it.
fn one(rule: &str, keys: &str) -> Result<HttpGrant, PolicyErrors> {
    resolve(&format!("http: [{{ rule: '{rule}', {keys} }}]"))
        .map(|grants| grants.http.iter().next().unwrap().clone())
}

const HTTPS: &str = "GET https://a.example/";

#[test]
fn each_credential_is_understood() {
    let file = |name: &str| SecretSource::File(PathBuf::from(format!("/etc/servo/{name}")));
    for (keys, expected) in [
        ("bearer: { file: t }", Credential::Bearer(file("t"))),
        (
            "bearer: { env: TOKEN_2 }",
            Credential::Bearer(SecretSource::Env("TOKEN_2".to_owned())),
        ),
        (
            "bearer: { command: [/usr/bin/vault, read, x] }",
            Credential::Bearer(SecretSource::Command(
                ["/usr/bin/vault", "read", "x"].map(str::to_owned).to_vec(),
            )),
        ),
        (
            "basic: { user: me, password: { file: p } }",
            Credential::Basic {
                user: "me".to_owned(),
                password: file("p"),
            },
        ),
        (
            "header: { name: X-Api-Key, secret: { file: k } }",
            Credential::Header {
                name: "x-api-key".to_owned(),
                before: String::new(),
                secret: file("k"),
                after: String::new(),
            },
        ),
        (
            "header: { name: authorization, template: 'Token {secret}.', secret: { file: k } }",
            Credential::Header {
                name: "authorization".to_owned(),
                before: "Token ".to_owned(),
                secret: file("k"),
                after: ".".to_owned(),
            },
        ),
        (
            "sigv4: { service: aps, region: eu-central-1, access_key_id: { env: ID }, \
             secret_access_key: { file: s }, session_token: { file: t } }",
            Credential::SigV4 {
                service: "aps".to_owned(),
                region: "eu-central-1".to_owned(),
                access_key_id: SecretSource::Env("ID".to_owned()),
                secret_access_key: file("s"),
                session_token: Some(file("t")),
            },
        ),
        (
            "oauth2: { token_url: '${config.token_url}', client_id: c, client_secret: { file: s }, \
             scopes: [a, b], ca: ca.pem }",
            Credential::OAuth2 {
                token: "POST https://id.example/token".parse().unwrap(),
                private: false,
                ca: Some(PathBuf::from("/etc/servo/ca.pem")),
                client_id: "c".to_owned(),
                client_secret: file("s"),
                scope: "a b".to_owned(),
            },
        ),
    ] {
        let grant = one(HTTPS, keys).unwrap_or_else(|error| panic!("{keys}: {error}"));
        assert_eq!(grant.credential, Some(expected), "{keys}");
        assert_eq!(grant.identity, None);
    }
    let both = "bearer: { file: t }, client_certificate: { certificate: c.pem, key: k.pem }";
    let grant = one(HTTPS, both).unwrap();
    assert!(grant.credential.is_some());
    assert_eq!(
        grant.identity.unwrap().key,
        PathBuf::from("/etc/servo/k.pem")
    );
}

/// Everything that is wrong with one rule, as `key: words`.
fn wrong(rule: &str, keys: &str) -> Vec<(String, String)> {
    let errors = one(rule, keys).expect_err(&format!("{rule} {keys}"));
    errors
        .iter()
        .map(|error| (error.key(), error.to_string()))
        .collect()
}

fn all_refused(cases: &[(&str, &str, &str, &str)]) {
    for (rule, keys, key, word) in cases {
        let said = wrong(rule, keys);
        let [(at, words)] = said.as_slice() else {
            panic!("{rule} {keys}: {said:?}");
        };
        assert_eq!(*at, format!("grants.http[0].{key}"), "{keys}: {words}");
        assert!(words.contains(word), "{keys}: {words} lacks {word:?}");
        assert!(
            words.contains("; ") || words.contains('^'),
            "no remedy: {words}"
        );
    }
}

#[test]
fn j1_credentials_that_make_no_sense_are_refused_by_key() {
    let sigv4 = |with: &str| {
        format!("sigv4: {{ {with}, access_key_id: {{ env: A }}, secret_access_key: {{ env: B }} }}")
    };
    let (service, region) = (
        sigv4("service: S3, region: eu-1"),
        sigv4("service: s3, region: ''"),
    );
    let oauth2 = |with: &str| format!("oauth2: {{ {with}, client_secret: {{ env: A }} }}");
    let star = oauth2("token_url: 'https://a.example/*/t', client_id: c");
    let (query, wild, net, plain, id, scope, spoken) = (
        oauth2("token_url: 'https://a.example/t?x=1', client_id: c"),
        oauth2("token_url: 'https://*.a.example/t', client_id: c"),
        oauth2("token_url: '${config.net}/t', client_id: c"),
        oauth2("token_url: 'http://a.example/t', client_id: c"),
        oauth2("token_url: 'https://a.example/t', client_id: ''"),
        oauth2("token_url: 'https://a.example/t', client_id: c, scopes: [a, 'b c']"),
        oauth2("token_url: 'https://a.example/t', client_id: c, plaintext: true"),
    );
    let header = |with: &str| format!("header: {{ {with}, secret: {{ env: A }} }}");
    let (space, host, proxy, none, twice, unicode, line) = (
        header("name: 'x y'"),
        header("name: Host"),
        header("name: Proxy-Authorization"),
        header("name: x, template: Token"),
        header("name: x, template: '{secret}{secret}'"),
        header("name: x, template: '\u{fc}{secret}'"),
        header("name: x, template: \"{secret}\\r\\nx: y\""),
    );
    all_refused(&[
        (HTTPS, "bearer: {}", "bearer", "exactly one"),
        (
            HTTPS,
            "bearer: { file: a, env: B }",
            "bearer",
            "exactly one",
        ),
        (HTTPS, "bearer: { file: '' }", "bearer", "empty"),
        (HTTPS, "bearer: { env: a-b }", "bearer", "variable"),
        (HTTPS, "bearer: { command: [] }", "bearer", "empty"),
        (
            HTTPS,
            "bearer: { env: A }, basic: { user: a, password: { env: B } }",
            "basic",
            "keep one",
        ),
        (
            HTTPS,
            "basic: { user: 'a:b', password: { env: B } }",
            "basic.user",
            "colon",
        ),
        (HTTPS, &space, "header.name", "not a name"),
        (HTTPS, &host, "header.name", "no header for a secret"),
        (HTTPS, &proxy, "header.name", "no header for a secret"),
        (HTTPS, &none, "header.template", "{secret}"),
        (HTTPS, &twice, "header.template", "once"),
        (HTTPS, &unicode, "header.template", "ASCII"),
        (HTTPS, &line, "header.template", "control"),
        (HTTPS, &service, "sigv4.service", "lower-case"),
        (HTTPS, &region, "sigv4.region", "lower-case"),
        (HTTPS, &query, "oauth2.token_url", "query"),
        (HTTPS, &wild, "oauth2.token_url", "one place"),
        (HTTPS, &star, "oauth2.token_url", "without stars"),
        (HTTPS, &net, "oauth2.token_url", "`{`"),
        (HTTPS, &plain, "oauth2.token_url", "plaintext"),
        (HTTPS, &id, "oauth2.client_id", "empty"),
        (HTTPS, &scope, "oauth2.scopes[1]", "one word"),
        (HTTPS, &spoken, "oauth2.plaintext", "remove"),
    ]);
}

#[test]
fn e8_every_header_that_http_owns_is_refused_for_a_secret() {
    for name in [
        "Host",
        "connection",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "te",
        "trailer",
        "proxy-authorization",
        "proxy-connection",
        "Expect",
        "transfer_encoding",
        "Content_Length",
        "proxy_authorization",
        "x_forwarded_for",
        "accept",
    ] {
        let keys = format!("header: {{ name: {name}, secret: {{ env: A }} }}");
        assert_eq!(wrong(HTTPS, &keys)[0].0, "grants.http[0].header.name");
    }
}

#[test]
fn c3_a_credential_goes_in_the_clear_only_by_a_word_of_the_operator() {
    let (far, loop4, loop6, name) = (
        "GET http://a.example/",
        "GET http://127.0.0.1:9000/",
        "GET http://[::1]:9000/",
        "GET http://localhost/",
    );
    for (rule, keys) in [
        (loop4, "private: true, bearer: { env: A }"),
        (loop6, "private: true, bearer: { env: A }"),
        (loop4, "networks: [127.0.0.0/8], bearer: { env: A }"),
        (far, "plaintext: true, bearer: { env: A }"),
        (name, "plaintext: true, private: true, bearer: { env: A }"),
        (HTTPS, "bearer: { env: A }"),
    ] {
        assert!(one(rule, keys).is_ok(), "{rule} {keys}");
    }
    all_refused(&[
        (far, "bearer: { env: A }", "bearer", "plain http"),
        (
            far,
            "private: true, bearer: { env: A }",
            "bearer",
            "plain http",
        ),
        (
            name,
            "private: true, bearer: { env: A }",
            "bearer",
            "plain http",
        ),
        (loop4, "bearer: { env: A }", "bearer", "plain http"),
        (
            far,
            "basic: { user: a, password: { env: A } }",
            "basic",
            "plaintext: true",
        ),
        (
            HTTPS,
            "plaintext: true, bearer: { env: A }",
            "plaintext",
            "remove",
        ),
        (far, "plaintext: true", "plaintext", "remove"),
        (
            far,
            "client_certificate: { certificate: c, key: k }",
            "client_certificate",
            "https",
        ),
    ]);
}

#[test]
fn e1_a_secret_in_a_granted_folder_is_refused() {
    let folders =
        "folders: [{ name: shown, path: shown }, { name: out, path: out, access: write }]";
    let with = |keys: &str| resolve(&format!("http: [{{ rule: '{HTTPS}', {keys} }}]\n{folders}"));
    for (keys, key) in [
        ("bearer: { file: shown/token }", Some("bearer.file")),
        ("bearer: { file: x/../out/token }", Some("bearer.file")),
        (
            "bearer: { command: [/etc/servo/out/tool] }",
            Some("bearer.command"),
        ),
        ("bearer: { command: [/etc/servo/shown/tool] }", None),
        ("ca: out/ca.pem", Some("ca")),
        ("ca: shown/ca.pem", None),
        (
            "client_certificate: { certificate: shown/c, key: shown/k }",
            Some("client_certificate.key"),
        ),
        ("bearer: { file: shown-not/token }", None),
    ] {
        match (with(keys), key) {
            (Ok(_), None) => {}
            (Err(errors), Some(key)) => {
                assert_eq!(errors.into_first().key(), format!("grants.http[0].{key}"));
            }
            (other, _) => panic!("{keys}: {other:?}"),
        }
    }
}

#[test]
fn limits_of_a_rule_are_understood_and_stay_below_the_budget() {
    let keys = "limits: { rate: 30/m, concurrency: 2, request_bytes: 1KiB, response_bytes: 2MiB, \
                decompressed_bytes: 64MiB, time: 5s }";
    assert_eq!(
        one(HTTPS, keys).unwrap().limits,
        RuleLimits {
            rate: Some("30/m".parse().unwrap()),
            concurrency: Some(2),
            request_bytes: Some(1 << 10),
            response_bytes: Some(2 << 20),
            decompressed_bytes: Some(64 << 20),
            time: Some(Duration::from_secs(5)),
        }
    );
    all_refused(&[
        (
            HTTPS,
            "limits: { concurrency: 0 }",
            "limits.concurrency",
            "at least 1",
        ),
        (
            HTTPS,
            "limits: { concurrency: 17 }",
            "limits.concurrency",
            "raise `grants.limits.concurrent_requests`",
        ),
        (
            HTTPS,
            "limits: { request_bytes: 2MiB }",
            "limits.request_bytes",
            "raise `grants.limits.request_bytes`",
        ),
        (
            HTTPS,
            "limits: { response_bytes: 17MiB }",
            "limits.response_bytes",
            "raise `grants.limits.response_bytes`",
        ),
        (
            HTTPS,
            "limits: { time: 31s }",
            "limits.time",
            "raise `grants.limits.request_time`",
        ),
        (HTTPS, "limits: { time: 0s }", "limits.time", "at least 1ms"),
        (
            HTTPS,
            "limits: { decompressed_bytes: 1B }",
            "limits.decompressed_bytes",
            "1KiB to 64GiB",
        ),
        (
            HTTPS,
            "limits: { rate: 2000000/s }",
            "limits.rate",
            "1000000",
        ),
    ]);
    let raised = "{ rule: 'GET https://a.example/', limits: { time: 60s } }";
    assert!(
        resolve(&format!(
            "http: [{raised}]\nlimits: {{ request_time: 60s }}"
        ))
        .is_ok()
    );
    // What the budget is cannot be said where the budget is wrong.
    let errors = resolve(&format!("http: [{raised}]\nlimits: {{ request_time: 0s }}")).unwrap_err();
    let keys: Vec<String> = errors.iter().map(servo_policy::PolicyError::key).collect();
    assert_eq!(keys, ["grants.limits.request_time"]);
}

#[test]
fn networks_by_name_and_by_address() {
    let grant = one(HTTPS, "networks: [office, 192.168.7.0/24, 10.1.0.0/16]").unwrap();
    let nets: Vec<String> = grant.networks.iter().map(ToString::to_string).collect();
    assert_eq!(nets, ["10.1.0.0/16", "fd00:1::/48", "192.168.7.0/24"]);
    all_refused(&[
        (HTTPS, "networks: []", "networks", "empty"),
        (
            HTTPS,
            "networks: [ofice]",
            "networks[0]",
            "did you mean `office`?",
        ),
        (
            HTTPS,
            "networks: [office, lab]",
            "networks[1]",
            "are office",
        ),
        (HTTPS, "networks: [10.1.2.3]", "networks[0]", "/32"),
        (
            HTTPS,
            "networks: [10.1.2.3/16]",
            "networks[0]",
            "10.1.0.0/16",
        ),
        (HTTPS, "networks: [0.0.0.0/0]", "networks[0]", "wider"),
        (HTTPS, "networks: ['::/0']", "networks[0]", "wider"),
        (HTTPS, "networks: [10.0.0.0/7]", "networks[0]", "wider"),
        (HTTPS, "networks: ['fc00::/7']", "networks[0]", "wider"),
        (HTTPS, "networks: [10.1.0.0/016]", "networks[0]", "prefix"),
        (HTTPS, "networks: [10.1.0.0/33]", "networks[0]", "prefix"),
        (
            HTTPS,
            "networks: ['fd00:1:0::/48']",
            "networks[0]",
            "canonical",
        ),
        (
            HTTPS,
            "networks: ['::ffff:10.0.0.0/104']",
            "networks[0]",
            "written as IPv6",
        ),
        (
            HTTPS,
            "networks: ['2002::/16']",
            "networks[0]",
            "written as IPv6",
        ),
        (HTTPS, "networks: [224.0.0.0/8]", "networks[0]", "multicast"),
        (
            HTTPS,
            "networks: [169.254.169.254/32]",
            "networks[0]",
            "metadata",
        ),
        (
            HTTPS,
            "private: true, networks: [office]",
            "networks",
            "keep one",
        ),
    ]);
    let bare = "http: [{ rule: 'GET https://a.example/', networks: [office] }]";
    let spec: GrantsSpec = serde_saphyr::from_str(bare).unwrap();
    let error = spec.resolve(&json!({}), Path::new("/")).unwrap_err();
    assert!(
        error.to_string().contains("no network has a name yet"),
        "{error}"
    );
}

#[test]
fn j1_names_of_networks_are_checked_where_they_are_defined() {
    for (name, items, key, word) in [
        (
            "Office",
            vec!["10.1.0.0/16"],
            "networks.Office",
            "not a name",
        ),
        ("office", vec![], "networks.office", "empty"),
        (
            "office",
            vec!["10.1.0.0/16", "10.1.0.1/16"],
            "networks.office[1]",
            "10.1.0.0/16",
        ),
        (
            "office",
            vec!["10.1.0.0/16", "10.1.0.0/16"],
            "networks.office[1]",
            "twice",
        ),
        ("office", vec!["lab"], "networks.office[0]", "neither"),
    ] {
        let items = items.into_iter().map(str::to_owned).collect();
        let spec = BTreeMap::from([(name.to_owned(), items)]);
        let error = Networks::parse(&spec).unwrap_err().into_first();
        assert_eq!(error.key(), key);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn c9_a_network_opens_what_is_in_it_and_nothing_else() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let grant = one(
        HTTPS,
        "networks: [office, 169.254.0.0/16, 127.0.0.0/8, 8.8.0.0/16]",
    )
    .unwrap();
    for inside in [
        "10.1.0.1",
        "10.1.255.255",
        "fd00:1::5",
        "::ffff:10.1.2.3",
        "64:ff9b::a01:203",
        "2002:a01:203::1",
        "169.254.1.1",
        "127.0.0.1",
        "1.1.1.1",
        // It carries a public address that a network names.
        "64:ff9b::808:808",
    ] {
        assert_eq!(grant.admits(ip(inside)), Ok(()), "{inside}");
    }
    for (outside, class) in [
        ("10.2.0.1", AddressClass::Private),
        ("::ffff:10.2.0.1", AddressClass::Private),
        ("192.168.1.1", AddressClass::Private),
        ("fd00:2::1", AddressClass::UniqueLocal),
        ("::1", AddressClass::Loopback),
        ("169.254.169.254", AddressClass::Metadata),
        ("::ffff:169.254.169.254", AddressClass::Metadata),
        ("fd00:ec2::254", AddressClass::Metadata),
        ("64:ff9b::101:101", AddressClass::Translated),
        ("0.0.0.0", AddressClass::Unspecified),
        ("224.0.0.1", AddressClass::Multicast),
    ] {
        assert_eq!(grant.admits(ip(outside)), Err(class), "{outside}");
    }
    // Not even a rule about the very address: that takes `private: true`.
    let literal = one("GET http://169.254.169.254/", "networks: [169.254.0.0/16]").unwrap();
    assert!(literal.admits(ip("169.254.169.254")).is_err());
    let literal = one("GET http://169.254.169.254/", "private: true").unwrap();
    assert!(literal.admits(ip("169.254.169.254")).is_ok());
    let network = one("GET http://{169.254.0.0/16}/", "private: true").unwrap();
    assert!(network.admits(ip("169.254.169.254")).is_err());
    assert!(network.admits(ip("169.254.1.1")).is_ok());
}

#[test]
fn plain_words_say_kind_and_source_and_no_more() {
    for (rule, keys, said) in [
        (
            HTTPS,
            "bearer: { file: t }, limits: { rate: 5/s, concurrency: 2, time: 3s }",
            "send GET to https://a.example, every path (public addresses only; the host adds a \
             bearer token from the file /etc/servo/t; at most 5/s requests, 2 at once, 3s each)",
        ),
        (
            "GET http://{10.1.0.0/16}:8080/metrics",
            "networks: [office], plaintext: true, header: { name: X-Key, secret: { env: KEY } }",
            "send GET to http://{10.1.0.0/16}:8080 (any address in 10.1.0.0/16, no name), path \
             /metrics (public addresses, and those in 10.1.0.0/16, fd00:1::/48; the host \
             adds the header `x-key` with a secret from servo's variable KEY, which anyone on the \
             way can read)",
        ),
        (
            HTTPS,
            "client_certificate: { certificate: c, key: k }, \
             basic: { user: me, password: { command: [/bin/pass, hush] } }",
            "send GET to https://a.example, every path (public addresses only; as the holder of the \
             certificate /etc/servo/c; the host adds the user `me` with a password from the output \
             of /bin/pass)",
        ),
        (
            HTTPS,
            "oauth2: { token_url: 'https://id.example/t', client_id: c, scopes: [read], \
             client_secret: { env: S } }",
            "send GET to https://a.example, every path (public addresses only; the host adds a token \
             for read that it gets from https://id.example/t as the client `c` with a secret from \
             servo's variable S)",
        ),
    ] {
        assert_eq!(one(rule, keys).unwrap().explain(), said);
    }
}

#[test]
fn c15_a_rule_names_headers_in_any_spelling_and_never_those_of_the_connection() {
    let grant = one(HTTPS, "headers: [X-Scope_OrgID, cookie, x-forwarded-for]").unwrap();
    for (name, may) in [
        ("x-scope-orgid", true),
        ("X_SCOPE_ORGID", true),
        ("cookie", true),
        ("X_Forwarded_For", true),
        ("accept", true),
        ("Content_Type", true),
        ("x-forwarded-host", false),
        ("x-real-ip", false),
        ("authorization", false),
        ("transfer-encoding", false),
        ("content_length", false),
    ] {
        assert_eq!(grant.admits_header(name), may, "{name}");
    }
    all_refused(&[
        (HTTPS, "headers: [Accept]", "headers[0]", "any driver"),
        (
            HTTPS,
            "headers: [Transfer_Encoding]",
            "headers[0]",
            "cannot be allowed",
        ),
        (HTTPS, "headers: [host]", "headers[0]", "cannot be allowed"),
        (HTTPS, "headers: [te]", "headers[0]", "cannot be allowed"),
        (
            HTTPS,
            "headers: [content_length]",
            "headers[0]",
            "cannot be allowed",
        ),
        (HTTPS, "headers: ['a b']", "headers[0]", "not a name"),
        (HTTPS, "headers: [x-a, X_A]", "headers[1]", "twice"),
        (
            HTTPS,
            "headers: [authorization], bearer: { env: A }",
            "headers[0]",
            "host's to set",
        ),
        (
            HTTPS,
            "headers: [Cookie], bearer: { env: A }",
            "headers[0]",
            "host's to set",
        ),
        (
            HTTPS,
            "headers: [x_secret], header: { name: X-Secret, secret: { env: A } }",
            "headers[0]",
            "host's to set",
        ),
        (
            HTTPS,
            "headers: [x-amz-date], sigv4: { service: es, region: eu-1, access_key_id: { env: A }, \
             secret_access_key: { env: B } }",
            "headers[0]",
            "host's to set",
        ),
    ]);
    let target = "headers: [x-amz-target], sigv4: { service: es, region: eu-1, \
                  access_key_id: { env: A }, secret_access_key: { env: B } }";
    assert!(one(HTTPS, target).is_ok());
}

#[test]
fn reads_is_said_of_posts_alone() {
    use servo_policy::Method;
    let query = one("GET,POST https://a.example/query", "reads: true").unwrap();
    let plain = one("GET,POST https://a.example/query", "private: true").unwrap();
    for method in [Method::Get, Method::Head, Method::Options] {
        assert!(query.is_read(method) && plain.is_read(method));
    }
    assert!(query.is_read(Method::Post) && !plain.is_read(Method::Post));
    for method in [Method::Put, Method::Patch, Method::Delete] {
        assert!(!plain.is_read(method));
    }
    all_refused(&[
        (HTTPS, "reads: true", "reads", "remove `reads`"),
        (
            "POST,PUT https://a.example/",
            "reads: true",
            "reads",
            "PUT changes things",
        ),
        (
            "DELETE https://a.example/",
            "reads: true",
            "reads",
            "DELETE changes things",
        ),
    ]);
}

#[test]
fn what_is_asked_beside_a_rule_and_not_granted_is_named_by_key() {
    use servo_policy::{Asked, CredentialKind, HeaderName};
    let asked = Asked {
        rule: "GET,POST https://a.example/v1/".parse().unwrap(),
        credential: Some(CredentialKind::Bearer),
        headers: vec![HeaderName::parse("x-scope-orgid").unwrap()],
        reads: true,
    };
    let lacks = |yaml: &str| {
        let grants = resolve(yaml).unwrap();
        let line = asked.lacking(&grants.http).map(|line| line.to_string());
        let keys = asked.lacks(&grants.http);
        let keys: Vec<String> = keys.iter().map(|(grant, lack)| lack.key(grant)).collect();
        (line, keys)
    };
    let whole = "- { rule: \"GET,POST https://a.example/v1/\", headers: [x-scope-orgid], \
                 reads: true, bearer: { file: ./token } }";
    assert_eq!(lacks("{}"), (Some(whole.to_owned()), vec![]));
    // The line is one.
    let granted = format!("http: [{}]", whole.trim_start_matches("- "));
    assert_eq!(lacks(&granted), (None, vec![]));
    let partly = "http: [{ rule: 'POST https://a.example/v1/', headers: [x-a] }]";
    assert_eq!(
        lacks(partly),
        (
            Some(
                "- { rule: \"GET https://a.example/v1/\", headers: [x-scope-orgid], \
                 bearer: { file: ./token } }"
                    .to_owned()
            ),
            vec![
                "headers: [x-a, x-scope-orgid]".to_owned(),
                "bearer: { file: ./token }".to_owned(),
                "reads: true".to_owned(),
            ]
        )
    );
    // A credential of another kind is one; what the host sets is not asked for.
    let other = "http: [{ rule: 'GET,POST https://a.example/v1/', reads: true, \
                 header: { name: x-scope-orgid, secret: { env: A } } }]";
    assert_eq!(lacks(other), (None, vec![]));
}
