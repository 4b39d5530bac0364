//! Bodies, quotas, malformed answers, kept connections and the ledger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::*;
use futures_util::stream;
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use servo_egress::{Body, BodyError, CallMeter, Quota, SendError, Timeouts, Usage, full};
use servo_policy::Budget;
use tokio::io::AsyncWriteExt;

/// A body of pieces whose length is not known beforehand.
fn pieces(pieces: Vec<Result<Frame<Bytes>, BodyError>>) -> Body {
    StreamBody::new(stream::iter(pieces)).boxed_unsync()
}

fn data(text: &'static str) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn post(url: &str, length: Option<&str>, body: Body) -> Request<Body> {
    let mut request = Request::post(url).body(body).unwrap();
    if let Some(length) = length {
        request
            .headers_mut()
            .insert("content-length", length.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_body_of_unknown_length_is_sent_in_chunks_without_empty_ones() {
    let server = Server::ok().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-trailer", "dropped".parse().unwrap());
    let body = pieces(vec![
        data(""),
        data("hello "),
        data(""),
        data("world"),
        Ok(Frame::trailers(trailers)),
    ]);
    let response = send(&lane_to(&server), post(&server.url("/"), None, body))
        .await
        .unwrap();
    assert_eq!(text(response).await.unwrap(), "ok");
    let sent = server.seen.requests().remove(0);
    assert!(sent.contains("transfer-encoding: chunked\r\n"), "{sent}");
    assert!(
        sent.ends_with("\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"),
        "{sent}"
    );
}

#[tokio::test]
async fn c13_lengths_that_lie_before_anything_is_sent() {
    let server = Server::ok().await;
    let lane = lane_to(&server);
    let mut twice = post(&server.url("/"), Some("2"), pieces(vec![data("ok")]));
    twice
        .headers_mut()
        .append("content-length", "3".parse().unwrap());
    let mut chunked = post(&server.url("/"), Some("2"), pieces(vec![data("ok")]));
    chunked
        .headers_mut()
        .append("transfer-encoding", "chunked".parse().unwrap());
    let mut requests = vec![twice, chunked];
    for length in ["-1", "+2", " ", "2,2", "0x2", "99999999999999999999", "two"] {
        requests.push(post(
            &server.url("/"),
            Some(length),
            pieces(vec![data("ok")]),
        ));
    }
    requests.push(post(&server.url("/"), Some("3"), full("ok")));
    for request in requests {
        let headers = format!("{:?}", request.headers());
        let error = send(&lane, request).await.err();
        assert!(
            matches!(error, Some(SendError::Request(_))),
            "{headers}: {error:?}"
        );
    }
    assert_eq!(server.seen.connections(), 0);
}

#[tokio::test]
async fn c13_a_stream_of_another_length_closes_the_connection() {
    for (length, body) in [
        ("5", vec![data("ok")]),
        ("2", vec![data("ok"), data("GET /admin HTTP/1.1\r\n\r\n")]),
    ] {
        let server = Server::ok().await;
        let lane = lane_to(&server);
        let result = send(&lane, post(&server.url("/"), Some(length), pieces(body))).await;
        assert!(matches!(result, Err(SendError::Request(_))), "{result:?}");
        settle(|| server.seen.closed() == server.seen.connections()).await;
        assert!(server.seen.requests().is_empty(), "no whole request came");
    }
}

#[tokio::test]
async fn request_bodies_are_capped() {
    let budget = Budget {
        request_bytes: 8,
        ..Budget::default()
    };
    let server = Server::ok().await;
    let lane = lane_to(&server);
    let call = CallMeter::new(&budget);
    // Known to be too large: refused before anything is sent.
    for request in [
        post(&server.url("/"), None, full("123456789")),
        post(&server.url("/"), Some("9"), pieces(vec![data("123456789")])),
    ] {
        let error = lane.send(request, &call, Timeouts::default()).await.err();
        assert!(
            matches!(error, Some(SendError::TooLarge { limit: 8 })),
            "{error:?}"
        );
    }
    assert_eq!(server.seen.connections(), 0);
    // Found out on the way.
    let long = pieces(vec![data("12345678"), data("9")]);
    let error = lane
        .send(
            post(&server.url("/"), None, long),
            &call,
            Timeouts::default(),
        )
        .await
        .err();
    assert!(
        matches!(error, Some(SendError::TooLarge { limit: 8 })),
        "{error:?}"
    );
    settle(|| server.seen.closed() == 1).await;
    assert!(
        server.seen.requests().is_empty(),
        "the request never became whole"
    );
    let exact = lane
        .send(
            post(&server.url("/"), None, full("12345678")),
            &call,
            Timeouts::default(),
        )
        .await;
    assert!(exact.is_ok());
    assert_eq!(call.usage().bytes_out, 16);
}

#[tokio::test]
async fn a_body_that_its_sender_gives_up_aborts_the_request() {
    let server = Server::ok().await;
    let body = pieces(vec![
        data("half"),
        Err(BodyError::Aborted("the guest trapped".into())),
    ]);
    let error = send(&lane_to(&server), post(&server.url("/"), None, body))
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::Request(_)), "{error}");
    assert!(!error.to_string().contains("trapped"));
    settle(|| server.seen.closed() == 1).await;
    assert!(server.seen.requests().is_empty());
}

#[tokio::test]
async fn c16_a_response_is_capped_and_its_connection_closed() {
    let server = Server::on("127.0.0.1", 0, |mut stream, _| async move {
        read_request(&mut stream, &mut Vec::new()).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
            .await?;
        loop {
            stream.write_all(&[b'x'; 65_536]).await?;
        }
    })
    .await;
    let budget = Budget {
        response_bytes: 1 << 20,
        ..Budget::default()
    };
    let call = CallMeter::new(&budget);
    let lane = lane_to(&server);
    let response = lane
        .send(get(&server.url("/")), &call, Timeouts::default())
        .await
        .unwrap();
    let mut body = response.into_body();
    let mut received = 0;
    let error = loop {
        match body.frame().await.unwrap() {
            Ok(frame) => received += frame.into_data().unwrap().len(),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, BodyError::TooLarge { limit: 1_048_576 }),
        "{error}"
    );
    assert!(received <= 1 << 20, "{received}");
    assert_eq!(
        call.in_flight(),
        0,
        "the place is free before the body is dropped"
    );
    settle(|| server.seen.closed() == 1).await;
}

#[tokio::test]
async fn c16_nothing_is_buffered_for_a_reader_that_does_not_read() {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let (stalled, when_stalled) = tokio::sync::oneshot::channel();
    let stalled = std::sync::Mutex::new(Some(stalled));
    let stalled = Arc::new(stalled);
    let server = Server::on("127.0.0.1", 0, move |mut stream, _| {
        let stalled = Arc::clone(&stalled);
        async move {
            read_request(&mut stream, &mut Vec::new()).await?;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
                .await?;
            // On the paused clock this time is over when nothing moves any more.
            while let Ok(done) =
                tokio::time::timeout(Duration::from_millis(1), stream.write_all(&[b'x'; 65_536]))
                    .await
            {
                done?;
                WRITTEN.fetch_add(65_536, Ordering::SeqCst);
            }
            stalled.lock().unwrap().take().map(|tell| tell.send(()));
            std::future::pending().await
        }
    })
    .await;
    let response = send(&lane_to(&server), get(&server.url("/")))
        .await
        .unwrap();
    tokio::time::pause();
    when_stalled.await.unwrap();
    // What the kernel holds for both ends of a loopback connection, and no more.
    let written = WRITTEN.load(Ordering::SeqCst);
    assert!(
        written < 32 << 20,
        "{written} bytes were taken from a server nobody listens to"
    );
    drop(response);
}

#[tokio::test]
async fn c16_a_compressed_body_is_handed_over_as_it_is() {
    let server = Server::answering(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f_zz",
    )
    .await;
    let response = send(&lane_to(&server), get(&server.url("/")))
        .await
        .unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(text(response).await.unwrap(), "\x1f_zz");
    let sent = server.seen.requests().remove(0);
    assert!(!sent.contains("accept-encoding"), "{sent}");
}

#[tokio::test]
async fn c18_the_number_of_requests() {
    let server = Server::ok().await;
    let lane = lane_to(&server);
    let call = CallMeter::new(&Budget {
        requests: 3,
        ..Budget::default()
    });
    for _ in 0..3 {
        let response = lane
            .send(get(&server.url("/")), &call, Timeouts::default())
            .await
            .unwrap();
        text(response).await.unwrap();
    }
    for _ in 0..10 {
        let error = lane
            .send(get(&server.url("/")), &call, Timeouts::default())
            .await
            .unwrap_err();
        assert!(
            matches!(error, SendError::QuotaExhausted(Quota::Requests)),
            "{error}"
        );
    }
    assert_eq!(server.seen.requests().len(), 3);
    assert_eq!(
        call.usage(),
        Usage {
            requests: 3,
            denied: 10,
            bytes_out: 0,
            bytes_in: 6
        }
    );
    // The meter of the next step goes on where this one stopped.
    let next = CallMeter::resumed(
        &Budget {
            requests: 4,
            ..Budget::default()
        },
        call.usage(),
        Duration::from_secs(9),
    );
    assert!(
        lane.send(get(&server.url("/")), &next, Timeouts::default())
            .await
            .is_ok()
    );
    assert!(
        lane.send(get(&server.url("/")), &next, Timeouts::default())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn c18_b11_requests_at_once() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok").await;
    let lane = lane_to(&server);
    let call = CallMeter::new(&Budget {
        concurrent_requests: 2,
        ..Budget::default()
    });
    let send = || lane.send(get(&server.url("/")), &call, Timeouts::default());
    let (first, second) = (send().await.unwrap(), send().await.unwrap());
    assert_eq!(call.in_flight(), 2);
    for _ in 0..200 {
        let error = send().await.unwrap_err();
        assert!(
            matches!(error, SendError::QuotaExhausted(Quota::Concurrency)),
            "{error}"
        );
    }
    assert_eq!(server.seen.connections(), 2);
    drop(first);
    let third = send().await.unwrap();
    assert!(send().await.is_err());
    drop((second, third));
    assert_eq!(call.in_flight(), 0);
    assert_eq!(
        call.usage().requests,
        3,
        "a refusal for concurrency costs no request"
    );
}

#[tokio::test]
async fn c18_a_body_read_to_its_end_frees_its_place() {
    let server = Server::ok().await;
    let lane = lane_to(&server);
    let call = CallMeter::new(&Budget {
        concurrent_requests: 1,
        ..Budget::default()
    });
    let response = lane
        .send(get(&server.url("/")), &call, Timeouts::default())
        .await
        .unwrap();
    let mut body = response.into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "ok"
    );
    assert_eq!(call.in_flight(), 0);
    assert!(
        lane.send(get(&server.url("/")), &call, Timeouts::default())
            .await
            .is_ok()
    );
    drop(body);
}

#[tokio::test]
async fn i4_a_request_that_is_dropped_leaves_nothing() {
    let server = Server::on("127.0.0.1", 0, |mut stream, seen| async move {
        while let Some(request) = read_request(&mut stream, &mut Vec::new()).await? {
            seen.requests.lock().unwrap().push(request);
        }
        Ok(())
    })
    .await;
    let lane = lane_to(&server);
    let call = meter();
    for round in 1..=50 {
        {
            let waiting = lane.send(get(&server.url("/")), &call, Timeouts::default());
            tokio::select! {
                _ = waiting => panic!("the server never answers"),
                () = settle(|| server.seen.requests().len() == round) => {}
            }
        }
        assert_eq!(call.in_flight(), 0);
    }
    settle(|| server.seen.closed() == 50).await;
}

#[tokio::test]
async fn c19_answers_that_are_not_http() {
    let many: String = (0..1_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("noise", vec![0xff; 300]),
        ("another protocol", b"SSH-2.0-OpenSSH_9\r\n\r\n".to_vec()),
        ("a bad status", b"HTTP/1.1 2x0 OK\r\n\r\n".to_vec()),
        ("an old version", b"OK hello".to_vec()),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        (
            "a thousand fields",
            format!("HTTP/1.1 200 OK\r\n{many}content-length: 2\r\n\r\nok").into_bytes(),
        ),
        (
            "a field of 1 MB",
            format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)).into_bytes(),
        ),
        (
            "a bad field",
            b"HTTP/1.1 200 OK\r\nx y: z\r\ncontent-length: 2\r\n\r\nok".to_vec(),
        ),
        (
            "a bad length",
            b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok".to_vec(),
        ),
        (
            "two lengths",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok".to_vec(),
        ),
        (
            "a bad chunk",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n".to_vec(),
        ),
        (
            "a huge chunk",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nok"
                .to_vec(),
        ),
        (
            "an early end",
            b"HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\nok".to_vec(),
        ),
        (
            "an early end of chunks",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n".to_vec(),
        ),
        ("a flood of 1xx", flood.into_bytes()),
    ];
    for (what, answer) in table {
        let answer = Arc::new(answer);
        let server = Server::on("127.0.0.1", 0, move |mut stream, _| {
            let answer = Arc::clone(&answer);
            async move {
                read_request(&mut stream, &mut Vec::new()).await?;
                stream.write_all(&answer).await?;
                stream.shutdown().await
            }
        })
        .await;
        let call = meter();
        match lane_to(&server)
            .send(get(&server.url("/")), &call, Timeouts::default())
            .await
        {
            Err(error) => assert!(matches!(error, SendError::Protocol(_)), "{what}: {error:?}"),
            Ok(response) => {
                let error = text(response).await.expect_err(what);
                assert!(matches!(error, BodyError::Protocol(_)), "{what}: {error:?}");
            }
        }
        assert_eq!(call.in_flight(), 0, "{what}");
    }
}

