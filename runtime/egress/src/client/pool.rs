//! The clients of one rule, and so its connections.
//!
//! One client per rule keeps pools apart: a connection is reused only by the
//! owner, the rule and hence the identity it was made for. Clients are made on
//! first use; most rules of most servos are never used. A changed client
//! certificate makes another client: what was opened as somebody else is not
//! used on.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::ResolvesClientCert;
use servo_policy::{HttpGrant, HttpRules, Scheme};

use super::{Client, Pool, build};
use crate::error::{CredentialFailure, EgressError, SendError};
use crate::headers::Keep;
use crate::resolver::{Reach, Vetting};
use crate::shared::Shared;
use crate::tls::identity::{self, Stamps};
use crate::tls::{Trust, read_authority};

/// The clients of one rule, made on first use.
pub(crate) struct Clients {
    trust: Trust,
    made: Mutex<Made>,
}

/// What was made for one identity, or for none.
#[derive(Default)]
struct Made {
    identity: Option<(Stamps, Arc<dyn ResolvesClientCert>)>,
    kept: Option<Client>,
    fresh: Option<Client>,
}

impl Clients {
    pub(crate) fn new(grant: &HttpGrant, shared: &Shared) -> Result<Self, EgressError> {
        let trust = match (grant.rule.scheme, &grant.ca) {
            (Scheme::Http, _) => Trust::Nobody,
            (Scheme::Https, None) => Trust::System,
            (Scheme::Https, Some(path)) => read_authority(path)?,
        };
        let rule = grant.id.0;
        let identity = match (&grant.identity, grant.rule.scheme) {
            (None, _) => None,
            (Some(files), Scheme::Https) => Some(
                identity::load(files, shared.tls.provider())
                    .map_err(|problem| EgressError::Identity { rule, problem })?,
            ),
            (Some(_), Scheme::Http) => return Err(EgressError::IdentityOverHttp { rule }),
        };
        let made = Mutex::new(Made {
            identity,
            ..Made::default()
        });
        Ok(Self { trust, made })
    }

    /// The client for the identity as it is now.
    pub(crate) fn get(
        &self,
        keep: Keep,
        shared: &Shared,
        rules: &HttpRules,
        grant: &HttpGrant,
    ) -> Result<Client, SendError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.identify(shared, grant)?;
        let Made {
            identity,
            kept,
            fresh,
        } = &mut *made;
        let slot = match keep {
            Keep::Kept => kept,
            Keep::Fresh => fresh,
        };
        if let Some(client) = slot {
            return Ok(client.clone());
        }
        let identity = identity.as_ref().map(|(_, identity)| Arc::clone(identity));
        let vetting = Vetting {
            resolver: Arc::clone(&shared.resolver),
            port: grant.rule.port,
            reach: Reach::Rule(rules.clone(), grant.id),
        };
        let pool = match keep {
            Keep::Kept => Pool::KEPT,
            Keep::Fresh => Pool::FRESH,
        };
        let client = build(&shared.tls, &self.trust, identity, vetting, pool)?;
        Ok(slot.insert(client).clone())
    }
}

impl Made {
    /// Reads the identity again if its files are others than were read. What
    /// was made for the old one is dropped first.
    fn identify(&mut self, shared: &Shared, grant: &HttpGrant) -> Result<(), SendError> {
        let Some(files) = &grant.identity else {
            return Ok(());
        };
        let now = identity::stamps(files);
        if let (Ok(now), Some((read, _))) = (&now, &self.identity)
            && now == read
        {
            return Ok(());
        }
        *self = Self::default();
        let loaded = now.and_then(|_| identity::load(files, shared.tls.provider()));
        self.identity = Some(loaded.map_err(|problem| {
            tracing::warn!(
                rule = format_args!("grants.http[{}]", grant.id.0),
                %problem,
                "a request is not sent: its client certificate cannot be had"
            );
            SendError::Credential(CredentialFailure::Identity)
        })?);
        Ok(())
    }
}
