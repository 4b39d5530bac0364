//! E: credentials, which the host uses for a driver and never gives it.
//!
//! Every secret of these cases holds [`CANARY`]. The server sees it, which
//! shows that it was used; nobody else may.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::components::importing;
use crate::expect::{assert_denied, assert_text};
use crate::host::{Ended, HostUnderTest, Step};
use crate::server::{OK, Server};
use crate::stage::Stage;

/// Part of every secret here, and of nothing else.
pub const CANARY: &str = "cAnArY/7+x";

/// What a secret is called in JSON, in a URL, and in base 64.
fn forms(secret: &str) -> Vec<String> {
    use base64::Engine as _;
    let engines = [
        base64::engine::general_purpose::STANDARD,
        base64::engine::general_purpose::URL_SAFE_NO_PAD,
    ];
    let mut forms = vec![
        secret.to_owned(),
        secret.replace('/', "%2F").replace('+', "%2B"),
        secret.replace('/', "%2f").replace('+', "%2b"),
        secret.replace('/', "\\/"),
    ];
    forms.extend(engines.iter().map(|engine| engine.encode(secret)));
    forms
}

/// A secret in a file.
struct Secret {
    folder: tempfile::TempDir,
    text: String,
}

impl Secret {
    fn new(text: &str) -> Self {
        let secret = Self {
            folder: tempfile::tempdir().unwrap(),
            text: text.to_owned(),
        };
        secret.write(text.as_bytes());
        secret
    }

