//! What leaves and what does not: every refusal is checked at the listener and
//! at the resolver, which must have seen nothing.

use crate::common::*;
use http::{Method, Request, StatusCode};
use servo_egress::{SendError, empty, full};
use servo_policy::{AddressClass, DenialReason, HeaderName, HttpGrant, HttpRules};

/// Sends each request and expects a denial, no lookup and no connection.
async fn all_denied(line: &str, requests: &[(&str, String)]) {
    let server = Server::ok().await;
    let names = Scripted::new(&[&["127.0.0.1"]]);
    let port = server.port().to_string();
    let lane = lane(names.clone(), rules(&[line.replace("PORT", &port)], true));
    for (method, url) in requests {
        let request = Request::builder()
            .method(*method)
            .uri(url.replace("PORT", &port))
            .body(empty())
            .unwrap();
        let error = send(&lane, request).await.err();
        assert!(
            matches!(error, Some(SendError::Denied(_))),
            "{method} {url}: {error:?}"
        );
    }
    assert_eq!((server.opened(), names.questions()), (0, 0));
    let denied: u64 = lane
        .ledger()
        .snapshot()
        .denials
        .iter()
        .map(|d| d.count)
        .sum();
    assert_eq!(denied, requests.len() as u64);
}

fn gets(urls: &[&str]) -> Vec<(&'static str, String)> {
    urls.iter().map(|url| ("GET", (*url).to_owned())).collect()
}

#[tokio::test]
async fn c1_d3_other_hosts_are_not_even_looked_up() {
    let urls = gets(&[
        "http://b.test:PORT/",
        "http://secret.attacker.test:PORT/",
        "http://127.0.0.1:PORT/",
    ]);
    all_denied("GET http://a.test:PORT/", &urls).await;
}

#[tokio::test]
async fn c2_c3_port_and_scheme() {
    let urls = gets(&[
        "http://a.test/",
        "http://a.test:80/",
        "https://a.test:PORT/",
        "https://a.test/",
    ]);
    all_denied("GET http://a.test:PORT/", &urls).await;
}

#[tokio::test]
async fn c4_c15_methods() {
    let requests: Vec<_> = ["POST", "get", "CONNECT", "TRACE", "BREW", "PRI"]
        .map(|method| (method, "http://a.test:PORT/".to_owned()))
        .into();
    all_denied("GET http://a.test:PORT/", &requests).await;
}

#[tokio::test]
async fn c5_paths() {
    let urls = gets(&[
        "http://a.test:PORT",
        "http://a.test:PORT/v1",
        "http://a.test:PORT/v1evil",
        "http://a.test:PORT/v1/../admin",
        "http://a.test:PORT/v1/%2e%2e/admin",
        "http://a.test:PORT/v1/%2Fadmin",
        "http://a.test:PORT/v1//x",
        "http://a.test:PORT/v1;x",
        "http://a.test:PORT/v1/%0d%0ax",
        "http://a.test:PORT/v1/%00",
    ]);
    all_denied("GET http://a.test:PORT/v1/", &urls).await;
}

#[tokio::test]
async fn c6_user_info() {
    let urls = gets(&[
        "http://a.test@b.test:PORT/",
        "http://u:p@a.test:PORT/",
        "http://a.test:80@127.0.0.1:PORT/",
    ]);
    all_denied("GET http://a.test:PORT/", &urls).await;
}

#[tokio::test]
async fn c7_c8_wildcards_and_address_spellings() {
    let urls = gets(&[
        "http://a.test:PORT/",
        "http://x.y.a.test:PORT/",
        "http://2130706433:PORT/",
        "http://127.1:PORT/",
        "http://[::ffff:127.0.0.1]:PORT/",
    ]);
    all_denied("GET http://*.a.test:PORT/", &urls).await;
}

