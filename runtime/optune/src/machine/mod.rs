//! One application's study as a pure state machine.
//!
//! Events go in; what comes out is the answer, the changes to be stored and
//! the news for onlookers. There is no I/O, no clock and no chance in here, so
//! that every path can be played in tests and the whole state can be rebuilt
//! from the store after a crash.
//!
//! The protocol gives two rules that shape it. First, a command lives from the
//! moment it is first answered to WHATS_NEXT until its final report is stored;
//! until then the same command with the same id is answered again. So a command is made
//! only when it is asked for, and there is never one that nobody has seen; a final report that comes
//! while there is none can only be a repetition. Second, the original never
//! gives an id in a report, so a report is matched by its kind, and by its id
//! only where it has one.
//!
//! The application is never left on a point that was not measured well: after
//! every failed trial the next command goes back to the last good settings, and
//! a study that has changed anything ends by restoring the best settings or
//! those it found, whatever ended it.
//!
//! What the machine does not do by itself is on the side: [`silence`] is a
//! servo that is no longer there, [`check`] an application that is no longer
//! what it was, [`renew`] another study of the same application.

mod check;
mod event;
mod renew;
mod silence;
mod steps;
mod study;
mod turn;
mod verify;
mod view;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use servo_protocol::Operation;

pub use self::check::{Drift, Pause};
pub use self::event::{Input, Notice, Outcome, Reaction, Reply, Write};
pub(crate) use self::study::cut;
pub use self::study::{Origin, Study, Trial, TrialState, Verification};
pub use self::view::{Scored, StudySummary, TrialCounts};
use crate::objective::Objective;
use crate::options::StudyOptions;
use crate::sampler::{Observation, Sampler};
use crate::space::Settings;

/// Times a command is handed out without a report before it is given up. Lost
/// answers come in twos and threes.
pub const MAX_DELIVERIES: u32 = 10;
/// Times that the servo may work on a command, as its progress shows, and then
/// ask for another one. A driver that answers NaN makes the original drop the
/// report and ask again, for ever, and each time is a whole measurement.
pub const MAX_DROPPED: u32 = 3;
/// Tries of a description, of a baseline measurement, and of a way back to
/// settings that the application refuses.
const MAX_TRIES: u32 = 3;
/// Tries of a way back that fails for other reasons: half an hour and more,
/// with the rests between them. A full disk, a servo that is killed, a backend
/// that is down pass; settings that nobody chose must not stay because of them.
const MAX_RETURNS: u32 = 30;
/// Times that a report of the kind "not the settings' fault" is forgiven.
const MAX_REPEATS: u32 = 2;

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
    #[serde(with = "event::operation")]
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
    #[serde(with = "event::maybe_operation")]
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
    /// Seconds of rest owed before the next command.
    pub nap: Option<u32>,
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
    #[serde(default)]
    pub adrift: Option<String>,
}

fn first() -> u32 {
    1
}

impl Core {
    fn new(uid: String) -> Self {
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
            nap: None,
            study: first(),
            check: 0,
            paused: None,
            adrift: None,
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

/// The state machine.
pub struct Machine {
    state: Snapshot,
    engine: Option<Engine>,
    progress: Option<Progress>,
    /// When the servo was last heard of; the time of the start after a restart,
    /// since a service that was down has heard nobody.
    heard: Option<u64>,
    /// Seconds that the servo was last told to sleep.
    rest: u32,
}

/// What is derived from the description.
struct Engine {
    objective: Objective,
    sampler: Box<dyn Sampler>,
}

/// The last progress report; not stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// What is in progress.
    #[serde(with = "event::operation")]
    pub operation: Operation,
    /// Percent, where known.
    pub percent: Option<f64>,
    /// Text for people.
    pub message: Option<String>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// A new application. `uid` makes its command ids unique.
    #[must_use]
    pub fn new(uid: String, plan: StudyOptions) -> Self {
        let core = Core::new(uid);
        let state = Snapshot {
            plan,
            core,
            study: None,
            trials: Vec::new(),
            outstanding: None,
        };
        Self {
            state,
            engine: None,
            progress: None,
            heard: None,
            rest: 0,
        }
    }

    /// The machine that had this state.
    #[must_use]
    pub fn restore(state: Snapshot) -> Self {
        let rest = state.plan.idle_sleep;
        let mut machine = Self {
            state,
            engine: None,
            progress: None,
            heard: None,
            rest,
        };
        machine.engine = machine.build_engine();
        machine
    }

    /// All of its state.
    #[must_use]
    pub fn state(&self) -> &Snapshot {
        &self.state
    }

    /// The last progress report of the command in hand.
    #[must_use]
    pub fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// Objective and sampler from the stored study, the history told again.
    fn build_engine(&self) -> Option<Engine> {
        let Snapshot {
            plan,
            study,
            trials,
            ..
        } = &self.state;
        let study = study.as_ref()?;
        let described: Vec<&str> = study.metrics.iter().map(String::as_str).collect();
        let objective =
            Objective::choose(&plan.objective, study.perf.as_deref(), &described).ok()?;
        let mut sampler = plan.sampler.build(&study.space, plan.seed, plan.trials);
        if let Some(observation) = study.observation(plan.maximize) {
            sampler.tell(observation);
        }
        for trial in trials {
            if let Some(observation) = trial.observation(plan.maximize) {
                sampler.tell(observation);
            }
        }
        Some(Engine { objective, sampler })
    }

    fn tell(&mut self, observation: Option<Observation>) {
        if let (Some(engine), Some(observation)) = (&mut self.engine, observation) {
            engine.sampler.tell(observation);
        }
    }
}

#[cfg(test)]
mod play;
#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_away;
#[cfg(test)]
mod tests_verify;
