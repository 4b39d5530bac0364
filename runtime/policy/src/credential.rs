//! The kinds of credentials: how each is written in a rule, and what it says.
//!
//! A driver never holds one: the host reads it, adds it after everything that a
//! guest can influence, and takes it out of what comes back. So a credential
//! is bound to a rule, and here stands only where it comes from and how it is
//! used. What is checked is what would otherwise fail at the first request, or
//! worse, succeed in a way that nobody meant: a field that HTTP itself owns, a
//! template that leaves the secret out, a secret sent in the clear.
//!
//! All of a kind stands in this file: its key in a rule, what it holds, its
//! checks and its words. What it does to a request stands in `servo-egress`.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Check, cut};
use crate::folder::below;
use crate::placeholder::fill_url;
use crate::plaintext::Plaintext;
use crate::{
    Advice, HeaderName, HostPattern, HttpGrantSpec, Rule, Scheme, SecretSource, SecretSpec,
    header_row,
};

/// Adds the keys of credentials to the type of a rule, so that a kind stands in
/// this file alone. (Serde can flatten one type into another, but then its errors
/// have no line.)
macro_rules! with_credentials {
    ($(#[$attribute:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        $(#[$attribute])*
        pub struct $name {
            $($fields)*
            /// A token that the host adds: `authorization: Bearer ...`. The driver
            /// never sees it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub bearer: Option<crate::SecretSpec>,
            /// A user and a password that the host adds: `authorization: Basic ...`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub basic: Option<crate::credential::BasicSpec>,
            /// A header of any other name that the host adds.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub header: Option<crate::credential::HeaderSpec>,
            /// Keys of AWS with which the host signs each request (version 4).
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub sigv4: Option<crate::credential::SigV4Spec>,
            /// A client of OAuth 2 whose tokens the host gets, adds and renews.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub oauth2: Option<crate::credential::OAuth2Spec>,
        }
    };
}

pub(crate) use with_credentials;

/// The credentials of a rule as they are written, each under its key.
fn written(spec: &HttpGrantSpec) -> impl Iterator<Item = (&'static str, &dyn Kind)> {
    fn kind<K: Kind>(spec: &Option<K>) -> Option<&dyn Kind> {
        spec.as_ref().map(|kind| kind as &dyn Kind)
    }
    [
        ("bearer", kind(&spec.bearer)),
        ("basic", kind(&spec.basic)),
        ("header", kind(&spec.header)),
        ("sigv4", kind(&spec.sigv4)),
        ("oauth2", kind(&spec.oauth2)),
    ]
    .into_iter()
    .filter_map(|(key, kind)| Some((key, kind?)))
}

/// A kind as it is written.
trait Kind {
    /// What it says. What is wrong with it goes to `check`.
    fn resolve(&self, check: &mut Check<'_>) -> Option<Credential>;
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
        /// address, whose path is the rule's.
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

/// A request of the host's own that a credential needs.
pub(crate) struct OwnRequest<'a> {
    /// The key of its address.
    pub(crate) address: &'static str,
    pub(crate) rule: &'a Rule,
    pub(crate) private: bool,
    pub(crate) ca: Option<&'a Path>,
}

impl Credential {
    /// The credential of a rule, which has at most one.
    pub(crate) fn resolve(spec: &HttpGrantSpec, check: &mut Check<'_>) -> Option<Self> {
        let mut written = written(spec);
        let (first, kind) = written.next()?;
        if let Some((second, _)) = written.next() {
            let advice = Advice::new(
                format!("the rule has a credential already, `{first}`"),
                format!("keep one of `{first}` and `{second}`"),
            );
            check.refuse(second, advice);
            return None;
        }
        kind.resolve(check)
    }

    /// The key of the rule under which it is written.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Bearer(_) => "bearer",
            Self::Basic { .. } => "basic",
            Self::Header { .. } => "header",
            Self::SigV4 { .. } => "sigv4",
            Self::OAuth2 { .. } => "oauth2",
        }
    }

    /// Its secrets, each under its key.
    pub(crate) fn sources(&self) -> Vec<(&'static str, &SecretSource)> {
        match self {
            Self::Bearer(secret) => vec![("bearer", secret)],
            Self::Basic { password, .. } => vec![("basic.password", password)],
            Self::Header { secret, .. } => vec![("header.secret", secret)],
            Self::SigV4 {
                access_key_id,
                secret_access_key,
                session_token,
                ..
            } => [
                ("sigv4.access_key_id", Some(access_key_id)),
                ("sigv4.secret_access_key", Some(secret_access_key)),
                ("sigv4.session_token", session_token.as_ref()),
            ]
            .into_iter()
            .filter_map(|(name, secret)| Some((name, secret?)))
            .collect(),
            Self::OAuth2 { client_secret, .. } => vec![("oauth2.client_secret", client_secret)],
        }
    }

    /// The request that the host makes for it, where there is one.
    pub(crate) fn own_request(&self) -> Option<OwnRequest<'_>> {
        match self {
            Self::OAuth2 {
                token, private, ca, ..
            } => Some(OwnRequest {
                address: "token_url",
                rule: token,
                private: *private,
                ca: ca.as_deref(),
            }),
            _ => None,
        }
    }

    /// Its kind and where its secrets come from, after "the host adds". The
    /// secrets themselves are not known here.
    pub fn explain(&self) -> String {
        match self {
            Self::Bearer(secret) => format!("a bearer token from {}", secret.explain()),
            Self::Basic { user, password } => {
                format!(
                    "the user `{user}` with a password from {}",
                    password.explain()
                )
            }
            Self::Header { name, secret, .. } => {
                format!(
                    "the header `{name}` with a secret from {}",
                    secret.explain()
                )
            }
            Self::SigV4 {
                service,
                region,
                secret_access_key,
                ..
            } => format!(
                "a signature of AWS for {service} in {region} with a key from {}",
                secret_access_key.explain()
            ),
            Self::OAuth2 {
                token,
                private,
                client_id,
                client_secret,
                scope,
                ..
            } => {
                let scope = match scope.as_str() {
                    "" => String::new(),
                    scope => format!(" for {scope}"),
                };
                let private = private.then_some(" (private addresses allowed)");
                let private = private.unwrap_or_default();
                format!(
                    "a token{scope} that it gets from {}{}{private} as the client `{client_id}` with \
                     a secret from {}",
                    token.origin(),
                    token.path,
                    client_secret.explain()
                )
            }
        }
    }
}

