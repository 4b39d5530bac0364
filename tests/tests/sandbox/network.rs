//! C and D: the ways out.

use serde_json::{Value, json};
use servo_sandbox::End;

use crate::support::{Server, bind, binding, driver, gate, measure, notes};

fn http(url: &str, count: u32, at_once: u32) -> Value {
    json!({ "do": "http", "url": url, "count": count, "at_once": at_once })
}

#[tokio::test]
async fn c1_a_host_that_is_not_granted_sees_nothing() {
    let (granted, other) = (Server::answering().await, Server::answering().await);
    let urls = [
        other.url(),
        format!("http://localhost:{}/", other.address.port()),
        "http://secret.attacker.example/".to_owned(),
    ];
    for url in urls {
        let (gate, names) = gate();
        let config = json!({ "behaviour": http(&url, 3, 1) });
        let grants = json!({ "http": granted.grant() });
        let bound = driver().await.bind(&gate, binding(config, grants)).unwrap();
        let step = measure(&bound).await;
        match &step.end {
            End::Denied { denial, .. } => assert!(denial.contains("grants.http"), "{denial}"),
            other => panic!("{url}: {other:?}"),
        }
        assert_eq!(names.asked(), Vec::<String>::new(), "{url}");
        assert_eq!((granted.opened(), other.opened()), (0, 0), "{url}");
        assert_eq!(step.report.network.denied, 3);
        let ledger = bound.ledger();
        assert_eq!((ledger.denials.len(), ledger.denials[0].count), (1, 3));
    }
}

#[tokio::test]
async fn c1_what_is_granted_is_reached() {
    let server = Server::answering().await;
    let grants = json!({ "http": server.grant() });
    let step = crate::support::run(http(&server.url(), 3, 1), grants).await;
    assert_eq!(notes(&step)["answered"], "3");
    assert_eq!(step.report.network.requests, 3);
    assert!(server.opened() > 0);
}

#[tokio::test]
async fn d1_sockets_reach_nobody() {
    let server = Server::answering().await;
    let (ip, port) = ([127, 0, 0, 1], server.address.port());
    let datagrams = tokio::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    // A grant for requests is none for sockets.
    let grants = json!({ "http": server.grant() });
    let step =
        crate::support::run(json!({ "do": "sockets", "ip": ip, "port": port }), grants).await;
    let found = notes(&step);
    for (what, answer) in &found {
        assert!(answer.contains("access-denied"), "{what}: {answer}");
    }
    assert_eq!(found.len(), 3);
    assert_eq!(server.opened(), 0);
    let nothing = datagrams.try_recv(&mut [0; 16]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn d3_no_name_is_looked_up() {
    for name in ["secret.attacker.example", "localhost", "127.0.0.1"] {
        let (gate, names) = gate();
        let config = json!({ "behaviour": { "do": "lookup", "name": name } });
        let bound = driver()
            .await
            .bind(&gate, binding(config, json!({})))
            .unwrap();
        let step = measure(&bound).await;
        let answer = &notes(&step)["lookup"];
        assert!(answer.contains("Err"), "{name}: {answer}");
        assert_eq!(names.asked(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn c18_requests_of_a_call_are_counted() {
    let server = Server::answering().await;
    let grants = json!({ "http": server.grant(), "limits": { "requests": 10 } });
    let bound = bind(&driver().await, http(&server.url(), 50, 1), grants);
    let step = measure(&bound).await;
    assert!(matches!(step.end, End::Denied { .. }), "{:?}", step.end);
    assert_eq!(step.report.network.requests, 10);
    assert_eq!(bound.ledger().rules[0].requests, 10);
}

#[tokio::test]
async fn c18_requests_at_once_are_limited() {
    // Nobody answers, so each request that is let through keeps its place.
    let server = Server::silent().await;
    let grants = json!({
        "http": server.grant(),
        "limits": { "concurrent_requests": 4, "request_time": "500ms" },
    });
    let step = crate::support::run(http(&server.url(), 200, 200), grants).await;
    assert_eq!(notes(&step)["answered"], "0");
    assert_eq!(server.opened(), 4);
    assert_eq!(step.report.network.denied, 196);
}

#[tokio::test]
async fn b11_bodies_that_are_not_read_hold_their_places() {
    let server = Server::half().await;
    let grants = json!({
        "http": server.grant(),
        "limits": { "concurrent_requests": 4, "request_time": "500ms" },
    });
    let step = crate::support::run(http(&server.url(), 100, 100), grants).await;
    assert_eq!(notes(&step)["answered"], "0");
    assert_eq!(server.opened(), 4);
}