#[tokio::test]
async fn what_was_matched_is_what_is_sent() {
    let server = Server::ok().await;
    let names = Scripted::new(&[&["127.0.0.1"]]);
    let port = server.port();
    let lane = lane(
        names,
        rules(&[format!("GET,POST http://a.test:{port}/v1/")], true),
    );
    let request = Request::post(format!("http://A.Test.:{port}/%76%31/a%c3%a9?q='x'&r=/../"))
        .header("host", "evil.test")
        .header("te", "trailers")
        .header("expect", "100-continue")
        .header("keep-alive", "timeout=5")
        .header("x-request-id", "mine")
        .header("if-match", "\"kept\"")
        .body(full("hello"))
        .unwrap();
    assert_eq!(
        text(send(&lane, request).await.unwrap()).await.unwrap(),
        "ok"
    );
    let sent = server.requests().remove(0);
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.split("\r\n").collect();
    assert_eq!(
        lines.remove(0),
        "POST /v1/a%C3%A9?q=%27x%27&r=/../ HTTP/1.1"
    );
    lines.sort_unstable();
    let host = format!("host: a.test:{port}");
    assert_eq!(
        lines,
        [
            "accept: */*",
            "content-length: 5",
            &host,
            "if-match: \"kept\"",
            "x-request-id: mine"
        ]
    );
    assert_eq!(body, "hello");
}

#[tokio::test]
async fn the_default_port_is_not_spelled_out() {
    // Nothing can listen on port 80 here; what is asked of the resolver is enough.
    let names = Scripted::new(&[&["10.0.0.1"]]);
    let lane = lane(
        names.clone(),
        rules(&["GET http://a.test/".to_owned()], false),
    );
    let error = send(&lane, get("http://a.test:80/")).await.unwrap_err();
    assert!(matches!(error, SendError::AddressDenied(_)), "{error}");
    assert_eq!(names.questions(), 1);
}

#[tokio::test]
async fn c9_names_that_lead_inside() {
    // The listener stands on every loopback address; `private` is not granted.
    let server = Server::on("0.0.0.0:0", |stream, seen| async move {
        answer_all(stream, &seen, |_| OK.into()).await
    })
    .await;
    for (address, private, class) in [
        ("127.0.0.1", false, AddressClass::Loopback),
        ("127.8.8.8", false, AddressClass::Loopback),
        ("::1", false, AddressClass::Loopback),
        ("::ffff:127.0.0.1", false, AddressClass::Loopback),
        ("64:ff9b::7f00:1", false, AddressClass::Loopback),
        ("2002:7f00:1::1", false, AddressClass::Loopback),
        ("10.1.2.3", false, AddressClass::Private),
        ("172.16.0.1", false, AddressClass::Private),
        ("192.168.1.1", false, AddressClass::Private),
        ("169.254.1.1", false, AddressClass::LinkLocal),
        ("fe80::1", false, AddressClass::LinkLocal),
        ("fd12::1", false, AddressClass::UniqueLocal),
        ("fec0::1", false, AddressClass::SiteLocal),
        ("100.64.0.1", false, AddressClass::CarrierGrade),
        ("198.18.0.1", false, AddressClass::Benchmarking),
        ("64:ff9b::808:808", false, AddressClass::Translated),
        // These stay shut for a private rule too.
        ("169.254.169.254", true, AddressClass::Metadata),
        ("fd00:ec2::254", true, AddressClass::Metadata),
        ("::ffff:169.254.169.254", true, AddressClass::Metadata),
        ("0.0.0.0", true, AddressClass::Unspecified),
        ("::", true, AddressClass::Unspecified),
        ("224.0.0.1", true, AddressClass::Multicast),
        ("ff02::1", true, AddressClass::Multicast),
        ("255.255.255.255", true, AddressClass::Broadcast),
        ("240.0.0.1", true, AddressClass::Reserved),
        ("192.0.0.1", true, AddressClass::Reserved),
        ("192.0.2.1", true, AddressClass::Documentation),
    ] {
        let names = Scripted::new(&[&[address]]);
        let line = format!("GET http://a.test:{}/", server.port());
        let lane = lane(names.clone(), rules(std::slice::from_ref(&line), private));
        let call = meter();
        let request = get(&format!("http://a.test:{}/", server.port()));
        let error = lane.send(request, &call, Default::default()).await.err();
        let Some(SendError::AddressDenied(denial)) = error else {
            panic!("{address}: {error:?}");
        };
        assert_eq!(denial.reason(), &DenialReason::Address(class), "{address}");
        assert!(
            !denial.to_string().contains(address),
            "the guest learns no address: {denial}"
        );
        let helps = format!("- {{ rule: \"{line}\", private: true }}");
        assert_eq!(
            denial.suggestion(),
            (!private).then_some(&*helps),
            "{address}"
        );
        assert_eq!(
            (names.questions(), call.usage().denied, call.in_flight()),
            (1, 1, 0)
        );
    }
    assert_eq!(server.opened(), 0);
}

