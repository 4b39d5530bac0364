//! C21 and C22: client certificates, and that nobody shares what they opened.

use std::io;
use std::sync::{Arc, Mutex};

use rustls::HandshakeKind;
use servo_egress::{CredentialFailure, Lane, SendError};
use servo_policy::{ClientCertificate, HttpGrant, HttpRules};
use tokio_rustls::TlsAcceptor;

use crate::common::{OK, Server, answer_all, get, owner, send, settle, text};
use crate::world::*;
use servo_test_support::tls::Authority;

/// Who came, and how: the client's certificate in PEM order of arrival.
type Guests = Arc<Mutex<Vec<(Vec<u8>, HandshakeKind)>>>;

async fn mutual(acceptor: TlsAcceptor) -> (Server, Guests) {
    let guests = Guests::default();
    let shared = Arc::clone(&guests);
    let server = Server::serving(move |stream, seen| {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        async move {
            let stream = acceptor.accept(stream).await?;
            let session = stream.get_ref().1;
            let certificate = session
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|certificate| certificate.to_vec());
            let kind = session.handshake_kind();
            shared.lock().unwrap().push((
                certificate.ok_or_else(|| io::Error::other("nobody"))?,
                kind.ok_or_else(|| io::Error::other("no handshake"))?,
            ));
            answer_all(stream, &seen, |_| OK.into()).await
        }
    })
    .await;
    (server, guests)
}

fn write(
    secrets: &Secrets,
    name: &str,
    (certificate, key): &(String, String),
) -> ClientCertificate {
    secrets.write(&format!("{name}.pem"), certificate);
    secrets.write(&format!("{name}.key"), key);
    ClientCertificate {
        certificate: secrets.path(&format!("{name}.pem")),
        key: secrets.path(&format!("{name}.key")),
    }
}

fn identified(
    server: &Server,
    prefix: &str,
    authority: &Authority,
    identity: Option<ClientCertificate>,
) -> HttpGrant {
    HttpGrant {
        ca: Some(authority.file()),
        identity,
        ..grant(
            &format!("GET https://a.test:{}{prefix}", server.port()),
            None,
        )
    }
}

async fn visit(lane: &Lane, server: &Server, path: &str) -> Result<String, SendError> {
    let url = format!("https://a.test:{}{path}", server.port());
    Ok(text(send(lane, get(&url)).await?).await.unwrap())
}

fn der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec()
}

#[tokio::test]
async fn c21_only_the_rule_with_the_identity_is_let_in() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let secrets = Secrets::new();
    let pair = authority.signed("canary-identity");
    let (server, guests) = mutual(authority.mutual()).await;
    let ours = write(&secrets, "ours", &pair);
    let (lane, _) = lane_with(vec![identified(&server, "/", &authority, Some(ours))]);
    assert_eq!(visit(&lane, &server, "/").await.unwrap(), "ok");
    assert_eq!(visit(&lane, &server, "/").await.unwrap(), "ok");
    assert_eq!(guests.lock().unwrap().len(), 1, "one connection, kept");
    assert_eq!(guests.lock().unwrap()[0].0, der(&pair.0));

    let stranger = write(&secrets, "stranger", &other.signed("stranger"));
    for identity in [None, Some(stranger)] {
        let (lane, _) = lane_with(vec![identified(&server, "/", &authority, identity)]);
        let error = visit(&lane, &server, "/").await.unwrap_err();
        assert!(
            matches!(error, SendError::Tls(_) | SendError::Protocol(_)),
            "{error:?}"
        );
    }
    settle(|| server.closed() == 2).await;
    assert_eq!(guests.lock().unwrap().len(), 1);
    assert_eq!(server.requests().len(), 2);
    let key_line = pair.1.lines().nth(1).unwrap();
    e5_unheard(&[key_line]);
}

#[tokio::test]
async fn c21_c22_no_connection_or_session_is_shared() {
    let authority = Authority::new("ours");
    let secrets = Secrets::new();
    let (server, guests) = mutual(authority.mutual()).await;
    let (gate, _) = gate();
    let pairs = [
        authority.signed("tenant-a"),
        authority.signed("tenant-b"),
        authority.signed("rule-two"),
    ];
    let identity = |index: usize| Some(write(&secrets, &format!("c{index}"), &pairs[index]));
    let lane = |tenant: &str, grants: Vec<HttpGrant>| {
        gate.lane(owner(tenant), HttpRules::new(grants).unwrap())
            .unwrap()
    };
    let a = lane(
        "a",
        vec![
            identified(&server, "/", &authority, identity(0)),
            identified(&server, "/two/", &authority, identity(2)),
        ],
    );
    let b = lane("b", vec![identified(&server, "/", &authority, identity(1))]);
    let same = lane("c", vec![identified(&server, "/", &authority, identity(0))]);
    let none = lane("d", vec![identified(&server, "/", &authority, None)]);
    for (lane, path) in [
        (&a, "/"),
        (&b, "/"),
        (&a, "/two/x"),
        (&same, "/"),
        (&a, "/"),
    ] {
        visit(lane, &server, path).await.unwrap();
    }
    assert!(visit(&none, &server, "/").await.is_err());
    let guests = guests.lock().unwrap();
    let came: Vec<usize> = guests
        .iter()
        .map(|(guest, _)| {
            pairs
                .iter()
                .position(|pair| der(&pair.0) == *guest)
                .unwrap()
        })
        .collect();
    // The last request of `a` found its own connection again.
    assert_eq!(came, [0, 1, 2, 0]);
    assert!(
        guests.iter().all(|(_, kind)| *kind == HandshakeKind::Full
            || *kind == HandshakeKind::FullWithHelloRetryRequest),
        "no session is resumed by another owner, rule or identity: {guests:?}"
    );
}

#[tokio::test]
async fn e9_a_changed_certificate_makes_new_connections_and_a_bad_one_none() {
    let authority = Authority::new("ours");
    let secrets = Secrets::new();
    let (server, guests) = mutual(authority.mutual()).await;
    let (old, new) = (authority.signed("old"), authority.signed("new"));
    let files = write(&secrets, "one", &old);
    let (lane, records) = lane_with(vec![identified(&server, "/", &authority, Some(files))]);
    visit(&lane, &server, "/").await.unwrap();
    write(&secrets, "one", &new);
    visit(&lane, &server, "/").await.unwrap();
    settle(|| server.closed() == 1).await;

    secrets.write("one.key", &old.1);
    for _ in 0..2 {
        let error = visit(&lane, &server, "/").await.unwrap_err();
        assert!(
            matches!(error, SendError::Credential(CredentialFailure::Identity)),
            "{error:?}"
        );
    }
    // Nothing is open any more that was opened as somebody.
    settle(|| server.closed() == 2).await;
    assert_eq!(records.of("http denied secret").len(), 2);
    write(&secrets, "one", &new);
    visit(&lane, &server, "/").await.unwrap();
    let came: Vec<Vec<u8>> = guests.lock().unwrap().iter().map(|g| g.0.clone()).collect();
    assert_eq!(came, [der(&old.0), der(&new.0), der(&new.0)]);
    let keys = [&old.1, &new.1].map(|key| key.lines().nth(1).unwrap());
    e5_unheard(&keys);
}
