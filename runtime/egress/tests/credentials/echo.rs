//! E2 and E3: what comes back.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header;
use http_body_util::BodyExt;
use servo_egress::{CredentialFailure, SendError};
use servo_policy::Credential;

use crate::common::{Server, get, send, text};
use crate::world::*;

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// An echo in every spelling, in the head and in the body.
fn echo(request: &str) -> Vec<u8> {
    let value = field(request, "authorization")
        .or(field(request, "x-api-key"))
        .unwrap();
    let secret = value.split_once(' ').map_or(value, |(_, secret)| secret);
    let body = format!(
        "plain {value}|json {}|percent {}|base64 {}|{}|all {}|{}",
        serde_json::to_string(value).unwrap(),
        percent(secret),
        STANDARD.encode(value),
        URL_SAFE_NO_PAD.encode(secret),
        STANDARD.encode(request),
        request
    );
    let fields = format!("x-echo: <{value}>\r\nx-coded: {}\r\n", percent(secret));
    answer("200 OK", &fields, &body)
}

#[tokio::test]
async fn e2_the_value_is_taken_out_of_an_echo() {
    let secrets = Secrets::new();
    let canary = r#"canary-e2/"one"+<&>\x"#;
    let source = || secrets.write("one", canary);
    let pair = STANDARD.encode(format!("user:{canary}"));
    for (name, credential, on_the_wire) in [
        (
            "bearer",
            Credential::Bearer(source()),
            format!("Bearer {canary}"),
        ),
        (
            "basic",
            Credential::Basic {
                user: "user".to_owned(),
                password: source(),
            },
            format!("Basic {pair}"),
        ),
        (
            "header",
            Credential::Header {
                name: "x-api-key".to_owned(),
                before: "Key ".to_owned(),
                secret: source(),
                after: ";v=1".to_owned(),
            },
            format!("Key {canary};v=1"),
        ),
    ] {
        let server = responding(echo).await;
        let (lane, records) = lane_to(&server, credential);
        let response = send(&lane, get(&server.url("/anything"))).await.unwrap();
        let request = server.requests()[0].clone();
        assert!(request.contains(&on_the_wire), "{name}: {request}");

        let head = format!("{:?}", response.headers());
        let length: usize = response.headers()[header::CONTENT_LENGTH]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let body = text(response).await.unwrap();
        assert_eq!(body.len(), length, "{name}: the length is kept");
        for part in ["canary", &percent("canary"), &pair[8..20], "Y2FuYXJ5"] {
            assert!(!body.contains(part), "{name} {part}: {body}");
            assert!(!head.contains(part), "{name} {part}: {head}");
        }
        assert!(
            body.contains("****") && head.contains("<"),
            "{name}: {body}"
        );
        let echoes = records.of("credential capped echo");
        assert_eq!(echoes.len(), 1, "{name}: one for each response");
        assert!(echoes[0].contains("/anything"), "{echoes:?}");
        e5_unheard(&[canary]);
        assert!(!records.all().concat().contains("canary-e2"));
    }
}

#[tokio::test]
async fn e2_found_across_the_borders_of_chunks() {
    let secrets = Secrets::new();
    let canary = "canary-borders";
    let server = responding(|request| {
        let value = field(request, "authorization").unwrap().to_owned();
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let at: usize = field(request, "x-request-id").unwrap().parse().unwrap();
        let (one, two) = value.split_at(at);
        for part in ["<", one, two, ">"].iter().filter(|part| !part.is_empty()) {
            bytes.extend_from_slice(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes());
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    })
    .await;
    let credential = Credential::Bearer(secrets.write("one", canary));
    let (lane, _) = lane_to(&server, credential);
    for at in 0..="Bearer ".len() + canary.len() {
        let mut request = get(&server.url("/"));
        request.headers_mut().insert("x-request-id", at.into());
        let body = read(&lane, request).await.unwrap();
        assert_eq!(body, format!("<Bearer {}>", "*".repeat(canary.len())));
    }
    e5_unheard(&[canary]);
}

#[tokio::test]
async fn e2_answers_that_cannot_be_read_are_neither_asked_for_nor_taken() {
    let secrets = Secrets::new();
    let canary = "canary-encoded";
    let server = responding(|_| answer("200 OK", "content-encoding: br\r\n", "not readable")).await;
    let credential = Credential::Bearer(secrets.write("one", canary));
    let (lane, records) = lane_to(&server, credential);
    let mut request = get(&server.url("/"));
    let headers = request.headers_mut();
    headers.insert("accept-encoding", "gzip, br".parse().unwrap());
    headers.insert("range", "bytes=3-9".parse().unwrap());
    headers.insert("if-range", "\"x\"".parse().unwrap());
    let error = send(&lane, request).await.unwrap_err();
    assert!(
        matches!(error, SendError::Credential(CredentialFailure::Encoded(_))),
        "{error:?}"
    );
    assert!(error.to_string().contains("decompressed_bytes"), "{error}");
    let request = server.requests()[0].clone();
    assert_eq!(field(&request, "accept-encoding"), Some("identity"));
    assert_eq!(field(&request, "range"), None);
    assert_eq!(field(&request, "if-range"), None);
    assert_eq!(records.of(" secret ").len(), 1, "{:?}", records.all());
    e5_unheard(&[canary]);
}

#[tokio::test]
async fn e2_what_the_host_undoes_is_looked_through_afterwards() {
    let secrets = Secrets::new();
    let canary = "canary-gzip";
    let server = responding(|request| {
        let value = field(request, "authorization").unwrap();
        let gzip = flate2::Compression::best();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), gzip);
        gzip.write_all(format!("<{value}>").as_bytes()).unwrap();
        let body = gzip.finish().unwrap();
        let coding = if request.starts_with("GET /br ") {
            "br"
        } else {
            "gzip"
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), &body].concat()
    })
    .await;
    let line = format!("GET http://{}/", server.address);
    let credential = Credential::Bearer(secrets.write("one", canary));
    let mut grant = grant(&line, Some(credential));
    grant.limits.decompressed_bytes = Some(1 << 20);
    let (lane, records) = lane_with(vec![grant]);
    let ask = |path: &str| {
        let mut request = get(&server.url(path));
        let headers = request.headers_mut();
        headers.insert("accept-encoding", "br".parse().unwrap());
        request
    };
    let body = read(&lane, ask("/")).await.unwrap();
    assert_eq!(body, format!("<Bearer {}>", "*".repeat(canary.len())));
    let arrived = server.requests()[0].clone();
    assert_eq!(field(&arrived, "accept-encoding"), Some("gzip, deflate"));
    assert_eq!(records.of(" echo ").len(), 1);
    let error = send(&lane, ask("/br")).await.unwrap_err();
    assert!(matches!(
        error,
        SendError::Credential(CredentialFailure::Encoded(_))
    ));
    e5_unheard(&[canary]);
}