#[tokio::test]
async fn c9_address_literals_are_vetted_too() {
    let server = Server::ok().await;
    let lane = lane(
        Scripted::new(&[]),
        rules(&[format!("GET http://{}/", server.address)], false),
    );
    let error = send(&lane, get(&server.url("/"))).await.unwrap_err();
    assert!(matches!(error, SendError::AddressDenied(_)), "{error}");
    assert_eq!(server.opened(), 0);
}

#[tokio::test]
async fn c9_one_bad_address_does_not_spoil_the_good_one() {
    let server = Server::ok().await;
    let names = Scripted::new(&[&["169.254.169.254", "0.0.0.0", "127.0.0.1", "224.0.0.1"]]);
    let lane = lane(
        names,
        rules(&[format!("GET http://a.test:{}/", server.port())], true),
    );
    let response = send(&lane, get(&format!("http://a.test:{}/", server.port())))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn c10_the_vetted_address_is_the_one_dialled() {
    let first = Server::ok().await;
    let second = Server::on(
        &format!("127.0.0.2:{}", first.port()),
        |stream, seen| async move { answer_all(stream, &seen, |_| OK.into()).await },
    )
    .await;
    let names = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let lane = lane(
        names.clone(),
        rules(&[format!("GET http://a.test:{}/", first.port())], true),
    );
    for _ in 0..3 {
        let response = send(&lane, get(&format!("http://a.test:{}/", first.port())))
            .await
            .unwrap();
        text(response).await.unwrap();
    }
    // One lookup, one connection: the second answer was never asked for.
    assert_eq!(
        (names.questions(), first.opened(), second.opened()),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn c10_a_second_answer_is_vetted_again() {
    let server = Server::ok().await;
    let names = Scripted::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let lane = lane(
        names.clone(),
        rules(&[format!("GET http://a.test:{}/", server.port())], true),
    );
    let url = format!("http://a.test:{}/", server.port());
    let fresh = || {
        Request::get(&url)
            .header("connection", "close")
            .body(empty())
            .unwrap()
    };
    text(send(&lane, fresh()).await.unwrap()).await.unwrap();
    let error = send(&lane, fresh()).await.unwrap_err();
    assert!(matches!(error, SendError::AddressDenied(_)), "{error}");
    assert_eq!((names.questions(), server.opened()), (2, 1));
}

#[tokio::test]
async fn c11_redirects_are_handed_back() {
    let other = Server::ok().await;
    for status in [301, 302, 303, 307, 308] {
        for location in [
            other.url("/"),
            "http://169.254.169.254/latest/".to_owned(),
            "file:///etc/passwd".to_owned(),
        ] {
            let answer = format!(
                "HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
            );
            let server = Server::answering(answer).await;
            let lane = lane_to(&server);
            let response = send(&lane, get(&server.url("/"))).await.unwrap();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()["location"], location.as_str());
            if let Ok(follow) = Request::get(&location).body(empty()) {
                let error = send(&lane, follow).await.unwrap_err();
                assert!(matches!(error, SendError::Denied(_)), "{location}: {error}");
            }
            assert_eq!(server.opened(), 1);
        }
    }
    assert_eq!(other.opened(), 0);
}

#[tokio::test]
async fn c14_a_plain_get_reaches_its_server() {
    let server = Server::ok().await;
    let response = send(&lane_to(&server), get(&server.url("/")))
        .await
        .unwrap();
    assert_eq!(text(response).await.unwrap(), "ok");
    assert_eq!(server.opened(), 1);
}

/// Runs the test above in a process whose environment names a proxy.
#[tokio::test]
async fn c14_proxy_variables_are_ignored() {
    let proxy = Server::answering("HTTP/1.1 502 Proxy\r\ncontent-length: 0\r\n\r\n").await;
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "decide::c14_a_plain_get_reaches_its_server"]);
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        child.env(name, proxy.url(""));
    }
    let output = child
        .env("NO_PROXY", "")
        .env("no_proxy", "")
        .output()
        .await
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && report.contains("1 passed"),
        "{report}"
    );
    assert_eq!(proxy.opened(), 0);
}

