//! C, who would lead a request elsewhere: redirects, proxies and invitations.

use serde_json::json;

use super::{raw, request, rule, to};
use crate::host::HostUnderTest;
use crate::server::{Server, ok};
use crate::stage::Stage;

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
