//! Whole requests: they meet the same decision, meters and records as those
//! with streams, and nothing of half an answer is handed out. And the dry run,
//! in which only what reads leaves, whichever way it is sent.

use std::time::Duration;

use crate::common::*;
use proptest::prelude::*;
use servo_audit::{Attempts, Capability};
use servo_egress::{
    BodyError, CallMeter, FetchError, Lane, Phase, ProtocolFailure, Quota, SendError, Timeouts,
    WholeRequest, full,
};
use servo_policy::Budget;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn whole(method: &str, url: &str) -> WholeRequest {
    WholeRequest {
        method: method.to_owned(),
        url: url.to_owned(),
        room: 1 << 20,
        ..WholeRequest::default()
    }
}

/// A lane to this server whose records are kept.
fn recorded_to(server: &Server) -> (Lane, Records) {
    let line = format!("GET,POST,HEAD http://{}/", server.address);
    let (lane, records, _) = recorded(Scripted::new(&[]), rules(&[line], true));
    (lane, records)
}

#[tokio::test]
async fn a_whole_request_is_sent_and_a_whole_response_comes_back() {
    let server = Server::answering(
        "HTTP/1.1 404 Gone\r\nX-One: a\r\nx-one: b\r\nalt-svc: h3\r\ncontent-length: 4\r\n\r\nbody",
    )
    .await;
    let (lane, records) = recorded_to(&server);
    let call = meter();
    let request = WholeRequest {
        headers: vec![("X-Request-ID".to_owned(), "v".to_owned())],
        body: Some(b"hello".to_vec()),
        ..whole("POST", &server.url("/a?token=hush"))
    };
    let answer = lane.fetch(request, &call).await.unwrap();
    assert_eq!((answer.status.as_u16(), &*answer.body), (404, &b"body"[..]));
    let names: Vec<_> = answer.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["x-one", "content-length"]);
    assert_eq!(answer.headers.get_all("x-one").iter().count(), 2);
    lane.fetch(whole("GET", &server.url("/b")), &call)
        .await
        .unwrap();

    let sent = server.requests();
    assert!(
        sent[0].starts_with("POST /a?token=hush HTTP/1.1\r\n"),
        "{}",
        sent[0]
    );
    assert!(sent[0].contains("x-request-id: v\r\n") && sent[0].ends_with("\r\n\r\nhello"));
    assert_eq!(server.opened(), 1, "the connection is kept");
    assert_eq!((call.in_flight(), call.usage().requests), (0, 2));
    let at = server.address;
    assert_eq!(
        records.lines(),
        [
            format!("acme \"\" http POST http://{at}/a rule=0 allowed/- \"404\" 5>4"),
            format!("acme \"\" http GET http://{at}/b rule=0 allowed/- \"404\" 0>4"),
        ]
    );
}

#[tokio::test]
async fn no_more_of_a_response_is_taken_than_allowed() {
    let small = Budget {
        response_bytes: 1 << 20,
        ..Budget::default()
    };
    for (room, limit) in [(1 << 30, 1 << 20), (1_000, 1_000)] {
        let server = Server::endless().await;
        let (lane, records) = recorded_to(&server);
        let call = CallMeter::new(&small);
        let request = WholeRequest {
            room,
            ..whole("GET", &server.url("/"))
        };
        let error = lane.fetch(request, &call).await.unwrap_err();
        assert!(
            matches!(error, FetchError::Body(BodyError::TooLarge { limit: at }) if at == limit),
            "{error:?}"
        );
        assert_eq!(call.in_flight(), 0);
        assert!(
            records.lines()[0].contains("capped/limit"),
            "{:?}",
            records.lines()
        );
        settle(|| server.closed() == 1).await;
    }
}