impl Kind for SecretSpec {
    fn resolve(&self, check: &mut Check<'_>) -> Option<Credential> {
        check.secret("bearer", self).map(Credential::Bearer)
    }
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

impl Kind for BasicSpec {
    fn resolve(&self, check: &mut Check<'_>) -> Option<Credential> {
        let password = check.secret("basic.password", &self.password);
        if self.user.contains(|c: char| c == ':' || c.is_control()) {
            let advice = Advice::new(
                "a user name may hold neither a colon nor control characters",
                "the server could not tell where it ends",
            );
            check.refuse("basic.user", advice);
            return None;
        }
        Some(Credential::Basic {
            user: self.user.clone(),
            password: password?,
        })
    }
}

const SECRET: &str = "{secret}";

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

impl Kind for HeaderSpec {
    fn resolve(&self, check: &mut Check<'_>) -> Option<Credential> {
        let secret = check.secret("header.secret", &self.secret);
        let name = self.name.to_ascii_lowercase();
        if let Err(advice) = HeaderName::parse(&name) {
            check.refuse("header.name", advice);
            return None;
        }
        let row = header_row(&name);
        if !row.may_be_secret() {
            let advice = Advice::new(
                format!(
                    "`{name}` is no header for a secret, because it {}",
                    row.reason
                ),
                "use `authorization` or a header of the server's own",
            );
            check.refuse("header.name", advice);
            return None;
        }
        let template = self.template.as_deref().unwrap_or(SECRET);
        let (before, after) = match template.split_once(SECRET) {
            Some((before, after)) if !after.contains(SECRET) => (before, after),
            _ => {
                let advice = Advice::new(
                    "the place of the secret is missing or there twice",
                    "write `{secret}` once",
                );
                check.refuse("header.template", advice);
                return None;
            }
        };
        if !template.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            let advice = Advice::new(
                "a header holds plain characters only",
                "remove what is not ASCII, and control characters",
            );
            check.refuse("header.template", advice);
            return None;
        }
        Some(Credential::Header {
            name,
            before: before.to_owned(),
            secret: secret?,
            after: after.to_owned(),
        })
    }
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

impl Kind for SigV4Spec {
    fn resolve(&self, check: &mut Check<'_>) -> Option<Credential> {
        for (name, value) in [("service", &self.service), ("region", &self.region)] {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if value.is_empty() || !value.bytes().all(plain) {
                let advice = Advice::new(
                    format!("{:?} is not a {name} of AWS", cut(value)),
                    "use lower-case letters, digits and hyphens",
                );
                check.refuse(&format!("sigv4.{name}"), advice);
            }
        }
        let access_key_id = check.secret("sigv4.access_key_id", &self.access_key_id);
        let secret_access_key = check.secret("sigv4.secret_access_key", &self.secret_access_key);
        let session_token = match &self.session_token {
            Some(token) => Some(check.secret("sigv4.session_token", token)?),
            None => None,
        };
        Some(Credential::SigV4 {
            service: self.service.clone(),
            region: self.region.clone(),
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            session_token,
        })
    }
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

impl Kind for OAuth2Spec {
    fn resolve(&self, check: &mut Check<'_>) -> Option<Credential> {
        let client_secret = check.secret("oauth2.client_secret", &self.client_secret);
        if self.client_id.is_empty() || !self.client_id.bytes().all(|b| (b' '..=b'~').contains(&b))
        {
            let advice = Advice::new(
                "the client's id is empty, or holds control characters or what is not ASCII",
                "write it as the service gave it",
            );
            check.refuse("oauth2.client_id", advice);
        }
        for (index, scope) in self.scopes.iter().enumerate() {
            let plain = |b: u8| (b'!'..=b'~').contains(&b) && b != b'"' && b != b'\\';
            if scope.is_empty() || !scope.bytes().all(plain) {
                let advice = Advice::new(
                    "a scope is one word without quotes",
                    "write one entry for each",
                );
                check.refuse(&format!("oauth2.scopes[{index}]"), advice);
            }
        }
        let token = self.token(check)?;
        let clear = Plaintext {
            rule: &token,
            near: self.private,
            spoken: self.plaintext,
            credential: true,
        };
        if let Some(advice) = clear.advice() {
            let name = clear.name("token_url");
            check.refuse(&format!("oauth2.{name}"), advice);
        }
        if self.ca.is_some() && token.scheme == Scheme::Http {
            let advice = Advice::new(
                "plain http has no certificate to check",
                "write https in `token_url`, or remove `ca`",
            );
            check.refuse("oauth2.ca", advice);
        }
        Some(Credential::OAuth2 {
            token,
            private: self.private,
            ca: self.ca.as_ref().map(|ca| below(check.base, ca)),
            client_id: self.client_id.clone(),
            client_secret: client_secret?,
            scope: self.scopes.join(" "),
        })
    }
}

impl OAuth2Spec {
    /// The one request that may be made for a token.
    fn token(&self, check: &mut Check<'_>) -> Option<Rule> {
        let key = format!("{}.oauth2.token_url", check.key);
        let token = match fill_url("POST", &self.token_url, check.config, &key) {
            Ok(token) => token,
            Err(error) => {
                check.wrong.push(error);
                return None;
            }
        };
        let one_host = matches!(token.host, HostPattern::Exact(_) | HostPattern::Ip(_));
        if !one_host || token.path.has_star() {
            let advice = Advice::new(
                "tokens are asked for at one place",
                "write one host and a path without stars",
            );
            check.refuse("oauth2.token_url", advice);
            return None;
        }
        Some(token)
    }
}
