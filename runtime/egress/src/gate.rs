//! The process's way out, from which every lane is made.

use std::sync::Arc;

use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use servo_audit::{Auditor, Owner};
use servo_policy::HttpRules;
use tokio::sync::Semaphore;
use url::Url;

use crate::error::EgressError;
use crate::lane::Lane;
use crate::own::OwnLane;
use crate::resolver::Resolver;
use crate::shared::Shared;
use crate::tls::{Tls, Trust};

/// Requests in flight in the whole process. Each holds a descriptor; half of
/// the usual limit of 1024 leaves room for kept connections and for files.
pub const HOST_REQUESTS: usize = 512;

/// The process's way out. One per process.
pub struct Gate(Arc<Shared>);

/// A gate to be.
#[must_use]
pub struct GateBuilder {
    resolver: Arc<dyn Resolver>,
    auditor: Auditor,
    places: usize,
    clock: Arc<dyn TimeProvider>,
}

impl GateBuilder {
    /// The clock by which certificates are judged; the system's without this.
    pub fn clock(self, clock: Arc<dyn TimeProvider>) -> Self {
        Self { clock, ..self }
    }

    /// Where the records of its decisions go; without this, to the log.
    pub fn auditor(self, auditor: Auditor) -> Self {
        Self { auditor, ..self }
    }

    /// Room for so many requests of drivers in flight at once in the whole
    /// process. Further ones wait, each until its own time is over.
    pub fn places(self, places: usize) -> Self {
        Self { places, ..self }
    }

    /// The gate.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn build(self) -> Result<Arc<Gate>, EgressError> {
        let tls = Tls::new(self.clock);
        // A provider that cannot serve is found now and not at the first https.
        tls.config(&Trust::Nobody, None)?;
        Ok(Arc::new(Gate(Arc::new(Shared {
            resolver: self.resolver,
            auditor: self.auditor,
            tls: Arc::new(tls),
            in_flight: Arc::new(Semaphore::new(self.places)),
        }))))
    }
}

impl Gate {
    /// A gate that looks names up with `resolver` and writes its records to
    /// the log.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(resolver: Arc<dyn Resolver>) -> Result<Arc<Self>, EgressError> {
        Self::builder(resolver).build()
    }

    /// A gate that looks names up with `resolver`, to be completed.
    pub fn builder(resolver: Arc<dyn Resolver>) -> GateBuilder {
        GateBuilder {
            resolver,
            auditor: Auditor::default(),
            places: HOST_REQUESTS,
            clock: Arc::new(DefaultTimeProvider),
        }
    }

    /// Where its records go, with the counters of all of them.
    pub fn auditor(&self) -> &Auditor {
        &self.0.auditor
    }

    /// A lane for one owner. Reads the certificate authorities, certificates and
    /// secrets that the rules name; opens no connection, makes no client and
    /// runs no program.
    ///
    /// # Errors
    /// An authority, a certificate or a secret that cannot be read or used.
    pub fn lane(self: &Arc<Self>, owner: Owner, rules: HttpRules) -> Result<Lane, EgressError> {
        Lane::new(&self.0, owner, rules)
    }

    /// The way of servo itself to one address that its operator named. Opens no
    /// connection and makes no client.
    ///
    /// # Errors
    /// The address cannot be called, or nobody can be trusted for it.
    pub fn own_lane(self: &Arc<Self>, owner: Owner, url: Url) -> Result<OwnLane, EgressError> {
        OwnLane::new(&self.0, owner, url)
    }
}

impl std::fmt::Debug for GateBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GateBuilder")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("in_flight_left", &self.0.in_flight.available_permits())
            .finish_non_exhaustive()
    }
}
