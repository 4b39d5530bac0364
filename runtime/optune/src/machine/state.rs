//! What a study consists of: plain records, stored as they are.
//!
//! They know nothing of the transitions, so that store, page and machine can
//! all read them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use servo_protocol::Operation;

use super::study::{Study, Trial};
use crate::options::StudyOptions;
use crate::space::Settings;

/// Tries of a description, of a baseline measurement, and of a way back to
/// settings that the application refuses.
pub(super) const MAX_TRIES: u32 = 3;

/// Where a study stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "phase")]
pub enum Phase {
    /// No servo has greeted yet.
    Waiting,
    /// The application is to be described.
    Describing {
        /// Tries that failed.
        failed: u32,
    },
    /// The settings found at the start are to be measured; nothing is changed.
    Baseline {
        /// Tries that failed since the last success.
        failed: u32,
    },
    /// A trial's settings are to be applied.
    Adjusting {
        /// The trial.
        trial: u32,
    },
    /// A trial is to be measured.
    Measuring {
        /// The trial.
        trial: u32,
    },
    /// After a failed trial: back to the last good settings.
    Recovering {
        /// Tries that failed.
        failed: u32,
    },
    /// The best settings and those found at the start are applied and measured
    /// again, in turn.
    Verifying {
        /// The best trial.
        trial: u32,
        /// Adjustments and measurements so far: for each round those found are
        /// applied, measured, then the best are applied, measured.
        step: u32,
        /// Why the study ends.
        end: End,
    },
    /// At the end: the best settings, or those found at the start.
    Restoring {
        /// Trial whose settings are restored; 0 means those found at the start.
        trial: u32,
        /// Tries that failed.
        failed: u32,
        /// Why the study ends.
        end: End,
    },
    /// Nothing is left to do.
    Ended {
        /// Why it ended.
        end: End,
    },
}

/// Why a study ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "how", content = "reason")]
pub enum End {
    /// All planned trials were made, or every point of the space was tried.
    Done(String),
    /// The operator stopped it.
    Stopped(String),
    /// It cannot go on.
    Failed(String),
}

impl End {
    /// Why, for people.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            End::Done(reason) | End::Stopped(reason) | End::Failed(reason) => reason,
        }
    }
}

/// The command in hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Id, echoed by newer servos.
    pub uid: String,
    /// Its running number within the application.
    pub seq: u64,
    /// What it asks for.
    #[serde(with = "operation")]
    pub operation: Operation,
    /// `param` as it was first sent.
    pub param: Value,
    /// Times it was answered to WHATS_NEXT.
    pub deliveries: u32,
    /// Times it was worked on and no report came.
    #[serde(default)]
    pub dropped: u32,
}

/// The servo that speaks for an application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServoSeen {
    /// What it calls itself.
    pub agent: String,
    /// Its deployment, where it has one.
    pub servo_uid: Option<String>,
    /// Greeted, and not said goodbye since.
    pub connected: bool,
    /// Nothing was heard of it for longer than the command in hand may take.
    #[serde(default)]
    pub lost: bool,
}

/// The small part of the state, stored whole at every change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Core {
    /// Random id of the application's life; prefix of its command ids.
    pub uid: String,
    /// Where the study stands.
    pub phase: Phase,
    /// Commands made so far.
    pub seq: u64,
    /// Kind of the command that was last reported on.
    #[serde(with = "maybe_operation")]
    pub last_closed: Option<Operation>,
    /// The servo, once one has greeted.
    pub servo: Option<ServoSeen>,
    /// The operator wants the study to end.
    pub stop: Option<String>,
    /// An ADJUST was handed out: the application may have been changed.
    pub touched: bool,
    /// Settings known to be in force, once an ADJUST has succeeded.
    pub applied: Option<Settings>,
    /// Trial that was last measured well; 0 is the baseline.
    pub last_good: u32,
    /// Reports forgiven for the present step.
    pub repeats: u32,
    /// Seconds to wait before the next command.
    #[serde(alias = "nap")]
    pub backoff: Option<u32>,
    /// Number of the study, from 1.
    #[serde(default = "first")]
    pub study: u32,
    /// Tries left to look at what is in force, since a servo has greeted anew.
    #[serde(default)]
    pub check: u32,
    /// Why nothing is handed out until the operator says so.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// Why nobody may be at work on the command in hand. Its report still
    /// counts if it comes before the servo asks for something else.
    #[serde(default, alias = "adrift")]
    pub presumed_lost: Option<String>,
}

fn first() -> u32 {
    1
}

impl Core {
    pub(super) fn new(uid: String) -> Self {
        Self {
            uid,
            phase: Phase::Waiting,
            seq: 0,
            last_closed: None,
            servo: None,
            stop: None,
            touched: false,
            applied: None,
            last_good: 0,
            repeats: 0,
            backoff: None,
            study: first(),
            check: 0,
            paused: None,
            presumed_lost: None,
        }
    }
}

/// Everything that the store keeps of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Options of the study.
    pub plan: StudyOptions,
    /// The small part.
    pub core: Core,
    /// The description and the baseline, once there is one.
    pub study: Option<Study>,
    /// The trials, by number.
    pub trials: Vec<Trial>,
    /// The command in hand.
    pub outstanding: Option<Command>,
}

/// The last progress report; not stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// What is in progress.
    #[serde(with = "operation")]
    pub operation: Operation,
    /// Percent, where known.
    pub percent: Option<f64>,
    /// Text for people.
    pub message: Option<String>,
}

/// One setting that has another value than the study left it with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Component name.
    pub component: String,
    /// Setting name.
    pub setting: String,
    /// What the study left there.
    pub expected: Value,
    /// What is in force.
    pub found: Value,
}

/// Why a study rests until the operator says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    /// For people.
    pub reason: String,
    /// The settings that were changed behind its back; none when the
    /// description cannot be used.
    pub drift: Vec<Drift>,
    /// When it was found, in milliseconds since the Unix epoch.
    pub since: u64,
}
/// Serde for [`Operation`], which has no wire form of its own.
mod operation {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use servo_protocol::Operation;

    pub(super) fn serialize<S: Serializer>(value: &Operation, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Operation, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).ok_or_else(|| D::Error::custom(format!("unknown operation `{text}`")))
    }

    pub(super) fn parse(text: &str) -> Option<Operation> {
        [Operation::Describe, Operation::Measure, Operation::Adjust]
            .into_iter()
            .find(|each| each.to_string() == text)
    }
}

/// The same for an [`Operation`] that may be absent.
mod maybe_operation {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};
    use servo_protocol::Operation;

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Operation>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|operation| operation.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
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
