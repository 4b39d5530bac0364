//! Which credentials the host adds to the requests of a rule.
//!
//! A driver never holds one: the host reads it, adds it after everything that a
//! guest can influence, and takes it out of what comes back. So a credential
//! is bound to a rule, and here stands only where it comes from and how it is
//! used; its value never passes through this crate.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Rule;
use crate::folder::below;

/// Where a secret comes from; exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSpec {
    /// A file; relative to the file that holds the grant. Read again when it
    /// changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A variable of servo's own environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A program of the operator and its arguments, whose standard output is
    /// the secret. Not run by a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// A file, by its absolute path. One final line end is not part of the secret.
    File(PathBuf),
    /// A variable of the host's environment.
    Env(String),
    /// A program and its arguments, at least one element. Its standard output,
    /// without one final line end, is the secret.
    Command(Vec<String>),
}

/// `basic:` in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicSpec {
    /// The user name; no colon.
    pub user: String,
    /// The password.
    pub password: SecretSpec,
}

/// `header:` in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderSpec {
    /// The field's name.
    pub name: String,
    /// The field's value with `{secret}` in it once; only the secret, unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The secret.
    pub secret: SecretSpec,
}

/// `client_certificate:` in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificateSpec {
    /// A file with the certificate and its chain in PEM.
    pub certificate: PathBuf,
    /// A file with the private key in PEM.
    pub key: PathBuf,
}

/// `sigv4:` in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigV4Spec {
    /// The service's name in signatures, such as `monitoring`.
    pub service: String,
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// The access key's id.
    pub access_key_id: SecretSpec,
    /// The secret access key.
    pub secret_access_key: SecretSpec,
    /// The session token of temporary credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<SecretSpec>,
}

/// `oauth2:` in a rule: the client credentials grant (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2Spec {
    /// Where tokens are asked for. Plain http only with `plaintext: true`, or on
    /// a loopback address with `private: true`.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: SecretSpec,
    /// The scopes asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// May the token's address be loopback, private or similar?
    #[serde(default)]
    pub private: bool,
    /// May the client's secret be sent unencrypted to a token's address that is
    /// plain http?
    #[serde(default)]
    pub plaintext: bool,
    /// The only certificate authority to trust for the token's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// A client certificate: the identity with which connections of a rule are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// Absolute path of the certificate and its chain in PEM.
    pub certificate: PathBuf,
    /// Absolute path of the private key in PEM.
    pub key: PathBuf,
}

/// What the host adds to each request of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// `authorization: Bearer SECRET`.
    Bearer(SecretSource),
    /// `authorization: Basic` of user and password (RFC 7617).
    Basic {
        /// The user name.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// A field of any name.
    Header {
        /// The field's name, in lower case.
        name: String,
        /// What stands before the secret in the value.
        before: String,
        /// The secret.
        secret: SecretSource,
        /// What stands after it.
        after: String,
    },
    /// A signature of AWS, version 4.
    SigV4 {
        /// The service's name.
        service: String,
        /// The region.
        region: String,
        /// The access key's id.
        access_key_id: SecretSource,
        /// The secret access key.
        secret_access_key: SecretSource,
        /// The session token.
        session_token: Option<SecretSource>,
    },
    /// A token got with the client's own credentials, and renewed before its end.
    OAuth2 {
        /// The one request that may be made for it: a POST to the token's
        /// address, whose path is the rule's prefix exactly.
        token: Rule,
        /// May that address be private?
        private: bool,
        /// The only authority trusted for it.
        ca: Option<PathBuf>,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: SecretSource,
        /// The scopes, joined by a space; empty: none is asked for.
        scope: String,
    },
}

impl SecretSpec {
    /// The one source that is given; relative paths are below `base`.
    ///
    /// # Errors
    /// None or more than one is given, or the one given is empty: the problem
    /// and its remedy.
    pub fn resolve(&self, base: &Path) -> Result<SecretSource, String> {
        match (&self.file, &self.env, &self.command) {
            (Some(path), None, None) if path.as_os_str().is_empty() => {
                Err("the path is empty; write where the file is".to_owned())
            }
            (Some(path), None, None) => Ok(SecretSource::File(below(base, path))),
            (None, Some(name), None) if is_variable(name) => Ok(SecretSource::Env(name.clone())),
            (None, Some(name), None) => Err(format!(
                "{name:?} is no name of a variable; use letters, digits and `_`"
            )),
            (None, None, Some(argv)) if argv.first().is_none_or(String::is_empty) => {
                Err("the command is empty; write a program and its arguments".to_owned())
            }
            (None, None, Some(argv)) if argv.iter().any(|part| part.contains('\0')) => {
                Err("the command holds a zero byte; remove it".to_owned())
            }
            (None, None, Some(argv)) => Ok(SecretSource::Command(argv.clone())),
            _ => Err(
                "a secret comes from exactly one place; write one of `file`, `env` and `command`"
                    .to_owned(),
            ),
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
