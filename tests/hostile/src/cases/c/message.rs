//! C, what a request says: method, path, control characters, lengths and upgrades.

use serde_json::{Value, json};

use super::{raw, request, rule, to, with};
use crate::host::HostUnderTest;
use crate::server::Server;
use crate::stage::Stage;

/// Methods that the rule does not list, in other letters, and invented ones.
pub async fn c4_methods_that_are_not_listed<H: HostUnderTest>() {
    let server = Server::ok().await;
    let grants = rule(&format!("GET {}", server.url("/")));
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

/// Characters that end a line, or a string.
pub async fn c12_control_characters_are_refused<H: HostUnderTest>() {
    let server = Server::ok().await;
    let address = server.address.to_string();
    let plain = request(&address, "/");
    let mut requests = vec![];
    for control in ["\r\n", "\r", "\n", "\0", "\r\nhost: evil\r\n\r\n", "\x7f"] {
        requests.extend([
            with(
                &plain,
                "headers",
                json!([["accept", format!("a{control}b")]]),
            ),
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
        fields(json!([["transfer_encoding", "chunked"]])),
        fields(json!([["content_length", "5"]])),
        fields(json!([["Proxy_Authorization", "Basic eDp5"]])),
        fields(json!([["X_Forwarded-For", "127.0.0.1"]])),
        fields(json!([["x_secret", "mine"]])),
        fields(json!([["X-HTTP-Method-Override", "DELETE"]])),
        fields(json!([["x_original_url", "/admin"]])),
        fields(json!([["X-Real-IP", "127.0.0.1"]])),
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
