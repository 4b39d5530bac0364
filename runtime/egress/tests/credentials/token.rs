//! Tokens of OAuth 2, from a small server that is as strict as RFC 6749.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use servo_egress::{CredentialFailure, Lane, SendError};
use servo_policy::{Credential, HttpGrant};

use crate::common::{Server, get, send, text};
use crate::world::*;
use servo_test_support::tls::Authority;

const ID: &str = "servo client";
const SECRET: &str = "canary-client:secret/+%";

/// Gives tokens to one client, and knows which of them are good.
struct Issuer {
    issued: AtomicUsize,
    good: Mutex<Vec<String>>,
    expires_in: AtomicU64,
    scope: &'static str,
}

/// A form's text, decoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

impl Issuer {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            issued: AtomicUsize::new(0),
            good: Mutex::default(),
            expires_in: AtomicU64::new(3600),
            scope: "metrics.read metrics.list",
        })
    }

    fn issued(&self) -> usize {
        self.issued.load(Ordering::SeqCst)
    }

    fn token(&self, request: &str) -> Vec<u8> {
        let refuse = |status: &str, error: &str| {
            let fields = "cache-control: no-store\r\ncontent-type: application/json\r\n";
            answer(status, fields, &format!("{{\"error\":\"{error}\"}}"))
        };
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        if !head.starts_with("POST /oauth/token HTTP/1.1\r\n") {
            return refuse("404 Not Found", "not_found");
        }
        let client = field(request, "authorization")
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|pair| STANDARD.decode(pair).ok())
            .and_then(|pair| String::from_utf8(pair).ok());
        let client = client.as_deref().and_then(|pair| pair.split_once(':'));
        if client.map(|(id, secret)| (decoded(id), decoded(secret)))
            != Some((ID.to_owned(), SECRET.to_owned()))
        {
            return refuse("401 Unauthorized", "invalid_client");
        }
        if field(request, "content-type") != Some("application/x-www-form-urlencoded") {
            return refuse("400 Bad Request", "invalid_request");
        }
        let form: HashMap<String, String> = body
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
            return refuse("400 Bad Request", "unsupported_grant_type");
        }
        if form.get("scope").map(String::as_str) != Some(self.scope) {
            return refuse("400 Bad Request", "invalid_scope");
        }
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let token = format!("canary-token-{number}");
        *self.good.lock().unwrap() = vec![token.clone()];
        let expires_in = self.expires_in.load(Ordering::SeqCst);
        let body = format!(
            "{{\"access_token\":\"{token}\",\"token_type\":\"bearer\",\"expires_in\":{expires_in}}}"
        );
        answer("200 OK", "content-type: application/json\r\n", &body)
    }

    /// Lets in who has a good token, and tells everybody about it.
    fn resource(&self, request: &str) -> Vec<u8> {
        let token = field(request, "authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        if self.good.lock().unwrap().iter().any(|good| good == token) {
            answer(
                "200 OK",
                "",
                &format!("welcome {token}, friend of {SECRET}"),
            )
        } else {
            let fields = "www-authenticate: Bearer error=\"invalid_token\"\r\n";
            answer("401 Unauthorized", fields, "expired")
        }
    }
}

struct Scene {
    issuer: Arc<Issuer>,
    tokens: Server,
    resource: Server,
    secrets: Secrets,
}

impl Scene {
    async fn new() -> Self {
        let issuer = Issuer::new();
        let (one, two) = (Arc::clone(&issuer), Arc::clone(&issuer));
        Self {
            issuer,
            tokens: responding(move |request| one.token(request)).await,
            resource: responding(move |request| two.resource(request)).await,
            secrets: Secrets::new(),
        }
    }

    fn credential(&self) -> Credential {
        Credential::OAuth2 {
            token: format!("POST http://{}/oauth/token", self.tokens.address)
                .parse()
                .unwrap(),
            private: true,
            ca: None,
            client_id: ID.to_owned(),
            client_secret: self.secrets.write("client", SECRET),
            scope: self.issuer.scope.to_owned(),
        }
    }

