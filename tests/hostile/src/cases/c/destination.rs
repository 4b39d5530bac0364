//! C, where a request goes: host, port and scheme, and spellings that hide them.

use serde_json::json;

use super::{nobody_hears_of, raw, request, rule, to, with};
use crate::expect::{Told, assert_text, assert_told};
use crate::host::HostUnderTest;
use crate::server::{Server, ok};
use crate::stage::Stage;

/// Hosts that are on no list, one of them a message in itself.
pub async fn c1_a_host_that_is_not_granted_sees_nothing<H: HostUnderTest>() {
    let (granted, other) = (Server::ok().await, Server::ok().await);
    let grants = json!({ "http": granted.grant() });
    let requests = [
        to(&other),
        request(&format!("localhost:{}", other.port()), "/"),
        request("secret.attacker.example", "/"),
    ];
    nobody_hears_of::<H>(&grants, &other, "not-granted", &requests).await;
    assert_eq!(granted.opened(), 0);
}

/// What the operator is told is the line to add.
pub async fn c1_the_denial_says_what_would_allow_it<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let http =
        json!({ "do": "http", "url": "http://api.example/v1/x?key=1", "count": 1, "at_once": 1 });
    let step = stage.run(http, rule("GET http://other.example/")).await;
    assert!(step.denial().contains("grants.http"), "{}", step.denial());
    assert_text("c1", step.denial());
}

/// The same server as a positive test: a denial of everything would pass all
/// the others.
pub async fn c1_what_is_granted_is_reached<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let server = Server::answering(ok("hello")).await;
    let grants = json!({ "http": server.grant() });
    let step = stage.run(raw(&[to(&server), to(&server)]), grants).await;
    for note in ["0", "1"] {
        assert!(step.note(note).ends_with("hello"), "{}", step.note(note));
    }
    assert_eq!((step.used.requests, server.requests().len()), (2, 2));
    assert!(server.opened() > 0);
    let allowed = stage.records.all();
    let http: Vec<_> = allowed
        .iter()
        .filter(|record| record.capability == "http" && record.verdict == "allowed")
        .collect();
    assert_eq!(http.len(), 2, "{allowed:?}");
    assert!(http.iter().all(|record| record.rule == Some(0)));
}

/// Another port, and none where the rule names one.
pub async fn c2_another_port_is_another_server<H: HostUnderTest>() {
    let server = Server::ok().await;
    let grants = rule("GET http://a.test:8080/");
    let requests = [
        request(&format!("a.test:{}", server.port()), "/"),
        request("a.test:8443", "/"),
        request("a.test", "/"),
        request("a.test:80", "/"),
        request("a.test:", "/"),
        request("a.test:08080", "/"),
        request("a.test:+8080", "/"),
    ];
    let granted = &requests[..4];
    nobody_hears_of::<H>(&grants, &server, "not-granted", granted).await;
    for odd in &requests[4..] {
        let stage = Stage::<H>::new();
        let step = stage
            .run(raw(std::slice::from_ref(odd)), grants.clone())
            .await;
        assert!(!step.note("0").starts_with("status"), "{odd}");
        assert_eq!(stage.names.asked(), Vec::<String>::new(), "{odd}");
    }
}

/// The default port said and not said is one port.
pub async fn c2_the_default_port_may_be_said<H: HostUnderTest>() {
    // Nothing can listen on port 80 here: what is asked of the resolver is
    // enough, and the address behind the name is one that nobody may reach.
    for authority in ["a.test", "a.test:80"] {
        let stage = Stage::<H>::new();
        stage.names.answer("a.test", &[&["240.0.0.1"]]);
        let step = stage
            .run(raw(&[request(authority, "/")]), rule("GET http://a.test/"))
            .await;
        assert_told(step.note("0"), Told::Address);
        assert_eq!(stage.names.asked(), ["a.test"]);
    }
}

/// Another scheme, one that nobody knows, and none.
pub async fn c3_another_scheme_is_refused<H: HostUnderTest>() {
    let server = Server::ok().await;
    let address = server.address.to_string();
    let secure = rule(&format!("GET https://{address}/"));
    let requests = ["http", "HTTP", "ftp", "ws", "file", "unix"]
        .map(|scheme| with(&request(&address, "/"), "scheme", json!(scheme)));
    nobody_hears_of::<H>(&secure, &server, "not-granted", &requests[..1]).await;
    for odd in &requests[1..] {
        let stage = Stage::<H>::new();
        let step = stage
            .run(raw(std::slice::from_ref(odd)), secure.clone())
            .await;
        assert!(!step.note("0").starts_with("status"), "{odd}");
    }
    let none = json!({ "authority": address, "path": "/" });
    let stage = Stage::<H>::new();
    let step = stage.run(raw(&[none]), secure).await;
    assert!(!step.note("0").starts_with("status"));
    assert_eq!(server.opened(), 0);
}

/// User info, fragments and backslashes in front of another host.
pub async fn c6_user_info_and_other_tricks<H: HostUnderTest>() {
    let (server, evil) = (Server::ok().await, Server::ok().await);
    let grants = rule(&format!("GET http://a.test:{}/", server.port()));
    let (port, evil_port) = (server.port(), evil.port());
    for authority in [
        format!("a.test:{port}@127.0.0.1:{evil_port}"),
        format!("user@a.test:{port}"),
        format!("user:password@a.test:{port}"),
        format!("127.0.0.1:{evil_port}#@a.test:{port}"),
        format!("127.0.0.1:{evil_port}\\@a.test:{port}"),
        format!("127.0.0.1:{evil_port}/@a.test:{port}"),
        format!("127.0.0.1:{evil_port}?@a.test:{port}"),
        format!("a.test%00.evil:{port}"),
        format!("a.test.:{evil_port}"),
        String::new(),
    ] {
        let stage = Stage::<H>::new();
        let step = stage
            .run(raw(&[request(&authority, "/")]), grants.clone())
            .await;
        let told = step.note("0");
        assert!(!told.starts_with("status"), "{authority}: {told}");
        assert_eq!(stage.names.asked(), Vec::<String>::new(), "{authority}");
    }
    assert_eq!((server.opened(), evil.opened()), (0, 0));
}

/// A star is one label.
pub async fn c7_a_wildcard_is_one_label<H: HostUnderTest>() {
    let server = Server::ok().await;
    let grants = rule(&format!("GET http://*.example.com:{}/", server.port()));
    let ask = |host: &str| request(&format!("{host}:{}", server.port()), "/");
    let others = [
        "evilexample.com",
        "example.com",
        "a.b.example.com",
        "example.com.evil.io",
        "a.example.com.evil.io",
    ]
    .map(ask);
    nobody_hears_of::<H>(&grants, &server, "not-granted", &others).await;
    for odd in [".example.com", "*.example.com", "a..example.com"] {
        let stage = Stage::<H>::new();
        let step = stage.run(raw(&[ask(odd)]), grants.clone()).await;
        assert!(!step.note("0").starts_with("status"), "{odd}");
        assert_eq!(stage.names.asked(), Vec::<String>::new(), "{odd}");
    }
    let stage = Stage::<H>::new();
    let step = stage.run(raw(&[ask("a.example.com")]), grants).await;
    assert!(step.note("0").starts_with("status 200"), "{:?}", step.end);
    assert_eq!(stage.names.asked(), ["a.example.com"]);
}
