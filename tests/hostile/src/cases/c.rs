//! C: the way out. Each case is a guest with a real request, a listener that
//! counts connections, and a resolver that counts questions.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::expect::{assert_denied, assert_text, beside_a_canary};
use crate::host::HostUnderTest;
use crate::server::{OK, Server, answer_all, ok};
use crate::stage::Stage;
use crate::tls::{Authority, Handshake, TlsServer, self_signed};

/// A request over http, part by part.
fn request(authority: &str, path: &str) -> Value {
    json!({ "scheme": "http", "authority": authority, "path": path })
}

fn to(server: &Server) -> Value {
    request(&server.address.to_string(), "/")
}

fn raw(requests: &[Value]) -> Value {
    json!({ "do": "raw", "requests": requests })
}

/// Grants with one rule.
fn rule(rule: &str) -> Value {
    json!({ "http": [{ "rule": rule, "private": true }] })
}

/// The same with its part of a request changed.
fn with(request: &Value, key: &str, value: Value) -> Value {
    let mut request = request.clone();
    request[key] = value;
    request
}

/// Runs the requests one by one, each in a host of its own: each is answered
/// with a code of a refusal, recorded with `reason`, and nobody hears of it.
async fn nobody_hears_of<H: HostUnderTest>(
    grants: &Value,
    server: &Server,
    reason: &str,
    requests: &[Value],
) {
    for request in requests {
        let stage = Stage::<H>::new();
        let step = stage
            .run(raw(std::slice::from_ref(request)), grants.clone())
            .await;
        let told = step.note("0");
        assert!(told.contains("HttpRequestDenied"), "{request}: {told}");
        assert_eq!(stage.names.asked(), Vec::<String>::new(), "{request}");
        assert_eq!(server.opened(), 0, "{request}");
        assert_eq!(step.used.denied, 1, "{request}");
        assert_denied(&stage, "http", reason, 1);
    }
}

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
        assert!(step.note("0").contains("DestinationIpProhibited"));
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

/// Methods that the rule does not list, in other letters, and invented ones.
pub async fn c4_methods_that_are_not_listed<H: HostUnderTest>() {
    let server = Server::ok().await;
    let grants = rule(&format!("GET {}", server.url()));
    for method in [
        "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "Get", "FETCH",
    ] {
        let stage = Stage::<H>::new();
        let odd = with(&to(&server), "method", json!(method));
        let step = stage.run(raw(&[odd]), grants.clone()).await;
        let told = step.note("0");
        assert!(!told.starts_with("status"), "{method}: {told}");
        assert_eq!(server.opened(), 0, "{method}");
        let records = stage.records.refusals();
        assert_eq!(
            records.len(),
            usize::from(!told.starts_with("refused")),
            "{method}"
        );
    }
}

