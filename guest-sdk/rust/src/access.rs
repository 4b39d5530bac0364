//! The one host of a build, and a call's view of it.
//!
//! Which of the two hosts it is depends on the target, not on a type parameter
//! or a vtable: so no public type carries a parameter, and a component neither
//! holds nor imports what its driver does not use.

use std::{fmt, ops::Deref, rc::Rc, time::Duration};

use crate::{failure::Cancelled, host::Host as _, report::Report};

#[cfg(target_arch = "wasm32")]
pub(crate) type Backend = crate::wasm::imports::Imports;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type Backend = crate::testing::fake::Fake;

/// A host, seen by a call that may or may not take notice of a cancel.
#[derive(Clone)]
pub(crate) struct Access {
    host: Rc<Backend>,
    shielded: bool,
}

impl Access {
    pub(crate) fn new(host: Rc<Backend>) -> Self {
        Self {
            host,
            shielded: false,
        }
    }

    pub(crate) fn shielded(&self) -> Self {
        Self {
            host: Rc::clone(&self.host),
            shielded: true,
        }
    }

    pub(crate) fn report(&self, report: &Report) -> Result<(), Cancelled> {
        self.unless_shielded(self.host.report(report))
    }

    pub(crate) fn check(&self) -> Result<(), Cancelled> {
        self.unless_shielded(self.host.check())
    }

    pub(crate) fn wait(&self, duration: Duration) -> Result<(), Cancelled> {
        if self.shielded {
            self.host.sleep(duration);
            return Ok(());
        }
        self.host.wait(duration)
    }

    fn unless_shielded(&self, verdict: Result<(), Cancelled>) -> Result<(), Cancelled> {
        if self.shielded { Ok(()) } else { verdict }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

impl Deref for Access {
    type Target = Backend;

    fn deref(&self) -> &Self::Target {
        &self.host
    }
}
