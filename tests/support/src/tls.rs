//! Authorities, certificates and servers with TLS.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::HandshakeKind;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier};
use tokio_rustls::TlsAcceptor;

use crate::server::{OK, Server, answer_all};

/// An authority of one test, with its certificate in a file.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// Which clients a server with TLS lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clients {
    /// Nobody is asked for a certificate.
    All,
    /// All are asked, and those without one are served as well.
    Asked,
    /// Only those with a certificate of the same authority.
    Known,
}

impl Authority {
    /// # Panics
    /// Its certificate cannot be written.
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

    /// Its certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a name and its key, in PEM; it serves a client as well.
    ///
    /// # Panics
    /// The name is not a good one.
    #[must_use]
    pub fn signed(&self, name: &str) -> (String, String) {
        let (_, certificate, key) = self.certificate(name, |_| {});
        (certificate, key.serialize_pem())
    }

    /// Files of a certificate that is good for a client alone, and of its key.
    ///
    /// # Panics
    /// They cannot be written.
    #[must_use]
    pub fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        let (_, certificate, key) = self.certificate("a.test", |params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        });
        let file = |what: &str| self.folder.path().join(format!("{name}-{what}.pem"));
        std::fs::write(file("certificate"), certificate).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        (file("certificate"), file("key"))
    }

    /// What a server for `a.test` needs, with something changed in its
    /// certificate.
    #[must_use]
    pub fn acceptor(&self, change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        self.acceptor_for("a.test", change, Clients::All)
    }

    /// The same for a server of this name.
    #[must_use]
    pub fn acceptor_of(&self, name: &str) -> TlsAcceptor {
        self.acceptor_for(name, |_| {}, Clients::All)
    }

    /// The same for `a.test`, who lets in only clients with a certificate of
    /// this authority.
    #[must_use]
    pub fn mutual(&self) -> TlsAcceptor {
        self.acceptor_for("a.test", |_| {}, Clients::Known)
    }

    /// A server with a certificate of this authority, with something changed.
    pub async fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> TlsServer {
        serve(self.acceptor(change)).await
    }

    /// A server that asks for a certificate of this authority, and serves those
    /// who have none as well.
    pub async fn asking_server(&self) -> TlsServer {
        serve(self.acceptor_for("a.test", |_| {}, Clients::Asked)).await
    }

    fn acceptor_for(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
        clients: Clients,
    ) -> TlsAcceptor {
        let (certificate, _, key) = self.certificate(name, change);
        acceptor_with(certificate, &key, self.verifier(clients))
    }

    fn verifier(&self, clients: Clients) -> Arc<dyn ClientCertVerifier> {
        if clients == Clients::All {
            return Arc::new(NoClientAuth);
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
        let verifier = if clients == Clients::Asked {
            verifier.allow_unauthenticated()
        } else {
            verifier
        };
        verifier.build().unwrap()
    }

    fn certificate(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateDer<'static>, String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), certificate.pem(), key)
    }
}

/// What a server with this certificate needs.
///
/// # Panics
/// The key is of another certificate.
#[must_use]
pub fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    acceptor_with(certificate, key, Arc::new(NoClientAuth))
}

fn acceptor_with(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    clients: Arc<dyn ClientCertVerifier>,
) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
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

/// A server with a certificate that it signed itself.
///
/// # Panics
/// Never: the certificate is a good one.
pub async fn self_signed() -> TlsServer {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    serve(acceptor(certificate.der().clone(), &key)).await
}

async fn serve(acceptor: TlsAcceptor) -> TlsServer {
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
