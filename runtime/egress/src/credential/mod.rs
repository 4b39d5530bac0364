//! What the host adds to the requests of a rule, and takes out of the answers.
//!
//! A driver never holds a secret. It sends a request without one; when a rule
//! has allowed it, the rule's [`Keeper`] adds the rule's credential as the last
//! thing before the request is sent, and looks for it in what comes back. So a
//! credential goes where its rule goes and nowhere else: there is no name by
//! which a driver could ask for it, redirects are not followed, and no other
//! rule knows it.
//!
//! - The field that carries the credential is *inserted*: a driver's own field
//!   of that name is gone, whatever it held.
//! - A value is got again when its source changes ([`source`], [`oauth2`]), and
//!   a request whose value cannot be got is not sent.
//! - Values are wiped when their last user is done ([`secret`]). What the HTTP
//!   and TLS libraries copy into their own buffers, and the matcher that looks
//!   for a value, are freed and not wiped.
//! - The answer is looked through in its head and its body ([`scrub`]), for the
//!   usual spellings of the value ([`encodings`]). That needs an answer that can
//!   be read, so the host asks for one without encoding, refuses any other
//!   unless the rule lets the host undo it, and asks for no parts of an answer
//!   (`range`), since a part of a secret would not be found.

mod command;
mod encodings;
mod field;
mod identity;
mod oauth2;
mod renewed;
mod scrub;
mod secret;
mod sigv4;
mod source;

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header, response};
use http_body_util::BodyExt;
use servo_policy::{Credential, HttpGrant, RuleId, Target};
use tokio::time::Instant;

pub(crate) use self::identity::{Stamps, load as load_identity, stamps};
pub(crate) use self::scrub::Report;

use self::field::Field;
use self::oauth2::OAuth2;
use self::scrub::{Patterns, Scrubbed};
use self::secret::Secret;
use self::sigv4::SigV4;
use self::source::SourceError;
use crate::body::Body;
use crate::decode;
use crate::error::{CredentialFailure, EgressError, SendError};
use crate::gate::Gate;
use servo_audit::Owner;

/// The credential of one rule.
pub(crate) struct Keeper {
    rule: RuleId,
    kind: Kind,
    /// Does the host undo encodings of this rule's answers?
    decodes: bool,
    worn: Mutex<Option<Arc<Worn>>>,
}

enum Kind {
    Field(Field),
    SigV4(Box<SigV4>),
    OAuth2(OAuth2),
}

/// What was made of some values, for as long as they stay the same.
struct Worn {
    secrets: Vec<Secret>,
    value: Option<HeaderValue>,
    patterns: Arc<Patterns>,
}

/// A request that is complete but for its credential.
pub(crate) struct Draft<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: &'a Target,
    pub(crate) headers: &'a mut HeaderMap,
    pub(crate) body: &'a mut Body,
    /// The length of the body, where it is known.
    pub(crate) length: &'a mut Option<u64>,
    /// The largest body that may be sent.
    pub(crate) most: u64,
    /// The end of the whole exchange.
    pub(crate) until: Instant,
}

/// A credential that was added to a request; waits for the answer.
pub(crate) struct Attached {
    keeper: Arc<Keeper>,
    worn: Arc<Worn>,
}

/// Why a credential was not added.
#[derive(Debug, thiserror::Error)]
enum Unattached {
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("{0}")]
    Token(#[from] oauth2::TokenError),
    #[error("the request could not be signed")]
    Signature,
    #[error("the secret cannot be looked for in answers")]
    Patterns,
    /// The request itself is at fault.
    #[error("{0}")]
    Request(SendError),
}

impl Keeper {
    /// The keeper of a rule's credential, if it has one. Reads what can be read
    /// without waiting.
    pub(crate) fn load(
        grant: &HttpGrant,
        gate: &Gate,
        owner: &Owner,
    ) -> Result<Option<Arc<Self>>, EgressError> {
        let Some(credential) = &grant.credential else {
            return Ok(None);
        };
        let refuse = |problem: String| EgressError::Credential {
            rule: grant.id.0,
            problem,
        };
        let kind = match credential {
            Credential::SigV4 {
                service,
                region,
                access_key_id,
                secret_access_key,
                session_token,
            } => Kind::SigV4(Box::new(
                SigV4::load(
                    service,
                    region,
                    access_key_id,
                    secret_access_key,
                    session_token.as_ref(),
                )
                .map_err(|error| refuse(error.to_string()))?,
            )),
            Credential::OAuth2 {
                token,
                private,
                ca,
                client_id,
                client_secret,
                scope,
            } => Kind::OAuth2(OAuth2::load(
                grant.id,
                (token, *private, ca.as_ref()),
                (client_id, client_secret),
                scope,
                gate,
                owner,
            )?),
            field => Kind::Field(Field::load(field).map_err(refuse)?),
        };
        let decodes = grant.limits.decompressed_bytes.is_some();
        Ok(Some(Self::new(grant.id, kind, decodes)))
    }

    fn new(rule: RuleId, kind: Kind, decodes: bool) -> Arc<Self> {
        Arc::new(Self {
            rule,
            kind,
            decodes,
            worn: Mutex::new(None),
        })
    }

