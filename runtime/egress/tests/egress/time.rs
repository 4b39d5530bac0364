//! Slow servers, on a clock that jumps: virtual seconds, and no waiting.
//!
//! The clock is stopped only once the request has reached the server. From
//! there on nothing moves but timers, and each test asks which one ended it.

use std::sync::Arc;
use std::time::Duration;

use crate::common::*;
use http_body_util::BodyExt;
use servo_egress::{BodyError, CallMeter, Lane, Phase, Quota, SendError, Timeouts};
use servo_policy::Budget;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

fn budget() -> Budget {
    Budget {
        request_time: Duration::from_secs(30),
        connect_time: Duration::from_secs(5),
        idle_time: Duration::from_secs(15),
        ..Budget::default()
    }
}

/// Reads the request, writes `start`, and then `drip` once a second for ever.
async fn slow(start: &'static str, drip: &'static str) -> (Server, Arc<tokio::sync::Notify>) {
    let reached = Arc::new(tokio::sync::Notify::new());
    let tell = Arc::clone(&reached);
    let server = Server::serving(move |mut stream, _| {
        let tell = Arc::clone(&tell);
        async move {
            read_request(&mut stream, &mut Vec::new()).await?;
            stream.write_all(start.as_bytes()).await?;
            tell.notify_one();
            loop {
                if drip.is_empty() {
                    // Ends when the client goes away.
                    return stream.read(&mut [0; 1]).await.map(|_| ());
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                stream.write_all(drip.as_bytes()).await?;
            }
        }
    })
    .await;
    (server, reached)
}

/// Sends a request whose head never comes; says how it ended, and after what.
async fn headless(
    lane: &Lane,
    server: &Server,
    reached: &tokio::sync::Notify,
    call: &CallMeter,
    wishes: Timeouts,
) -> (SendError, Duration) {
    let lane = lane.clone();
    let (request, call) = (get(&server.url("/")), call.clone());
    let sending = tokio::spawn(async move { lane.send(request, &call, wishes).await });
    reached.notified().await;
    tokio::time::pause();
    let begun = Instant::now();
    let error = sending.await.unwrap().unwrap_err();
    (error, begun.elapsed())
}

#[tokio::test]
async fn c17_no_answer_ends_with_the_request_time() {
    let (server, reached) = slow("", "").await;
    let call = CallMeter::new(&budget());
    let (error, took) = headless(
        &lane_to(&server),
        &server,
        &reached,
        &call,
        Timeouts::default(),
    )
    .await;
    assert!(matches!(error, SendError::Timeout(Phase::Total)), "{error}");
    assert!(
        took > Duration::from_secs(25) && took <= Duration::from_secs(31),
        "{took:?}"
    );
    assert_eq!(call.in_flight(), 0);
    settle(|| server.closed() == 1).await;
}

#[tokio::test]
async fn c17_a_head_that_never_ends() {
    let (server, reached) = slow("HTTP/1.1 200 OK\r\nx: ", "y").await;
    let call = CallMeter::new(&budget());
    let (error, took) = headless(
        &lane_to(&server),
        &server,
        &reached,
        &call,
        Timeouts::default(),
    )
    .await;
    assert!(matches!(error, SendError::Timeout(Phase::Total)), "{error}");
    assert!(took <= Duration::from_secs(31), "{took:?}");
}

#[tokio::test]
async fn c17_the_calls_own_end_is_earlier() {
    let (server, reached) = slow("", "").await;
    let call = CallMeter::new(&Budget {
        wall: Duration::from_secs(3),
        ..budget()
    });
    let lane = lane_to(&server);
    let (error, took) = headless(&lane, &server, &reached, &call, Timeouts::default()).await;
    assert!(matches!(error, SendError::Timeout(Phase::Total)), "{error}");
    assert!(took <= Duration::from_secs(4), "{took:?}");
    let error = lane
        .send(get(&server.url("/")), &call, Timeouts::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, SendError::QuotaExhausted(Quota::Wall)),
        "{error}"
    );
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn a_guest_can_shorten_and_never_lengthen() {
    for (wish, phase, most) in [
        (Duration::from_secs(2), Phase::FirstByte, 3),
        (Duration::MAX, Phase::Total, 31),
        (Duration::from_secs(31), Phase::Total, 31),
    ] {
        let (server, reached) = slow("", "").await;
        let wishes = Timeouts {
            first_byte: Some(wish),
            ..Timeouts::default()
        };
        let (error, took) = headless(
            &lane_to(&server),
            &server,
            &reached,
            &CallMeter::new(&budget()),
            wishes,
        )
        .await;
        assert!(
            matches!(error, SendError::Timeout(p) if p == phase),
            "{wish:?}: {error}"
        );
        assert!(took <= Duration::from_secs(most), "{wish:?}: {took:?}");
        tokio::time::resume();
    }
}

/// Reads a body that never ends; says how it ended, and after what.
async fn endless(
    start: &'static str,
    drip: &'static str,
    wishes: Timeouts,
) -> (BodyError, Duration) {
    let (server, _) = slow(start, drip).await;
    let call = CallMeter::new(&budget());
    let response = lane_to(&server)
        .send(get(&server.url("/")), &call, wishes)
        .await
        .unwrap();
    let mut body = response.into_body();
    tokio::time::pause();
    let begun = Instant::now();
    let error = loop {
        match body.frame().await.unwrap() {
            Ok(_) => assert!(begun.elapsed() < Duration::from_secs(60)),
            Err(error) => break error,
        }
    };
    assert_eq!(call.in_flight(), 0);
    settle(|| server.closed() == 1 || !drip.is_empty()).await;
    (error, begun.elapsed())
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";

#[tokio::test]
async fn c17_a_body_of_one_byte_a_second() {
    let (error, took) = endless(HEAD, "x", Timeouts::default()).await;
    assert!(matches!(error, BodyError::Timeout(Phase::Total)), "{error}");
    assert!(
        took > Duration::from_secs(25) && took <= Duration::from_secs(31),
        "{took:?}"
    );
}

#[tokio::test]
async fn c17_a_body_that_stops() {
    let (error, took) = endless(HEAD, "", Timeouts::default()).await;
    assert!(matches!(error, BodyError::Timeout(Phase::Idle)), "{error}");
    assert!(took <= Duration::from_secs(16), "{took:?}");
}

#[tokio::test]
async fn c17_a_guest_that_waits_for_less_or_for_nothing() {
    for (wish, most) in [
        (Duration::from_secs(2), 3),
        (Duration::ZERO, 1),
        (Duration::from_secs(999), 16),
    ] {
        let wishes = Timeouts {
            between_bytes: Some(wish),
            ..Timeouts::default()
        };
        let (error, took) = endless(HEAD, "", wishes).await;
        assert!(
            matches!(error, BodyError::Timeout(Phase::Idle)),
            "{wish:?}: {error}"
        );
        assert!(took <= Duration::from_secs(most), "{wish:?}: {took:?}");
        tokio::time::resume();
    }
}

/// A resolver that never answers.
struct Silent;

#[async_trait::async_trait]
impl servo_egress::Resolver for Silent {
    async fn resolve(&self, _: &str, _: u16) -> std::io::Result<Vec<std::net::SocketAddr>> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_counts_as_connecting() {
    for (wish, most) in [
        (None, 5),
        (Some(Duration::from_secs(1)), 1),
        (Some(Duration::MAX), 5),
    ] {
        let lane = servo_egress::Gate::new(Arc::new(Silent))
            .unwrap()
            .lane(
                owner("acme"),
                rules(&["GET http://a.test/".to_owned()], true),
            )
            .unwrap();
        let wishes = Timeouts {
            connect: wish,
            ..Timeouts::default()
        };
        let begun = Instant::now();
        let error = lane
            .send(get("http://a.test/"), &CallMeter::new(&budget()), wishes)
            .await
            .unwrap_err();
        assert!(
            matches!(error, SendError::Timeout(Phase::Connect)),
            "{error}"
        );
        assert!(
            begun.elapsed() <= Duration::from_millis(most * 1_000 + 10),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn a_tls_handshake_counts_as_connecting() {
    // Accepts, reads the client's greeting, and says nothing.
    let reached = Arc::new(tokio::sync::Notify::new());
    let tell = Arc::clone(&reached);
    let server = Server::serving(move |mut stream, _| {
        let tell = Arc::clone(&tell);
        async move {
            stream.read_exact(&mut [0; 1]).await?;
            tell.notify_one();
            std::future::pending().await
        }
    })
    .await;
    let line = format!("GET https://{}/", server.address);
    let lane = lane(Scripted::new(&[]), rules(&[line], true));
    let url = format!("https://{}/", server.address);
    let sending = tokio::spawn(async move {
        lane.send(get(&url), &CallMeter::new(&budget()), Timeouts::default())
            .await
    });
    reached.notified().await;
    tokio::time::pause();
    let begun = Instant::now();
    let error = sending.await.unwrap().unwrap_err();
    assert!(
        matches!(error, SendError::Timeout(Phase::Connect)),
        "{error}"
    );
    assert!(begun.elapsed() <= Duration::from_secs(6));
}

#[tokio::test]
async fn c17_a_body_that_never_pauses() {
    let server = Server::endless().await;
    let response = lane_to(&server)
        .send(
            get(&server.url("/")),
            &CallMeter::new(&budget()),
            Timeouts::default(),
        )
        .await
        .unwrap();
    let mut body = response.into_body();
    for _ in 0..10 {
        assert!(body.frame().await.unwrap().is_ok());
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(matches!(error, BodyError::Timeout(Phase::Total)), "{error}");
}