    fn lane(&self, change: impl FnOnce(&mut Credential)) -> (Lane, Records) {
        let mut credential = self.credential();
        change(&mut credential);
        lane_to(&self.resource, credential)
    }
}

#[tokio::test]
async fn e2_a_token_is_got_used_shared_and_taken_out() {
    let scene = Scene::new().await;
    let (lane, records) = scene.lane(|_| {});
    assert_eq!(scene.tokens.opened(), 0, "not at load");
    let ask = || read(&lane, get(&scene.resource.url("/")));
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    let stars = "*".repeat("canary-token-1".len());
    let expected = format!("welcome {stars}, friend of {}", "*".repeat(SECRET.len()));
    for body in [a, b, c, ask().await] {
        assert_eq!(body.unwrap(), expected);
    }
    assert_eq!(scene.issuer.issued(), 1, "one for all");
    let own = records.of("POST http://");
    assert_eq!(own.len(), 1, "{:?}", records.all());
    assert!(own[0].contains("/oauth/token 200"), "{own:?}");
    assert!(!records.all().concat().contains("canary"));
    e5_unheard(&[SECRET, "canary-token-1"]);
}

#[tokio::test]
async fn e9_an_expired_token_is_not_used_and_a_refused_one_renewed_once() {
    let scene = Scene::new().await;
    let (lane, _) = scene.lane(|_| {});
    let ask = async || {
        send(&lane, get(&scene.resource.url("/")))
            .await
            .unwrap()
            .status()
    };
    assert_eq!(ask().await, 200);
    // Revoked: the driver sees the refusal, the next request has a new token.
    scene.issuer.good.lock().unwrap().clear();
    assert_eq!(ask().await, 401);
    assert_eq!(
        ask().await,
        401,
        "a token that was just got is not the fault"
    );
    assert_eq!(scene.issuer.issued(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    assert_eq!(ask().await, 401);
    assert_eq!(ask().await, 200);
    assert_eq!(scene.issuer.issued(), 2);
    // Its time: 100 s, a tenth of which is left unused.
    scene.issuer.expires_in.store(100, Ordering::SeqCst);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3540)).await;
    tokio::time::resume();
    assert_eq!(ask().await, 200);
    assert_eq!(scene.issuer.issued(), 3);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(90)).await;
    tokio::time::resume();
    assert_eq!(ask().await, 200);
    assert_eq!(scene.issuer.issued(), 4);
    let sent = scene.resource.requests();
    assert!(sent[6].contains("canary-token-4"));
    e5_unheard(&["canary-token-2", "canary-token-3", "canary-token-4", SECRET]);
}

#[tokio::test]
async fn what_a_token_server_refuses_is_not_sent_without() {
    let scene = Scene::new().await;
    let url = scene.resource.url("/");
    let wrong = scene.secrets.write("wrong", "canary-wrong");
    type Change = Box<dyn FnOnce(&mut Credential)>;
    let changes: [(&str, Change); 4] = [
        (
            "secret",
            Box::new(move |c| {
                let Credential::OAuth2 { client_secret, .. } = c else {
                    panic!()
                };
                *client_secret = wrong;
            }),
        ),
        (
            "scope",
            Box::new(|c| {
                let Credential::OAuth2 { scope, .. } = c else {
                    panic!()
                };
                "everything".clone_into(scope);
            }),
        ),
        (
            "address",
            Box::new(|c| {
                let Credential::OAuth2 { private, .. } = c else {
                    panic!()
                };
                *private = false;
            }),
        ),
        (
            "path",
            Box::new(|c| {
                let Credential::OAuth2 { token, .. } = c else {
                    panic!()
                };
                let line = token.to_string().replace("/oauth/token", "/elsewhere");
                *token = line.parse().unwrap();
            }),
        ),
    ];
    for (name, change) in changes {
        let (lane, records) = scene.lane(change);
        for _ in 0..3 {
            let error = send(&lane, get(&url)).await.unwrap_err();
            assert!(
                matches!(error, SendError::Credential(CredentialFailure::Token)),
                "{name}: {error:?}"
            );
            assert!(!error.to_string().contains("oauth"), "{error}");
        }
        assert_eq!(records.of("http denied secret").len(), 3, "{name}");
        let asked = records.of("/oauth/token").len() + records.of("/elsewhere").len();
        assert_eq!(
            asked,
            1,
            "{name}: a failure is remembered: {:?}",
            records.all()
        );
    }
    assert_eq!(scene.resource.opened(), 0);
    assert_eq!(scene.issuer.issued(), 0);
    e5_unheard(&[SECRET, "canary-wrong"]);
}

