//! What all lanes of a process share.

use std::sync::Arc;

use servo_audit::Auditor;
use tokio::sync::Semaphore;

use crate::resolver::Resolver;
use crate::tls::Tls;

/// Names, records, trust, and the ceiling on requests in flight.
pub(crate) struct Shared {
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) auditor: Auditor,
    pub(crate) tls: Arc<Tls>,
    pub(crate) in_flight: Arc<Semaphore>,
}

impl Shared {
    /// The same with places of its own, for requests that are made while another
    /// one holds a place.
    pub(crate) fn beside(&self, places: usize) -> Arc<Self> {
        Arc::new(Self {
            resolver: Arc::clone(&self.resolver),
            auditor: self.auditor.clone(),
            tls: Arc::clone(&self.tls),
            in_flight: Arc::new(Semaphore::new(places)),
        })
    }
}
