//! Everything this crate wants from outside, as one trait.
//!
//! There are two implementations: the contract's imports and WASI in a
//! component, and the scripted host of [`testing`](crate::testing) in native
//! tests. The trait knows neither of them, nor who calls it. Exchanges are
//! numbers instead of objects, so that thousands of them cost no allocation
//! each.

use std::{path::PathBuf, time::Duration};

use crate::{
    actions::outcome as actions,
    failure::Cancelled,
    http::{
        error::Kind,
        message::{Head, Keep, Reply},
    },
    report::Report,
    store::error as store,
};

/// The number of an HTTP exchange under way, or of a prepared request.
pub(crate) type Id = usize;

pub(crate) trait Host {
    /// The driver's configuration section as JSON text.
    fn config(&self) -> String;

    /// Time on a clock that never goes back; its zero has no meaning.
    fn now(&self) -> Duration;
    /// Time since the Unix epoch.
    fn unix_time(&self) -> Duration;
    /// A random number, for jitter; not for secrets.
    fn random(&self) -> u64;

    fn report(&self, report: &Report) -> Result<(), Cancelled>;
    fn check(&self) -> Result<(), Cancelled>;
    fn wait(&self, duration: Duration) -> Result<(), Cancelled>;
    /// Waits, whether or not the call is still wanted.
    fn sleep(&self, duration: Duration);

    fn store_get(&self, key: &str) -> Result<Option<String>, store::Error>;
    fn store_set(&self, key: &str, value: &str) -> Result<(), store::Error>;
    fn store_remove(&self, key: &str) -> Result<(), store::Error>;
    fn store_keys(&self) -> Result<Vec<String>, store::Error>;

    /// Where a granted folder is seen, if it is granted.
    fn folder(&self, name: &str) -> Option<PathBuf>;

    fn run_action(
        &self,
        name: &str,
        arguments: &[(String, String)],
    ) -> Result<actions::Output, actions::Error>;

    /// Sends a request and waits for the whole answer, of which at most so
    /// many bytes are taken.
    fn http_send(&self, head: &Head, body: &[u8], most: u64) -> Result<Reply, Kind>;

    /// Hands over everything of a request but its body, so that sending it
    /// many times costs little.
    fn http_prepare(&self, head: &Head) -> Result<Id, Kind>;
    /// Forgets a prepared request.
    fn http_forget(&self, prepared: Id);
    /// Sends a prepared request and returns without waiting for the answer.
    fn http_start(&self, prepared: Id, body: &[u8], keep: Keep) -> Result<Id, Kind>;
    /// Waits until one of the exchanges can go on, or until `deadline` on the
    /// clock of [`now`](Self::now). Fills `ready` with indexes into
    /// `exchanges`; at the deadline it may stay empty.
    fn http_wait(&self, exchanges: &[Id], deadline: Option<Duration>, ready: &mut Vec<usize>);
    /// Takes an exchange as far as it goes without waiting. An answer ends it.
    fn http_advance(&self, exchange: Id) -> Option<Result<Reply, Kind>>;
    /// Gives an exchange up.
    fn http_abort(&self, exchange: Id);
}
