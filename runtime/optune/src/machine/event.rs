//! What goes into the machine and what comes out.

use serde::Serialize;
use serde_json::Value;
use servo_protocol::{Failure, Measurement, Operation, StatusReply};

use super::{Command, Core, Pause, Phase, Progress, ServoSeen, Study, Trial};
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

/// News for onlookers.
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
    /// What to tell onlookers.
    pub notices: Vec<Notice>,
}

/// Serde for [`Operation`], which has no wire form of its own.
pub(super) mod operation {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use servo_protocol::Operation;

    pub(in crate::machine) fn serialize<S: Serializer>(
        value: &Operation,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(in crate::machine) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Operation, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).ok_or_else(|| D::Error::custom(format!("unknown operation `{text}`")))
    }

    pub(in crate::machine) fn parse(text: &str) -> Option<Operation> {
        [Operation::Describe, Operation::Measure, Operation::Adjust]
            .into_iter()
            .find(|each| each.to_string() == text)
    }
}

/// The same for an [`Operation`] that may be absent.
pub(super) mod maybe_operation {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};
    use servo_protocol::Operation;

    pub(in crate::machine) fn serialize<S: Serializer>(
        value: &Option<Operation>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|operation| operation.to_string()).serialize(to)
    }

    pub(in crate::machine) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Operation>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| {
                super::operation::parse(&text)
                    .ok_or_else(|| D::Error::custom(format!("unknown operation `{text}`")))
            })
            .transpose()
    }
}
