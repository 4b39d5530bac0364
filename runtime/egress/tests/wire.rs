//! What a hostile guest or a hostile server can put on the wire.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "egress/common/mod.rs"]
mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use proptest::prelude::*;
use servo_egress::{BodyError, Lane, Phase, SendError, Timeouts, empty};
use servo_policy::{HttpGrant, HttpRules, Rule, RuleLimits};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn c12_line_breaks_and_zeros_cannot_be_sent() {
    let server = Server::ok().await;
    let lane = lane_to(&server);
    for bad in [
        "\r",
        "\n",
        "\r\n",
        "\0",
        "a\r\nx: y",
        "a\nGET / HTTP/1.1\r\n",
    ] {
        // The types in which a request comes hold no such thing ...
        assert!(HeaderValue::from_str(bad).is_err(), "{bad:?}");
        assert!(HeaderName::from_bytes(format!("x{bad}").as_bytes()).is_err());
        assert!(Method::from_bytes(format!("GET{bad}").as_bytes()).is_err());
        assert!(server.url(&format!("/{bad}")).parse::<Uri>().is_err());
    }
    // ... and what a server would decode to one is refused in a path.
    for path in ["/%0d", "/%0a", "/%0D%0Ax:y", "/%00", "/a%0a/b", "/%7f"] {
        let error = send(&lane, get(&server.url(path))).await.unwrap_err();
        assert!(matches!(error, SendError::Denied(_)), "{path}: {error}");
    }
    assert_eq!(server.opened(), 0);
    // In a query it is data and stays encoded: one request, one line.
    let response = send(&lane, get(&server.url("/?q=%0d%0aGET%20/x"))).await;
    text(response.unwrap()).await.unwrap();
    let seen = server.requests();
    assert_eq!(seen.len(), 1);
    assert!(
        seen[0].starts_with("GET /?q=%0d%0aGET%20/x HTTP/1.1\r\n"),
        "{}",
        seen[0]
    );
}

