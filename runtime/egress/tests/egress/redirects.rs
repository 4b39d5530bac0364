//! Redirects that a rule lets the host follow, as the servers see them.

use http::{Request, StatusCode};
use servo_egress::{CallMeter, Lane, ProtocolFailure, Quota, SendError, Timeouts, empty, full};
use servo_policy::{Budget, HttpGrant, HttpRules, Redirects, Rule};

use crate::common::*;

fn following(line: &str) -> HttpGrant {
    let rule: Rule = line.parse().expect(line);
    HttpGrant {
        redirects: Redirects::SameOrigin,
        ..HttpGrant::from((rule, true, None))
    }
}

/// Follows below `/v1/`.
fn lane_below(server: &Server) -> Lane {
    let line = format!("GET,HEAD,POST http://{}/v1/", server.address);
    lane(
        Scripted::new(&[]),
        HttpRules::new([following(&line)]).unwrap(),
    )
}

fn to(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// Redirects everything but `/v1/end`.
async fn redirecting(location: impl Into<String>) -> Server {
    let location = location.into();
    Server::serving(move |stream, heard| {
        let location = location.clone();
        async move {
            answer_all(stream, &heard, |request| match request.split(' ').nth(1) {
                Some("/v1/end") => OK.into(),
                _ => to(&location),
            })
            .await
        }
    })
    .await
}

fn lines(server: &Server) -> Vec<String> {
    let first = |request: &String| request.lines().next().unwrap().to_owned();
    server.requests().iter().map(first).collect()
}

#[tokio::test]
async fn a_redirect_within_the_rule_is_followed_and_counted() {
    for location in ["/v1/end", "end", "../v1/./end", "end#part"] {
        let server = redirecting(location).await;
        let line = format!("GET http://{}/v1/", server.address);
        let rules = HttpRules::new([following(&line)]).unwrap();
        let (lane, records, _) = recorded(Scripted::new(&[]), rules);
        // One at a time is enough: the answer that is left frees its place.
        let call = CallMeter::new(&Budget {
            concurrent_requests: 1,
            ..Budget::default()
        });
        let mut request = get(&server.url("/v1/start"));
        let headers = request.headers_mut();
        headers.insert("accept", "text/plain".parse().unwrap());
        let response = lane.send(request, &call, Timeouts::default()).await;
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{location}");
        assert_eq!(text(response).await.unwrap(), "ok");
        assert_eq!(
            lines(&server),
            ["GET /v1/start HTTP/1.1", "GET /v1/end HTTP/1.1"],
            "{location}"
        );
        let accepts = |request: &String| request.contains("accept: text/plain");
        assert!(server.requests().iter().all(accepts), "{location}");
        assert_eq!(records.lines().len(), 2, "{:?}", records.lines());
    }
}

#[tokio::test]
async fn no_other_origin_is_asked() {
    let other = Server::ok().await;
    let port = other.port();
    for location in [
        other.url("/v1/end"),
        format!("//127.0.0.1:{port}/v1/end"),
        format!("\\\\127.0.0.1:{port}/v1/end"),
        format!("http://localhost:{port}/v1/end"),
        format!("https://127.0.0.1:{port}/v1/end"),
        "file:///etc/passwd".to_owned(),
    ] {
        let server = redirecting(location.clone()).await;
        // The rules allow the other server, too: it is the origin that counts.
        let rules = [
            following(&format!("GET http://{}/v1/", server.address)),
            following(&format!("GET http://{}/v1/", other.address)),
        ];
        let lane = lane(Scripted::new(&[]), HttpRules::new(rules).unwrap());
        let response = send(&lane, get(&server.url("/v1/start"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::FOUND, "{location}");
        assert_eq!(server.requests().len(), 1, "{location}");
    }
    assert_eq!(other.opened(), 0);
}

#[tokio::test]
async fn one_origin_with_another_scheme_or_a_user_is_another() {
    let server = Server::serving(|stream, heard| async move {
        let answer = |request: &str| {
            let host = request.split("host: ").nth(1).unwrap();
            let host = host.split("\r\n").next().unwrap();
            match request.split(' ').nth(1).unwrap() {
                "/v1/user" => to(&format!("http://u:p@{host}/v1/end")),
                "/v1/https" => to(&format!("https://{host}/v1/end")),
                _ => OK.into(),
            }
        };
        answer_all(stream, &heard, answer).await
    })
    .await;
    let lane = lane_below(&server);
    for path in ["/v1/user", "/v1/https"] {
        let response = send(&lane, get(&server.url(path))).await.unwrap();
        assert_eq!(response.status(), StatusCode::FOUND, "{path}");
    }
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.opened(), 1);
}

#[tokio::test]
async fn a_path_outside_the_rule_is_not_asked_for() {
    for location in [
        "/v2/x",
        "/v1/../v2/x",
        "/v1/%2e%2e/v2/x",
        "../v2/x",
        "/",
        "/v1",
        "/v1/a%2fb",
    ] {
        let server = redirecting(location).await;
        let rules = [
            following(&format!("GET http://{}/v1/", server.address)),
            following(&format!("GET http://{}/v2/", server.address)),
        ];
        let lane = lane(Scripted::new(&[]), HttpRules::new(rules).unwrap());
        let response = send(&lane, get(&server.url("/v1/start"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::FOUND, "{location}");
        assert_eq!(lines(&server), ["GET /v1/start HTTP/1.1"], "{location}");
    }
}

#[tokio::test]
async fn a_loop_ends_after_five_and_within_the_budget() {
    let server = redirecting("/v1/again").await;
    let lane = lane_below(&server);
    let error = send(&lane, get(&server.url("/v1/again")))
        .await
        .unwrap_err();
    assert!(
        matches!(error, SendError::Protocol(ProtocolFailure::Redirects)),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), 6);

    let call = CallMeter::new(&Budget {
        requests: 3,
        ..Budget::default()
    });
    let sent = lane.send(get(&server.url("/v1/again")), &call, Timeouts::default());
    let error = sent.await.unwrap_err();
    assert!(
        matches!(error, SendError::QuotaExhausted(Quota::Requests)),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), 6 + 3);
}

#[tokio::test]
async fn what_is_not_get_or_head_is_answered_with_the_redirect() {
    let server = redirecting("/v1/end").await;
    let lane = lane_below(&server);
    let posted = post(&server.url("/v1/start"), None, full("x"));
    let response = send(&lane, posted).await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(lines(&server), ["POST /v1/start HTTP/1.1"]);

    let request = Request::head(server.url("/v1/start"));
    let response = send(&lane, request.body(empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(lines(&server)[2], "HEAD /v1/end HTTP/1.1");
}

/// The default.
#[tokio::test]
async fn without_the_key_a_redirect_is_an_answer() {
    let server = redirecting("/v1/end").await;
    let response = send(&lane_to(&server), get(&server.url("/v1/start"))).await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.headers()["location"], "/v1/end");
    assert_eq!(server.requests().len(), 1);
}
