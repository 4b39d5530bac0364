//! Who gets in, seen from outside.

use std::net::SocketAddr;

use crate::support::*;
use serde_json::json;
use servo_optune::{Auth, Service, ServiceOptions, StartError, Tokens};

async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn without_tokens_it_listens_on_loopback_only() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let open = ServiceOptions {
        listen: everywhere,
        ..ServiceOptions::default()
    };
    let error = Service::start(open).await.unwrap_err();
    assert!(matches!(error, StartError::OpenToTheNetwork(_)));
    assert!(
        error
            .to_string()
            .contains("listen on 127.0.0.1 or set tokens")
    );
    let empty = ServiceOptions {
        listen: everywhere,
        auth: Auth::Tokens(Tokens::new()),
        ..ServiceOptions::default()
    };
    assert!(matches!(
        Service::start(empty).await,
        Err(StartError::NoTokens)
    ));
    let tokens = Auth::Tokens(Tokens::new().allow("t", "acme", None));
    let closed = ServiceOptions {
        listen: everywhere,
        auth: tokens,
        ..ServiceOptions::default()
    };
    Service::start(closed).await.unwrap();
}

#[tokio::test]
async fn a_token_opens_its_application_and_no_other() {
    let tokens = Auth::Tokens(Tokens::new().allow("t0k", "acme", Some("shop")));
    let service = Service::start(ServiceOptions {
        auth: tokens,
        ..ServiceOptions::default()
    })
    .await
    .unwrap();
    let address = service.local_addr();
    aside(move || {
        let hello = json!({"event": "HELLO", "param": {"agent": "x"}}).to_string();
        let trials = "/api/v1/accounts/acme/applications/shop/trials";
        let other = "/accounts/acme/applications/other/servo";
        let table = [
            ("POST", PATH, None, 401),
            ("POST", PATH, Some("Bearer wrong"), 403),
            ("POST", PATH, Some("Bearer t0k"), 200),
            ("POST", other, Some("Bearer t0k"), 404),
            ("POST", "/servo", Some("Bearer t0k"), 404),
            (
                "POST",
                "/accounts/acme/applications/%2e%2e/servo",
                Some("Bearer t0k"),
                404,
            ),
            ("GET", trials, None, 401),
            ("GET", trials, Some("Bearer wrong"), 403),
            ("GET", trials, Some("Bearer t0k"), 200),
            ("GET", "/api/v1/apps", None, 401),
            ("GET", "/api/v1/trials", None, 401),
            ("GET", "/api/v1/trials", Some("Bearer t0k"), 200),
            ("GET", "/api/v1/events", None, 401),
            (
                "GET",
                "/api/v1/accounts/else/applications/shop/trials",
                Some("Bearer t0k"),
                404,
            ),
            ("GET", "/healthz", None, 200),
            ("GET", "/", None, 200),
        ];
        for (method, path, token, expected) in table {
            let headers: Vec<(&str, &str)> = token
                .map(|token| ("Authorization", token))
                .into_iter()
                .collect();
            let answer = request(
                address,
                method,
                path,
                &headers,
                if method == "POST" { &hello } else { "" },
            );
            assert_eq!(answer.status, expected, "{method} {path} {token:?}");
            if expected >= 400 {
                assert!(
                    answer.json()["message"].is_string(),
                    "the original prints `message`"
                );
            }
        }
    })
    .await;
}

const RESUME: &str = "/api/v1/accounts/acme/applications/shop/resume";
const STOP: &str = "/api/v1/accounts/acme/applications/shop/stop";
const STUDIES: &str = "/api/v1/accounts/acme/applications/shop/studies";

