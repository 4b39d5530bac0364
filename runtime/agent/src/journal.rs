//! What must survive a crash, as a seam.
//!
//! The servo tells the journal before it acts: a command before anything is
//! done about it, a step before it runs, a pause before it waits, a report
//! before it is sent. An implementation returns when what it was told is safe;
//! when it cannot be made safe, the call fails rather than going on unrecorded.
//! Only a report is sent all the same: the service waits for it, and keeping it
//! back would lose it for certain.

mod file;
mod folder;
mod record;
mod recovered;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use servo_protocol::{Envelope, Failure};
use thiserror::Error;

use crate::driver::{CallId, DriverFacts, Pause};

pub use file::{Clock, FileJournal, Room};
pub use folder::JournalOpenError;
pub use recovered::{
    BegunCall, CallInHand, PauseInHand, Recovered, Standing, UndoInHand, UnsentReport,
};

/// A command that is about to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// Id of the call that carries it out.
    pub call: CallId,
    /// The command as the service sent it.
    pub command: Value,
}

/// A first step that is about to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Began {
    /// The call.
    pub call: CallId,
    /// Who runs it.
    pub driver: DriverId,
    /// The request as JSON, as every step of the call is given it.
    pub request: Value,
}

/// Which driver, to the byte where it is an artifact. The state of a pause
/// belongs to exactly this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverId {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of its bytes; none for drivers that are no artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl From<&DriverFacts> for DriverId {
    fn from(facts: &DriverFacts) -> Self {
        Self {
            name: facts.name.clone(),
            version: facts.version.clone(),
            digest: facts.digest.clone(),
        }
    }
}

impl std::fmt::Display for DriverId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.version)?;
        match &self.digest {
            Some(digest) => write!(f, " ({digest})"),
            None => Ok(()),
        }
    }
}

/// What becomes of an undo.
#[derive(Debug, Clone, PartialEq)]
pub enum UndoRecord {
    /// Its first step is about to run.
    Begins(Undoing),
    /// It is about to wait.
    Waits(Pause),
    /// A later step of it is about to run.
    GoesOn,
}

/// An undo, and how the call is reported after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undoing {
    /// State of the call's last pause.
    pub state: String,
    /// The failure, apart from what the undo brings.
    pub failure: Failure,
    /// Whether it is in the driver's words.
    pub stated: bool,
}

/// The journal could not keep what it was told.
#[derive(Debug, Error)]
#[error("the journal cannot be written: {0}; free space or repair the folder")]
pub struct JournalError(pub String);

/// Keeps what must survive a crash.
#[async_trait]
pub trait Journal: Send + Sync {
    /// A command is about to be carried out; told again when it is taken up
    /// from its beginning after a restart.
    ///
    /// # Errors
    /// It cannot be kept; the command is not carried out.
    async fn accepted(&self, accepted: &Accepted) -> Result<(), JournalError>;

    /// The first step of a call is about to run.
    ///
    /// # Errors
    /// It cannot be kept; the step does not run and the call fails.
    async fn began(&self, began: &Began) -> Result<(), JournalError>;

    /// A call is about to wait.
    ///
    /// # Errors
    /// It cannot be kept; the call fails.
    async fn paused(&self, call: &CallId, pause: &Pause) -> Result<(), JournalError>;

    /// A later step of a call is about to run.
    ///
    /// # Errors
    /// It cannot be kept; the step does not run and the call fails.
    async fn resumed(&self, call: &CallId) -> Result<(), JournalError>;

    /// A driver is about to be asked what became of an adjustment that was cut
    /// short; what it leaves in a pause from now on is its own.
    ///
    /// # Errors
    /// It cannot be kept; the driver is not asked and the call fails.
    async fn recovering(&self, call: &CallId, driver: &DriverId) -> Result<(), JournalError>;

    /// A cancelled call is being undone.
    ///
    /// # Errors
    /// It cannot be kept; the undo goes on all the same, since what was begun
    /// would otherwise stay as it is.
    async fn undo(&self, call: &CallId, record: &UndoRecord) -> Result<(), JournalError>;

    /// A call has ended and this final report is about to be sent.
    ///
    /// # Errors
    /// It cannot be kept; it is sent all the same.
    async fn ended(&self, call: &CallId, report: &Envelope) -> Result<(), JournalError>;

    /// The service has the report of a call, or wants none.
    ///
    /// # Errors
    /// It cannot be kept; the report may be sent again after a crash.
    async fn delivered(&self, call: &CallId) -> Result<(), JournalError>;

    /// Nothing is going on: a moment to make up for what could not be kept.
    ///
    /// # Errors
    /// It still cannot.
    async fn idle(&self) -> Result<(), JournalError> {
        Ok(())
    }
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn accepted(&self, _: &Accepted) -> Result<(), JournalError> {
        Ok(())
    }

    async fn began(&self, _: &Began) -> Result<(), JournalError> {
        Ok(())
    }

    async fn paused(&self, _: &CallId, _: &Pause) -> Result<(), JournalError> {
        Ok(())
    }

    async fn resumed(&self, _: &CallId) -> Result<(), JournalError> {
        Ok(())
    }

    async fn recovering(&self, _: &CallId, _: &DriverId) -> Result<(), JournalError> {
        Ok(())
    }

    async fn undo(&self, _: &CallId, _: &UndoRecord) -> Result<(), JournalError> {
        Ok(())
    }

    async fn ended(&self, _: &CallId, _: &Envelope) -> Result<(), JournalError> {
        Ok(())
    }

    async fn delivered(&self, _: &CallId) -> Result<(), JournalError> {
        Ok(())
    }
}
