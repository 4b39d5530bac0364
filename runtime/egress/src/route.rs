//! What belongs to one rule, over all calls: its connections, its pace, its
//! credential.

use std::sync::Arc;

use servo_policy::{HttpGrant, Rate};
use tokio::sync::Semaphore;

use crate::client::pool::Clients;
use crate::credential::{Authorized, Authorizer, Draft};
use crate::error::{EgressError, Quota, SendError};
use crate::meter::{CallMeter, InFlight, settled};
use crate::pace::Pace;
use crate::shared::Shared;

/// The road of one rule.
pub(crate) struct Route {
    pub(crate) clients: Clients,
    pace: Pace,
    /// Places for requests in flight, where the rule limits them.
    places: Option<Arc<Semaphore>>,
    credential: Option<Arc<Authorizer>>,
}

impl Route {
    pub(crate) fn new(
        grant: &HttpGrant,
        shared: &Shared,
        credential: Option<Arc<Authorizer>>,
    ) -> Result<Self, EgressError> {
        let places = grant.limits.concurrency.map(|most| {
            let most = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS);
            Arc::new(Semaphore::new(most))
        });
        Ok(Self {
            clients: Clients::new(grant, shared)?,
            pace: Pace::default(),
            places,
            credential,
        })
    }

    /// Adds the rule's credential, if it has one.
    pub(crate) async fn authorize(
        &self,
        draft: Draft<'_>,
    ) -> Result<Option<Authorized>, SendError> {
        match &self.credential {
            Some(authorizer) => authorizer.authorize(draft).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes one request out of what its call and this rule may make. What is
    /// too fast costs the call no request.
    pub(crate) async fn meter(&self, call: &CallMeter, rate: Rate) -> Result<InFlight, SendError> {
        let mut held = call.enter().await.map_err(SendError::QuotaExhausted)?;
        if let Some(places) = &self.places {
            let place = settled(places).await;
            let place = place.ok_or(SendError::QuotaExhausted(Quota::RuleConcurrency))?;
            held = held.and_of_rule(place);
        }
        self.pace
            .take(rate)
            .map_err(|retry_after| SendError::RateLimited { rate, retry_after })?;
        call.begin().map_err(SendError::QuotaExhausted)?;
        Ok(held)
    }
}
