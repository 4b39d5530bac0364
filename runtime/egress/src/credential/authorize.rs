//! What every kind of credential does: it adds itself to a request, and says
//! what must not come back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use servo_policy::Target;
use tokio::time::Instant;

use super::error::AuthorizeError;
use super::scrub::Patterns;
use super::secret::Secret;
use crate::body::Body;

/// One kind of credential.
#[async_trait]
pub(super) trait Authorize: Send + Sync {
    /// Adds the credential to a request: the last change before it is sent.
    async fn authorize(
        &self,
        draft: &mut Draft<'_>,
        cache: &Cache,
    ) -> Result<Arc<Prepared>, AuthorizeError>;

    /// The server does not accept this value.
    fn refused(&self, secret: &Secret);
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

/// What was made of some values, for as long as they stay the same.
pub(crate) struct Prepared {
    pub(super) secrets: Vec<Secret>,
    /// The value of the field that carries them, where one does.
    value: Option<HeaderValue>,
    pub(super) patterns: Arc<Patterns>,
}

impl Prepared {
    /// Puts the value into a field. A driver's own field of that name is gone,
    /// whatever it held.
    pub(super) fn insert(
        &self,
        draft: &mut Draft<'_>,
        name: HeaderName,
    ) -> Result<(), AuthorizeError> {
        let value = self.value.clone().ok_or(AuthorizeError::Patterns)?;
        draft.headers.insert(name, value);
        Ok(())
    }
}

/// What was prepared last.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<Arc<Prepared>>>);

impl Cache {
    /// What `prepare` makes of these values: the value of a field, where one
    /// carries them, and what to look for. Made again only when they are others.
    pub(super) fn get(
        &self,
        secrets: Vec<Secret>,
        prepare: impl FnOnce(&[Secret]) -> Option<(Option<HeaderValue>, Patterns)>,
    ) -> Result<Arc<Prepared>, AuthorizeError> {
        let mut last = self.lock();
        let same = |last: &&Arc<Prepared>| {
            last.secrets.len() == secrets.len()
                && last.secrets.iter().zip(&secrets).all(|(a, b)| a.is(b))
        };
        if let Some(last) = last.as_ref().filter(same) {
            return Ok(Arc::clone(last));
        }
        // The old one goes first, whatever becomes of the new one.
        *last = None;
        let (value, patterns) = prepare(&secrets).ok_or(AuthorizeError::Patterns)?;
        Ok(Arc::clone(last.insert(Arc::new(Prepared {
            secrets,
            value,
            patterns: Arc::new(patterns),
        }))))
    }

    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    /// The first value of the last request that was sent.
    pub(super) fn first_secret(&self) -> Option<Secret> {
        self.lock().as_ref()?.secrets.first().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Prepared>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
