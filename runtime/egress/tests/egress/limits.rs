//! What one rule may use, over all calls of its lane.

use std::time::Duration;

use crate::common::*;
use servo_audit::{Capability, Reason, Verdict};
use servo_egress::{BodyError, CallMeter, Phase, Quota, SendError, Timeouts, full};
use servo_policy::{Budget, HttpGrant, HttpRules, Rule, RuleLimits};

/// One private rule with these limits.
fn limited(line: &str, limits: RuleLimits) -> HttpRules {
    let rule: Rule = line.parse().expect(line);
    let grant = HttpGrant {
        limits,
        ..HttpGrant::from((rule, true, None))
    };
    HttpRules::new([grant]).unwrap()
}

fn to(server: &Server, limits: RuleLimits) -> HttpRules {
    limited(&format!("GET,POST http://{}/", server.address), limits)
}

fn retry_after(error: Option<SendError>) -> Duration {
    match error {
        Some(SendError::RateLimited { retry_after, .. }) => retry_after,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn c24_a_retry_storm_is_slowed_then_told_when_to_come_back() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let limits = RuleLimits {
        rate: Some("5/h".parse().unwrap()),
        ..RuleLimits::default()
    };
    let (lane, records, auditor) = recorded(Scripted::new(&[]), to(&server, limits));
    // The driver fails and is called again and again: each try is a new call.
    let mut last = None;
    for _ in 0..500 {
        match send(&lane, get(&server.url("/"))).await {
            Ok(response) => assert_eq!(response.status(), 503),
            Err(error) => last = Some(error),
        }
    }
    assert_eq!(server.requests().len(), 5, "what the server saw");
    let wait = retry_after(last);
    let slot = Duration::from_secs(3_600 / 5);
    assert!(wait > slot / 2 && wait <= slot, "{wait:?}");

    assert_eq!(records.lines().len(), 500);
    let of = |verdict, reason| auditor.counters().of(Capability::Http, verdict, reason);
    assert_eq!(of(Verdict::Denied, Reason::Rate), 495);
    assert_eq!(hits(&auditor), [("request_rate", 495)]);

    // Who comes back when told is served, once.
    tokio::time::pause();
    tokio::time::advance(wait).await;
    tokio::time::resume();
    assert!(send(&lane, get(&server.url("/"))).await.is_ok());
    let error = send(&lane, get(&server.url("/"))).await.err();
    let text = error.as_ref().unwrap().to_string();
    assert!(text.contains("5/h") && text.contains(" ms "), "{text}");
    retry_after(error);
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn c24_a_rule_without_a_rate_has_that_of_the_budget() {
    // The name leads to an address that is refused: no time passes on a socket.
    let rules = limited("GET http://in.test/", RuleLimits::default());
    let lane = lane(Scripted::new(&[&["0.0.0.0"]]), rules);
    let budget = Budget {
        request_rate: 3,
        ..Budget::default()
    };
    for round in 0..2 {
        for _ in 0..3 {
            let call = CallMeter::new(&budget);
            let sent = lane.send(get("http://in.test/"), &call, Timeouts::default());
            let error = sent.await.unwrap_err();
            assert!(matches!(error, SendError::AddressDenied(_)), "{error}");
        }
        let call = CallMeter::new(&budget);
        let sent = lane.send(get("http://in.test/"), &call, Timeouts::default());
        let wait = retry_after(sent.await.err());
        assert!(wait <= Duration::from_millis(334), "{round}: {wait:?}");
        assert_eq!((call.usage().requests, call.usage().denied), (0, 1));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c24_rates_are_of_one_rule_of_one_tenant() {
    let limits = RuleLimits {
        rate: Some("1/h".parse().unwrap()),
        ..RuleLimits::default()
    };
    let rule = |line: &str| HttpGrant {
        limits,
        ..HttpGrant::from((line.parse::<Rule>().unwrap(), true, None))
    };
    let rules = HttpRules::new([rule("GET http://in.test/a"), rule("GET http://in.test/b")]);
    let rules = rules.unwrap();
    let gate = servo_egress::Gate::new(Scripted::new(&[&["0.0.0.0"]])).unwrap();
    let [first, second] = ["acme", "other"].map(|tenant| {
        let lane = gate.lane(owner(tenant), rules.clone());
        lane.unwrap()
    });
    for (lane, path, limited) in [
        (&first, "a", false),
        (&first, "a", true),
        (&first, "b", false),
        (&first, "b", true),
        (&second, "a", false),
        (&second, "a", true),
    ] {
        let error = send(lane, get(&format!("http://in.test/{path}"))).await;
        let error = error.unwrap_err();
        let found = matches!(error, SendError::RateLimited { .. });
        assert_eq!(found, limited, "{path}: {error}");
    }
}

#[tokio::test]
async fn b11_requests_in_flight_are_counted_over_all_calls_of_a_rule() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok").await;
    let limits = RuleLimits {
        concurrency: Some(2),
        ..RuleLimits::default()
    };
    let (lane, _, auditor) = recorded(Scripted::new(&[]), to(&server, limits));
    let first = send(&lane, get(&server.url("/"))).await.unwrap();
    let second = send(&lane, get(&server.url("/"))).await.unwrap();
    tokio::time::pause();
    for _ in 0..20 {
        let error = send(&lane, get(&server.url("/"))).await.unwrap_err();
        assert!(
            matches!(error, SendError::QuotaExhausted(Quota::RuleConcurrency)),
            "{error}"
        );
        assert!(error.to_string().contains("limits.concurrency"), "{error}");
    }
    tokio::time::resume();
    assert_eq!(server.opened(), 2);
    assert_eq!(hits(&auditor), [("concurrent_requests", 20)]);
    drop(first);
    let third = send(&lane, get(&server.url("/"))).await;
    assert!(third.is_ok());
    drop(second);
}

#[tokio::test]
async fn the_narrower_of_rule_and_budget_counts() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789").await;
    let of_rule = RuleLimits {
        request_bytes: Some(4),
        response_bytes: Some(4),
        ..RuleLimits::default()
    };
    let wide = RuleLimits {
        request_bytes: Some(1 << 30),
        response_bytes: Some(1 << 30),
        ..RuleLimits::default()
    };
    let of_budget = Budget {
        request_bytes: 4,
        response_bytes: 4,
        ..Budget::default()
    };
    for (limits, budget) in [(of_rule, Budget::default()), (wide, of_budget)] {
        let lane = lane(Scripted::new(&[]), to(&server, limits));
        let call = CallMeter::new(&budget);
        let large = post(&server.url("/"), None, full("12345"));
        let error = lane.send(large, &call, Timeouts::default()).await.err();
        assert!(
            matches!(error, Some(SendError::TooLarge { limit: 4 })),
            "{error:?}"
        );
        let fits = post(&server.url("/"), None, full("1234"));
        let response = lane.send(fits, &call, Timeouts::default()).await.unwrap();
        let error = text(response).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLarge { limit: 4 }), "{error}");
    }
}

#[tokio::test]
async fn the_time_of_a_rule_ends_its_requests() {
    let server = Server::serving(|mut stream, _| async move {
        read_request(&mut stream, &mut Vec::new()).await?;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no";
        tokio::io::AsyncWriteExt::write_all(&mut stream, head).await?;
        std::future::pending().await
    })
    .await;
    let limits = RuleLimits {
        time: Some(Duration::from_secs(7)),
        ..RuleLimits::default()
    };
    let (lane, _, auditor) = recorded(Scripted::new(&[]), to(&server, limits));
    let response = send(&lane, get(&server.url("/"))).await.unwrap();
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let error = text(response).await.unwrap_err();
    assert!(matches!(error, BodyError::Timeout(Phase::Total)), "{error}");
    assert!(begun.elapsed() <= Duration::from_secs(8));
    assert_eq!(hits(&auditor), [("request_time", 1)]);
}
