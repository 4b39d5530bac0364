//! E6: a signature covers what arrives. It is checked here by the words of the
//! standard and not by the library that made it.

use hmac::{Hmac, KeyInit, Mac};
use http::Request;
use servo_egress::{SendError, full};
use servo_policy::Credential;
use sha2::{Digest, Sha256};

use crate::common::{Server, send, text};
use crate::world::*;

const KEY: &str = "canary-e6-wJalrXUtnFEMI/K7MDENG";
const TOKEN: &str = "canary-e6-session//token==";

fn sigv4(secrets: &Secrets, service: &str, token: bool) -> Credential {
    Credential::SigV4 {
        service: service.to_owned(),
        region: "eu-central-1".to_owned(),
        access_key_id: secrets.write("id", "AKIDEXAMPLE"),
        secret_access_key: secrets.write("key", KEY),
        session_token: token.then(|| secrets.write("token", TOKEN)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Checks the signature of a request with a plain path and query, as a server
/// does: over what came in.
fn verifies(request: &str, service: &str) -> bool {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut words = head.lines().next().unwrap().split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let authorization = field(request, "authorization").unwrap();
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(&format!("{name}=")).unwrap();
        rest.split(',').next().unwrap().trim()
    };
    let fields: String = part("SignedHeaders")
        .split(';')
        .map(|name| format!("{name}:{}\n", field(request, name).unwrap().trim()))
        .collect();
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            if pair.contains('=') {
                pair.to_owned()
            } else {
                format!("{pair}=")
            }
        })
        .collect();
    pairs.sort();
    let payload = field(request, "x-amz-content-sha256")
        .filter(|value| *value == "UNSIGNED-PAYLOAD")
        .map_or_else(|| hex(&Sha256::digest(body)), str::to_owned);
    let canonical = format!(
        "{method}\n{path}\n{}\n{fields}\n{}\n{payload}",
        pairs.join("&"),
        part("SignedHeaders"),
    );
    let date = field(request, "x-amz-date").unwrap();
    let scope = format!("{}/eu-central-1/{service}/aws4_request", &date[..8]);
    assert_eq!(part("Credential"), format!("AKIDEXAMPLE/{scope}"));
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(&Sha256::digest(canonical))
    );
    let mut key = format!("AWS4{KEY}").into_bytes();
    for step in scope.split('/') {
        key = hmac(&key, step);
    }
    hex(&hmac(&key, &text)) == part("Signature")
}

#[tokio::test]
async fn e6_signing_is_last_and_covers_what_arrives() {
    let secrets = Secrets::new();
    let server = Server::ok().await;
    let (lane, _) = lane_to(&server, sigv4(&secrets, "es", true));
    for (method, target, body) in [
        ("GET", "/", ""),
        ("GET", "/a-b/c_d/?b=2&a=1&c", ""),
        ("POST", "/x", "Action=List&Version=1"),
        ("PUT", "/x", "{\"a\": \"b\"}"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(server.url(target))
            .header("x-request-id", "  spaced   out ")
            .header("content-type", "text/plain")
            .body(full(body))
            .unwrap();
        send(&lane, request).await.unwrap();
        let arrived = server.requests().pop().unwrap();
        assert!(arrived.ends_with(&format!("\r\n\r\n{body}")), "{arrived}");
        assert_eq!(field(&arrived, "x-amz-security-token"), Some(TOKEN));
        let signed = field(&arrived, "authorization").unwrap();
        for name in [
            "host",
            "x-request-id",
            "content-type",
            "x-amz-security-token",
        ] {
            assert!(signed.contains(name), "{name}: {signed}");
        }
        let flat = arrived.replace("spaced   out", "spaced out");
        assert!(verifies(&flat, "es"), "{arrived}");
        for change in [
            ("x-request-id", "x-request-it"),
            ("text/plain", "text/other"),
            ("127.0.0.1", "127.0.0.2"),
        ] {
            let changed = flat.replacen(change.0, change.1, 1);
            let fine = std::panic::catch_unwind(|| verifies(&changed, "es")).unwrap_or(false);
            assert!(!fine, "{change:?}");
        }
    }
    e5_unheard(&[KEY, TOKEN]);
}

#[tokio::test]
async fn e6_a_streamed_body_is_signed_too_and_sent_with_its_length() {
    let secrets = Secrets::new();
    let server = Server::ok().await;
    for service in ["es", "s3"] {
        let (lane, _) = lane_to(&server, sigv4(&secrets, service, false));
        let pieces = ["one ", "two ", "three"].map(|piece| {
            Ok::<_, servo_egress::BodyError>(http_body::Frame::data(bytes::Bytes::from(piece)))
        });
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
        let request = Request::post(server.url("/bucket/key"))
            .body(http_body_util::BodyExt::boxed_unsync(body))
            .unwrap();
        send(&lane, request).await.unwrap();
        let arrived = server.requests().pop().unwrap();
        assert_eq!(field(&arrived, "content-length"), Some("13"));
        assert_eq!(field(&arrived, "transfer-encoding"), None);
        let hash = field(&arrived, "x-amz-content-sha256");
        assert_eq!(hash.is_some(), service == "s3");
        assert!(verifies(&arrived, service), "{arrived}");
    }
    e5_unheard(&[KEY]);
}

#[tokio::test]
async fn e6_what_a_signature_may_not_carry_is_refused_before_anything_is_sent() {
    let secrets = Secrets::new();
    let server = Server::ok().await;
    let (lane, _) = lane_to(&server, sigv4(&secrets, "s3", false));
    // What the guest says of the signature itself, or beside it, is not sent.
    for name in [
        "authorization",
        "x-amz-date",
        "x_amz_date",
        "x-amz-security-token",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "date",
    ] {
        let request = Request::put(server.url("/mine/key"))
            .header(name, "/theirs/key")
            .body(full(""))
            .unwrap();
        let error = send(&lane, request).await.unwrap_err();
        assert!(matches!(error, SendError::Denied(_)), "{name}: {error:?}");
    }
    let large = Request::put(server.url("/mine/key"))
        .body(full(vec![b'x'; (1 << 20) + 1]))
        .unwrap();
    let error = send(&lane, large).await.unwrap_err();
    assert!(matches!(error, SendError::TooLarge { limit: 1_048_576 }));
    assert_eq!(server.opened(), 0);
}

#[tokio::test]
async fn e2_keys_and_session_tokens_are_taken_out() {
    let secrets = Secrets::new();
    let server = responding(|request| {
        let token = field(request, "x-amz-security-token").unwrap();
        answer("403 Forbidden", "", &format!("{token} and {KEY}"))
    })
    .await;
    let (lane, records) = lane_to(&server, sigv4(&secrets, "es", true));
    let response = send(&lane, crate::common::get(&server.url("/")))
        .await
        .unwrap();
    let body = text(response).await.unwrap();
    let stars = |text: &str| "*".repeat(text.len());
    assert_eq!(body, format!("{} and {}", stars(TOKEN), stars(KEY)));
    assert_eq!(records.of(" echo ").len(), 1);
    e5_unheard(&[KEY, TOKEN]);
}
