//! How a step ended, as one of six typed outcomes.
//!
//! What a guest says is believed only when nothing else ended the step: after a
//! limit, a trap or a cancel the host's word stands, whatever was returned.

use std::time::Duration;

use servo_egress::Usage;

use crate::bindings::adjust::AdjustFailure;
use crate::bindings::model::{Failure, FailureStatus, SettingValue};
use crate::output::Output;

/// The budget entry that ended a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Linear memory, all memories together.
    Memory,
    /// Table elements, all tables together.
    Tables,
    /// Guest recursion.
    Stack,
    /// Time on a worker.
    Cpu,
    /// Wall time of the step.
    StepWall,
    /// Wall time of the whole call.
    CallWall,
    /// Wall time of the undo of a cancelled call.
    UndoWall,
    /// Handles held at the same time.
    Handles,
    /// Bytes copied out of the guest in one call.
    HostcallBytes,
    /// Size of the result.
    ResultBytes,
    /// Size of the state in a pause.
    StateBytes,
    /// Number of steps.
    Steps,
}

impl Limit {
    /// The key in `grants.limits` that sets this limit, where there is one.
    pub fn key(self) -> Option<&'static str> {
        match self {
            Self::Memory => Some("memory"),
            Self::Tables => Some("table_elements"),
            Self::Stack => None,
            Self::Cpu => Some("cpu"),
            Self::StepWall => Some("step_wall"),
            Self::CallWall => Some("wall"),
            Self::UndoWall => Some("undo_wall"),
            Self::Handles => Some("handles"),
            Self::HostcallBytes => Some("hostcall_bytes"),
            Self::ResultBytes => Some("result_bytes"),
            Self::StateBytes => Some("state_bytes"),
            Self::Steps => Some("steps"),
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory limit",
            Self::Tables => "table limit",
            Self::Stack => "stack limit",
            Self::Cpu => "computing time limit",
            Self::StepWall => "time limit of a step",
            Self::CallWall => "time limit of the whole call",
            Self::UndoWall => "time limit for undoing a call",
            Self::Handles => "handle limit",
            Self::HostcallBytes => "limit on data handed to the host at once",
            Self::ResultBytes => "limit on the size of a result",
            Self::StateBytes => "limit on the state kept in a pause",
            Self::Steps => "limit on the number of steps",
        })
    }
}

/// A step that brought no answer, as the service is told of it.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The failure.
    pub failure: Failure,
    /// Of an adjustment: the settings in force now, where the driver said so.
    pub in_force: Option<Vec<SettingValue>>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            in_force: None,
        }
    }
}

impl From<AdjustFailure> for Failed {
    fn from(AdjustFailure { failure, in_force }: AdjustFailure) -> Self {
        Self { failure, in_force }
    }
}

/// The reason of a failure that comes from holding something back.
pub const DRY_RUN: &str = "dry-run";

/// How a step ended.
#[derive(Debug)]
pub enum End<T> {
    /// The guest answered, and the answer passed the boundary checks.
    Ok(T),
    /// The guest answered that it failed.
    Failure(Failed),
    /// The guest crashed, or broke the contract.
    Trap(String),
    /// A limit of the budget ended the step.
    Limit {
        /// Which one.
        limit: Limit,
        /// What it was set to, for people.
        allowed: String,
    },
    /// The guest failed after the host refused what it asked for last.
    Denied {
        /// What was refused, and the line that would allow it.
        denial: String,
        /// It is only that this is a dry run.
        held_back: bool,
        /// What the guest made of it.
        failure: String,
        /// The settings in force now, where the guest said so.
        in_force: Option<Vec<SettingValue>>,
    },
    /// The call was cancelled, and the guest stopped or was dropped.
    Cancelled,
}

impl<T> End<T> {
    /// The same end with the good answer changed.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> End<U> {
        match self {
            Self::Ok(value) => End::Ok(change(value)),
            Self::Failure(failure) => End::Failure(failure),
            Self::Trap(text) => End::Trap(text),
            Self::Limit { limit, allowed } => End::Limit { limit, allowed },
            Self::Denied {
                denial,
                held_back,
                failure,
                in_force,
            } => End::Denied {
                denial,
                held_back,
                failure,
                in_force,
            },
            Self::Cancelled => End::Cancelled,
        }
    }

    /// The end as the failure the service is told of (protocol sections 8 and
    /// 18), or the good answer.
    pub fn into_result(self) -> Result<T, Failed> {
        let failure = |status, reason: &str, message: String| Failure {
            status,
            reason: Some(reason.to_owned()),
            message,
        };
        let failed = |reason: &str, message: String| {
            Err(failure(FailureStatus::Failed, reason, message).into())
        };
        match self {
            Self::Ok(value) => Ok(value),
            Self::Failure(failure) => Err(failure),
            Self::Trap(text) => failed("trap", format!("the driver crashed: {text}")),
            Self::Limit { limit, allowed } => {
                let reason = match limit {
                    Limit::Cpu | Limit::StepWall | Limit::CallWall | Limit::UndoWall => "timeout",
                    Limit::Memory | Limit::Tables | Limit::Stack => "out-of-memory",
                    _ => "limit",
                };
                let remedy = limit.key().map_or_else(String::new, |key| {
                    format!("; the operator may raise `grants.limits.{key}`")
                });
                failed(
                    reason,
                    format!("the driver was stopped at its {limit} ({allowed}){remedy}"),
                )
            }
            Self::Denied {
                denial,
                held_back,
                failure: said,
                in_force,
            } => Err(Failed {
                failure: failure(
                    FailureStatus::Failed,
                    if held_back { DRY_RUN } else { "denied" },
                    // The guest may have been told so itself, and say so.
                    if said.contains(&denial) {
                        said
                    } else {
                        format!("{said}; {denial}")
                    },
                ),
                in_force,
            }),
            Self::Cancelled => Err(failure(
                FailureStatus::Cancelled,
                "cancelled",
                "the call was cancelled".to_owned(),
            )
            .into()),
        }
    }
}

/// What one step used, and what it printed.
#[derive(Debug, Default)]
pub struct StepReport {
    /// Time on a worker.
    pub cpu: Duration,
    /// Bytes of linear memory at the end.
    pub memory: u64,
    /// What it did on the network.
    pub network: Usage,
    /// Standard output and error.
    pub output: Output,
    /// Log lines that were over the cap.
    pub log_lines_dropped: u64,
}

/// A step's end together with what it used.
#[derive(Debug)]
pub struct Step<T> {
    /// How it ended.
    pub end: End<T>,
    /// What it used.
    pub report: StepReport,
}