#[tokio::test]
async fn web_pages_of_others_are_kept_out() {
    let service = Service::start(ServiceOptions::default()).await.unwrap();
    let address = service.local_addr();
    aside(move || {
        let hello = json!({"event": "HELLO", "param": null}).to_string();
        let own = format!("http://{address}");
        let rebound: &[(&str, &str)] = &[("Host", "evil.example:80")];
        let foreign: &[(&str, &str)] = &[("Origin", "http://evil.example")];
        let null: &[(&str, &str)] = &[("Origin", "null")];
        let same: &[(&str, &str)] = &[("Origin", &own)];
        let form: &[(&str, &str)] = &[("Content-Type", "text/plain")];
        let foreign_json: &[(&str, &str)] = &[
            ("Origin", "http://evil.example"),
            ("Content-Type", "application/json"),
        ];
        let json_type: &[(&str, &str)] = &[("Content-Type", "application/json; charset=utf-8")];
        let table = [
            ("GET", "/", rebound, 421),
            ("GET", "/api/v1/trials", rebound, 421),
            ("GET", "/healthz", rebound, 421),
            ("POST", PATH, rebound, 421),
            ("POST", PATH, foreign, 403),
            ("POST", PATH, null, 403),
            ("POST", PATH, same, 200),
            ("POST", PATH, form, 200),
            ("POST", "/api/v1/trials", form, 415),
            ("POST", "/api/v1/trials", &[], 415),
            ("POST", "/api/v1/trials", json_type, 405),
            ("POST", RESUME, form, 415),
            ("POST", RESUME, &[], 415),
            ("POST", STOP, form, 415),
            ("POST", STUDIES, form, 415),
            ("POST", RESUME, foreign_json, 403),
            ("POST", STOP, foreign_json, 403),
            ("POST", STUDIES, foreign_json, 403),
            ("GET", RESUME, &[], 405),
            ("GET", STOP, &[], 405),
            // Through all guards: the body is read, and is of no use.
            ("POST", RESUME, json_type, 400),
            ("POST", STOP, json_type, 400),
            ("POST", STUDIES, json_type, 400),
        ];
        for (method, path, headers, expected) in table {
            let answer = request(
                address,
                method,
                path,
                headers,
                if method == "POST" { &hello } else { "" },
            );
            assert_eq!(answer.status, expected, "{method} {path} {headers:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_page_brings_its_own_and_nothing_else() {
    let service = Service::start(ServiceOptions::default()).await.unwrap();
    let address = service.local_addr();
    aside(move || {
        for (path, kind) in [
            ("/", "text/html"),
            ("/page.js", "text/javascript"),
            ("/page.css", "text/css"),
        ] {
            let answer = get(address, path);
            assert_eq!(answer.status, 200);
            assert!(
                answer.head.contains(&format!("content-type: {kind}")),
                "{}",
                answer.head
            );
            assert!(
                answer
                    .head
                    .contains("content-security-policy: default-src 'none'; script-src 'self'")
            );
            assert!(answer.head.contains("x-content-type-options: nosniff"));
            for elsewhere in [
                "http://",
                "https://",
                "//cdn",
                "@import",
                "javascript:",
                " onclick",
                " style=",
            ] {
                let name = answer.body.replace("http://www.w3.org/2000/svg", "");
                assert!(!name.contains(elsewhere), "{path} has {elsewhere}");
            }
        }
        assert_eq!(get(address, "/api/v1/trials").status, 404);
        assert_eq!(get(address, "/api/v1/apps").json(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn there_is_a_most_of_applications() {
    let service = Service::start(ServiceOptions {
        max_applications: 2,
        ..ServiceOptions::default()
    })
    .await
    .unwrap();
    let address = service.local_addr();
    aside(move || {
        let hello = json!({"event": "HELLO", "param": null}).to_string();
        for (name, expected) in [("a", 200), ("b", 200), ("c", 403), ("a", 200)] {
            let path = format!("/accounts/acme/applications/{name}/servo");
            assert_eq!(
                request(address, "POST", &path, &[], &hello).status,
                expected
            );
        }
    })
    .await;
}

#[tokio::test]
async fn onlookers_get_news_and_are_let_go_at_the_end() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let service = Service::start(ServiceOptions::default()).await.unwrap();
    let address = service.local_addr();
    aside(move || event(address, "HELLO", json!({"agent": "x"}))).await;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    let mut buffer = [0_u8; 4096];
    while !seen.contains("\r\n\r\n") {
        let read = stream.read(&mut buffer).await.unwrap();
        seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    assert!(seen.contains("text/event-stream"), "{seen}");
    aside(move || event(address, "GOODBYE", json!({"reason": "exit"}))).await;
    while !seen.contains("\"connected\":false") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{seen}");
        seen.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    assert!(seen.contains("event: news"));
    // An open stream does not keep the service from ending.
    service.shutdown().await;
    while stream.read(&mut buffer).await.unwrap_or(0) > 0 {}
}

/// Half heads keep nobody out, however many there are.
#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    use std::io::{Read as _, Write as _};
    let service = Service::start(ServiceOptions::default()).await.unwrap();
    let address = service.local_addr();
    aside(move || {
        let mut stuck = Vec::new();
        for _ in 0..400 {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let _ = stream.write_all(b"POST /servo HTTP/1.1\r\nHost: lo");
            stuck.push(stream);
        }
        assert_eq!(get(address, "/healthz").status, 200);
        // The first ones had to make room.
        let gone = stuck
            .iter_mut()
            .take(100)
            .filter_map(|stream| stream.read(&mut [0; 1]).ok())
            .all(|read| read == 0);
        assert!(gone);
    })
    .await;
}

/// What a wrong token costs, and what the right one does not.
#[tokio::test(start_paused = true)]
async fn a_wrong_token_costs_time_and_the_right_one_none() {
    use axum::body::Body;
    use axum::http::Request;
    let tokens = Auth::Tokens(Tokens::new().allow("the-right-token", "acme", None));
    let service = Service::offline(&ServiceOptions {
        auth: tokens,
        ..ServiceOptions::default()
    })
    .unwrap();
    let ask = |token: &str| {
        let request = Request::get("http://localhost/api/v1/apps")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let answer = service.handle(request);
        async move {
            let began = tokio::time::Instant::now();
            (answer.await.status().as_u16(), began.elapsed().as_millis())
        }
    };
    let mut costs = Vec::new();
    for n in 0..20 {
        let (status, cost) = ask(&format!("guess-{n}")).await;
        assert_eq!(status, 403);
        costs.push(cost);
        assert_eq!(ask("the-right-token").await, (200, 0));
    }
    assert_eq!(costs[..4], [50, 100, 200, 400]);
    // The original is answered within 5 s, whatever it sends.
    assert!(costs.iter().all(|cost| *cost <= 3000));
    assert!(costs.iter().sum::<u128>() > 30_000);
}

/// Sixty bodies of a megabyte of small objects, and forty that are never
/// whole, are dealt with one after the other; others are served meanwhile.
#[tokio::test]
async fn a_body_that_would_become_too_much_is_a_failed_report() {
    let service = Service::start(ServiceOptions::default()).await.unwrap();
    let address = service.local_addr();
    aside(move || {
        event(address, "HELLO", json!({"agent": "x"}));
        assert_eq!(next(address)["cmd"], "DESCRIBE");
        let many = vec![json!({"a": {}}); 100_000];
        let report = json!({"status": "ok", "descriptor": many});
        assert_eq!(
            event(address, "DESCRIPTION", report),
            json!({"status": "ok"})
        );
        let view = get(address, "/api/v1/accounts/acme/applications/shop/trials").json();
        assert_eq!(view["phase"]["failed"], 1, "{view}");
    })
    .await;
}

/// Text of a servo reaches neither page nor record as more than text.
#[tokio::test]
async fn what_a_servo_says_is_shown_as_it_is() {
    let service = Service::start(ServiceOptions::default()).await.unwrap();
    let address = service.local_addr();
    aside(move || {
        let agent = "a\u{1b}[31m\u{202e}\r\nall is well\u{9b}";
        event(address, "HELLO", json!({"agent": agent}));
        next(address);
        let progress = json!({"progress": 3, "message": agent});
        event(address, "DESCRIPTION", progress);
        let view = get(address, "/api/v1/accounts/acme/applications/shop/trials");
        for raw in ['\u{1b}', '\u{202e}', '\r', '\u{9b}'] {
            assert!(!view.body.contains(raw), "{raw:?}");
        }
        let view = view.json();
        let expected = "a\\u{1b}[31m\\u{202e}\\u{d}\nall is well\\u{9b}";
        assert_eq!(view["servo"]["agent"], expected);
        assert_eq!(view["progress"]["message"], expected);
        // A name that is to come back as it is cannot be spelled: it is refused.
        let body = json!({"min": 1, "max": 2, "step": 1, "value": 1});
        let named =
            json!({"application": {"components": {"we\u{202e}b": {"settings": {"cpu": body}}}}});
        event(address, "DESCRIPTION", json!({"descriptor": named}));
        let view = get(address, "/api/v1/accounts/acme/applications/shop/trials").json();
        let reason = view["summary"]["reason"].as_str().unwrap();
        assert!(reason.contains("we\\u{202e}b"), "{reason}");
    })
    .await;
}
