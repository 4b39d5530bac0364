//! Each way in which a protected connection fails has its own text, with the names
//! and dates concerned; and an operator's own certificate is enough.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SanType, date_time_ymd};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use servo_egress::{Gate, Lane, SendError, TlsFailure};
use servo_policy::{ClientCertificate, HttpGrant, HttpRules, Rule};
use servo_test_support::tls::{Authority, acceptor};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;

use crate::common::*;

#[derive(Debug)]
struct Stopped(u64);

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

/// The first second of 2020.
const IN_2020: u64 = 1_577_836_800;

async fn serve(acceptor: TlsAcceptor) -> Server {
    Server::serving(move |stream, heard| {
        let acceptor = acceptor.clone();
        async move {
            match acceptor.accept(stream).into_fallible().await {
                Ok(stream) => answer_all(stream, &heard, |_| OK.into()).await,
                // Closed by the client, so that what it was told is not lost.
                Err((error, mut stream)) => {
                    stream.read_to_end(&mut Vec::new()).await?;
                    Err(error)
                }
            }
        }
    })
    .await
}

fn lane_at(
    clock: u64,
    server: &Server,
    ca: Option<PathBuf>,
    identity: Option<ClientCertificate>,
) -> Lane {
    let line = format!("GET https://a.test:{}/", server.port());
    let rule: Rule = line.parse().unwrap();
    let grant = HttpGrant {
        identity,
        ..HttpGrant::from((rule, true, ca))
    };
    let gate = Gate::builder(Scripted::new(&[&["127.0.0.1"]])).clock(Arc::new(Stopped(clock)));
    let rules = HttpRules::new([grant]).unwrap();
    gate.build().unwrap().lane(owner("acme"), rules).unwrap()
}

async fn ask(server: &Server, lane: &Lane) -> Result<String, SendError> {
    let url = format!("https://a.test:{}/", server.port());
    Ok(text(send(lane, get(&url)).await?).await.unwrap())
}