/// The driver is told which encoding it is and which key allows it, and sees no
/// byte of the body.
#[tokio::test]
async fn field_14_an_encoding_that_nobody_asked_for_is_named_with_its_key() {
    let secrets = Secrets::new();
    for (coding, shown) in [
        ("gzip", "`gzip`"),
        ("identity, x-odd", "`x-odd`"),
        ("g\tzip`", "content-encoding"),
    ] {
        let server = Server::answering(answer(
            "200 OK",
            &format!("content-encoding: {coding}\r\n"),
            "canary-body",
        ))
        .await;
        let source = secrets.write("one", "canary-field-14");
        let (lane, _) = lane_to(&server, Credential::Bearer(source));
        let error = send(&lane, get(&server.url("/"))).await.unwrap_err();
        let text = error.to_string();
        for part in [shown, "limits: { decompressed_bytes: ... }"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains(char::is_control), "{text}");
    }
}

#[tokio::test]
async fn e3_error_page_redirect_and_cookie() {
    let secrets = Secrets::new();
    let canary = "canary&e3<page>";
    let server = responding(|request| {
        let value = field(request, "authorization").unwrap().to_owned();
        let secret = value.strip_prefix("Bearer ").unwrap();
        let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        match request.split(' ').nth(1).unwrap() {
            "/error" => answer("500 Oops", "", &format!("<p>bad token {html}</p>")),
            "/redirect" => {
                let location = format!("location: https://evil.test/?t={}\r\n", percent(secret));
                answer("302 Found", &location, "")
            }
            _ => {
                let cookies = format!(
                    "set-cookie: a=b\r\nset-cookie: s={}; HttpOnly\r\nwww-authenticate: Bearer error=\"{secret}\"\r\n",
                    STANDARD.encode(secret)
                );
                answer("401 Unauthorized", &cookies, "no")
            }
        }
    })
    .await;
    let (lane, records) = lane_to(&server, Credential::Bearer(secrets.write("one", canary)));
    let mut found = String::new();
    for path in ["/error", "/redirect", "/cookie"] {
        let response = send(&lane, get(&server.url(path))).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        found.push_str(&format!("{head:?} {}\n", String::from_utf8_lossy(&body)));
    }
    for part in ["canary", &percent("canary")[..], "Y2FuYXJ5"] {
        assert!(!found.contains(part), "{found}");
    }
    assert!(found.contains("500") && found.contains("bad token ****"));
    assert!(found.contains("https://evil.test/?t=****"));
    assert!(
        found.contains("s=****") && found.contains("error=\\\"****"),
        "{found}"
    );
    assert_eq!(records.of(" echo ").len(), 3);
    assert_eq!(server.opened(), 1, "the redirect was not followed");
    e5_unheard(&[canary]);
}

#[tokio::test]
async fn an_answer_without_a_secret_is_left_as_it_is() {
    let secrets = Secrets::new();
    let server = responding(|_| answer("200 OK", "x-a: b\r\n", "nothing in here")).await;
    let credential = Credential::Bearer(secrets.write("one", "canary-quiet"));
    let (lane, records) = lane_to(&server, credential);
    let response = send(&lane, get(&server.url("/"))).await.unwrap();
    assert_eq!(response.headers()["x-a"], "b");
    assert_eq!(text(response).await.unwrap(), "nothing in here");
    assert!(records.of("echo").is_empty());
}
