//! The kinds of credentials: each with its key, what it is and an example.
//!
//! A manifest asks for one by its key, suggestions and the printed reference show
//! its example, and a test reads each example by the grammar it is one of.

use serde::{Deserialize, Serialize};

/// A kind of credential, by its key in a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A token.
    Bearer,
    /// A user and a password.
    Basic,
    /// A secret in a header of any other name.
    Header,
    /// A signature of AWS.
    #[serde(rename = "sigv4")]
    SigV4,
    /// A client of OAuth 2.
    #[serde(rename = "oauth2")]
    OAuth2,
    /// The identity of the connection.
    ClientCertificate,
}

impl CredentialKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Bearer,
        Self::Basic,
        Self::Header,
        Self::SigV4,
        Self::OAuth2,
        Self::ClientCertificate,
    ];

    /// Its key in a rule, and its name in `driver.toml`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::Header => "header",
            Self::SigV4 => "sigv4",
            Self::OAuth2 => "oauth2",
            Self::ClientCertificate => "client_certificate",
        }
    }

    /// What it is, after "with".
    pub fn describe(self) -> &'static str {
        match self {
            Self::Bearer => "a bearer token",
            Self::Basic => "a user and a password",
            Self::Header => "a secret in a header",
            Self::SigV4 => "a signature of AWS",
            Self::OAuth2 => "a token of OAuth 2",
            Self::ClientCertificate => "a client certificate",
        }
    }

    /// The key with a value, as it stands in a rule.
    pub fn example(self) -> &'static str {
        match self {
            Self::Bearer => "bearer: { file: ./token }",
            Self::Basic => "basic: { user: servo, password: { file: ./password } }",
            Self::Header => "header: { name: x-api-key, secret: { env: API_KEY } }",
            Self::SigV4 => {
                "sigv4: { service: aps, region: eu-central-1, access_key_id: { env: AWS_ACCESS_KEY_ID }, \
                 secret_access_key: { env: AWS_SECRET_ACCESS_KEY } }"
            }
            Self::OAuth2 => {
                "oauth2: { token_url: \"https://id.example/token\", client_id: servo, \
                 client_secret: { file: ./secret }, scopes: [metrics.read] }"
            }
            Self::ClientCertificate => {
                "client_certificate: { certificate: ./servo.pem, key: ./servo.key }"
            }
        }
    }
}
