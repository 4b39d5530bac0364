//! Stopping a servo from outside (protocol section 11).
//!
//! Two strengths: at once, as on SIGTERM, and after the present turn, as on
//! SIGUSR1. Unlike the original, neither waits for a sleep or for a service
//! that does not answer: nothing is lost by leaving those.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Why a servo stops: the `reason` of its GOODBYE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// SIGTERM.
    Sigterm,
    /// SIGINT.
    Sigint,
    /// SIGUSR1: stop after the turn.
    Exit,
    /// SIGHUP: stop after the turn, to begin again with a new configuration.
    Restart,
    /// The program ends the servo for a reason of its own.
    Shutdown,
}

impl StopReason {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sigterm => "SIGTERM",
            Self::Sigint => "SIGINT",
            Self::Exit => "exit",
            Self::Restart => "restart",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Stops a servo. Cheap to clone; works before, during and after its run.
#[derive(Debug, Clone, Default)]
pub struct ServoHandle {
    reason: Arc<Mutex<Option<StopReason>>>,
    /// Set by both kinds of stop.
    after_turn: CancellationToken,
    now: CancellationToken,
    /// Set by a restart.
    leave: CancellationToken,
}

impl ServoHandle {
    /// Cancels the running call (5 s of grace), reports it if time allows, and
    /// says GOODBYE. Overrides an earlier stop after the turn.
    pub fn stop_now(&self, reason: StopReason) {
        if !self.now.is_cancelled() {
            *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }
        self.now.cancel();
        self.after_turn.cancel();
    }

    /// Lets the running command end and says GOODBYE. The first reason counts.
    ///
    /// A [`StopReason::Restart`] does not wait for a call that waits between two
    /// steps, where a journal is kept: the next servo goes on with it.
    pub fn stop_after_turn(&self, reason: StopReason) {
        let restart = *self
            .reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(reason)
            == StopReason::Restart;
        if restart {
            self.leave.cancel();
        }
        self.after_turn.cancel();
    }

    /// Whether it has been told to stop, in either way.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.after_turn.is_cancelled()
    }

    pub(crate) fn reason(&self) -> StopReason {
        self.reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .unwrap_or(StopReason::Shutdown)
    }

    pub(crate) fn now(&self) -> &CancellationToken {
        &self.now
    }

    /// Set when a call that waits is to be left where it stands.
    pub(crate) fn leave(&self) -> &CancellationToken {
        &self.leave
    }

    /// Set by both kinds of stop.
    pub(crate) fn any(&self) -> &CancellationToken {
        &self.after_turn
    }
}