    /// Adds the credential. The last change of a request before it is sent.
    pub(crate) async fn attach(
        self: &Arc<Self>,
        mut draft: Draft<'_>,
    ) -> Result<Attached, SendError> {
        draft.headers.remove(header::RANGE);
        draft.headers.remove(header::IF_RANGE);
        draft.headers.remove(header::ACCEPT_ENCODING);
        if self.decodes {
            decode::ask(draft.headers);
        } else {
            let identity = HeaderValue::from_static("identity");
            draft.headers.insert(header::ACCEPT_ENCODING, identity);
        }
        let added = match &self.kind {
            Kind::Field(field) => self.add_field(field, &mut draft).await,
            Kind::SigV4(sigv4) => self.add_signature(sigv4, &mut draft).await,
            Kind::OAuth2(oauth2) => self.add_token(oauth2, &mut draft).await,
        };
        match added {
            Ok(worn) => Ok(Attached {
                keeper: Arc::clone(self),
                worn,
            }),
            Err(error) => Err(self.give_up(error)),
        }
    }

    async fn add_field(
        &self,
        field: &Field,
        draft: &mut Draft<'_>,
    ) -> Result<Arc<Worn>, Unattached> {
        let secret = field.source().current(draft.until).await?;
        let worn = self.wear(vec![secret], |secrets| field.dress(secrets))?;
        insert(draft, field.name().clone(), &worn)?;
        Ok(worn)
    }

    async fn add_token(
        &self,
        oauth2: &OAuth2,
        draft: &mut Draft<'_>,
    ) -> Result<Arc<Worn>, Unattached> {
        let secrets = oauth2.token(draft.until).await?;
        let worn = self.wear(secrets, oauth2::dress)?;
        insert(draft, header::AUTHORIZATION, &worn)?;
        Ok(worn)
    }

    async fn add_signature(
        &self,
        sigv4: &SigV4,
        draft: &mut Draft<'_>,
    ) -> Result<Arc<Worn>, Unattached> {
        let keys = sigv4.keys(draft.until).await?;
        let worn = self.wear(keys.secrets(), |secrets| {
            Some((None, Patterns::new(secrets.iter().map(Secret::bytes))?))
        })?;
        let now = std::time::SystemTime::now();
        sigv4.sign(&keys, draft, now).await?;
        Ok(worn)
    }

    /// What is made of these values, made again only when they are others.
    fn wear(
        &self,
        secrets: Vec<Secret>,
        dress: impl FnOnce(&[Secret]) -> Option<(Option<HeaderValue>, Patterns)>,
    ) -> Result<Arc<Worn>, Unattached> {
        let mut worn = self.worn.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |worn: &&Arc<Worn>| {
            worn.secrets.len() == secrets.len()
                && worn.secrets.iter().zip(&secrets).all(|(a, b)| a.is(b))
        };
        if let Some(worn) = worn.as_ref().filter(same) {
            return Ok(Arc::clone(worn));
        }
        // The old one goes first, whatever becomes of the new one.
        *worn = None;
        let (value, patterns) = dress(&secrets).ok_or(Unattached::Patterns)?;
        Ok(Arc::clone(worn.insert(Arc::new(Worn {
            secrets,
            value,
            patterns: Arc::new(patterns),
        }))))
    }

    /// The first value of the last request that was sent.
    fn last_secret(&self) -> Option<Secret> {
        let worn = self.worn.lock().unwrap_or_else(PoisonError::into_inner);
        worn.as_ref()?.secrets.first().cloned()
    }

    fn give_up(&self, error: Unattached) -> SendError {
        let failure = match error {
            Unattached::Request(error) => return error,
            Unattached::Source(_) => CredentialFailure::Secret,
            Unattached::Token(_) => CredentialFailure::Token,
            Unattached::Signature | Unattached::Patterns => CredentialFailure::Unusable,
        };
        *self.worn.lock().unwrap_or_else(PoisonError::into_inner) = None;
        tracing::warn!(
            rule = format_args!("grants.http[{}]", self.rule.0),
            problem = %error,
            "a request is not sent: its credential cannot be had"
        );
        SendError::Credential(failure)
    }

    /// The server does not accept these values.
    fn refused(&self, secrets: &[Secret]) {
        match &self.kind {
            Kind::Field(field) => secrets.iter().for_each(|s| field.source().refused(s)),
            Kind::SigV4(sigv4) => secrets.iter().for_each(|s| sigv4.refused(s)),
            Kind::OAuth2(oauth2) => secrets.iter().for_each(|s| oauth2.refused(s)),
        }
    }
}

fn insert(draft: &mut Draft<'_>, name: header::HeaderName, worn: &Worn) -> Result<(), Unattached> {
    let value = worn.value.clone().ok_or(Unattached::Patterns)?;
    draft.headers.insert(name, value);
    Ok(())
}

impl Attached {
    /// Cleans the answer's head. `empty`: it has no body.
    pub(crate) fn head(self, head: &mut response::Parts, empty: bool) -> Result<Seen, SendError> {
        if head.status == StatusCode::UNAUTHORIZED {
            self.keeper.refused(&self.worn.secrets);
        }
        let undone = self.keeper.decodes && decode::applies(head);
        if is_encoded(&head.headers) && !undone && !empty {
            return Err(SendError::Credential(CredentialFailure::Encoded));
        }
        let patterns = Arc::clone(&self.worn.patterns);
        let found = patterns.clean_fields(&mut head.headers);
        Ok(Seen { patterns, found })
    }
}

/// An answer whose head is clean.
pub(crate) struct Seen {
    patterns: Arc<Patterns>,
    found: u64,
}

impl Seen {
    /// The body, to be cleaned as it passes. `report` is told of finds when it
    /// is over.
    pub(crate) fn body(self, body: Body, report: Report) -> Body {
        Scrubbed::new(body, self.patterns, self.found, report).boxed_unsync()
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests;
