//! What a servo does, as lines of its log.

use servo_agent::{Notice, Observer};

/// Writes notices to the log.
pub(super) struct Log;

impl Observer for Log {
    fn notice(&self, notice: Notice) {
        match notice {
            Notice::Greeted => tracing::info!(target: "servo", "the service took the greeting"),
            Notice::Recovered { what } => tracing::info!(target: "servo", "going on: {what}"),
            Notice::Command { name, .. } => tracing::info!(target: "servo", "command {name}"),
            Notice::Progress { report, .. } => {
                let message = report.message.unwrap_or_default();
                match report.percent {
                    Some(percent) => tracing::info!(target: "servo", "{percent:.0}% {message}"),
                    None => tracing::info!(target: "servo", "{message}"),
                }
            }
            Notice::Malformed { problem, wait } => {
                tracing::warn!(target: "servo", ?wait, "not understood: {problem}");
            }
            Notice::Odd { finding } => tracing::warn!(target: "servo", "{finding}"),
            Notice::Unrecorded { problem } => tracing::error!(target: "servo", "{problem}"),
            other => tracing::debug!(target: "servo", "{other:?}"),
        }
    }
}