#[tokio::test]
async fn connections_are_kept_unless_told() {
    let server = Server::ok().await;
    let lane = lane_to(&server);
    for _ in 0..5 {
        text(send(&lane, get(&server.url("/"))).await.unwrap())
            .await
            .unwrap();
    }
    assert_eq!(server.seen.connections(), 1);
    for fresh in 1..=3 {
        let mut request = get(&server.url("/"));
        request
            .headers_mut()
            .insert("connection", "Close".parse().unwrap());
        text(send(&lane, request).await.unwrap()).await.unwrap();
        assert_eq!(server.seen.connections(), 1 + fresh);
        // The server keeps its side open: it is the client that closes.
        settle(|| server.seen.closed() == fresh).await;
        assert!(
            server
                .seen
                .requests()
                .pop()
                .unwrap()
                .contains("connection: close\r\n")
        );
    }
    text(send(&lane, get(&server.url("/"))).await.unwrap())
        .await
        .unwrap();
    assert_eq!(
        server.seen.connections(),
        4,
        "the kept connection is still there"
    );
}

#[tokio::test]
async fn c21_connections_belong_to_one_owner_and_one_rule() {
    let server = Server::ok().await;
    let lines = [
        format!("GET http://{}/a", server.address),
        format!("GET http://{}/b", server.address),
    ];
    let gate = servo_egress::Gate::new(Scripted::new(&[])).unwrap();
    let lane = |tenant| gate.lane(owner(tenant), rules(&lines, true)).unwrap();
    let (first, second) = (lane("acme"), lane("other"));
    for (lane, path, connections) in [
        (&first, "/a", 1),
        (&first, "/a", 1),
        (&first, "/b", 2),
        (&second, "/a", 3),
        (&second, "/a", 3),
        (&first, "/a", 3),
    ] {
        text(send(lane, get(&server.url(path))).await.unwrap())
            .await
            .unwrap();
        assert_eq!(server.seen.connections(), connections, "{path}");
    }
}

#[tokio::test]
async fn the_ledger_counts_and_stays_bounded() {
    let server = Server::ok().await;
    let lane = lane_to(&server);
    for _ in 0..2 {
        text(
            send(&lane, post(&server.url("/"), None, full("hello")))
                .await
                .unwrap(),
        )
        .await
        .unwrap();
    }
    for host in 0..100 {
        for _ in 0..2 {
            let url = format!("http://h{host}.test/{}?token=hush", "x".repeat(1_000));
            assert!(send(&lane, get(&url)).await.is_err());
        }
    }
    let snapshot = lane.ledger().snapshot();
    let rule = &snapshot.rules[0];
    assert_eq!((rule.requests, rule.bytes_out, rule.bytes_in), (2, 10, 4));
    assert_eq!((snapshot.denials.len(), snapshot.more_denials), (64, 72));
    assert!(
        snapshot
            .denials
            .iter()
            .all(|d| d.count == 2 && d.request.len() < 260)
    );
    let json = serde_json::to_string(&snapshot).unwrap();
    assert!(
        json.contains("GET http://h0.test/xxx") && !json.contains("hush"),
        "{json}"
    );
}
