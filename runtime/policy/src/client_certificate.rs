//! The identity with which the host makes the connections of a rule.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::folder::below;
use crate::{Advice, Scheme};

/// `client_certificate:` in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificateSpec {
    /// A file with the certificate and its chain in PEM.
    pub certificate: PathBuf,
    /// A file with the private key in PEM.
    pub key: PathBuf,
}

/// A client certificate: the identity with which connections of a rule are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// Absolute path of the certificate and its chain in PEM.
    pub certificate: PathBuf,
    /// Absolute path of the private key in PEM.
    pub key: PathBuf,
}

impl ClientCertificateSpec {
    /// The files, for a rule of this scheme. What is wrong goes to `check`.
    pub(crate) fn resolve(&self, scheme: Scheme, check: &mut Check<'_>) -> ClientCertificate {
        if scheme == Scheme::Http {
            check.refuse(
                "client_certificate",
                Advice::new(
                    "plain http has no connection with an identity",
                    "write https, or remove it",
                ),
            );
        }
        for (name, path) in [("certificate", &self.certificate), ("key", &self.key)] {
            if path.as_os_str().is_empty() {
                let advice = Advice::new("the path is empty", "write where the file is");
                check.refuse(&format!("client_certificate.{name}"), advice);
            }
        }
        ClientCertificate {
            certificate: below(check.base, &self.certificate),
            key: below(check.base, &self.key),
        }
    }
}