/// Paths beside the prefix, and spellings of it that two readers could read in
/// two ways.
pub async fn c5_paths_outside_the_prefix<H: HostUnderTest>() {
    let server = Server::ok().await;
    let address = server.address.to_string();
    let grants = rule(&format!("GET http://{address}/v1/"));
    for path in [
        "/v1evil",
        "/v1",
        "/",
        "/v2/",
        "/V1/",
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/%2E./admin",
        "/v1/%2Fadmin",
        "/v1/%2fadmin",
        "/v1/..%2fadmin",
        "//v1/",
        "/v1//x",
        "/v1/%5c..%5cadmin",
        "/v1/..;/admin",
        "/v1/;params/../../admin",
        "/v1/.",
        "/v1/..",
        "/v1/%00",
        "/v1/%zz",
        "/%76%31%2fx",
        "http://evil.example/v1/",
        "v1/",
        "*",
        "",
    ] {
        let stage = Stage::<H>::new();
        let step = stage
            .run(raw(&[request(&address, path)]), grants.clone())
            .await;
        let told = step.note("0");
        assert!(!told.starts_with("status"), "{path}: {told}");
        assert_eq!(server.opened(), 0, "{path}");
        assert_eq!(stage.names.asked(), Vec::<String>::new(), "{path}");
    }
    // A path of a hundred kilobytes.
    let long = request(&address, &format!("/v1/{}", "a".repeat(100_000)));
    let stage = Stage::<H>::new();
    let step = stage.run(raw(&[long]), grants.clone()).await;
    assert!(!step.note("0").starts_with("status"), "{:?}", step.end);
    assert_eq!(server.opened(), 0);
    // What was matched is what is sent.
    let stage = Stage::<H>::new();
    let requests = ["/v1/", "/v1/a/b?c=../d", "/v1/%41"].map(|path| request(&address, path));
    let step = stage.run(raw(&requests), grants).await;
    assert_eq!(step.used.requests, 3, "{:?}", step.end);
    let sent = server.requests();
    for (sent, path) in sent.iter().zip(["/v1/ ", "/v1/a/b?c=../d ", "/v1/"]) {
        assert!(sent.starts_with(&format!("GET {path}")), "{sent}");
    }
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

/// This machine in spellings that a careless parser takes for an address.
pub async fn c8_addresses_in_disguise<H: HostUnderTest>() {
    let server = Server::on("0.0.0.0:0", |stream, heard| async move {
        answer_all(stream, &heard, |_| OK.into()).await
    })
    .await;
    let grants = rule(&format!("GET http://api.example:{}/", server.port()));
    for host in [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[fe80::1%25lo]",
        "[fe80::1%lo]",
        "localhost",
        "①②⑦.0.0.1",
    ] {
        let stage = Stage::<H>::new();
        let ask = request(&format!("{host}:{}", server.port()), "/");
        let step = stage.run(raw(&[ask]), grants.clone()).await;
        let told = step.note("0");
        assert!(!told.starts_with("status"), "{host}: {told}");
        assert_eq!(stage.names.asked(), Vec::<String>::new(), "{host}");
    }
    assert_eq!(server.opened(), 0);
}

/// A name that is allowed and leads inside, one address of each range.
pub async fn c9_names_that_lead_inside<H: HostUnderTest>() {
    let server = Server::on("0.0.0.0:0", |stream, heard| async move {
        answer_all(stream, &heard, |_| OK.into()).await
    })
    .await;
    let stage = Stage::<H>::new();
    let driver = stage.driver().await;
    let line = format!("GET http://a.test:{}/", server.port());
    let ask = raw(&[request(&format!("a.test:{}", server.port()), "/")]);
    let mut asked = 0;
    for (private, addresses) in [
        (
            false,
            &[
                "127.0.0.1",
                "127.8.8.8",
                "::1",
                "::ffff:127.0.0.1",
                "64:ff9b::7f00:1",
                "2002:7f00:1::1",
                "10.1.2.3",
                "172.16.0.1",
                "192.168.1.1",
                "169.254.1.1",
                "fe80::1",
                "fd12::1",
                "fec0::1",
                "100.64.0.1",
                "198.18.0.1",
                "64:ff9b::808:808",
            ][..],
        ),
        // These stay shut for a rule that says `private` too.
        (
            true,
            &[
                "169.254.169.254",
                "fd00:ec2::254",
                "::ffff:169.254.169.254",
                "0.0.0.0",
                "::",
                "224.0.0.1",
                "ff02::1",
                "255.255.255.255",
                "240.0.0.1",
                "192.0.0.1",
                "192.0.2.1",
            ],
        ),
    ] {
        for address in addresses {
            asked += 1;
            stage.names.answer("a.test", &[&[address]]);
            let grants = json!({ "http": [{ "rule": line, "private": private }] });
            let config = json!({ "behaviour": ask });
            let step = stage.bind(&driver, config, grants).measure().await;
            let told = step.note("0");
            assert!(
                told.contains("DestinationIpProhibited"),
                "{address}: {told}"
            );
            assert_eq!(stage.names.asked().len(), asked, "{address}");
            assert_denied(&stage, "http", "address", asked);
            assert_eq!(server.opened(), 0, "{address}");
        }
    }
}

/// The name answers with something good first, and something else after.
pub async fn c10_the_vetted_address_is_the_one_dialled<H: HostUnderTest>() {
    let first = Server::ok().await;
    let second = Server::on(
        &format!("127.0.0.2:{}", first.port()),
        |stream, heard| async move { answer_all(stream, &heard, |_| OK.into()).await },
    )
    .await;
    let stage = Stage::<H>::new();
    let host = format!("a.test:{}", first.port());
    stage
        .names
        .answer("a.test", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let grants = rule(&format!("GET http://{host}/"));
    let requests: Vec<_> = (0..3).map(|_| request(&host, "/")).collect();
    let step = stage.run(raw(&requests), grants.clone()).await;
    assert_eq!(step.used.requests, 3);
    // One lookup, one connection: the second answer was never asked for.
    assert_eq!(stage.names.asked().len(), 1);
    assert_eq!((first.opened(), second.opened()), (1, 0));

    // With a connection each there is a lookup each, and each is vetted.
    let stage = Stage::<H>::new();
    stage
        .names
        .answer("a.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let fresh = with(
        &request(&host, "/"),
        "headers",
        json!([["connection", "close"]]),
    );
    let step = stage.run(raw(&[fresh.clone(), fresh]), grants).await;
    assert!(step.note("0").starts_with("status 200"));
    assert!(step.note("1").contains("DestinationIpProhibited"));
    assert_eq!((first.opened(), second.opened()), (2, 0));
    assert_denied(&stage, "http", "address", 1);
}

/// Redirects are handed back, and a guest that goes there passes the gate.
pub async fn c11_a_redirect_is_followed_through_the_gate_only<H: HostUnderTest>() {
    let other = Server::ok().await;
    for status in [301, 302, 303, 307, 308] {
        for location in [
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            format!("http://{}/", other.address),
            "file:///etc/passwd".to_owned(),
        ] {
            let server = Server::answering(format!(
                "HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
            ))
            .await;
            let stage = Stage::<H>::new();
            let follow = json!({ "do": "follow", "request": to(&server), "hops": 3 });
            let step = stage.run(follow, json!({ "http": server.grant() })).await;
            assert_eq!(step.note("0"), format!("status {status}"));
            assert!(!step.note("1").starts_with("status"), "{:?}", step.end);
            assert_eq!(server.opened(), 1);
            assert_eq!(stage.names.asked(), Vec::<String>::new());
        }
    }
    assert_eq!(other.opened(), 0);
}

/// Characters that end a line, or a string.
pub async fn c12_control_characters_are_refused<H: HostUnderTest>() {
    let server = Server::ok().await;
    let address = server.address.to_string();
    let plain = request(&address, "/");
    let mut requests = vec![];
    for control in ["\r\n", "\r", "\n", "\0", "\r\nhost: evil\r\n\r\n", "\x7f"] {
        requests.extend([
            with(&plain, "headers", json!([["x-a", format!("a{control}b")]])),
            with(&plain, "headers", json!([[format!("x-a{control}b"), "v"]])),
            with(&plain, "path", json!(format!("/a{control}b"))),
            with(&plain, "path", json!(format!("/a?b{control}c"))),
            with(&plain, "method", json!(format!("GET{control}X"))),
            with(&plain, "authority", json!(format!("{address}{control}"))),
            with(&plain, "scheme", json!(format!("http{control}"))),
        ]);
    }
    let stage = Stage::<H>::new();
    let step = stage
        .run(raw(&requests), json!({ "http": server.grant() }))
        .await;
    for (index, request) in requests.iter().enumerate() {
        let told = step.note(&index.to_string());
        assert!(!told.starts_with("status"), "{request}: {told}");
    }
    assert_eq!((server.opened(), step.used.requests), (0, 0));
}

/// Two lengths, a length and pieces, a length that is not the body's.
pub async fn c13_lengths_that_lie<H: HostUnderTest>() {
    let server = Server::ok().await;
    let plain = with(&to(&server), "method", json!("POST"));
    let post = |fields: Value| with(&with(&plain, "headers", fields), "body", json!("hello"));
    let requests = [
        post(json!([["content-length", "5"], ["content-length", "6"]])),
        post(json!([["content-length", "5"], ["content-length", "5"]])),
        post(json!([["content-length", "-5"]])),
        post(json!([["content-length", "+5"]])),
        post(json!([["content-length", "5, 5"]])),
        post(json!([["content-length", "0x5"]])),
        post(json!([["content-length", "99999999999999999999"]])),
        post(json!([
            ["content-length", "5"],
            ["transfer-encoding", "chunked"]
        ])),
        post(json!([["transfer-encoding", "chunked"]])),
        post(json!([["transfer-encoding", "identity"]])),
    ];
    let stage = Stage::<H>::new();
    let grants = json!({ "http": server.grant() });
    let step = stage.run(raw(&requests), grants.clone()).await;
    for (index, request) in requests.iter().enumerate() {
        let told = step.note(&index.to_string());
        assert!(!told.starts_with("status"), "{request}: {told}");
    }
    assert_eq!(server.requests(), Vec::<String>::new());
    // A body of another length than was said: whatever has been sent of it, no
    // second request can hide behind it, since the connection is closed.
    for length in ["4", "6"] {
        let stage = Stage::<H>::new();
        let lies = post(json!([["content-length", length]]));
        let step = stage.run(raw(&[lies]), grants.clone()).await;
        assert!(
            !step.note("0").starts_with("status"),
            "{length}: {:?}",
            step.end
        );
        let opened = server.opened();
        server.until(|(_, closed)| *closed == opened).await;
        assert_eq!(server.requests(), Vec::<String>::new());
    }
    // Nothing was said and something written: nothing of it is sent.
    let stage = Stage::<H>::new();
    let lies = post(json!([["content-length", "0"]]));
    stage.run(raw(&[lies.clone(), lies]), grants).await;
    for sent in server.requests() {
        assert!(sent.ends_with("\r\n\r\n"), "{sent}");
    }
}

/// The suite runs this in a process whose environment names a proxy.
pub async fn c14_a_plain_get_reaches_its_server<H: HostUnderTest>() {
    let server = Server::answering(ok("direct")).await;
    let stage = Stage::<H>::new();
    let host = format!("a.test:{}", server.port());
    let grants = rule(&format!("GET http://{host}/"));
    let step = stage.run(raw(&[request(&host, "/")]), grants).await;
    assert!(step.note("0").ends_with("direct"), "{:?}", step.end);
    assert_eq!((server.opened(), stage.names.asked().len()), (1, 1));
}

/// Ways to make the connection something else than HTTP.
pub async fn c15_upgrades_and_tunnels_are_refused<H: HostUnderTest>() {
    let server = Server::ok().await;
    let plain = to(&server);
    let fields = |fields: Value| with(&plain, "headers", fields);
    let requests = [
        fields(json!([["connection", "upgrade"], ["upgrade", "websocket"]])),
        fields(json!([
            ["upgrade", "h2c"],
            ["connection", "upgrade, http2-settings"]
        ])),
        fields(json!([["http2-settings", "AAMAAABkAAQAAP__"]])),
        fields(json!([["connection", "x-secret"]])),
        fields(json!([["proxy-connection", "keep-alive"]])),
        fields(json!([["proxy-authorization", "Basic eDp5"]])),
        fields(json!([["x-forwarded-for", "127.0.0.1"]])),
        fields(json!([["forwarded", "for=127.0.0.1"]])),
        with(&plain, "method", json!("CONNECT")),
        with(
            &with(&plain, "method", json!("CONNECT")),
            "path",
            json!(null),
        ),
    ];
    let stage = Stage::<H>::new();
    let step = stage
        .run(raw(&requests), json!({ "http": server.grant() }))
        .await;
    for (index, request) in requests.iter().enumerate() {
        let told = step.note(&index.to_string());
        assert!(!told.starts_with("status"), "{request}: {told}");
    }
    assert_eq!(server.opened(), 0);
}

/// A server that switches by itself.
pub async fn c15_an_unasked_switch_of_protocols_is_an_error<H: HostUnderTest>() {
    let server =
        Server::answering("HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
            .await;
    let stage = Stage::<H>::new();
    let step = stage
        .run(raw(&[to(&server)]), json!({ "http": server.grant() }))
        .await;
    assert!(!step.note("0").starts_with("status"), "{:?}", step.end);
    server.until(|(opened, closed)| opened == closed).await;
}

/// A body of ten gigabytes.
pub async fn c16_an_endless_answer_is_capped<H: HostUnderTest>() {
    const CAP: u64 = 1 << 20;
    let server = Server::serving(|mut stream, heard| async move {
        heard.request(&mut stream, &mut Vec::new()).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
            .await?;
        loop {
            stream.write_all(&[b'x'; 65_536]).await?;
        }
    })
    .await;
    let stage = Stage::<H>::new();
    let grants = json!({
        "http": server.grant(),
        "limits": { "response_bytes": "1MiB", "cpu": "60s" },
    });
    let drain = json!({ "do": "drain", "request": to(&server) });
    let step = stage.run(drain, grants).await;
    let bytes: u64 = step.note("bytes").parse().unwrap();
    assert!(bytes <= CAP && bytes > CAP / 2, "{bytes}");
    assert!(step.note("end").contains("Err"), "{}", step.note("end"));
    assert!(stage.host.limit_hits("response_bytes") > 0);
    let records = stage.records.refusals();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(
        (&*records[0].verdict, &*records[0].reason),
        ("capped", "limit")
    );
    // What was read and not handed on is one piece.
    assert!(
        step.used.bytes_in <= CAP + (512 << 10),
        "{}",
        step.used.bytes_in
    );
    server.until(|(_, closed)| *closed == 1).await;
}

/// A gigabyte of zeroes in a megabyte, where the rule has it undone.
pub async fn c16_a_compressed_bomb_is_capped_by_what_comes_out<H: HostUnderTest>() {
    let server = Server::answering(bomb()).await;
    let stage = Stage::<H>::new();
    let mut grants = server.grant();
    grants[0]["limits"] = json!({ "decompressed_bytes": "1MiB" });
    let limits = json!({ "cpu": "60s" });
    let drain = json!({ "do": "drain", "request": to(&server) });
    let step = stage
        .run(drain.clone(), json!({ "http": grants, "limits": limits }))
        .await;
    let bytes: u64 = step.note("bytes").parse().unwrap();
    assert!(bytes <= 1 << 20, "{bytes}");
    assert!(step.note("end").starts_with("Err"), "{}", step.note("end"));
    assert!(stage.host.limit_hits("decompressed_bytes") > 0);
    let records = stage.records.refusals();
    assert_eq!(
        (&*records[0].verdict, &*records[0].reason),
        ("capped", "limit")
    );
    // Without that it is handed over as it came.
    let stage = Stage::<H>::new();
    let plain = json!({ "http": server.grant(), "limits": limits });
    let step = stage.run(drain, plain).await;
    let bytes: u64 = step.note("bytes").parse().unwrap();
    assert_eq!(bytes, step.used.bytes_in);
    assert!(bytes < 4 << 20, "{bytes}");
}

/// An answer of 256 MiB of zeroes, compressed.
fn bomb() -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    for _ in 0..256 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    let body = encoder.finish().unwrap();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    answer
}

/// Three ways to be slow, under the deadline of the call.
pub async fn c17_a_slow_server_ends_with_the_call<H: HostUnderTest>() {
    let slow: [(&str, &[u8]); 3] = [
        ("no head", b""),
        ("a head that never ends", b"HTTP/1.1 200 OK\r\nx-"),
        (
            "a body that never ends",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n",
        ),
    ];
    for (what, begin) in slow {
        let server = Server::serving(move |mut stream, heard| async move {
            heard.request(&mut stream, &mut Vec::new()).await?;
            stream.write_all(begin).await?;
            // A byte now and then, until the client is gone.
            loop {
                let mut byte = [0];
                let pause = tokio::time::sleep(std::time::Duration::from_millis(20));
                tokio::select! {
                    _ = stream.read(&mut byte) => return Ok(()),
                    () = pause, if !begin.is_empty() => stream.write_all(b"a").await?,
                }
            }
        })
        .await;
        let stage = Stage::<H>::new();
        let limits = json!({
            "step_wall": "400ms", "request_time": "1h", "connect_time": "120s", "idle_time": "1h",
        });
        let grants = json!({ "http": server.grant(), "limits": limits });
        let drain = json!({ "do": "drain", "request": to(&server) });
        let bound = stage.behaving(drain, grants).await;
        let step = beside_a_canary(&stage, async move { bound.measure().await }).await;
        step.assert_limit("step_wall");
        assert!(
            step.used.cpu < std::time::Duration::from_millis(400),
            "{what}"
        );
        server.until(|(opened, closed)| opened == closed).await;
    }
}

/// The number of requests of a call.
pub async fn c18_requests_of_a_call_are_counted<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let server = Server::ok().await;
    let grants = json!({
        "http": server.grant(),
        "limits": { "requests": 10, "request_rate": 1_000_000 },
    });
    let storm = json!({ "do": "storm", "request": to(&server), "times": 50 });
    let step = stage.run(storm, grants).await;
    assert_eq!((step.note("answered"), step.note("refused")), ("10", "40"));
    assert!(step.note("last").contains("HttpRequestDenied"));
    assert_eq!((step.used.requests, server.requests().len()), (10, 10));
    assert_denied(&stage, "http", "quota", 40);
}

/// Many at once, through the client of the SDK.
pub async fn c18_requests_at_once_are_limited<H: HostUnderTest>() {
    // Nobody answers, so each request that is let through keeps its place.
    let stage = Stage::<H>::new();
    let server = Server::silent().await;
    let grants = json!({
        "http": server.grant(),
        "limits": {
            "concurrent_requests": 4, "request_time": "500ms", "request_rate": 1_000_000,
            "handles": 4_096,
        },
    });
    let http = json!({ "do": "http", "url": server.url(), "count": 200, "at_once": 200 });
    let step = stage.run(http, grants).await;
    assert_eq!(step.note("answered"), "0");
    assert_eq!(server.opened(), 4);
    assert_eq!(step.used.denied, 196);
    assert_denied(&stage, "http", "quota", 196);
}

/// Answers that are not HTTP.
pub async fn c19_answers_that_are_not_http<H: HostUnderTest>() {
    let many = "x-a: b\r\n".repeat(1_000);
    let large = format!("x-a: {}\r\n", "b".repeat(1 << 20));
    let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
    for (what, answer) in [
        (
            "a thousand fields",
            format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        ),
        (
            "a field of a megabyte",
            format!("HTTP/1.1 200 OK\r\n{large}\r\n"),
        ),
        ("a bad status", "HTTP/1.1 999999 OK\r\n\r\n".to_owned()),
        ("no status", "HTTP/1.1\r\n\r\n".to_owned()),
        ("something else", "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned()),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
        ),
        (
            "a bad piece",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n".to_owned(),
        ),
        (
            "a piece of absurd size",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\na"
                .to_owned(),
        ),
        ("a flood of interim answers", flood),
        ("a NUL", "HTTP/1.1 200 OK\r\nx-a: \0\r\n\r\n".to_owned()),
        (
            "an early end",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_owned(),
        ),
    ] {
        // Each connection gets one answer and is closed.
        let answer: Arc<[u8]> = answer.into_bytes().into();
        let server = Server::serving(move |mut stream, heard| {
            let answer = Arc::clone(&answer);
            async move {
                heard.request(&mut stream, &mut Vec::new()).await?;
                stream.write_all(&answer).await?;
                stream.shutdown().await
            }
        })
        .await;
        let stage = Stage::<H>::new();
        let drain = json!({ "do": "drain", "request": to(&server) });
        let grants = json!({ "http": server.grant() });
        let step = stage.run(drain, grants).await;
        assert!(
            step.note("end").starts_with("Err"),
            "{what}: {:?}",
            step.end
        );
        server.until(|(opened, closed)| opened == closed).await;
        stage
            .run(json!({ "do": "nothing" }), json!({}))
            .await
            .assert_answered();
    }
}

fn secure(server: &TlsServer) -> Value {
    json!({ "scheme": "https", "authority": server.authority(), "path": "/" })
}

/// A rule for the server with the authority that it trusts.
fn trusting(server: &TlsServer, authority: Option<&Authority>) -> Value {
    let rule = format!("GET https://{}/", server.authority());
    let mut grant = json!({ "rule": rule, "private": true });
    if let Some(authority) = authority {
        grant["ca"] = json!(authority.file());
    }
    json!({ "http": [grant] })
}

/// Certificates that are over, of another name, of another authority, and of
/// none; and never a second try without.
pub async fn c20_bad_certificates_are_refused<H: HostUnderTest>() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = ours.server(|_| {}).await;
    let stage = Stage::<H>::new();
    let step = stage
        .run(raw(&[secure(&good)]), trusting(&good, Some(&ours)))
        .await;
    assert!(step.note("0").starts_with("status 200"), "{:?}", step.end);

    let old = ours
        .server(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1))
        .await;
    let early = ours
        .server(|params| params.not_before = rcgen::date_time_ymd(2090, 1, 1))
        .await;
    let name = rcgen::SanType::DnsName("b.test".try_into().unwrap());
    let other_name = ours
        .server(|params| params.subject_alt_names = vec![name])
        .await;
    let itself = self_signed().await;
    for (what, server, authority) in [
        ("over", &old, Some(&ours)),
        ("not yet begun", &early, Some(&ours)),
        ("another name", &other_name, Some(&ours)),
        ("self-signed", &itself, Some(&ours)),
        ("self-signed, the system trusted", &itself, None),
        ("another authority", &good, Some(&theirs)),
        ("the system trusted", &good, None),
    ] {
        let stage = Stage::<H>::new();
        let (opened, heard) = (server.server.opened(), server.server.requests().len());
        let step = stage
            .run(raw(&[secure(server)]), trusting(server, authority))
            .await;
        let told = step.note("0");
        assert!(told.contains("TlsCertificateError"), "{what}: {told}");
        assert_eq!(server.server.requests().len(), heard, "{what}");
        // Each try is one connection, and there is one.
        assert_eq!(server.server.opened(), opened + 1, "{what}");
    }
}

