//! Certificates, authorities and sessions, with a real TLS server on loopback.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::common::*;
use http::Request;
use rcgen::{CertificateParams, KeyPair};
use rustls::HandshakeKind;
use servo_egress::{Gate, Lane, SendError, TlsFailure, empty};
use servo_policy::{HttpRules, Rule};
use servo_test_support::tls::{Authority, acceptor};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

type Handshakes = Arc<Mutex<Vec<HandshakeKind>>>;

async fn serve(acceptor: TlsAcceptor) -> (Server, Handshakes) {
    let handshakes = Handshakes::default();
    let shared = Arc::clone(&handshakes);
    let server = Server::serving(move |stream, seen| {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        async move {
            let stream = acceptor.accept(stream).await?;
            shared
                .lock()
                .unwrap()
                .extend(stream.get_ref().1.handshake_kind());
            answer_all(stream, &seen, |_| OK.into()).await
        }
    })
    .await;
    (server, handshakes)
}

fn rule(server: &Server, ca: Option<PathBuf>) -> HttpRules {
    let rule: Rule = format!("GET https://a.test:{}/", server.port())
        .parse()
        .unwrap();
    HttpRules::new([(rule, true, ca)]).unwrap()
}

fn trusting(server: &Server, ca: Option<PathBuf>) -> Lane {
    lane(Scripted::new(&[&["127.0.0.1"]]), rule(server, ca))
}

fn url(server: &Server) -> String {
    format!("https://a.test:{}/", server.port())
}

#[tokio::test]
async fn c20_a_pinned_authority_is_enough() {
    let authority = Authority::new("ours");
    let (server, _) = serve(authority.acceptor(|_| {})).await;
    let response = send(
        &trusting(&server, Some(authority.file())),
        get(&url(&server)),
    )
    .await
    .unwrap();
    assert_eq!(text(response).await.unwrap(), "ok");
    assert!(server.requests()[0].starts_with("GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn c20_certificates_that_are_refused() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["a.test".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let name = |name: &str| vec![rcgen::SanType::DnsName(name.try_into().unwrap())];
    for (what, acceptor, ca, failure) in [
        (
            "self-signed",
            acceptor(own.der().clone(), &key),
            None,
            TlsFailure::UnknownIssuer,
        ),
        (
            "self-signed, another pinned",
            acceptor(own.der().clone(), &key),
            Some(authority.file()),
            TlsFailure::UnknownIssuer,
        ),
        (
            "an authority the system does not know",
            authority.acceptor(|_| {}),
            None,
            TlsFailure::UnknownIssuer,
        ),
        (
            "another pinned authority",
            authority.acceptor(|_| {}),
            Some(other.file()),
            TlsFailure::UnknownIssuer,
        ),
        (
            "another name",
            authority.acceptor(|p| p.subject_alt_names = name("b.test")),
            Some(authority.file()),
            TlsFailure::WrongName {
                presented: vec!["b.test".to_owned()],
            },
        ),
        (
            "a name below",
            authority.acceptor(|p| p.subject_alt_names = name("x.a.test")),
            Some(authority.file()),
            TlsFailure::WrongName {
                presented: vec!["x.a.test".to_owned()],
            },
        ),
    ] {
        let (server, handshakes) = serve(acceptor).await;
        let error = send(&trusting(&server, ca), get(&url(&server))).await.err();
        assert!(
            matches!(&error, Some(SendError::Tls(f)) if *f == failure),
            "{what}: {error:?}"
        );
        settle(|| server.closed() == 1).await;
        assert!(server.requests().is_empty(), "{what}");
        assert!(handshakes.lock().unwrap().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn c20_no_fallback_to_plain() {
    let server = Server::serving(|mut stream, seen| async move {
        let mut greeting = [0; 3];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut greeting).await?;
        seen.keep(format!("{greeting:02x?}"));
        tokio::io::AsyncWriteExt::write_all(&mut stream, OK.as_bytes()).await
    })
    .await;
    let error = send(&trusting(&server, None), get(&url(&server)))
        .await
        .unwrap_err();
    assert!(
        matches!(error, SendError::Tls(TlsFailure::Handshake)),
        "{error:?}"
    );
    // A TLS record, and no second try in the clear.
    settle(|| server.closed() == 1).await;
    assert_eq!(server.requests(), ["[16, 03, 01]"]);
}

#[tokio::test]
async fn c22_sessions_are_resumed_by_their_owner_alone() {
    let authority = Authority::new("ours");
    let (server, handshakes) = serve(authority.acceptor(|_| {})).await;
    let gate = Gate::new(Scripted::new(&[&["127.0.0.1"]])).unwrap();
    let lane = |tenant| {
        gate.lane(owner(tenant), rule(&server, Some(authority.file())))
            .unwrap()
    };
    let (first, second) = (lane("acme"), lane("other"));
    for lane in [&first, &first, &second] {
        let request = Request::get(url(&server))
            .header("connection", "close")
            .body(empty())
            .unwrap();
        text(send(lane, request).await.unwrap()).await.unwrap();
    }
    let kinds = handshakes.lock().unwrap().clone();
    assert!(
        matches!(
            kinds[..],
            [
                HandshakeKind::Full,
                HandshakeKind::Resumed,
                HandshakeKind::Full
            ]
        ),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn an_authority_that_cannot_be_used_is_found_at_once() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let server = Server::ok().await;
    let gate = Gate::new(Scripted::new(&[])).unwrap();
    for (path, word) in [
        (folder.path().join("absent.pem"), "absent.pem"),
        (file("empty.pem", b""), "no certificate in it"),
        (file("text.pem", b"hello"), "no certificate in it"),
        (
            file(
                "bad.pem",
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
            "not a usable certificate",
        ),
        (file("huge.pem", &vec![b'x'; 2 << 20]), "more than"),
        // Reading it would wait for a writer.
        (pipe, "not a regular file"),
        ("/dev/zero".into(), "not a regular file"),
    ] {
        let error = gate
            .lane(owner("acme"), rule(&server, Some(path)))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(word), "{error}");
    }
}
