//! Authorities, certificates and servers with TLS.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::HandshakeKind;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier};
use tokio_rustls::TlsAcceptor;

use crate::server::{OK, Server, answer_all};

/// An authority with its certificate in a file.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// What a server saw of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Whether an earlier session was taken up.
    pub resumed: bool,
    /// Whether the client showed a certificate.
    pub identified: bool,
}

/// A server with TLS and the handshakes it saw.
#[derive(Debug)]
pub struct TlsServer {
    /// The connections below TLS.
    pub server: Server,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
}

impl Authority {
    /// # Panics
    /// Never: the name is good.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// Where its certificate is.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for `a.test` with something changed, and its key.
    fn certificate(
        &self,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateDer<'static>, String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), certificate.pem(), key)
    }

    /// Files of a certificate for a client and its key, by this name.
    ///
    /// # Panics
    /// They cannot be written.
    #[must_use]
    pub fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        let (_, certificate, key) = self.certificate(|params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        });
        let file = |what: &str| self.folder.path().join(format!("{name}-{what}.pem"));
        std::fs::write(file("certificate"), certificate).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        (file("certificate"), file("key"))
    }

    /// A server with a certificate of this authority, with something changed.
    pub async fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> TlsServer {
        let (certificate, _, key) = self.certificate(change);
        serve(certificate, &key, Arc::new(NoClientAuth)).await
    }

    /// A server that asks for a certificate of this authority, and serves those
    /// who have none as well.
    ///
    /// # Panics
    /// Never: the authority is a good one.
    pub async fn asking_server(&self) -> TlsServer {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
            .allow_unauthenticated()
            .build()
            .unwrap();
        let (certificate, _, key) = self.certificate(|_| {});
        serve(certificate, &key, verifier).await
    }
}

/// A server with a certificate that it signed itself.
///
/// # Panics
/// Never: the certificate is a good one.
pub async fn self_signed() -> TlsServer {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    serve(certificate.der().clone(), &key, Arc::new(NoClientAuth)).await
}

async fn serve(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    clients: Arc<dyn ClientCertVerifier>,
) -> TlsServer {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let handshakes = Arc::<Mutex<Vec<Handshake>>>::default();
    let shared = Arc::clone(&handshakes);
    let server = Server::serving(move |stream, heard| {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        async move {
            let stream = acceptor.accept(stream).await?;
            let session = stream.get_ref().1;
            shared.lock().unwrap().push(Handshake {
                resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
                identified: session.peer_certificates().is_some(),
            });
            answer_all(stream, &heard, |_| OK.into()).await
        }
    })
    .await;
    TlsServer { server, handshakes }
}

impl TlsServer {
    /// The handshakes that came to an end.
    ///
    /// # Panics
    /// The server crashed.
    #[must_use]
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.handshakes.lock().unwrap().clone()
    }

    /// Host and port by which it is asked for.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("a.test:{}", self.server.port())
    }
}
