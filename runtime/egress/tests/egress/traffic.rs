//! Quotas, malformed answers, kept connections and the ledger.

use std::sync::Arc;
use std::time::Duration;

use crate::common::*;
use http_body_util::BodyExt;
use servo_egress::{BodyError, CallMeter, Quota, SendError, Timeouts, Usage, full};
use servo_policy::Budget;
use tokio::io::AsyncWriteExt;

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
    assert_eq!(server.requests().len(), 3);
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
    // Each refusal is preceded by a moment of waiting.
    tokio::time::pause();
    for _ in 0..200 {
        let error = send().await.unwrap_err();
        assert!(
            matches!(error, SendError::QuotaExhausted(Quota::Concurrency)),
            "{error}"
        );
    }
    tokio::time::resume();
    assert_eq!(server.opened(), 2);
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
    let server = Server::serving(|mut stream, seen| async move {
        while let Some(request) = read_request(&mut stream, &mut Vec::new()).await? {
            seen.keep(request);
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
                () = settle(|| server.requests().len() == round) => {}
            }
        }
        assert_eq!(call.in_flight(), 0);
    }
    settle(|| server.closed() == 50).await;
}

#[tokio::test]
async fn c19_answers_that_are_not_http() {
    let many: String = (0..1_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let seventy: String = (0..70).map(|n| format!("x-{n}: y\r\n")).collect();
    let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".to_vec()),
        ("noise", vec![0xff; 300]),
        ("another protocol", b"SSH-2.0-OpenSSH_9\r\n\r\n".to_vec()),
        ("a bad status", b"HTTP/1.1 2x0 OK\r\n\r\n".to_vec()),
        ("an old version", b"OK hello".to_vec()),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        (
            "seventy fields",
            format!("HTTP/1.1 200 OK\r\n{seventy}content-length: 2\r\n\r\nok").into_bytes(),
        ),
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
        let server = Server::serving(move |mut stream, _| {
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
    assert_eq!(server.opened(), 1);
    for fresh in 1..=3 {
        let mut request = get(&server.url("/"));
        request
            .headers_mut()
            .insert("connection", "Close".parse().unwrap());
        text(send(&lane, request).await.unwrap()).await.unwrap();
        assert_eq!(server.opened(), 1 + fresh);
        // The server keeps its side open: it is the client that closes.
        settle(|| server.closed() == fresh).await;
        assert!(
            server
                .requests()
                .pop()
                .unwrap()
                .contains("connection: close\r\n")
        );
    }
    text(send(&lane, get(&server.url("/"))).await.unwrap())
        .await
        .unwrap();
    assert_eq!(server.opened(), 4, "the kept connection is still there");
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
        assert_eq!(server.opened(), connections, "{path}");
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

#[tokio::test]
async fn the_process_has_so_many_places_and_the_next_one_waits() {
    let server = Server::ok().await;
    let line = format!("GET http://{}/", server.address);
    let gate = servo_egress::Gate::builder(Scripted::new(&[]))
        .places(1)
        .build()
        .unwrap();
    let lane = |tenant| {
        let rules = rules(std::slice::from_ref(&line), true);
        gate.lane(owner(tenant), rules).unwrap()
    };
    let (first, second) = (lane("acme"), lane("other"));
    let held = send(&first, get(&server.url("/"))).await.unwrap();
    tokio::time::pause();
    let call = CallMeter::new(&Budget {
        request_time: Duration::from_secs(1),
        ..Budget::default()
    });
    let error = second
        .send(get(&server.url("/")), &call, Timeouts::default())
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::Timeout(_)), "{error}");
    assert_eq!((server.requests().len(), call.in_flight()), (1, 0));
    let hits = gate.auditor().counters().limit_hits();
    assert_eq!(hits.get("host_requests"), Some(&1), "{hits:?}");
    drop(held);
    tokio::time::resume();
    assert!(send(&second, get(&server.url("/"))).await.is_ok());
}