#[tokio::test]
async fn c15_upgrades_are_refused() {
    let server = Server::ok().await;
    let lane = lane_to(&server);
    for fields in [
        &[("connection", "upgrade"), ("upgrade", "websocket")][..],
        &[("upgrade", "h2c")],
        &[("connection", "x-secret")],
        &[("connection", "close, x-secret")],
        &[("http2-settings", "AAMAAABkAAQAAP__")],
        &[("transfer-encoding", "chunked")],
        &[("proxy-connection", "keep-alive")],
        &[("transfer_encoding", "chunked")],
        &[("Transfer_Encoding", "chunked")],
        &[("content_length", "0")],
        &[("proxy_connection", "keep-alive")],
        &[("http2_settings", "AAMAAABkAAQAAP__")],
    ] {
        let mut request = get(&server.url("/"));
        for (name, value) in fields {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let error = send(&lane, request).await.unwrap_err();
        assert!(
            matches!(error, SendError::Request(_)),
            "{fields:?}: {error}"
        );
    }
    assert_eq!(server.opened(), 0);
}

/// A header that is not harmless is the rule's to allow, in whatever spelling.
#[tokio::test]
async fn c15_a_header_that_the_rule_does_not_name_is_denied_and_nothing_is_sent() {
    let server = Server::ok().await;
    let plain = lane_to(&server);
    for name in [
        "authorization",
        "Cookie",
        "proxy-authorization",
        "Proxy_Authorization",
        "x-forwarded-for",
        "X_Forwarded_For",
        "x-forwarded_proto",
        "forwarded",
        "via",
        "x-real-ip",
        "x_real_ip",
        "x-http-method-override",
        "X_HTTP_Method_Override",
        "x-original-url",
        "x-rewrite-url",
        "x-secret",
        "x_secret",
        "x-scope-orgid",
    ] {
        let mut request = get(&server.url("/"));
        let field = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().insert(field, "x".parse().unwrap());
        let error = send(&plain, request).await.unwrap_err();
        let SendError::Denied(denial) = &error else {
            panic!("{name}: {error}");
        };
        let said = denial.to_string();
        assert!(
            said.contains(&format!("`{}`", name.to_ascii_lowercase())),
            "{said}"
        );
        let line = format!("headers: [{}]", name.to_ascii_lowercase().replace('_', "-"));
        assert!(denial.suggestion().unwrap().contains(&line), "{said}");
    }
    assert_eq!(server.opened(), 0);

    // What the rule names goes through, in the guest's own spelling, and nothing else.
    let grant = HttpGrant {
        headers: vec![HeaderName::parse("X_Scope-OrgID").unwrap()],
        ..HttpGrant::from((
            format!("GET {}", server.url("/")).parse().unwrap(),
            true,
            None,
        ))
    };
    let named = lane(Scripted::new(&[]), HttpRules::new([grant]).unwrap());
    for (name, sent) in [
        ("x-scope-orgid", true),
        ("x_scope_orgid", true),
        ("x-scope-orgid2", false),
        ("x-scope", false),
        ("x-real-ip", false),
    ] {
        let before = server.requests().len();
        let mut request = get(&server.url("/"));
        let field = http::HeaderName::from_static(name);
        request
            .headers_mut()
            .insert(field, "team-a".parse().unwrap());
        assert_eq!(send(&named, request).await.is_ok(), sent, "{name}");
        let arrived = server.requests();
        assert_eq!(arrived.len() - before, usize::from(sent), "{name}");
        let line = format!("\r\n{name}: team-a\r\n");
        assert!(!sent || arrived.concat().contains(&line), "{name}");
    }
}

#[tokio::test]
async fn c15_an_unasked_switch_of_protocols_is_an_error() {
    let server =
        Server::answering("HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
            .await;
    let error = send(&lane_to(&server), get(&server.url("/")))
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::Protocol(_)), "{error}");
}

