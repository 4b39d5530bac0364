//! Servo's own calls leave by the same door: one address, as it was written,
//! vetted, capped, recorded.

use std::sync::Arc;

use crate::common::*;
use bytes::Bytes;
use http::HeaderMap;
use servo_audit::{Auditor, Capability, Reason, Verdict};
use servo_egress::{Gate, OwnAnswer, OwnError, OwnLane, Url};

struct Ours {
    lane: OwnLane,
    records: Records,
    auditor: Auditor,
}

impl Ours {
    fn to(names: Arc<Scripted>, url: &str) -> Self {
        let records = Records::default();
        let auditor = Auditor::new(records.clone());
        let gate = Gate::builder(names).auditor(auditor.clone());
        let url = Url::parse(url).unwrap();
        let lane = gate.build().unwrap().own_lane(owner("acme"), url);
        Self {
            lane: lane.unwrap(),
            records,
            auditor,
        }
    }

    async fn post(&self, close: bool) -> Result<OwnAnswer, OwnError> {
        let mut headers = HeaderMap::new();
        headers.insert("x-own", "kept".parse().unwrap());
        if close {
            headers.insert("connection", "close".parse().unwrap());
        }
        self.lane.post(headers, Bytes::from_static(b"hello")).await
    }
}

#[tokio::test]
async fn the_address_is_sent_as_it_was_written() {
    let server = Server::ok().await;
    // Nothing of this could be granted: an escaped slash, an empty segment.
    let path = "/any/path%20as/a%2Fb//c?it=is&%41";
    let ours = Ours::to(Scripted::new(&[]), &server.url(path));
    let answer = ours.post(false).await.unwrap();
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"ok"[..]));
    let sent = server.requests().remove(0);
    assert!(
        sent.starts_with(&format!("POST {path} HTTP/1.1\r\n")),
        "{sent}"
    );
    assert!(sent.contains("x-own: kept\r\n") && sent.contains("content-length: 5\r\n"));
    assert!(sent.ends_with("\r\n\r\nhello"), "{sent}");
    assert_eq!(
        ours.records.lines(),
        [format!(
            "acme \"\" own POST http://{}/any/path%20as/a%2Fb//c rule=- allowed/- \"200\" 5>2",
            server.address
        )]
    );
}

#[tokio::test]
async fn connections_are_kept_and_closed_when_told() {
    let server = Server::ok().await;
    let ours = Ours::to(Scripted::new(&[]), &server.url("/"));
    for (close, connections) in [(false, 1), (false, 1), (true, 1), (false, 2), (false, 2)] {
        ours.post(close).await.unwrap();
        assert_eq!(server.opened(), connections);
        if close {
            // The server keeps its side open: it is the client that closes.
            settle(|| server.closed() == 1).await;
        }
    }
}

#[tokio::test]
async fn c9_a_name_may_lead_inside_but_not_to_what_is_nobodys_service() {
    let server = Server::on("0.0.0.0:0", |stream, seen| async move {
        answer_all(stream, &seen, |_| OK.into()).await
    })
    .await;
    let port = server.port();
    let url = format!("http://optune.test:{port}/servo?token=hush");
    for address in [
        "169.254.169.254",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
    ] {
        let names = Scripted::new(&[&[address]]);
        let ours = Ours::to(names.clone(), &url);
        let error = ours.post(false).await.unwrap_err().to_string();
        assert!(error.contains("refused; it is "), "{address}: {error}");
        assert!(!error.contains("hush"), "{error}");
        assert_eq!(
            ours.records.lines(),
            [format!(
                "acme \"\" own POST http://optune.test:{port}/servo rule=- denied/address \"\" 0>0"
            )]
        );
        let of = |reason| {
            ours.auditor
                .counters()
                .of(Capability::Own, Verdict::Denied, reason)
        };
        assert_eq!((names.questions(), of(Reason::Address)), (1, 1));
    }
    assert_eq!(server.opened(), 0);
    let ours = Ours::to(Scripted::new(&[&["224.0.0.1", "127.0.0.1"]]), &url);
    assert!(ours.post(false).await.is_ok());
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn c10_every_new_connection_is_vetted() {
    let server = Server::ok().await;
    let names = Scripted::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let url = format!("http://optune.test:{}/", server.port());
    let ours = Ours::to(names.clone(), &url);
    ours.post(true).await.unwrap();
    assert!(ours.post(true).await.is_err());
    assert_eq!((names.questions(), server.opened()), (2, 1));
}

#[test]
fn addresses_that_cannot_be_called_are_found_at_the_start() {
    let gate = Gate::new(Scripted::new(&[])).unwrap();
    let try_out = |url: &str| {
        let lane = gate.own_lane(owner("acme"), Url::parse(url).unwrap());
        lane.err().map(|error| error.to_string())
    };
    for (url, problem) in [
        ("ftp://a.test/", "neither http nor https"),
        ("http://169.254.169.254/", "a cloud metadata service"),
        ("http://[ff02::1]/", "a multicast address"),
        ("http://255.255.255.255/", "the broadcast address"),
    ] {
        let error = try_out(url).expect(url);
        assert!(error.contains(problem), "{url}: {error}");
    }
    for url in [
        "http://127.0.0.1:1/",
        "http://[::1]:1/",
        "http://10.0.0.1/",
        "http://my_service:8080/",
        "http://0.0.0.0:1/",
        "https://api.test/",
    ] {
        assert_eq!(try_out(url), None, "{url}");
    }
}

#[tokio::test]
async fn errors_say_what_the_lower_layers_said() {
    for (url, words) in [
        ("http://a.test/", ["could not be resolved", "no such name"]),
        (
            "http://127.0.0.1:1/secret",
            ["refused by the other side", "Connection refused"],
        ),
    ] {
        let ours = Ours::to(Scripted::new(&[]), url);
        let error = ours.post(false).await.unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(ours.records.lines().len(), 1);
    }
}

#[tokio::test]
async fn c11_a_redirect_is_an_answer() {
    let other = Server::ok().await;
    let answer = format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        other.url("/")
    );
    let server = Server::answering(answer).await;
    let ours = Ours::to(Scripted::new(&[]), &server.url("/"));
    assert_eq!(ours.post(false).await.unwrap().status, 307);
    assert_eq!((server.opened(), other.opened()), (1, 0));
}

#[tokio::test]
async fn c16_an_answer_without_end_is_cut_off() {
    let server = Server::endless().await;
    let ours = Ours::to(Scripted::new(&[]), &server.url("/"));
    let error = ours.post(false).await.unwrap_err().to_string();
    assert_eq!(error, "the answer is larger than 16777216 bytes");
    settle(|| server.closed() == 1).await;
    assert_eq!(hits(&ours.auditor), [("response_bytes", 1)]);
}
