//! The credential of one rule: adds it to requests, takes it out of answers.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header, response};
use http_body_util::BodyExt;
use servo_policy::RuleId;

use super::authorize::{Authorize, Cache, Draft, Prepared};
use super::error::AuthorizeError;
use super::scrub::{Patterns, Report, Scrubbed};
use super::secret::Secret;
use crate::body::{Body, decode};
use crate::error::{Coding, CredentialFailure, SendError};

/// The credential of one rule.
pub(crate) struct Authorizer {
    rule: RuleId,
    kind: Box<dyn Authorize>,
    /// Does the host undo encodings of this rule's answers?
    decodes: bool,
    cache: Cache,
}

/// A credential that was added to a request; waits for the answer.
pub(crate) struct Authorized {
    authorizer: Arc<Authorizer>,
    prepared: Arc<Prepared>,
}

impl Authorizer {
    pub(super) fn new(rule: RuleId, kind: Box<dyn Authorize>, decodes: bool) -> Arc<Self> {
        Arc::new(Self {
            rule,
            kind,
            decodes,
            cache: Cache::default(),
        })
    }

    /// Adds the credential. The last change of a request before it is sent.
    pub(crate) async fn authorize(
        self: &Arc<Self>,
        mut draft: Draft<'_>,
    ) -> Result<Authorized, SendError> {
        draft.headers.remove(header::RANGE);
        draft.headers.remove(header::IF_RANGE);
        draft.headers.remove(header::ACCEPT_ENCODING);
        if self.decodes {
            decode::ask(draft.headers);
        } else {
            let identity = HeaderValue::from_static("identity");
            draft.headers.insert(header::ACCEPT_ENCODING, identity);
        }
        match self.kind.authorize(&mut draft, &self.cache).await {
            Ok(prepared) => Ok(Authorized {
                authorizer: Arc::clone(self),
                prepared,
            }),
            Err(error) => Err(self.give_up(error)),
        }
    }

    /// The first value of the last request that was sent.
    pub(super) fn last_secret(&self) -> Option<Secret> {
        self.cache.first_secret()
    }

    fn give_up(&self, error: AuthorizeError) -> SendError {
        let failure = match error {
            AuthorizeError::Request(error) => return error,
            AuthorizeError::Source(_) => CredentialFailure::Secret,
            AuthorizeError::Token(_) => CredentialFailure::Token,
            AuthorizeError::Signature | AuthorizeError::Patterns => CredentialFailure::Unusable,
        };
        self.cache.clear();
        tracing::warn!(
            rule = format_args!("grants.http[{}]", self.rule.0),
            problem = %error,
            "a request is not sent: its credential cannot be had"
        );
        SendError::Credential(failure)
    }
}

impl Authorized {
    /// Cleans the answer's head. `empty`: it has no body.
    pub(crate) fn head(self, head: &mut response::Parts, empty: bool) -> Result<Seen, SendError> {
        let Authorizer { kind, decodes, .. } = &*self.authorizer;
        if head.status == StatusCode::UNAUTHORIZED {
            self.prepared.secrets.iter().for_each(|s| kind.refused(s));
        }
        let undone = *decodes && decode::applies(head);
        if let Some(coding) = encoding(&head.headers)
            && !undone
            && !empty
        {
            return Err(SendError::Credential(CredentialFailure::Encoded(coding)));
        }
        let patterns = Arc::clone(&self.prepared.patterns);
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

fn encoding(headers: &HeaderMap) -> Option<Coding> {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
        .map(Coding::of)
}

#[cfg(test)]
mod tests;
