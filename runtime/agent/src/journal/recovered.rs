//! What a servo had in hand when it ended without warning.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use servo_protocol::Envelope;

use super::{DriverId, Undoing};
use crate::driver::CallId;

/// What was in hand. To be given to the servo that goes on with the journal;
/// dropping it loses the result or the command.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use = "give it to `Servo::with_recovered`, or what was in hand is lost"]
pub enum Recovered {
    /// Nothing.
    #[default]
    Nothing,
    /// A final report that the service may not have.
    Report(UnsentReport),
    /// A command without a result.
    Call(CallInHand),
}

/// A final report that the service may not have.
#[derive(Debug, Clone, PartialEq)]
pub struct UnsentReport {
    /// The call it is about.
    pub call: CallId,
    /// The report as it was, or was to be, sent.
    pub event: Envelope,
}

/// A command without a result.
#[derive(Debug, Clone, PartialEq)]
pub struct CallInHand {
    /// The call that carried it out.
    pub call: CallId,
    /// The command as the service sent it.
    pub command: Value,
    /// How often it has been taken up from where it stands.
    pub attempts: u32,
    /// Since the command was accepted, by the wall clock.
    pub elapsed: Duration,
    /// How far it was.
    pub standing: Standing,
}

/// How far a command was.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// No step of its call had begun.
    Accepted,
    /// Its call had begun.
    Begun(Box<BegunCall>),
}

/// A call of which at least one step had begun.
#[derive(Debug, Clone, PartialEq)]
pub struct BegunCall {
    /// Who ran it, and left the state of its pause.
    pub driver: DriverId,
    /// The request as JSON, as the steps before were given it.
    pub request: Value,
    /// Its newest pause; none: it was in its first step.
    pub pause: Option<PauseInHand>,
    /// Whether a step was running.
    pub running: bool,
    /// Whether that step was one that takes up an adjustment.
    pub recovering: bool,
    /// Its undo, where it was cancelled and is being undone.
    pub undo: Option<UndoInHand>,
}

/// A pause.
#[derive(Debug, Clone, PartialEq)]
pub struct PauseInHand {
    /// The state it left.
    pub state: String,
    /// What is left of the wait by the wall clock; never more than the whole
    /// of it.
    pub left: Duration,
    /// What has passed of it.
    pub waited: Duration,
    /// Percent done when the pause began.
    pub progress: Option<f64>,
}

/// An undo.
#[derive(Debug, Clone, PartialEq)]
pub struct UndoInHand {
    /// What it undoes, and how the call is to be reported.
    pub what: Undoing,
    /// Since the undo began, by the wall clock.
    pub elapsed: Duration,
    /// Its newest pause.
    pub pause: Option<PauseInHand>,
    /// Whether a step of it was running.
    pub running: bool,
}

impl PauseInHand {
    fn pass(&mut self, time: Duration) {
        let passed = time.min(self.left);
        self.left = self.left.saturating_sub(passed);
        self.waited = self.waited.saturating_add(passed);
    }
}

impl CallInHand {
    /// The same, so much later.
    #[must_use]
    pub(crate) fn after(mut self, time: Duration) -> Self {
        self.elapsed = self.elapsed.saturating_add(time);
        if let Standing::Begun(begun) = &mut self.standing {
            if let Some(pause) = &mut begun.pause {
                pause.pass(time);
            }
            if let Some(undo) = &mut begun.undo {
                undo.elapsed = undo.elapsed.saturating_add(time);
                if let Some(pause) = &mut undo.pause {
                    pause.pass(time);
                }
            }
        }
        self
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = match self {
            Self::Nothing => return f.write_str("nothing was in hand"),
            Self::Report(report) => {
                let event = &report.event.event;
                return write!(f, "the {event} of call {} was not delivered", report.call);
            }
            Self::Call(call) => call,
        };
        let name = call.command.get("cmd").and_then(Value::as_str);
        write!(f, "{} (call {}) ", name.unwrap_or("a command"), call.call)?;
        let begun = match &call.standing {
            Standing::Accepted => return f.write_str("had not begun"),
            Standing::Begun(begun) => begun,
        };
        match (&begun.undo, &begun.pause) {
            (Some(_), _) => f.write_str("was being undone"),
            (None, _) if begun.running && begun.recovering => f.write_str("was being taken up"),
            (None, None) => f.write_str("was in its first step"),
            (None, Some(_)) if begun.running => f.write_str("was in a later step"),
            (None, Some(pause)) => write!(f, "was waiting, {:?} are left", pause.left),
        }
    }
}
