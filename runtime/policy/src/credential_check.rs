//! From a credential as it is written to one that can be used.
//!
//! What is checked here is what would otherwise fail at the first request, or
//! worse, succeed in a way that nobody meant: a field that HTTP itself owns, a
//! template that leaves the secret out, a secret sent in the clear.

use std::path::Path;

use crate::folder::below;
use crate::placeholder::fill;
use crate::{
    BasicSpec, Credential, HeaderSpec, HostPattern, HttpGrantSpec, OAuth2Spec, PolicyError, Rule,
    Scheme, SecretSource, SecretSpec, SigV4Spec, network,
};

/// Fields that the host or HTTP owns: a secret in one of them would be lost, or
/// would change what the connection is.
const OWNED: [&str; 14] = [
    "host",
    "connection",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "keep-alive",
    "http2-settings",
    "via",
    "forwarded",
    "accept-encoding",
];

const SECRET: &str = "{secret}";

/// Reads the credentials of one rule; what is wrong goes to `wrong`.
pub(crate) struct Check<'a> {
    pub(crate) config: &'a serde_json::Value,
    pub(crate) base: &'a Path,
    /// The rule's key, such as `grants.http[0]`.
    pub(crate) key: &'a str,
    pub(crate) wrong: &'a mut Vec<PolicyError>,
}

impl Check<'_> {
    /// What the host adds to the requests of a rule.
    pub(crate) fn credential(&mut self, spec: &HttpGrantSpec) -> Option<Credential> {
        let given = [
            (spec.bearer.is_some(), "bearer"),
            (spec.basic.is_some(), "basic"),
            (spec.header.is_some(), "header"),
            (spec.sigv4.is_some(), "sigv4"),
            (spec.oauth2.is_some(), "oauth2"),
        ];
        let mut given = given.into_iter().filter(|(given, _)| *given);
        if let (Some((_, first)), Some((_, second))) = (given.next(), given.next()) {
            let problem = format!(
                "the rule has a credential already, `{first}`; keep one of `{first}` and `{second}`"
            );
            self.refuse(second, problem);
            return None;
        }
        if let Some(bearer) = &spec.bearer {
            return self.secret("bearer", bearer).map(Credential::Bearer);
        }
        if let Some(basic) = &spec.basic {
            return self.basic(basic);
        }
        if let Some(header) = &spec.header {
            return self.header(header);
        }
        if let Some(sigv4) = &spec.sigv4 {
            return self.sigv4(sigv4);
        }
        spec.oauth2.as_ref().and_then(|oauth2| self.oauth2(oauth2))
    }

    pub(crate) fn refuse(&mut self, name: &str, problem: impl Into<String>) {
        self.wrong.push(PolicyError::Grant {
            key: format!("{}.{name}", self.key),
            problem: problem.into(),
        });
    }

    fn secret(&mut self, name: &str, spec: &SecretSpec) -> Option<SecretSource> {
        match spec.resolve(self.base) {
            Ok(source) => Some(source),
            Err(problem) => {
                self.refuse(name, problem);
                None
            }
        }
    }

    fn basic(&mut self, spec: &BasicSpec) -> Option<Credential> {
        let password = self.secret("basic.password", &spec.password);
        if spec.user.contains(|c: char| c == ':' || c.is_control()) {
            let problem = "a user name may hold neither a colon nor control characters; the server \
                           could not tell where it ends";
            self.refuse("basic.user", problem);
            return None;
        }
        Some(Credential::Basic {
            user: spec.user.clone(),
            password: password?,
        })
    }

    fn header(&mut self, spec: &HeaderSpec) -> Option<Credential> {
        let secret = self.secret("header.secret", &spec.secret);
        let name = spec.name.to_ascii_lowercase();
        if !is_token(&name) {
            let problem = format!(
                "{:?} is not a name of a header; use letters, digits and hyphens",
                cut(&spec.name)
            );
            self.refuse("header.name", problem);
            return None;
        }
        if OWNED.contains(&name.as_str()) || name.starts_with("proxy-") {
            let problem = format!(
                "`{name}` belongs to the connection, not to a credential; use `authorization` or a \
                 header of the server's own"
            );
            self.refuse("header.name", problem);
            return None;
        }
        let template = spec.template.as_deref().unwrap_or(SECRET);
        let (before, after) = match template.split_once(SECRET) {
            Some((before, after)) if !after.contains(SECRET) => (before, after),
            _ => {
                let problem =
                    "the place of the secret is missing or there twice; write `{secret}` once";
                self.refuse("header.template", problem);
                return None;
            }
        };
        if !template.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            let problem = "a header holds plain characters only; remove what is not ASCII, and \
                           control characters";
            self.refuse("header.template", problem);
            return None;
        }
        Some(Credential::Header {
            name,
            before: before.to_owned(),
            secret: secret?,
            after: after.to_owned(),
        })
    }

    fn sigv4(&mut self, spec: &SigV4Spec) -> Option<Credential> {
        for (name, value) in [("service", &spec.service), ("region", &spec.region)] {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if value.is_empty() || !value.bytes().all(plain) {
                let problem = format!(
                    "{:?} is not a {name} of AWS; use lower-case letters, digits and hyphens",
                    cut(value)
                );
                self.refuse(&format!("sigv4.{name}"), problem);
            }
        }
        let access_key_id = self.secret("sigv4.access_key_id", &spec.access_key_id);
        let secret_access_key = self.secret("sigv4.secret_access_key", &spec.secret_access_key);
        let session_token = match &spec.session_token {
            Some(token) => Some(self.secret("sigv4.session_token", token)?),
            None => None,
        };
        Some(Credential::SigV4 {
            service: spec.service.clone(),
            region: spec.region.clone(),
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            session_token,
        })
    }

    fn oauth2(&mut self, spec: &OAuth2Spec) -> Option<Credential> {
        let client_secret = self.secret("oauth2.client_secret", &spec.client_secret);
        if spec.client_id.is_empty() || !spec.client_id.bytes().all(|b| (b' '..=b'~').contains(&b))
        {
            let problem = "the client's id is empty, or holds control characters or what is not \
                           ASCII; write it as the service gave it";
            self.refuse("oauth2.client_id", problem);
        }
        for (index, scope) in spec.scopes.iter().enumerate() {
            let plain = |b: u8| (b'!'..=b'~').contains(&b) && b != b'"' && b != b'\\';
            if scope.is_empty() || !scope.bytes().all(plain) {
                let problem = "a scope is one word without quotes; write one entry for each";
                self.refuse(&format!("oauth2.scopes[{index}]"), problem);
            }
        }
        let token = self.token_url(spec)?;
        let clear = InTheClear {
            rule: &token,
            near: spec.private,
            spoken: spec.plaintext,
            credential: true,
        };
        if let Some(problem) = clear.problem() {
            let name = clear.name("token_url");
            self.refuse(&format!("oauth2.{name}"), problem);
        }
        if spec.ca.is_some() && token.scheme == Scheme::Http {
            let problem = "plain http has no certificate to check; write https in `token_url`, or \
                           remove `ca`";
            self.refuse("oauth2.ca", problem);
        }
        Some(Credential::OAuth2 {
            token,
            private: spec.private,
            ca: spec.ca.as_ref().map(|ca| below(self.base, ca)),
            client_id: spec.client_id.clone(),
            client_secret: client_secret?,
            scope: spec.scopes.join(" "),
        })
    }

    /// The one request that may be made for a token.
    fn token_url(&mut self, spec: &OAuth2Spec) -> Option<Rule> {
        const METHOD: &str = "POST ";
        let key = format!("{}.oauth2.token_url", self.key);
        let text = format!("{METHOD}{}", spec.token_url);
        let token = match fill(&text, self.config, &key) {
            Ok(token) => token,
            // The method is ours: what is shown is what was written.
            Err(PolicyError::Rule { key, mut error }) => {
                error.rule = error.rule.split_off(METHOD.len().min(error.rule.len()));
                error.offset = error.offset.saturating_sub(METHOD.len());
                self.wrong.push(PolicyError::Rule { key, error });
                return None;
            }
            Err(mut error) => {
                if let PolicyError::Placeholder { rule, .. } = &mut error {
                    *rule = rule.split_off(METHOD.len().min(rule.len()));
                }
                self.wrong.push(error);
                return None;
            }
        };
        if !matches!(token.host, HostPattern::Exact(_) | HostPattern::Ip(_)) {
            let problem = "tokens are asked for at one place; write one host";
            self.refuse("oauth2.token_url", problem);
            return None;
        }
        Some(token)
    }
}

