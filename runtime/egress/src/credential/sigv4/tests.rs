//! The library as it is set up here, against AWS' published suite, and what
//! surrounds it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use aws_sigv4::http_request::UriPathNormalizationMode;
use http::Method;
use serde::Deserialize;
use servo_policy::{HttpRules, RequestHead, Rule, Target};
use zeroize::Zeroizing;

use super::*;
use crate::body::empty;

#[derive(Deserialize)]
struct Suite {
    region: String,
    service: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    normalize: bool,
    sign_body: bool,
    id: String,
    key: String,
    token: Option<String>,
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: String,
    authorization: String,
}

/// 2015-08-30T12:36:00Z, the suite's time.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

fn secret(text: &str) -> Secret {
    Secret::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap()
}

fn signer(service: &str, region: &str) -> SigV4 {
    let source = || Source::load(&SecretSource::Env("PATH".to_owned())).unwrap();
    SigV4 {
        service: service.to_owned(),
        region: region.to_owned(),
        id: source(),
        key: source(),
        token: None,
    }
}

#[test]
fn the_published_suite_of_aws() {
    let suite: Suite = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert_eq!(suite.cases.len(), 35);
    let signer = signer(&suite.service, &suite.region);
    for case in &suite.cases {
        let keys = Keys {
            id: secret(&case.id),
            key: secret(&case.key),
            token: case.token.as_deref().map(secret),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &case.fields {
            let name: HeaderName = name.to_ascii_lowercase().parse().unwrap();
            headers.append(name, value.trim().parse().unwrap());
        }
        let mut settings = settings(false);
        if !case.normalize {
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        // The path of this one is escaped in the request and meant unescaped.
        if case.name == "get-space-normalized" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
        }
        if case.sign_body {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let host = headers["host"].to_str().unwrap();
        let url = format!("https://{host}{}", case.target);
        let body = SignableBody::Bytes(case.body.as_bytes());
        let signed = signer.signature(settings, &keys, &case.method, &url, &headers, body, then());
        let signed = signed.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let authorization = signed
            .iter()
            .find(|(name, _)| name == header::AUTHORIZATION);
        assert_eq!(
            authorization.unwrap().1.to_str().unwrap(),
            case.authorization,
            "{}",
            case.name
        );
    }
}

fn target(url: &str) -> Target {
    let rule: Rule = format!("POST {url}").parse().unwrap();
    let rules = HttpRules::new([(rule, false, None)]).unwrap();
    let (scheme, rest) = url.split_once("://").unwrap();
    let at = rest.find('/').unwrap();
    let head = RequestHead {
        method: "POST",
        scheme,
        authority: &rest[..at],
        path_and_query: &rest[at..],
    };
    rules.decide(&head).unwrap().target
}

async fn sign(
    service: &str,
    url: &str,
    headers: &mut HeaderMap,
    mut body: Body,
    mut length: Option<u64>,
) -> Result<(Option<u64>, Bytes), AuthorizeError> {
    let keys = Keys {
        id: secret("AKIDEXAMPLE"),
        key: secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        token: None,
    };
    let target = target(url);
    let mut draft = Draft {
        method: &Method::POST,
        target: &target,
        headers,
        body: &mut body,
        length: &mut length,
        most: u64::MAX,
        until: Instant::now() + Duration::from_secs(10),
    };
    let signer = signer(service, "us-east-1");
    signer.sign(&keys, &mut draft, then()).await?;
    let sent = body.collect().await.unwrap().to_bytes();
    Ok((length, sent))
}

#[tokio::test]
async fn e6_the_body_is_hashed_before_it_is_sent() {
    let url = "https://a.test/";
    let mut signatures = Vec::new();
    for text in ["one", "two"] {
        let mut headers = HeaderMap::new();
        let body = full(text);
        let (length, sent) = sign("es", url, &mut headers, body, None).await.unwrap();
        assert_eq!((length, &*sent), (Some(3), text.as_bytes()));
        assert_eq!(headers["content-length"], "3");
        signatures.push(headers["authorization"].clone());
    }
    assert_ne!(signatures[0], signatures[1]);
}

#[tokio::test]
async fn e6_large_bodies_go_unsigned_to_s3_over_https_only() {
    let large = MOST + 1;
    let body = || full(vec![b'x'; usize::try_from(large).unwrap()]);
    let mut headers = HeaderMap::new();
    let (_, sent) = sign("s3", "https://a.test/", &mut headers, body(), Some(large))
        .await
        .unwrap();
    assert_eq!(headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
    assert_eq!(sent.len() as u64, large);
    for (service, url, length) in [
        ("s3", "http://a.test/", Some(large)),
        ("s3", "https://a.test/", None),
        ("es", "https://a.test/", Some(large)),
        ("es", "https://a.test/", None),
    ] {
        let mut headers = HeaderMap::new();
        let error = sign(service, url, &mut headers, body(), length).await;
        assert!(
            matches!(
                error,
                Err(AuthorizeError::Request(SendError::TooLarge { limit: MOST }))
            ),
            "{service} {url}"
        );
        assert!(!headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn e6_fields_that_speak_for_the_signature() {
    let mut headers = HeaderMap::new();
    for name in [
        "authorization",
        "date",
        "x-amz-date",
        "x-amz-security-token",
    ] {
        headers.insert(name, HeaderValue::from_static("mine"));
    }
    headers.insert("x-amz-target", HeaderValue::from_static("Api.Read"));
    sign("es", "https://a.test/", &mut headers, empty(), Some(0))
        .await
        .unwrap();
    assert!(!format!("{headers:?}").contains("mine"));
    assert!(!headers.contains_key("x-amz-security-token"));
    assert_eq!(headers["x-amz-date"], "20150830T123600Z");
    let signed = headers["authorization"].to_str().unwrap();
    assert!(signed.contains("SignedHeaders=host;x-amz-date;x-amz-target,"));

    for name in [
        "x-amz-copy-source",
        "x-amz-acl",
        "x-amz-server-side-encryption",
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static("/other/object"));
        let error = sign("s3", "https://a.test/", &mut headers, empty(), Some(0)).await;
        assert!(matches!(
            error,
            Err(AuthorizeError::Request(SendError::Request(_)))
        ));
    }
}

#[tokio::test]
async fn e6_a_body_of_another_length_is_refused() {
    let mut headers = HeaderMap::new();
    let error = sign("es", "https://a.test/", &mut headers, full("abc"), Some(4)).await;
    assert!(matches!(
        error,
        Err(AuthorizeError::Request(SendError::Request(_)))
    ));
}
