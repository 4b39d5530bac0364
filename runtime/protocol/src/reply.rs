//! What the service answers to everything but WHATS_NEXT (protocol section 3).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::{Reason, Status};

/// A status object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// What the service thinks of the message.
    pub status: Status,
    /// Why, as one word or as text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The answer is JSON but no object (section 22.1, item 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the answer is no JSON object")]
pub struct NotAnObject;

impl StatusReply {
    /// `{"status":"ok"}`.
    #[must_use]
    pub fn ok() -> Self {
        Self::new(Status::Ok, None)
    }

    /// The running operation is to stop.
    #[must_use]
    pub fn cancel(reason: impl AsRef<str>) -> Self {
        Self::new(Status::Cancel, Some(reason.as_ref()))
    }

    /// Not the report that was due.
    #[must_use]
    pub fn unexpected_event(reason: impl AsRef<str>) -> Self {
        Self::new(Status::UnexpectedEvent, Some(reason.as_ref()))
    }

    /// The report cannot be used.
    #[must_use]
    pub fn invalid(reason: impl AsRef<str>) -> Self {
        Self::new(Status::Invalid, Some(reason.as_ref()))
    }

    fn new(status: Status, reason: Option<&str>) -> Self {
        Self {
            status,
            reason: reason.map(Reason::from),
            message: None,
        }
    }

    /// Reads an answer. A missing status counts as `ok`; members of another
    /// type than expected count as missing.
    ///
    /// # Errors
    /// The answer is no object.
    pub fn parse(answer: &Value) -> Result<Self, NotAnObject> {
        let members = answer.as_object().ok_or(NotAnObject)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        Ok(Self {
            status: text("status").map_or(Status::Ok, Status::from),
            reason: text("reason").map(Reason::from),
            message: text("message").map(str::to_owned),
        })
    }

    /// Whether the servo is out of step with the service and must greet again
    /// (sections 19.1 and 22.1, item 8).
    #[must_use]
    pub fn is_out_of_step(&self) -> bool {
        match self.status {
            Status::UnexpectedEvent => true,
            Status::Invalid => self.reason == Some(Reason::UnexpectedCmdUid),
            _ => false,
        }
    }
}