/// Whether a credential may travel unencrypted.
pub(crate) struct InTheClear<'a> {
    pub(crate) rule: &'a Rule,
    /// The rule reaches other than public addresses.
    pub(crate) near: bool,
    /// The operator has said `plaintext: true`.
    pub(crate) spoken: bool,
    /// There is a credential.
    pub(crate) credential: bool,
}

impl InTheClear<'_> {
    /// What is wrong, and the remedy.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let here = match &self.rule.host {
            HostPattern::Ip(ip) => self.near && network::is_loopback(*ip),
            _ => false,
        };
        match (self.rule.scheme, self.credential) {
            (Scheme::Https, _) if self.spoken => {
                Some("https is encrypted; remove `plaintext`, or write http if that is meant")
            }
            (Scheme::Http, false) if self.spoken => {
                Some("there is no credential that could be read on the way; remove `plaintext`")
            }
            (Scheme::Http, true) if !self.spoken && !here => Some(
                "plain http shows the credential to everyone on the way; write https, or say \
                 `plaintext: true` if that is meant",
            ),
            _ => None,
        }
    }

    /// The key that the problem is about: the one that was said, or the one
    /// that makes it necessary to say something.
    pub(crate) fn name(&self, otherwise: &'static str) -> &'static str {
        if self.spoken { "plaintext" } else { otherwise }
    }
}

/// A token of HTTP (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