/// A server without TLS where the rule says https.
pub async fn c20_there_is_no_fallback_to_plain<H: HostUnderTest>() {
    let authority = Authority::new("ours");
    let plain = Server::ok().await;
    let host = format!("a.test:{}", plain.port());
    let grants = json!({ "http": [{
        "rule": format!("GET https://{host}/"), "private": true, "ca": authority.file(),
    }] });
    let stage = Stage::<H>::new();
    let ask = |scheme: &str| with(&request(&host, "/"), "scheme", json!(scheme));
    let step = stage.run(raw(&[ask("https"), ask("http")]), grants).await;
    assert!(!step.note("0").starts_with("status"), "{:?}", step.end);
    assert!(
        step.note("1").contains("HttpRequestDenied"),
        "{:?}",
        step.end
    );
    assert_eq!(plain.requests(), Vec::<String>::new());
}

/// A certificate that the host shows for one tenant.
pub async fn c21_the_identity_of_one_tenant_is_not_shown_for_another<H: HostUnderTest>() {
    let authority = Authority::new("ours");
    let server = authority.asking_server().await;
    let (certificate, key) = authority.client("acme");
    let stage = Stage::<H>::new();
    let driver = stage.driver().await;
    let plain = trusting(&server, Some(&authority));
    let mut identified = plain.clone();
    identified["http"][0]["client_certificate"] = json!({ "certificate": certificate, "key": key });
    let config = json!({ "behaviour": raw(&[secure(&server)]) });
    for (tenant, grants) in [
        ("acme", &identified),
        ("globex", &plain),
        ("acme", &identified),
    ] {
        let bound = stage.bind_for(tenant, &driver, config.clone(), grants.clone());
        let step = bound.measure().await;
        assert!(step.note("0").starts_with("status 200"), "{:?}", step.end);
    }
    let shown: Vec<_> = server
        .handshakes()
        .iter()
        .map(|seen| seen.identified)
        .collect();
    assert_eq!(shown.first(), Some(&true));
    assert_eq!(shown.get(1), Some(&false));
}