async fn failure(server: &Server, lane: &Lane) -> (TlsFailure, String) {
    let error = ask(server, lane).await.unwrap_err();
    let text = error.to_string();
    match error {
        SendError::Tls(failure) => (failure, text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn field_08_each_failure_has_its_own_text() {
    let authority = Authority::new("ours");
    let ours = || Some(authority.file());
    let names = |names: &[&str]| -> Vec<SanType> {
        let name = |name: &&str| SanType::DnsName((*name).try_into().unwrap());
        names.iter().map(name).collect()
    };
    let many: Vec<String> = (0..9).map(|i| format!("n{i}.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let other = Authority::new("theirs");
    let (certificate, key) = other.client("them");
    let stranger = ClientCertificate { certificate, key };
    for (acceptor, ca, identity, parts) in [
        (
            authority.acceptor(|p| p.not_after = date_time_ymd(2001, 1, 1)),
            ours(),
            None,
            &[
                "has expired",
                "valid until Mon, 01 Jan 2001 00:00:00 GMT",
                "clock of this host says Wed, 01 Jan 2020 00:00:00 GMT",
            ][..],
        ),
        (
            authority.acceptor(|p| p.not_before = date_time_ymd(2024, 1, 1)),
            ours(),
            None,
            &[
                "not valid yet",
                "from Mon, 01 Jan 2024 00:00:00 GMT",
                "clock of this host says Wed, 01 Jan 2020 00:00:00 GMT",
                "is the clock right?",
            ],
        ),
        (
            authority.acceptor(|p| p.subject_alt_names = names(&["b.test", "c.test"])),
            ours(),
            None,
            &["for another host", "it is for b.test, c.test"],
        ),
        (
            authority.acceptor(|p| p.subject_alt_names = names(&many)),
            ours(),
            None,
            &["it is for n0.test, n1.test, n2.test, n3.test"],
        ),
        (
            authority.acceptor(|_| {}),
            None,
            None,
            &["not signed by a trusted authority", "`ca` in the rule"],
        ),
        (
            authority.mutual(),
            ours(),
            None,
            &["wants a client certificate", "`client_certificate`"],
        ),
        (
            authority.mutual(),
            ours(),
            Some(stranger),
            &["refuses the client certificate"],
        ),
    ] {
        let server = serve(acceptor).await;
        let lane = lane_at(IN_2020, &server, ca, identity);
        let (_, text) = failure(&server, &lane).await;
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("n4.test"), "{text}");
        assert!(server.requests().is_empty(), "{text}");
    }
}

#[tokio::test]
async fn c20_a_certificate_is_good_in_its_time_alone() {
    let authority = Authority::new("ours");
    let times = |p: &mut CertificateParams| {
        p.not_before = date_time_ymd(2019, 1, 1);
        p.not_after = date_time_ymd(2021, 1, 1);
    };
    let server = serve(authority.acceptor(times)).await;
    let at = |clock| lane_at(clock, &server, Some(authority.file()), None);
    let year = 366 * 86_400;
    assert_eq!(ask(&server, &at(IN_2020)).await.unwrap(), "ok");
    let (now, not_before) = (IN_2020 - 2 * year, 1_546_300_800);
    let (early, _) = failure(&server, &at(now)).await;
    assert_eq!(early, TlsFailure::NotYetValid { not_before, now });
    let (now, not_after) = (IN_2020 + 2 * year, 1_609_459_200);
    let (late, _) = failure(&server, &at(now)).await;
    assert_eq!(late, TlsFailure::Expired { not_after, now });
    assert_eq!(server.requests().len(), 1);
}

/// A certificate that nobody else signed, its key and a file with it.
fn own(folder: &Path, change: impl FnOnce(&mut CertificateParams)) -> (TlsAcceptor, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let file = folder.join("own.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    (acceptor(certificate.der().clone(), &key), file)
}

/// `openssl req -x509` makes it an authority; other tools do not.
#[tokio::test]
async fn field_07_the_servers_own_certificate_may_be_named() {
    let folder = TempDir::new().unwrap();
    let authority = || IsCa::Ca(BasicConstraints::Unconstrained);
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, authority()] {
        let (acceptor, file) = own(folder.path(), |p| p.is_ca = is_ca);
        let server = serve(acceptor).await;
        let lane = lane_at(IN_2020, &server, Some(file), None);
        assert_eq!(ask(&server, &lane).await.unwrap(), "ok", "{is_ca:?}");
    }
}

#[tokio::test]
async fn field_07_such_a_certificate_is_trusted_for_its_names_and_its_time_alone() {
    let folder = TempDir::new().unwrap();
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let (acceptor, file) = own(folder.path(), |p| {
            p.is_ca = is_ca;
            p.subject_alt_names = vec![SanType::DnsName("b.test".try_into().unwrap())];
        });
        let server = serve(acceptor).await;
        let (wrong, _) = failure(&server, &lane_at(IN_2020, &server, Some(file), None)).await;
        let presented = vec!["b.test".to_owned()];
        assert_eq!(wrong, TlsFailure::WrongName { presented }, "{is_ca:?}");

        let (acceptor, file) = own(folder.path(), |p| {
            p.is_ca = is_ca;
            p.not_after = date_time_ymd(2001, 1, 1);
        });
        let server = serve(acceptor).await;
        let (expired, _) = failure(&server, &lane_at(IN_2020, &server, Some(file), None)).await;
        assert!(
            matches!(expired, TlsFailure::Expired { .. }),
            "{is_ca:?}: {expired:?}"
        );

        // Of the same name and kind, but another key.
        let (_, named) = own(folder.path(), |p| p.is_ca = is_ca);
        let pinned = folder.path().join("pinned.pem");
        std::fs::rename(named, &pinned).unwrap();
        let (acceptor, _) = own(folder.path(), |p| p.is_ca = is_ca);
        let server = serve(acceptor).await;
        let lane = lane_at(IN_2020, &server, Some(pinned), None);
        let error = ask(&server, &lane).await.unwrap_err();
        assert!(matches!(error, SendError::Tls(_)), "{is_ca:?}: {error:?}");
        assert!(server.requests().is_empty(), "{is_ca:?}");
    }
}