#[tokio::test]
async fn nothing_of_half_a_response_is_handed_out() {
    let server = Server::serving(|mut stream, _| async move {
        read_request(&mut stream, &mut Vec::new()).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            .await
    })
    .await;
    let (lane, records) = recorded_to(&server);
    let call = meter();
    let error = lane.fetch(whole("GET", &server.url("/")), &call).await;
    assert!(
        matches!(
            error,
            Err(FetchError::Body(BodyError::Protocol(
                ProtocolFailure::Closed
            )))
        ),
        "{error:?}"
    );
    assert_eq!(call.in_flight(), 0);
    assert!(
        records.lines()[0].contains("in the middle"),
        "{:?}",
        records.lines()
    );
}

#[tokio::test]
async fn the_time_limit_is_that_of_the_whole_exchange() {
    // The head comes, and of the body a byte each second.
    let server = Server::serving(|mut stream, _| async move {
        read_request(&mut stream, &mut Vec::new()).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            .await?;
        tokio::time::pause();
        loop {
            let mut byte = [0];
            tokio::select! {
                _ = stream.read(&mut byte) => return Ok(()),
                () = tokio::time::sleep(Duration::from_secs(1)) => stream.write_all(b"a").await?,
            }
        }
    })
    .await;
    let (lane, records) = recorded_to(&server);
    let request = WholeRequest {
        time_limit: Some(Duration::from_millis(3_500)),
        ..whole("GET", &server.url("/"))
    };
    let error = lane.fetch(request, &meter()).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Body(BodyError::Timeout(Phase::Total))),
        "{error:?}"
    );
    // It is the driver's own wish, and no limit.
    assert!(
        records.lines()[0].contains("allowed/-"),
        "{:?}",
        records.lines()
    );
}

#[tokio::test]
async fn a_place_is_taken_until_the_response_is_whole() {
    let server = Server::serving(|mut stream, _| async move {
        read_request(&mut stream, &mut Vec::new()).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            .await?;
        stream.read(&mut [0; 1]).await.map(|_| ())
    })
    .await;
    let (lane, _) = recorded_to(&server);
    let call = CallMeter::new(&Budget {
        concurrent_requests: 1,
        ..Budget::default()
    });
    let (first, url) = (lane.clone(), server.url("/"));
    let task = tokio::spawn({
        let (call, url) = (call.clone(), url.clone());
        async move { first.fetch(whole("GET", &url), &call).await.map(|_| ()) }
    });
    settle(|| server.opened() == 1).await;
    let second = lane.fetch(whole("GET", &url), &call).await;
    assert!(
        matches!(
            second,
            Err(FetchError::Send(SendError::QuotaExhausted(
                Quota::Concurrency
            )))
        ),
        "{second:?}"
    );
    // Given up with the one who waits for it.
    task.abort();
    settle(|| call.in_flight() == 0).await;
}

/// Texts that end something, beside any other.
fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        "[a-zA-Z_:/?#@%.\\\\\r\n\t\0 -]{0,40}",
    ]
}

proptest! {
    /// Whatever a guest makes of a request: nothing panics, and nothing is sent
    /// that no rule allows.
    #[test]
    fn nothing_of_a_guest_is_trusted(
        method in hostile_text(),
        url in prop_oneof![
            hostile_text(),
            hostile_text().prop_map(|text| format!("http://{text}")),
            hostile_text().prop_map(|text| format!("http://a.test{text}")),
        ],
        headers in prop::collection::vec((hostile_text(), hostile_text()), 0..8),
        time in any::<Option<Duration>>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let names = Scripted::new(&[]);
            let line = "GET http://b.test/".to_owned();
            let lane = lane(names.clone(), rules(&[line], true));
            let request = WholeRequest {
                headers,
                time_limit: time,
                ..whole(&method, &url)
            };
            let answer = lane.fetch(request, &meter()).await;
            assert!(
                matches!(answer, Err(FetchError::Send(SendError::Denied(_)))),
                "{answer:?}"
            );
            assert_eq!(names.questions(), 0);
        });
    }

    /// The same where a rule allows the address: what is wrong with the fields
    /// is found before anybody is asked.
    #[test]
    fn no_field_of_a_guest_breaks_a_request(
        name in hostile_text(),
        value in hostile_text(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let names = Scripted::new(&[]);
            let lane = lane(names.clone(), rules(&["GET http://b.test/".to_owned()], true));
            let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
                && http::HeaderValue::from_str(&value).is_ok();
            let request = WholeRequest {
                headers: vec![(name, value)],
                ..whole("GET", "http://b.test/")
            };
            let answer = lane.fetch(request, &meter()).await;
            assert!(answer.is_err());
            assert!(good || names.questions() == 0, "{answer:?}");
        });
    }
}

