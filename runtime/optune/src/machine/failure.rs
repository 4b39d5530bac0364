//! Failures that the machine makes or shortens itself.

use servo_protocol::{Failure, Reason, Status};

use super::study::cut;

/// Longest text of a progress report, a stop or a summary of a failure that is
/// kept, in bytes.
pub(super) const MAX_TEXT: usize = 1000;

pub(super) fn failure(status: Status, reason: Reason, message: &str) -> Failure {
    Failure {
        status,
        reason: Some(reason),
        message: Some(message.to_owned()),
        state: None,
    }
}

/// A failure in one line.
pub(super) fn brief(failure: &Failure) -> String {
    let mut text = failure.status.to_string();
    if let Some(reason) = &failure.reason {
        text.push_str(&format!(" ({reason})"));
    }
    if let Some(message) = failure
        .message
        .as_deref()
        .filter(|message| !message.is_empty())
    {
        text.push_str(&format!(": {message}"));
    }
    cut(&text, MAX_TEXT)
}
