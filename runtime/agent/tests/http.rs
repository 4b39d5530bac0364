//! The HTTP client against a real socket: headers, addresses, limits. What is
//! asserted is what the other end received.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use servo_agent::{
    Drivers, HttpConfig, HttpTransport, Servo, ServoConfig, StopReason, Token, Transport,
    TransportSetupError, parse_url, service_url,
};
use servo_egress::{Gate, Owner, SystemResolver};
use servo_protocol::{Event, Success};

#[derive(Debug, Clone)]
struct Seen {
    path: String,
    headers: HeaderMap,
    body: Value,
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// Serves on loopback, answering everything the same.
async fn serve(answer: fn() -> Response) -> (SocketAddr, Log) {
    let log = Log::default();
    let handler = move |State(log): State<Log>, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let body = serde_json::from_slice(&body).unwrap();
        let path = uri.to_string();
        log.lock().unwrap().push(Seen {
            path,
            headers,
            body,
        });
        answer()
    };
    let app = Router::new().fallback(handler).with_state(log.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, log)
}

fn fine() -> Response {
    axum::Json(json!({"status": "ok"})).into_response()
}

fn config(url: &str, token: Option<&str>) -> HttpConfig {
    HttpConfig {
        url: parse_url(url).unwrap(),
        token: token.map(|token| Token::new(token).unwrap()),
        allow_plaintext: false,
    }
}

fn transport(config: HttpConfig) -> Result<HttpTransport, TransportSetupError> {
    let gate = Gate::new(Arc::new(SystemResolver)).unwrap();
    HttpTransport::new(&gate, Owner::default(), config)
}

fn whats_next() -> servo_protocol::Envelope {
    Event::WhatsNext
        .to_envelope(Success::WithStatus, None)
        .unwrap()
}

#[tokio::test]
async fn case_1_without_a_token_the_address_is_used_as_given() {
    let (address, log) = serve(fine).await;
    let transport = transport(config(&format!("http://{address}/a/b?c=d"), None)).unwrap();
    let answer = transport.post(&whats_next()).await.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_ref()),
        (200, br#"{"status":"ok"}"#.as_slice())
    );
    let seen = log.lock().unwrap().remove(0);
    assert_eq!(seen.path, "/a/b?c=d");
    assert_eq!(seen.headers.get("authorization"), None);
    assert_eq!(seen.headers["content-type"], "application/json");
    assert!(
        seen.headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("servo/")
    );
    assert_eq!(seen.body, json!({"event": "WHATS_NEXT", "param": null}));
}

