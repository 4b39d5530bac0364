//! Programs of the operator that a driver may start.
//!
//! Each action has a fixed command line with typed holes. A driver names the
//! action and fills the holes; there is no way to run a program of its own
//! choice.

pub(crate) mod outcome;

pub use self::outcome::{Error, Output};
use crate::{access::Access, host::Host as _};

/// The granted actions, from [`Context::actions`](crate::Context::actions).
#[derive(Clone)]
pub struct Actions {
    host: Access,
}

impl std::fmt::Debug for Actions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Actions")
    }
}

impl Actions {
    pub(crate) fn new(host: Access) -> Self {
        Self { host }
    }

    /// Runs an action and waits for its end.
    ///
    /// ```
    /// # use servo_driver::{Context, Failure};
    /// # fn f(cx: &Context) -> Result<(), Failure> {
    /// let out = cx.actions().run("load", [("requests", 1000), ("concurrency", 8)])?.ok()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`enum@Error`]; a program that ends with another code than 0 is an
    /// [`Output`], see [`Output::ok`].
    pub fn run<K: ToString, V: ToString>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Output, Error> {
        let arguments: Vec<_> = arguments
            .into_iter()
            .map(|(hole, value)| (hole.to_string(), value.to_string()))
            .collect();
        self.host.run_action(name, &arguments)
    }
}
