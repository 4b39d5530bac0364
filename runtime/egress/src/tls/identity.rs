//! The certificate with which a rule's connections are made.
//!
//! A connection carries the identity it was made with for its whole life, so a
//! changed certificate needs another client, with a pool and TLS sessions of
//! its own. The files are looked at before each request; if one is another than
//! was read, both are read again. A pair that cannot be read or does not fit
//! together ends in an error: neither the old identity nor none is used.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use servo_policy::ClientCertificate;
use zeroize::Zeroizing;

use crate::file::{self, FileError, Stamp};

/// The largest file that is read. A chain has a few certificates.
const MOST: usize = 64 << 10;

/// A certificate that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file {}: {problem}", path.display())]
pub struct IdentityError {
    /// The file at fault.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: IdentityProblem,
}

/// What is wrong with a certificate or its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityProblem {
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] FileError),
    /// More than any chain needs.
    #[error("it is larger than 64 KiB")]
    TooLarge,
    /// Not text in the form of certificates.
    #[error(
        "it is not PEM; it must hold a certificate as `-----BEGIN CERTIFICATE-----` begins one"
    )]
    NotPem,
    /// PEM without a certificate.
    #[error("it holds no certificate in PEM")]
    NoCertificate,
    /// No key, or one that is locked.
    #[error("it holds no private key in PEM; one that is protected by a password cannot be used")]
    NoKey,
    /// The key of something else.
    #[error("it is not the key of the certificate")]
    OtherKey,
    /// A kind that TLS does not use.
    #[error("it is not a key or certificate that can be used")]
    Unusable,
}

/// Which files an identity was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamps(Stamp, Stamp);

/// What the files of a rule are now.
pub(crate) fn stamps(files: &ClientCertificate) -> Result<Stamps, IdentityError> {
    let of = |path| file::stamp(path).map_err(|problem| refuse(path, problem.into()));
    Ok(Stamps(of(&files.certificate)?, of(&files.key)?))
}

/// Reads a certificate and its key.
pub(crate) fn load(
    files: &ClientCertificate,
    provider: &CryptoProvider,
) -> Result<(Stamps, Arc<dyn ResolvesClientCert>), IdentityError> {
    let (certificate, chain) = bytes(&files.certificate)?;
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| refuse(&files.certificate, IdentityProblem::NotPem))?;
    if chain.is_empty() {
        return Err(refuse(&files.certificate, IdentityProblem::NoCertificate));
    }
    let (key, text) = bytes(&files.key)?;
    // The text of the error would be the kind of block that was met, or none.
    let der = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| refuse(&files.key, IdentityProblem::NoKey))?;
    let certified = CertifiedKey::from_der(chain, der, provider).map_err(|error| {
        let problem = match error {
            rustls::Error::InconsistentKeys(_) => IdentityProblem::OtherKey,
            _ => IdentityProblem::Unusable,
        };
        refuse(&files.key, problem)
    })?;
    let identity = Arc::new(SingleCertAndKey::from(certified));
    Ok((Stamps(certificate, key), identity))
}

fn bytes(path: &Path) -> Result<(Stamp, Zeroizing<Vec<u8>>), IdentityError> {
    let (stamp, bytes) = file::read(path, MOST).map_err(|problem| refuse(path, problem.into()))?;
    if bytes.len() > MOST {
        return Err(refuse(path, IdentityProblem::TooLarge));
    }
    Ok((stamp, bytes))
}

fn refuse(path: &Path, problem: IdentityProblem) -> IdentityError {
    IdentityError {
        path: path.to_owned(),
        problem,
    }
}
