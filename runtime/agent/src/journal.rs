//! What must survive a crash, as a seam.
//!
//! The runner tells the journal before it acts: a call before its first step, a
//! pause before it waits, a result before it is sent. An implementation
//! returns when what it was told is safe; when it cannot be made safe, the call
//! fails rather than going on unrecorded.

use async_trait::async_trait;
use serde_json::Value;
use servo_protocol::{Failure, Operation};
use thiserror::Error;

use crate::driver::{CallId, Pause};

/// A call that is about to begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// Its id.
    pub call: CallId,
    /// What it does.
    pub operation: Operation,
    /// The command it belongs to.
    pub cmd_uid: Option<String>,
    /// Name and version of the driver.
    pub driver: String,
    /// The request as JSON.
    pub request: Value,
}

/// The journal could not keep what it was told.
#[derive(Debug, Error)]
#[error("the journal cannot be written: {0}; free space or repair the folder, then restart")]
pub struct JournalError(pub String);

/// Keeps what must survive a crash.
#[async_trait]
pub trait Journal: Send + Sync {
    /// A call is about to begin.
    ///
    /// # Errors
    /// It cannot be kept; the call is not begun.
    async fn accepted(&self, accepted: &Accepted) -> Result<(), JournalError>;

    /// A call is about to wait.
    ///
    /// # Errors
    /// It cannot be kept; the call fails.
    async fn paused(&self, call: &CallId, pause: &Pause) -> Result<(), JournalError>;

    /// A call has ended and its result is about to be reported.
    ///
    /// # Errors
    /// It cannot be kept; it is reported all the same.
    async fn ended(
        &self,
        call: &CallId,
        outcome: &Result<Value, Failure>,
    ) -> Result<(), JournalError>;

    /// The service has the result of a call.
    ///
    /// # Errors
    /// It cannot be kept; the result may be sent again after a crash.
    async fn delivered(&self, call: &CallId) -> Result<(), JournalError>;
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn accepted(&self, _: &Accepted) -> Result<(), JournalError> {
        Ok(())
    }

    async fn paused(&self, _: &CallId, _: &Pause) -> Result<(), JournalError> {
        Ok(())
    }

    async fn ended(&self, _: &CallId, _: &Result<Value, Failure>) -> Result<(), JournalError> {
        Ok(())
    }

    async fn delivered(&self, _: &CallId) -> Result<(), JournalError> {
        Ok(())
    }
}