/// A session that one tenant began is not taken up by another.
pub async fn c22_sessions_are_resumed_by_their_tenant_alone<H: HostUnderTest>() {
    let authority = Authority::new("ours");
    let server = authority.server(|_| {}).await;
    let stage = Stage::<H>::new();
    let driver = stage.driver().await;
    let grants = trusting(&server, Some(&authority));
    // A connection each, so that there is a session to take up.
    let fresh = with(
        &secure(&server),
        "headers",
        json!([["connection", "close"]]),
    );
    let config = json!({ "behaviour": raw(&[fresh]) });
    let acme = stage.bind_for("acme", &driver, config.clone(), grants.clone());
    let globex = stage.bind_for("globex", &driver, config, grants);
    for bound in [&acme, &globex, &acme, &globex] {
        let step = bound.measure().await;
        assert!(step.note("0").starts_with("status 200"), "{:?}", step.end);
    }
    let resumed = |resumed| Handshake {
        resumed,
        identified: false,
    };
    assert_eq!(
        server.handshakes(),
        [resumed(false), resumed(false), resumed(true), resumed(true)]
    );
}

/// A guest that asks again whenever it is refused.
pub async fn c24_a_retry_storm_is_slowed<H: HostUnderTest>() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let stage = Stage::<H>::new();
    let mut grants = server.grant();
    grants[0]["limits"] = json!({ "rate": "4/h" });
    let grants = json!({ "http": grants });
    let storm = json!({ "do": "storm", "request": to(&server), "times": 100 });
    let bound = stage.behaving(storm, grants).await;
    let step = bound.measure().await;
    assert_eq!((step.note("answered"), step.note("refused")), ("4", "96"));
    assert_eq!(server.requests().len(), 4);
    assert!(
        step.note("last").contains("next request may be sent in"),
        "{:?}",
        step.end
    );
    assert_denied(&stage, "http", "rate", 96);
    // A call of the same driver begins where the last one ended.
    bound.measure().await;
    assert_eq!(server.requests().len(), 4);
}