    fn canary() -> Self {
        Self::new(&format!("{CANARY}-token"))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// As a new file in the place of the old one, as those who rotate do.
    fn write(&self, bytes: &[u8]) {
        let new = self.folder.path().join("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(&new, self.path()).unwrap();
    }

    /// A rule for a server, with this secret as bearer token.
    fn grants(&self, server: &Server) -> Value {
        let mut grants = server.grant();
        grants[0]["bearer"] = json!({ "file": self.path() });
        json!({ "http": grants })
    }
}

fn to(server: &Server, path: &str) -> Value {
    json!({ "scheme": "http", "authority": server.address.to_string(), "path": path })
}

fn raw(requests: &[Value]) -> Value {
    json!({ "do": "raw", "requests": requests })
}

/// Nothing that the guest was told, and nothing that was recorded, holds any
/// form of the secret.
fn assert_unknown<H: HostUnderTest>(stage: &Stage<H>, step: &Step, secret: &str) {
    let told = format!(
        "{step:?}\n{:?}\n{}",
        stage.records.all(),
        stage.host.metrics()
    );
    for form in forms(secret) {
        assert!(!told.contains(&form), "{form}: {told}");
    }
}

/// Repeats the request: its head in the body, and its token in a header.
fn echo(request: &str) -> Vec<u8> {
    let token = request
        .split("\r\n")
        .find_map(|line| line.strip_prefix("authorization: "))
        .unwrap_or("none");
    let engine = base64::engine::general_purpose::STANDARD;
    let encoded = base64::Engine::encode(&engine, token.trim_start_matches("Bearer "));
    let percent = token.replace('/', "%2F").replace('+', "%2B");
    let escaped = token.replace('/', "\\/");
    let body = format!("{request}\n{token}\n{encoded}\n{percent}\n{{\"json\":\"{escaped}\"}}");
    format!(
        "HTTP/1.1 200 OK\r\nx-echo: {token}\r\nx-encoded: {encoded}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The guest looks through all of its memory after it has used the secret.
pub async fn e1_the_secret_is_nowhere_in_the_guest<H: HostUnderTest>() {
    let secret = Secret::canary();
    let server = Server::replying(echo).await;
    let backwards: String = secret.text.chars().rev().collect();
    let search = |planted: bool| {
        json!({ "do": "search", "requests": [to(&server, "/a"), to(&server, "/b")],
            "backwards": backwards, "planted": planted })
    };
    let stage = Stage::<H>::new();
    let step = stage.run(search(false), secret.grants(&server)).await;
    assert_eq!(step.note("found"), "0", "{:?}", step.end);
    assert_unknown(&stage, &step, &secret.text);
    let sent = server.requests();
    assert_eq!(sent.len(), 2);
    for request in &sent {
        let field = format!("authorization: Bearer {}", secret.text);
        assert!(request.contains(&field), "{request}");
    }
    // The search finds what is there.
    let step = stage.run(search(true), secret.grants(&server)).await;
    assert!(step.note("found").parse::<u32>().unwrap() >= 1);

    let step = stage
        .run(json!({ "do": "environment" }), secret.grants(&server))
        .await;
    assert_unknown(&stage, &step, &secret.text);
}

/// The server repeats what it was sent.
pub async fn e2_an_echo_is_taken_out<H: HostUnderTest>() {
    let secret = Secret::canary();
    let server = Server::replying(echo).await;
    let stage = Stage::<H>::new();
    let step = stage
        .run(raw(&[to(&server, "/anything")]), secret.grants(&server))
        .await;
    let told = step.note("0");
    assert!(told.starts_with("status 200"), "{told}");
    assert!(told.contains("GET /anything"), "{told}");
    assert_unknown(&stage, &step, &secret.text);
    let echoes: Vec<_> = stage
        .records
        .all()
        .into_iter()
        .filter(|record| record.reason == "echo")
        .collect();
    assert!(!echoes.is_empty(), "{:?}", stage.records.all());
    assert_eq!(
        (&*echoes[0].tenant, &*echoes[0].driver),
        ("acme", "measure")
    );
}

/// The same in pieces of one byte, so that every border is inside of it.
pub async fn e2_an_echo_in_pieces_is_taken_out<H: HostUnderTest>() {
    let secret = Secret::canary();
    let server = Server::serving(|mut stream, heard| async move {
        let mut rest = Vec::new();
        while let Some(request) = heard.request(&mut stream, &mut rest).await? {
            stream.set_nodelay(true)?;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await?;
            for byte in request.bytes() {
                stream
                    .write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n'])
                    .await?;
                stream.flush().await?;
                tokio::task::yield_now().await;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Ok(())
    })
    .await;
    let stage = Stage::<H>::new();
    let step = stage
        .run(raw(&[to(&server, "/pieces")]), secret.grants(&server))
        .await;
    assert!(step.note("0").contains("GET /pieces"), "{:?}", step.end);
    assert_unknown(&stage, &step, &secret.text);
    // What comes after it is whole.
    assert!(
        step.note("0")
            .trim_end()
            .ends_with(&server.address.to_string())
            || step.note("0").contains("host:")
    );
}

/// Pages of errors, redirects and cookies.
pub async fn e3_the_secret_is_taken_out_of_every_part<H: HostUnderTest>() {
    fn answer(request: &str) -> Vec<u8> {
        let token = request
            .split("\r\n")
            .find_map(|line| line.strip_prefix("authorization: Bearer "))
            .unwrap_or_default();
        if request.starts_with("GET /error") {
            let page = format!("<h1>bad token {token}</h1>");
            return format!(
                "HTTP/1.1 500 Broken {token}\r\nwww-authenticate: Bearer error=\"{token}\"\r\n\
                 content-length: {}\r\n\r\n{page}",
                page.len()
            )
            .into_bytes();
        }
        format!(
            "HTTP/1.1 302 Found\r\nlocation: http://other.example/?token={token}\r\n\
             set-cookie: session={token}\r\nset-cookie: second={token}; path=/\r\n\
             x-{CANARY_NAME}: a\r\ncontent-length: 0\r\n\r\n"
        )
        .into_bytes()
    }
    const CANARY_NAME: &str = "plain";

    let secret = Secret::canary();
    let server = Server::replying(answer).await;
    let stage = Stage::<H>::new();
    let step = stage
        .run(
            raw(&[to(&server, "/error"), to(&server, "/redirect")]),
            secret.grants(&server),
        )
        .await;
    assert!(step.note("0").starts_with("status 500"), "{:?}", step.end);
    assert!(step.note("1").starts_with("status 302"), "{:?}", step.end);
    assert_unknown(&stage, &step, &secret.text);
}

/// There is no way to ask for one: no import, no name.
pub async fn e4_a_secret_cannot_be_asked_for<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for import in [
        "servo:driver/secrets@0.2.0",
        "servo:driver/credentials@0.2.0",
        "wasi:config/store@0.2.0-rc.1",
        "wasi:keyvalue/store@0.2.0",
    ] {
        let Err(why) = stage.host.load(&importing(&[import])).await else {
            panic!("{import} was loaded");
        };
        assert!(why.contains(import), "{why}");
    }
    // By any name in what there is: the answers tell existing from invented
    // names apart by nothing but the name.
    let secret = Secret::canary();
    let server = Server::ok().await;
    let ask = async |name: &str| {
        let act = json!({ "do": "act", "name": name });
        let step = stage.run(act, secret.grants(&server)).await;
        assert_unknown(&stage, &step, &secret.text);
        format!("{:?}", step.end).replace(name, "NAME")
    };
    let path = secret.path().display().to_string();
    assert_eq!(ask("bearer").await, ask("invented").await);
    assert_eq!(
        ask(&path[..40.min(path.len())]).await,
        ask("invented").await
    );
    assert_eq!(server.opened(), 0);
}

/// A secret is bound to a rule: not to another rule of the same driver, nor to
/// the same rule of another tenant.
pub async fn e4_a_secret_goes_to_its_rule_alone<H: HostUnderTest>() {
    let secret = Secret::canary();
    let (server, other) = (Server::ok().await, Server::ok().await);
    let stage = Stage::<H>::new();
    let driver = stage.driver().await;
    let mut grants = secret.grants(&server);
    grants["http"]
        .as_array_mut()
        .unwrap()
        .push(other.grant()[0].clone());
    let config = json!({ "behaviour": raw(&[to(&server, "/"), to(&other, "/")]) });
    let step = stage.bind(&driver, config.clone(), grants).measure().await;
    assert!(step.note("1").starts_with("status 200"), "{:?}", step.end);
    let plain = json!({ "http": [server.grant()[0], other.grant()[0]] });
    let step = stage
        .bind_for("globex", &driver, config, plain)
        .measure()
        .await;
    assert!(step.note("0").starts_with("status 200"), "{:?}", step.end);
    let with = |requests: Vec<String>| {
        let has = |request: &String| request.contains(CANARY);
        requests.iter().map(has).collect::<Vec<_>>()
    };
    assert_eq!(with(server.requests()), [true, false]);
    assert_eq!(with(other.requests()), [false, false]);
    for request in server.requests().iter().skip(1).chain(&other.requests()) {
        assert!(!request.contains("authorization"), "{request}");
    }
}

/// A guest that brings a field of that name, in every spelling.
pub async fn e4_a_field_of_the_guest_does_not_stay_beside_it<H: HostUnderTest>() {
    let secret = Secret::canary();
    let server = Server::ok().await;
    let stage = Stage::<H>::new();
    let mut request = to(&server, "/");
    request["headers"] = json!([
        ["authorization", "Bearer mine"],
        ["Authorization", "Basic bWluZQ=="],
        ["AUTHORIZATION", "mine"],
        ["proxy_authorization", "mine"],
    ]);
    let step = stage.run(raw(&[request]), secret.grants(&server)).await;
    for sent in server.requests() {
        let lower = sent.to_ascii_lowercase();
        assert_eq!(lower.matches("authorization:").count(), 1, "{sent}");
        assert!(!sent.contains("mine") && !sent.contains("bWluZQ"), "{sent}");
        assert!(sent.contains(&secret.text), "{sent}");
    }
    assert_unknown(&stage, &step, &secret.text);
}

/// Nothing of a guest is signed over: what is sent is what the signature is of,
/// as the other side works it out from the bytes it received.
pub async fn e6_signing_is_last<H: HostUnderTest>() {
    let id = Secret::new("AKIDEXAMPLE");
    let key = Secret::new(&format!("{CANARY}-signing-key"));
    let server = Server::ok().await;
    let mut grants = server.grant();
    grants[0]["sigv4"] = json!({
        "service": "monitoring", "region": "eu-central-1",
        "access_key_id": { "file": id.path() },
        "secret_access_key": { "file": key.path() },
    });
    let mut request = to(&server, "/v1/query?b=2&a=%41b");
    request["method"] = json!("POST");
    request["body"] = json!("{\"query\":\"up\"}");
    request["headers"] = json!([
        ["x-request-id", "  a   b "],
        ["content-type", "application/json"],
    ]);
    let mut requests = vec![request];
    for (name, value) in [
        ("authorization", "AWS4-HMAC-SHA256 Credential=mine"),
        ("x-amz-date", "20000101T000000Z"),
        ("x_amz_date", "20000101T000000Z"),
        ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ("x-amz-security-token", "mine"),
    ] {
        let mut request = to(&server, "/v1/query");
        request["headers"] = json!([[name, value]]);
        requests.push(request);
    }
    let stage = Stage::<H>::new();
    let step = stage.run(raw(&requests), json!({ "http": grants })).await;
    assert!(step.note("0").starts_with("status 200"), "{:?}", step.end);
    let sent = server.requests();
    // Of what a guest says beside the signature, nothing is sent.
    for sent in &sent {
        assert!(
            !sent.contains("mine") && !sent.contains("20000101"),
            "{sent}"
        );
    }
    crate::sigv4::assert_signed(&sent[0], &key.text, "eu-central-1", "monitoring");
    assert_unknown(&stage, &step, &key.text);
}

/// The credentials of the machine, from where clouds hand them out.
pub async fn e7_metadata_is_refused_and_signing_is_named<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for url in [
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "http://[fd00:ec2::254]/latest/api/token",
    ] {
        let http = json!({ "do": "http", "url": url, "count": 1, "at_once": 1 });
        let step = stage.run(http, json!({})).await;
        assert!(step.denial().contains("sigv4"), "{}", step.denial());
        if url.contains("iam") {
            assert_text("e7", step.denial());
        }
    }
    assert_eq!(stage.names.asked(), Vec::<String>::new());
    assert_denied(&stage, "http", "not-granted", 2);
    // By a name, which a rule allows: it leads to the same place.
    stage
        .names
        .answer("metadata.google.internal", &[&["169.254.169.254"]]);
    let url = "http://metadata.google.internal/computeMetadata/v1/";
    let grants = json!({ "http": [{ "rule": format!("GET {url}"), "private": true }] });
    let http = json!({ "do": "http", "url": url, "count": 1, "at_once": 1 });
    let step = stage.run(http, grants).await;
    assert!(step.denial().contains("metadata"), "{}", step.denial());
    assert_denied(&stage, "http", "address", 1);
}

/// Secrets that cannot be what was meant.
pub async fn e8_odd_secrets_are_refused_when_bound<H: HostUnderTest>() {
    let server = Server::ok().await;
    let stage = Stage::<H>::new();
    let long = "x".repeat(64 << 10);
    for (what, text) in [
        ("empty", ""),
        ("only a line end", "\n"),
        ("two lines", "first\nsecond"),
        ("a carriage return", "first\rsecond"),
        ("a NUL", "first\0second"),
        ("not ASCII", "pässword"),
        ("64 KiB", &long),
    ] {
        let secret = Secret::new("placeholder");
        secret.write(text.as_bytes());
        let why = stage.unbindable(secret.grants(&server)).await;
        assert!(text.len() < 5 || !why.contains(text), "{what}: {why}");
        assert!(why.contains("secret"), "{what}: {why}");
        if what == "two lines" {
            let path = secret.path().display().to_string();
            assert_text("e8", &why.replace(&path, "FILE"));
        }
    }
    let secret = Secret::canary();
    fs::remove_file(secret.path()).unwrap();
    assert!(!stage.unbindable(secret.grants(&server)).await.is_empty());
    assert_eq!(server.opened(), 0);
}

/// A secret is changed while a call goes on, and then it is gone.
pub async fn e9_a_changed_secret_is_used_at_once<H: HostUnderTest>() {
    let secret = Arc::new(Secret::canary());
    let changed = Arc::clone(&secret);
    let server = Server::serving(move |mut stream, heard| {
        let secret = Arc::clone(&changed);
        async move {
            let mut rest = Vec::new();
            while let Some(request) = heard.request(&mut stream, &mut rest).await? {
                if request.starts_with("GET /rotate") {
                    secret.write(format!("{CANARY}-second").as_bytes());
                } else if request.starts_with("GET /revoke") {
                    fs::remove_file(secret.path())?;
                }
                stream.write_all(OK.as_bytes()).await?;
            }
            Ok(())
        }
    })
    .await;
    let stage = Stage::<H>::new();
    let paths = ["/rotate", "/revoke", "/after"].map(|path| to(&server, path));
    let step = stage.run(raw(&paths), secret.grants(&server)).await;
    let sent = server.requests();
    assert!(sent[0].contains(&secret.text), "{}", sent[0]);
    assert!(sent[1].contains(&format!("{CANARY}-second")), "{}", sent[1]);
    assert_eq!(sent.len(), 2, "a request was sent without its secret");
    assert!(!step.note("2").starts_with("status"), "{:?}", step.end);
    assert_unknown(&stage, &step, CANARY);
    assert!(!matches!(step.end, Ended::Trap(_)));
}

/// All of the above while everything is logged. The suite runs this in a
/// process of its own. There is no exporter of traces yet: what would be
/// exported are these spans and events.
pub async fn e5_nothing_is_told_at_the_finest_level<H: HostUnderTest>() {
    let ears = crate::ears::Ears::everywhere();
    e1_the_secret_is_nowhere_in_the_guest::<H>().await;
    e2_an_echo_is_taken_out::<H>().await;
    e2_an_echo_in_pieces_is_taken_out::<H>().await;
    e3_the_secret_is_taken_out_of_every_part::<H>().await;
    e4_a_secret_cannot_be_asked_for::<H>().await;
    e4_a_secret_goes_to_its_rule_alone::<H>().await;
    e4_a_field_of_the_guest_does_not_stay_beside_it::<H>().await;
    e6_signing_is_last::<H>().await;
    e8_odd_secrets_are_refused_when_bound::<H>().await;
    e9_a_changed_secret_is_used_at_once::<H>().await;
    let heard = ears.text();
    assert!(heard.contains("TRACE"), "nothing was heard");
    assert!(heard.contains("servo"), "the host was not heard");
    for form in forms(CANARY) {
        let at = heard.find(&form);
        assert!(
            at.is_none(),
            "{form}: {:?}",
            at.map(|at| heard.get(at.saturating_sub(300)..at))
        );
    }
}