#[tokio::test]
async fn a_dry_run_lets_only_reads_leave() {
    let server = Server::ok().await;
    let line = format!(
        "GET,HEAD,OPTIONS,POST,PUT,PATCH,DELETE http://{}/",
        server.address
    );
    let (lane, records, _) = recorded(Scripted::new(&[]), rules(&[line], true));
    let attempts = Attempts::default();
    let call = meter().dry_run(attempts.clone());
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let url = server.url("/w?a=b");
        let request = WholeRequest {
            body: Some(b"12345".to_vec()),
            ..whole(method, &url)
        };
        let answer = lane.fetch(request, &call).await;
        assert!(
            matches!(answer, Err(FetchError::Send(SendError::DryRun))),
            "{answer:?}"
        );
        // With a stream, whose length nobody has said.
        let body = full("1234567");
        let streamed = http::Request::builder().method(method).uri(&url);
        let sent = lane
            .send(streamed.body(body).unwrap(), &call, Timeouts::default())
            .await;
        assert!(matches!(sent, Err(SendError::DryRun)), "{:?}", sent.err());
    }
    assert_eq!(server.opened(), 0, "nothing has left");
    for method in ["GET", "HEAD", "OPTIONS"] {
        lane.fetch(whole(method, &server.url("/r")), &call)
            .await
            .unwrap_or_else(|error| panic!("{method}: {error}"));
    }
    assert_eq!(server.requests().len(), 3);
    // What no rule allows is denied as ever, and not among what would be done.
    let denied = lane.fetch(whole("POST", "http://b.test/"), &call).await;
    assert!(matches!(
        denied,
        Err(FetchError::Send(SendError::Denied(_)))
    ));

    let list = attempts.list();
    assert_eq!((list.listed.len(), list.more), (4, 0));
    let post = &list.listed[0];
    assert_eq!(post.capability, Capability::Http);
    assert_eq!(post.what, format!("POST {}", server.url("/w?a=b")));
    assert_eq!((post.times, post.bytes), (2, 12));
    let held = records.lines();
    let held = held.iter().filter(|line| line.contains("denied/dry-run"));
    assert_eq!(held.count(), 8);
    assert_eq!(call.usage().bytes_out, 0);
}

#[tokio::test]
async fn a_dry_run_may_post_where_the_rule_says_that_it_reads() {
    let server = Server::ok().await;
    let grant = |path: &str, reads: bool| servo_policy::HttpGrant {
        reads,
        ..servo_policy::HttpGrant::from((
            format!("POST {}", server.url(path)).parse().unwrap(),
            true,
            None,
        ))
    };
    let rules = [grant("/query", true), grant("/write", false)];
    let lane = lane(
        Scripted::new(&[]),
        servo_policy::HttpRules::new(rules).unwrap(),
    );
    let attempts = Attempts::default();
    let call = meter().dry_run(attempts.clone());
    let query = lane.fetch(whole("POST", &server.url("/query")), &call);
    query.await.unwrap();
    let write = lane
        .fetch(whole("POST", &server.url("/write")), &call)
        .await;
    assert!(
        matches!(write, Err(FetchError::Send(SendError::DryRun))),
        "{write:?}"
    );
    let arrived = server.requests();
    assert_eq!(arrived.len(), 1);
    assert!(arrived[0].starts_with("POST /query "), "{}", arrived[0]);
    assert_eq!(attempts.list().listed.len(), 1);
}
