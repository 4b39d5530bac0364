//! The sample application as its clients see it, over real connections.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the report, in its helpers too"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use servo_demo::app::pace::{Cost, Pace};
use servo_demo::app::{AppError, SampleApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No cost takes any time.
struct Free;

impl Pace for Free {
    fn spend(&self, _cost: Cost) {}

    fn linger(&self, _batch: u32) -> Duration {
        Duration::ZERO
    }
}

async fn app() -> SampleApp {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    SampleApp::start_with_pace(any_port, Arc::new(Free))
        .await
        .unwrap()
}

/// One request on its own connection; the status and the body.
async fn send(app: &SampleApp, method: &str, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let answer = exchange(
        app,
        &format!("{method} {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"),
    )
    .await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Sends `text` as it is and reads until the server closes.
async fn exchange(app: &SampleApp, text: &str) -> String {
    let mut stream = TcpStream::connect(app.local_addr()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn settings_are_read_and_changed() {
    let app = app().await;
    for (method, document, status, answer) in [
        ("GET", "", 200, r#"{"workers":2,"batch":1,"cache":0}"#),
        (
            "PUT",
            r#"{"batch":4}"#,
            200,
            r#"{"workers":2,"batch":4,"cache":0}"#,
        ),
        (
            "PUT",
            r#"{"workers":6,"batch":2,"cache":1024}"#,
            200,
            r#"{"workers":6,"batch":2,"cache":1024}"#,
        ),
        (
            "PUT",
            r#"{"workers":1,"batch":99}"#,
            422,
            r#"{"member":"batch","message":"`batch` must be from 1 to 32, not 99"}"#,
        ),
        (
            "PUT",
            r#"{"speed":1}"#,
            422,
            r#"{"member":"speed","message":"`speed` is no setting; the settings are `workers`, `batch` and `cache`"}"#,
        ),
        (
            "PUT",
            "{",
            400,
            r#"{"member":null,"message":"no JSON: EOF while parsing an object at line 1 column 1"}"#,
        ),
        ("GET", "", 200, r#"{"workers":6,"batch":2,"cache":1024}"#),
    ] {
        let (found, body) = send(&app, method, "/settings", document).await;
        assert_eq!(
            (found, body.trim_end()),
            (status, answer),
            "{method} {document}"
        );
    }
    let (status, _) = send(&app, "PUT", "/settings", &" ".repeat(5000)).await;
    assert_eq!(status, 413, "a document that cannot be one is not read");
    app.shutdown().await;
}

#[tokio::test]
async fn old_and_new_http_with_and_without_keep_alive() {
    let app = app().await;
    let quote = "GET /quote HTTP/1.0\r\n\r\n";
    let kept = "GET /quote HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n";
    let modern = "GET /quote HTTP/1.1\r\nhost: shop\r\n\r\n";
    for (text, version, answers) in [
        (quote.to_owned(), "HTTP/1.0 200 OK", 1),
        (format!("{quote}{quote}"), "HTTP/1.0 200 OK", 1),
        (format!("{kept}{kept}{quote}"), "HTTP/1.0 200 OK", 3),
        (format!("{modern}{quote}"), "HTTP/1.", 2),
    ] {
        let answer = exchange(&app, &text).await;
        assert!(answer.starts_with(version), "{text}\n{answer}");
        assert_eq!(
            answer.matches("\"price\"").count(),
            answers,
            "{text}\n{answer}"
        );
        assert_eq!(
            answer.matches("content-length: 35\r\n").count(),
            answers,
            "{answer}"
        );
    }
    app.shutdown().await;
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let app = app().await;
    assert_eq!(
        send(&app, "GET", "/healthz", "").await,
        (200, "ok\n".to_owned())
    );
    for _ in 0..3 {
        assert_eq!(send(&app, "GET", "/quote", "").await.0, 200);
    }
    let (_, page) = send(&app, "GET", "/metrics", "").await;
    for line in [
        "# TYPE servo_demo_requests_total counter",
        "servo_demo_requests_total 3",
        "servo_demo_cache_hits_total 0",
        "servo_demo_cache_misses_total 3",
        "servo_demo_database_round_trips_total 3",
        "servo_demo_in_flight 0",
        "servo_demo_request_seconds_count 3",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    app.shutdown().await;
}

#[tokio::test]
async fn other_requests_are_refused() {
    let app = app().await;
    for (method, path, status) in [
        ("GET", "/", 404),
        ("POST", "/settings", 405),
        ("DELETE", "/quote", 405),
    ] {
        assert_eq!(
            send(&app, method, path, "").await.0,
            status,
            "{method} {path}"
        );
    }
    app.shutdown().await;
}

#[tokio::test]
async fn after_shutdown_the_address_is_free_and_an_idle_client_does_not_hold_it() {
    let app = app().await;
    let address = app.local_addr();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: shop\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    app.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let app = app().await;
    let Err(error) = SampleApp::start(app.local_addr()).await else {
        panic!("two applications share an address");
    };
    assert!(matches!(error, AppError::Listen { .. }));
    assert!(error.to_string().contains(&app.local_addr().to_string()));
    app.shutdown().await;
}