/// Two tenants with the same rule share no connection.
pub async fn c21_connections_belong_to_one_tenant<H: HostUnderTest>() {
    let server = Server::ok().await;
    let stage = Stage::<H>::new();
    let driver = stage.driver().await;
    let grants = json!({ "http": server.grant() });
    let config = json!({ "behaviour": raw(&[to(&server), to(&server)]) });
    for (tenant, connections) in [("acme", 1), ("globex", 2)] {
        let bound = stage.bind_for(tenant, &driver, config.clone(), grants.clone());
        let step = bound.measure().await;
        assert!(step.note("1").starts_with("status 200"));
        assert_eq!(server.opened(), connections, "{tenant}");
        // The connection is kept for its own tenant.
        bound.measure().await;
        assert_eq!(server.opened(), connections, "{tenant}");
    }
}

/// Invitations to another server, port or protocol.
pub async fn c23_invitations_elsewhere_are_not_seen<H: HostUnderTest>() {
    let server = Server::answering(
        "HTTP/1.1 200 OK\r\nalt-svc: h3=\":4433\"; ma=3600\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let stage = Stage::<H>::new();
    let step = stage
        .run(
            raw(&[to(&server), to(&server)]),
            json!({ "http": server.grant() }),
        )
        .await;
    for note in ["0", "1"] {
        let told = step.note(note);
        assert!(told.starts_with("status 200"), "{told}");
        assert!(!told.contains("alt-svc"), "{told}");
    }
    assert_eq!(server.requests().len(), 2);
}