#[tokio::test]
async fn answers_of_token_servers_that_are_none() {
    let elsewhere = Server::ok().await;
    let location = format!("location: {}\r\n", elsewhere.url("/oauth/token"));
    let token = r#"{"access_token":"canary-odd","token_type":"#;
    for (name, bytes) in [
        ("a redirect", answer("307 Elsewhere", &location, "")),
        ("not JSON", answer("200 OK", "", "canary-odd")),
        (
            "another kind",
            answer("200 OK", "", &format!("{token}\"mac\"}}")),
        ),
        (
            "201",
            answer("201 Created", "", &format!("{token}\"bearer\"}}")),
        ),
        (
            "too large",
            answer(
                "200 OK",
                "",
                &format!("{token}\"bearer\"}}{}", " ".repeat(64 << 10)),
            ),
        ),
        (
            "encoded",
            answer(
                "200 OK",
                "content-encoding: gzip\r\n",
                &format!("{token}\"bearer\"}}"),
            ),
        ),
        (
            "a field inside",
            answer(
                "200 OK",
                "",
                r#"{"access_token":"canary-odd\r\nx: y","token_type":"bearer"}"#,
            ),
        ),
    ] {
        let tokens = responding(move |_| bytes.clone()).await;
        let mut scene = Scene::new().await;
        scene.tokens = tokens;
        let (lane, _) = scene.lane(|_| {});
        let error = send(&lane, get(&scene.resource.url("/")))
            .await
            .unwrap_err();
        assert!(
            matches!(error, SendError::Credential(CredentialFailure::Token)),
            "{name}: {error:?}"
        );
        assert_eq!(scene.resource.opened(), 0, "{name}");
        assert_eq!(scene.tokens.opened(), 1, "{name}");
    }
    assert_eq!(elsewhere.opened(), 0);
    e5_unheard(&["canary-odd", SECRET]);
}

#[tokio::test]
async fn a_token_server_has_an_authority_of_its_own() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let mut scene = Scene::new().await;
    let issuer = Arc::clone(&scene.issuer);
    scene.tokens =
        responding_tls(ours.acceptor(|_| {}), move |request| issuer.token(request)).await;
    let line = format!("POST https://a.test:{}/oauth/token", scene.tokens.port());
    for (authority, works) in [(&theirs, false), (&ours, true)] {
        let (lane, _) = scene.lane(|credential| {
            let Credential::OAuth2 { token, ca, .. } = credential else {
                panic!()
            };
            *token = line.parse().unwrap();
            *ca = Some(authority.file());
        });
        let sent = send(&lane, get(&scene.resource.url("/"))).await;
        match sent {
            Ok(response) => {
                assert!(works);
                assert!(text(response).await.unwrap().starts_with("welcome"));
            }
            Err(error) => assert!(!works, "{error}"),
        }
    }
    e5_unheard(&[SECRET]);
}

#[tokio::test]
async fn tokens_are_asked_for_beside_the_places_of_drivers() {
    use servo_egress::Gate;

    listen();
    let scene = Scene::new().await;
    let gate = Gate::builder(crate::common::Scripted::new(&[]))
        .places(1)
        .build()
        .unwrap();
    let line = format!("GET http://{}/", scene.resource.address);
    let grant: HttpGrant = grant(&line, Some(scene.credential()));
    let rules = servo_policy::HttpRules::new([grant]).unwrap();
    let lane = gate.lane(crate::common::owner("acme"), rules).unwrap();
    let body = read(&lane, get(&scene.resource.url("/"))).await.unwrap();
    assert!(body.starts_with("welcome"));
}
