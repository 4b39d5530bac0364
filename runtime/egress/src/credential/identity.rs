//! The certificate with which a rule's connections are made.
//!
//! A connection carries the identity it was made with for its whole life, so a
//! changed certificate needs another client, with a pool and TLS sessions of
//! its own. The files are looked at before each request; if one is another than
//! was read, both are read again. A pair that cannot be read or does not fit
//! together ends in an error: neither the old identity nor none is used.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use servo_policy::ClientCertificate;

use super::source::{Place, Stamp, read, stat};

/// The largest file that is read. A chain has a few certificates.
const MOST: usize = 64 << 10;

/// A certificate that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub(crate) struct IdentityError {
    place: String,
    problem: String,
}

/// Which files an identity was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamps(Stamp, Stamp);

/// What the files of a rule are now.
pub(crate) fn stamps(files: &ClientCertificate) -> Result<Stamps, IdentityError> {
    let of = |path: &std::path::Path| {
        stat(path)
            .map(|meta| Stamp::of(&meta))
            .map_err(|problem| refuse(path, problem.to_string()))
    };
    Ok(Stamps(of(&files.certificate)?, of(&files.key)?))
}

/// Reads a certificate and its key.
pub(crate) fn load(
    files: &ClientCertificate,
    provider: &CryptoProvider,
) -> Result<(Stamps, Arc<dyn ResolvesClientCert>), IdentityError> {
    // Only files are opened.
    stamps(files)?;
    let (certificate, chain) = bytes(&files.certificate)?;
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refuse(&files.certificate, format!("it is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(refuse(
            &files.certificate,
            "it holds no certificate in PEM".to_owned(),
        ));
    }
    let (key, text) = bytes(&files.key)?;
    // The text of the error would be the kind of block that was met, or none.
    let der = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        refuse(
            &files.key,
            "it holds no private key in PEM; one that is protected by a password cannot be used"
                .to_owned(),
        )
    })?;
    let certified = CertifiedKey::from_der(chain, der, provider).map_err(|error| {
        let problem = match error {
            rustls::Error::InconsistentKeys(_) => "it is not the key of the certificate",
            _ => "it is not a key or certificate that can be used",
        };
        refuse(&files.key, problem.to_owned())
    })?;
    let identity = Arc::new(SingleCertAndKey::from(certified));
    Ok((Stamps(certificate, key), identity))
}

fn bytes(path: &std::path::Path) -> Result<(Stamp, zeroize::Zeroizing<Vec<u8>>), IdentityError> {
    let (stamp, bytes) = read(path, MOST).map_err(|problem| refuse(path, problem.to_string()))?;
    if bytes.len() > MOST {
        return Err(refuse(path, "it is larger than 64 KiB".to_owned()));
    }
    Ok((stamp, bytes))
}

fn refuse(path: &std::path::Path, problem: impl Into<String>) -> IdentityError {
    IdentityError {
        place: Place::File(path.to_owned()).to_string(),
        problem: problem.into(),
    }
}
