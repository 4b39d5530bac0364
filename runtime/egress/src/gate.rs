//! What all lanes of a process share: the resolver, the trusted authorities,
//! and a ceiling on connections.

use std::sync::Arc;

use servo_policy::HttpRules;
use tokio::sync::Semaphore;

use crate::error::EgressError;
use crate::lane::Lane;
use crate::resolver::Resolver;
use crate::tls::Tls;

/// Requests in flight in the whole process. Each holds a descriptor; half of
/// the usual limit of 1024 leaves room for kept connections and for files.
const IN_FLIGHT: usize = 512;

/// The process's way out. One per process.
pub struct Gate {
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) tls: Tls,
    pub(crate) in_flight: Arc<Semaphore>,
}

/// Whose requests these are, for audit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The tenant.
    pub tenant: String,
    /// The servo.
    pub servo: String,
    /// The driver.
    pub driver: String,
}

impl Gate {
    /// A gate that looks names up with `resolver`.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(resolver: Arc<dyn Resolver>) -> Result<Arc<Self>, EgressError> {
        Self::with_places(resolver, IN_FLIGHT)
    }

    /// As [`Gate::new`], with room for so many requests in flight at once in
    /// the whole process. Further ones wait, each until its own time is over.
    ///
    /// # Errors
    /// As [`Gate::new`].
    pub fn with_places(
        resolver: Arc<dyn Resolver>,
        places: usize,
    ) -> Result<Arc<Self>, EgressError> {
        let tls = Tls::new();
        // A provider that cannot serve is found now and not at the first https.
        tls.config(&crate::tls::Trust::Nobody)?;
        Ok(Arc::new(Self {
            resolver,
            tls,
            in_flight: Arc::new(Semaphore::new(places)),
        }))
    }

    /// A lane for one owner. Reads the certificate authorities that the rules
    /// name; opens no connection and makes no client.
    ///
    /// # Errors
    /// An authority that cannot be read.
    pub fn lane(self: &Arc<Self>, owner: Owner, rules: HttpRules) -> Result<Lane, EgressError> {
        Lane::new(Arc::clone(self), owner, rules)
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("in_flight_left", &self.in_flight.available_permits())
            .finish_non_exhaustive()
    }
}
