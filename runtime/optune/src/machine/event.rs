//! What goes into the machine and what comes out.

use serde::Serialize;
use serde_json::Value;
use servo_protocol::{Failure, Measurement, Operation, StatusReply};

use super::state::{Command, Core, Pause, Phase, Progress, ServoSeen};
use super::study::{Study, Trial};
use crate::options::StudyOptions;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A servo has started.
    Hello {
        /// What it calls itself.
        agent: String,
    },
    /// The servo asks what to do.
    WhatsNext,
    /// How far an operation is.
    Progress {
        /// Which operation.
        operation: Operation,
        /// Id of the command, from newer servos.
        uid: Option<String>,
        /// Percent, where known.
        percent: Option<f64>,
        /// Text for people.
        message: Option<String>,
    },
    /// An operation has ended.
    Final {
        /// Which operation.
        operation: Operation,
        /// Id of the command, from newer servos.
        uid: Option<String>,
        /// How.
        outcome: Outcome,
    },
    /// The servo stops.
    Goodbye {
        /// Why.
        reason: String,
    },
    /// The operator ends the study.
    Stop {
        /// Why.
        reason: String,
    },
    /// The operator has seen why the study rests, and lets it go on.
    Resume,
    /// The operator begins another study where one has ended.
    Renew(Box<StudyOptions>),
    /// Time has passed.
    Tick,
}

impl Input {
    /// Whether a servo says it, and is therefore there.
    pub(super) fn of_servo(&self) -> bool {
        !matches!(
            self,
            Self::Stop { .. } | Self::Resume | Self::Renew(_) | Self::Tick
        )
    }
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The `descriptor` of a description.
    Described(Value),
    /// What was measured.
    Measured(Measurement),
    /// The settings are in force.
    Adjusted,
    /// It failed.
    Failed(Failure),
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To WHATS_NEXT.
    Command(Value),
    /// To everything else.
    Status(StatusReply),
    /// To a deployment that another one has replaced.
    Superseded,
}

/// One change to be stored. All changes of a reaction belong to one
/// transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// The small part.
    Core(Core),
    /// The description and the baseline.
    Study(Study),
    /// A trial, new or changed.
    Trial(Trial),
    /// Another study has begun.
    Renewed {
        /// How the one before ended.
        closed: Box<Core>,
        /// Number of the new one.
        number: u32,
        /// Its options.
        plan: Box<StudyOptions>,
    },
    /// A command was handed out, or handed out again.
    Command(Command),
    /// A command was reported on, or given up.
    Closed {
        /// Its number.
        seq: u64,
        /// `ok`, or the status of the failure.
        status: String,
    },
    /// A measurement was made.
    Measurement {
        /// Number of the command that brought it.
        seq: u64,
        /// The trial; 0 is the baseline.
        trial: u32,
        /// Its score, where it has one.
        score: Option<f64>,
        /// What was measured.
        measurement: Measurement,
    },
}

/// News for subscribers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "data")]
pub enum Notice {
    /// A servo greeted or said goodbye.
    Servo(ServoSeen),
    /// The study has moved on.
    Phase(Phase),
    /// A trial began or ended.
    Trial(Trial),
    /// How far the operation in hand is.
    Progress(Progress),
    /// The study rests until the operator says so.
    Paused(Pause),
    /// Another study has begun; its number.
    Renewed(u32),
}

/// All that one event brought about.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction {
    /// What to answer.
    pub reply: Reply,
    /// What to store before answering.
    pub writes: Vec<Write>,
    /// What to tell subscribers.
    pub notices: Vec<Notice>,
}
