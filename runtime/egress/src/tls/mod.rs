//! Who is trusted, and with what.
//!
//! The crypto provider is passed explicitly, so that no other crate of the
//! process can change it by installing a default. System roots are read once,
//! when the first rule needs them. A rule with its own authority trusts that
//! one alone: an operator who names a private authority does not expect that
//! any public one would do as well. Every client gets a session store of its
//! own: a resumed session would tell a server that two tenants are one host.

pub(crate) mod failure;
pub(crate) mod identity;
mod verifier;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};

use crate::error::EgressError;
use crate::file;

/// The largest file of authorities that is read: the bundle of every public
/// one is a quarter of this.
const MOST_BYTES: usize = 1 << 20;

/// TLS sessions remembered per client; one client talks to one or few hosts.
const SESSIONS: usize = 4;

/// Whom a rule trusts.
#[derive(Clone)]
pub(crate) enum Trust {
    /// Nobody: the rule is about plain http.
    Nobody,
    /// The authorities of this machine.
    System,
    /// One authority alone, or one certificate.
    Only(Arc<Named>),
}

/// What an operator named.
pub(crate) struct Named {
    roots: Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
}

pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn TimeProvider>,
    nobody: Arc<RootCertStore>,
    system: OnceLock<Arc<RootCertStore>>,
    /// For plain http, where it is never used: one for all clients.
    unused: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    pub(crate) fn new(clock: Arc<dyn TimeProvider>) -> Self {
        Self {
            clock,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            nobody: Arc::new(RootCertStore::empty()),
            system: OnceLock::new(),
            unused: OnceLock::new(),
        }
    }

    pub(crate) fn provider(&self) -> &CryptoProvider {
        &self.provider
    }

    /// A configuration for one client, which has an identity or none.
    pub(crate) fn config(
        &self,
        trust: &Trust,
        identity: Option<Arc<dyn ResolvesClientCert>>,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        if !matches!((trust, &identity), (Trust::Nobody, None)) {
            return self.new_config(trust, identity).map(Arc::new);
        }
        if let Some(unused) = self.unused.get() {
            return Ok(Arc::clone(unused));
        }
        let unused = Arc::new(self.new_config(trust, identity)?);
        Ok(Arc::clone(self.unused.get_or_init(|| unused)))
    }

    fn new_config(
        &self,
        trust: &Trust,
        identity: Option<Arc<dyn ResolvesClientCert>>,
    ) -> Result<ClientConfig, rustls::Error> {
        let (roots, resumption) = match trust {
            Trust::Nobody => (Arc::clone(&self.nobody), Resumption::disabled()),
            Trust::System => (Arc::clone(self.system()), sessions()),
            Trust::Only(named) => (Arc::clone(&named.roots), sessions()),
        };
        let (provider, clock) = (Arc::clone(&self.provider), Arc::clone(&self.clock));
        let builder = ClientConfig::builder_with_details(provider, clock)
            .with_safe_default_protocol_versions()?;
        let builder = match trust {
            Trust::Only(named) => builder
                .dangerous()
                .with_custom_certificate_verifier(verifier::naming(named, &self.provider)?),
            Trust::Nobody | Trust::System => builder.with_root_certificates(roots),
        };
        let mut config = match identity {
            Some(identity) => builder.with_client_cert_resolver(identity),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = resumption;
        Ok(config)
    }

    /// Is there anybody this machine trusts?
    pub(crate) fn knows_authorities(&self) -> bool {
        !self.system().is_empty()
    }

    fn system(&self) -> &Arc<RootCertStore> {
        self.system.get_or_init(system_roots)
    }
}

fn sessions() -> Resumption {
    Resumption::in_memory_sessions(SESSIONS)
}

fn system_roots() -> Arc<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a system certificate could not be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, skipped) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!(
            skipped,
            "no system certificate authority was found: https works only for rules with a `ca`"
        );
    }
    Arc::new(roots)
}

/// Reads the one authority (or few) that a rule trusts, in PEM.
pub(crate) fn read_authority(path: &Path) -> Result<Trust, EgressError> {
    let refuse = |problem: String| EgressError::Authority {
        path: path.to_owned(),
        problem,
    };
    let (_, text) = file::read(path, MOST_BYTES).map_err(|e| refuse(e.to_string()))?;
    if text.len() > MOST_BYTES {
        return Err(refuse(format!(
            "it is more than the {MOST_BYTES} bytes allowed"
        )));
    }
    let mut certificates = Vec::new();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|e| refuse(format!("not PEM: {e}")))?;
        roots
            .add(certificate.clone())
            .map_err(|e| refuse(format!("not a usable certificate: {e}")))?;
        certificates.push(certificate);
    }
    if roots.is_empty() {
        return Err(refuse(
            "no certificate in it; it must hold one in PEM".to_owned(),
        ));
    }
    Ok(Trust::Only(Arc::new(Named {
        roots: Arc::new(roots),
        certificates,
    })))
}