#[tokio::test]
async fn b7_many_or_large_fields_are_refused() {
    let server = Server::ok().await;
    let lane = lane_to(&server);
    let mut many = get(&server.url("/"));
    for index in 0..1_000 {
        many.headers_mut().append("x-field", index.into());
    }
    let mut large = get(&server.url("/"));
    large
        .headers_mut()
        .insert("x-field", "x".repeat(1 << 20).parse().unwrap());
    for request in [many, large] {
        let error = send(&lane, request).await.unwrap_err();
        assert!(matches!(error, SendError::Request(_)), "{error}");
    }
    assert_eq!(server.opened(), 0);
}

#[tokio::test]
async fn c23_invitations_elsewhere_are_dropped() {
    let server = Server::answering(
        "HTTP/1.1 200 OK\r\nalt-svc: h3=\":443\"\r\nkeep-alive: timeout=5\r\nconnection: keep-alive\r\nx-own: kept\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let response = send(&lane_to(&server), get(&server.url("/")))
        .await
        .unwrap();
    let mut names: Vec<_> = response
        .headers()
        .keys()
        .map(|name| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "x-own"]);
}

#[tokio::test]
async fn a_dead_name_and_a_dead_port() {
    let server = Server::ok().await;
    let port = server.port();
    let dead = lane(
        Scripted::new(&[]),
        rules(&[format!("GET http://a.test:{port}/")], true),
    );
    let error = send(&dead, get(&format!("http://a.test:{port}/")))
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::Resolve), "{error}");
    // Port 1 of loopback: nobody listens there.
    let closed = lane(
        Scripted::new(&[]),
        rules(&["GET http://127.0.0.1:1/".to_owned()], true),
    );
    let error = send(&closed, get("http://127.0.0.1:1/")).await.unwrap_err();
    assert!(
        matches!(
            error,
            SendError::Connect(servo_egress::ConnectFailure::Refused)
        ),
        "{error}"
    );
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    assert_eq!(Method::GET, get("http://a.test/").method());
}

#[tokio::test]
async fn a_url_that_two_parsers_read_differently_is_not_sent() {
    // Letters, digits and hyphens, and yet not punycode.
    let server = Server::ok().await;
    let names = Scripted::new(&[&["127.0.0.1"]]);
    let url = format!("http://xn--a.test:{}/", server.port());
    let lane = lane(names.clone(), rules(&[format!("GET {url}")], true));
    let error = send(&lane, get(&url)).await.unwrap_err();
    assert!(matches!(error, SendError::Request(_)), "{error}");
    assert_eq!((server.opened(), names.questions()), (0, 0));
}