#[tokio::test]
async fn case_2_the_token_of_the_file_is_trimmed_and_sent_with_every_request() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"  t0k\n\n").unwrap();
    let (address, log) = serve(fine).await;
    let mut config = config(&format!("http://{address}/"), None);
    config.token = Some(Token::read(file.path()).unwrap());
    let transport = Arc::new(transport(config).unwrap());
    let servo = Servo::new(ServoConfig::new("shop"), Drivers::default(), transport);
    let handle = servo.handle();
    let run = tokio::spawn(servo.run());
    while log.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    handle.stop_now(StopReason::Sigterm);
    assert_eq!(run.await.unwrap(), StopReason::Sigterm);
    let log = log.lock().unwrap();
    let events: Vec<_> = log
        .iter()
        .map(|seen| seen.body["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["HELLO", "WHATS_NEXT", "GOODBYE"]);
    assert!(
        log.iter()
            .all(|seen| seen.headers["authorization"] == "Bearer t0k")
    );
}

#[test]
fn case_3_the_address_of_the_hosted_service() {
    for (base, account, app, url) in [
        (
            "https://api.opsani.com",
            "acme",
            "shop",
            "https://api.opsani.com/accounts/acme/applications/shop/servo",
        ),
        (
            "https://api.opsani.com/",
            "a/b",
            "shop ?#",
            "https://api.opsani.com/accounts/a%2Fb/applications/shop%20%3F%23/servo",
        ),
        (
            "http://[::1]:8080/base/",
            "acme",
            "shop",
            "http://[::1]:8080/base/accounts/acme/applications/shop/servo",
        ),
    ] {
        let built = service_url(base, account, app);
        assert_eq!(
            built.map(|url| url.to_string()).ok().as_deref(),
            Some(url),
            "{account}"
        );
    }
    for empty in [("", "shop"), ("acme", ""), (".", "shop"), ("acme", "..")] {
        assert!(
            service_url("https://api.opsani.com", empty.0, empty.1).is_err(),
            "{empty:?}"
        );
    }
}

#[test]
fn addresses_that_are_refused() {
    for url in [
        "",
        "shop",
        "ftp://h/",
        "http://",
        "file:///x",
        "https://u:p@h/",
        "https://u@h/",
    ] {
        let error = parse_url(url).unwrap_err();
        assert!(
            !error.to_string().contains("u:p"),
            "credentials are not printed"
        );
    }
}

#[test]
fn a_token_does_not_travel_in_the_clear() {
    for (url, token, allowed) in [
        ("http://example.com/", Some("t"), false),
        ("http://10.0.0.1/", Some("t"), false),
        ("http://localhost.example.com/", Some("t"), false),
        ("http://127.0.0.1.example.com/", Some("t"), false),
        ("http://example.com/", None, true),
        ("https://example.com/", Some("t"), true),
        ("http://127.0.0.1:1/", Some("t"), true),
        ("http://[::1]:1/", Some("t"), true),
        ("http://localhost:1/", Some("t"), true),
    ] {
        let built = transport(config(url, token));
        assert_eq!(built.is_ok(), allowed, "{url}");
        let mut config = config(url, token);
        config.allow_plaintext = true;
        assert!(transport(config).is_ok(), "{url}");
    }
}

#[test]
fn tokens_that_are_refused() {
    for token in ["", " \n", "a\nb", "a\u{0}b"] {
        assert!(
            matches!(Token::new(token), Err(TransportSetupError::Token)),
            "{token:?}"
        );
    }
    let missing = Token::read(Path::new("/nowhere/token")).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/token"));
    assert!(!format!("{:?}", Token::new("s3cret").unwrap()).contains("s3cret"));
    let mut large = tempfile::NamedTempFile::new().unwrap();
    large.write_all(&vec![b'a'; 100 << 10]).unwrap();
    assert!(Token::read(large.path()).is_err());
}

/// The ends of the connections as the service saw them, for DESCRIPTION and for
/// another event: only after the first is a new connection made.
#[tokio::test]
async fn connections_are_kept_except_after_a_description() {
    async fn ends(
        axum::extract::ConnectInfo(from): axum::extract::ConnectInfo<SocketAddr>,
    ) -> axum::Json<Value> {
        axum::Json(json!({"port": from.port()}))
    }
    let app = Router::new().fallback(ends);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let transport = transport(config(&format!("http://{address}/"), None)).unwrap();
    let description = servo_protocol::Envelope {
        event: servo_protocol::EventName::Description,
        param: json!({}),
        servo_uid: None,
    };
    let mut ports = Vec::new();
    for event in [
        &whats_next(),
        &whats_next(),
        &description,
        &whats_next(),
        &whats_next(),
    ] {
        let answer = transport.post(event).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        ports.push(answer["port"].clone());
    }
    assert_eq!(ports[0], ports[1]);
    assert_eq!(ports[1], ports[2]);
    assert_ne!(ports[2], ports[3]);
    assert_eq!(ports[3], ports[4]);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (address, log) = serve(|| {
        (
            StatusCode::TEMPORARY_REDIRECT,
            [("location", "/elsewhere")],
            "",
        )
            .into_response()
    })
    .await;
    let transport = transport(config(&format!("http://{address}/a"), Some("t"))).unwrap();
    let answer = transport.post(&whats_next()).await.unwrap();
    assert_eq!(answer.status, 307);
    let paths: Vec<_> = log
        .lock()
        .unwrap()
        .iter()
        .map(|seen| seen.path.clone())
        .collect();
    assert_eq!(paths, ["/a"]);
}

#[tokio::test]
async fn busy_answers_say_when_to_come_back() {
    let (address, _log) = serve(|| {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            [("retry-after", "7")],
            "busy",
        )
            .into_response()
    })
    .await;
    let transport = transport(config(&format!("http://{address}/"), None)).unwrap();
    let answer = transport.post(&whats_next()).await.unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.retry_after.map(|wait| wait.as_secs()), Some(7));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    struct Endless(Bytes);
    impl Iterator for Endless {
        type Item = Result<Bytes, std::io::Error>;
        fn next(&mut self) -> Option<Self::Item> {
            Some(Ok(self.0.clone()))
        }
    }
    let (address, _log) = serve(|| {
        let chunks = futures_util::stream::iter(Endless(Bytes::from(vec![b' '; 1 << 20])));
        Body::from_stream(chunks).into_response()
    })
    .await;
    let transport = transport(config(&format!("http://{address}/"), None)).unwrap();
    let error = transport.post(&whats_next()).await.unwrap_err();
    assert!(
        error.to_string().contains("larger than 16777216 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_closed_port_is_a_failed_request() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let transport = transport(config(&format!("http://{address}/secret"), None)).unwrap();
    let error = transport.post(&whats_next()).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// The kernel completes the connection; nobody ever answers.
#[tokio::test(start_paused = true)]
async fn a_service_that_stays_silent_is_given_up_after_a_minute() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let transport = transport(config(&format!("http://{address}/"), None)).unwrap();
    let began = tokio::time::Instant::now();
    let error = transport.post(&whats_next()).await.unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
    assert_eq!(began.elapsed().as_secs(), 60);
}

const PROXIED: &str = "SERVO_TEST_PROXIED";

/// Proxy variables are read when a client is built, so this runs in a process
/// of its own that has them.
#[tokio::test]
async fn proxy_variables_are_not_honoured() {
    if let Ok(url) = std::env::var(PROXIED) {
        let transport = transport(config(&url, None)).unwrap();
        assert_eq!(transport.post(&whats_next()).await.unwrap().status, 200);
        return;
    }
    let (address, log) = serve(fine).await;
    let (proxy, proxied) = serve(fine).await;
    let status = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "proxy_variables_are_not_honoured"])
        .env(PROXIED, format!("http://{address}/direct"))
        .env("HTTP_PROXY", format!("http://{proxy}"))
        .env("http_proxy", format!("http://{proxy}"))
        .env("ALL_PROXY", format!("http://{proxy}"))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .stdout(std::process::Stdio::null())
        .status()
        .await
        .unwrap();
    assert!(status.success());
    assert_eq!(log.lock().unwrap().len(), 1);
    assert_eq!(proxied.lock().unwrap().len(), 0);
}