#[tokio::test]
async fn c19_a_flood_of_interim_answers_ends_with_the_request_time() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let server = Server::serving(move |mut stream, _| {
        let count = Arc::clone(&count);
        async move {
            read_request(&mut stream, &mut Vec::new()).await?;
            loop {
                stream
                    .write_all(b"HTTP/1.1 103 Early\r\nx: y\r\n\r\n")
                    .await?;
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let lane = lane_to(&server);
    let url = server.url("/");
    let call = meter();
    let meter = call.clone();
    let sending =
        tokio::spawn(async move { lane.send(get(&url), &meter, Timeouts::default()).await });
    settle(|| sent.load(Ordering::SeqCst) > 10_000).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    let error = sending.await.unwrap().unwrap_err();
    assert!(matches!(error, SendError::Timeout(Phase::Total)), "{error}");
    tokio::time::resume();
    assert_eq!(call.in_flight(), 0);
    settle(|| server.closed() == 1).await;
}

#[tokio::test]
async fn c23_a_hint_to_another_server_is_not_followed() {
    let other = Server::ok().await;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nalt-svc: http/1.1=\":{}\"; ma=9999; persist=1\r\n\
         alt-svc: h3=\":{}\"\r\nrefresh: 0; url={}\r\nlink: <{}>; rel=preconnect\r\n\
         content-length: 2\r\n\r\nok",
        other.port(),
        other.port(),
        other.url("/"),
        other.url("/"),
    );
    let server = Server::answering(answer).await;
    let lane = lane_to(&server);
    for close in [false, true, false] {
        let mut request = get(&server.url("/"));
        if close {
            let close = HeaderValue::from_static("close");
            request.headers_mut().insert("connection", close);
        }
        let response = send(&lane, request).await.unwrap();
        assert!(!response.headers().contains_key("alt-svc"));
        text(response).await.unwrap();
    }
    assert_eq!(server.requests().len(), 3);
    assert_eq!(other.opened(), 0);
}

#[tokio::test]
async fn c2_the_default_port_may_be_written() {
    let names = Scripted::new(&[&["224.0.0.1"]]);
    let line = "GET http://a.test/".to_owned();
    let lane = lane(names.clone(), rules(&[line], true));
    for (url, granted) in [
        ("http://a.test/", true),
        ("http://a.test:80/", true),
        ("http://a.test:8080/", false),
        ("http://a.test:443/", false),
        ("http://a.test:080/", false),
        ("http://a.test:/", false),
    ] {
        let Ok(request) = Request::get(url).body(empty()) else {
            continue;
        };
        let error = send(&lane, request).await.unwrap_err();
        // What is granted gets as far as the address, which is nobody's.
        let reached = matches!(error, SendError::AddressDenied(_));
        assert_eq!(reached, granted, "{url}: {error}");
    }
    assert_eq!(names.questions(), 2);
}

/// Answers each connection with the bytes set last, and closes it.
async fn arbitrary() -> (Server, Arc<Mutex<Vec<u8>>>) {
    let answer = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&answer);
    let server = Server::serving(move |mut stream, _| {
        let answer = shared.lock().unwrap().clone();
        async move {
            read_request(&mut stream, &mut Vec::new()).await?;
            stream.write_all(&answer).await?;
            stream.shutdown().await
        }
    })
    .await;
    (server, answer)
}

/// Answers that are nearly right, which lead deeper than noise.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let status = prop_oneof![
        Just("HTTP/1.1 200 OK".to_owned()),
        Just("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK".to_owned()),
        Just("HTTP/1.0 206 Part".to_owned()),
        Just("HTTP/1.1 101 Switching".to_owned()),
        (0u32..1_200).prop_map(|code| format!("HTTP/1.1 {code} X")),
        "[ -~]{0,20}",
    ];
    let field = prop_oneof![
        Just("transfer-encoding: chunked".to_owned()),
        Just("content-encoding: gzip".to_owned()),
        Just("content-encoding: deflate".to_owned()),
        Just("connection: close".to_owned()),
        Just("trailer: x".to_owned()),
        (0u64..40).prop_map(|length| format!("content-length: {length}")),
        "[ -~]{0,30}",
        any::<i64>().prop_map(|length| format!("content-length: {length}")),
    ];
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        Just(b"5\r\nhello\r\n0\r\n\r\n".to_vec()),
        Just(b"ffffffffffffffff\r\nhello".to_vec()),
        prop::collection::vec(any::<u8>(), 0..32).prop_map(|rest| {
            let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
            [&gzip[..], &rest].concat()
        }),
    ];
    let near =
        (status, prop::collection::vec(field, 0..6), body).prop_map(|(status, fields, body)| {
            let mut answer = status.into_bytes();
            answer.extend_from_slice(b"\r\n");
            for field in fields {
                answer.extend_from_slice(field.as_bytes());
                answer.extend_from_slice(b"\r\n");
            }
            answer.extend_from_slice(b"\r\n");
            answer.extend_from_slice(&body);
            answer
        });
    prop_oneof![
        4 => near,
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

fn undoing(server: &Server) -> HttpRules {
    let rule: Rule = format!("GET http://{}/", server.address).parse().unwrap();
    let limits = RuleLimits {
        decompressed_bytes: Some(1 << 16),
        ..RuleLimits::default()
    };
    HttpRules::new([HttpGrant {
        limits,
        ..HttpGrant::from((rule, true, None))
    }])
    .unwrap()
}

async fn ends_well(lane: &Lane, url: &str) {
    let call = servo_egress::CallMeter::new(&servo_policy::Budget {
        request_rate: u32::MAX,
        ..servo_policy::Budget::default()
    });
    match lane.send(get(url), &call, Timeouts::default()).await {
        Err(SendError::Protocol(_)) => {}
        Err(other) => panic!("{other:?}"),
        Ok(response) => match text(response).await {
            Ok(_) | Err(BodyError::Protocol(_) | BodyError::TooLargeDecoded { .. }) => {}
            Err(other) => panic!("{other:?}"),
        },
    }
    assert_eq!(call.in_flight(), 0);
}

/// No answer whatever makes anything panic, hang or end in an error of another
/// kind, and each leaves one record.
#[test]
fn c19_arbitrary_answers() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        report(info);
    }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (server, answer) = runtime.block_on(arbitrary());
    let (lane, records, _) = recorded(Scripted::new(&[]), undoing(&server));
    let tried = AtomicUsize::new(0);
    let config = ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(bytes in answers())| {
        *answer.lock().unwrap() = bytes;
        let before = PANICS.load(Ordering::SeqCst);
        runtime.block_on(ends_well(&lane, &server.url("/")));
        prop_assert_eq!(PANICS.load(Ordering::SeqCst), before);
        tried.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(records.lines().len(), tried.load(Ordering::SeqCst));
}
