//! Whether a driver keeps the contract: the successor of the tester that came
//! with the original's drivers.
//!
//! The checks know nothing of WebAssembly. They talk to a [`Subject`], which
//! can be a driver in the sandbox or a fake in a test, and they judge what it
//! says by the same functions that the agent uses (protocol sections 15 and
//! 16), so that a driver that passes here is not refused there.
//!
//! An adjust driver is really used: every setting is moved to the value next
//! to the present one, read back, and put back. That is what the test is for,
//! and why it is not meant for an application that serves anybody.

mod adjust;
mod measure;
mod report;
mod run;

use std::time::Duration;

use async_trait::async_trait;
use servo_artifact::Manifest;
use servo_protocol::{
    AdjustParam, Application, AppliedApplication, Control, MeasureParam, Measurement, Metrics,
    Seconds, Status,
};

pub use report::{Check, Report, Verdict};
pub use run::run;

/// Largest state that a pause may carry, as the contract has it.
pub const MAX_STATE: usize = 64 * 1024;

/// What a driver described.
#[derive(Debug, Clone, PartialEq)]
pub enum Described {
    /// A measure driver's metrics.
    Metrics(Metrics),
    /// An adjust driver's settings.
    Application(Application),
}

/// What a driver is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Of a measure driver.
    Measure(MeasureParam),
    /// Of an adjust driver.
    Adjust(AdjustParam),
}

/// What a driver did.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// It measured.
    Measured(Measurement),
    /// It adjusted; the settings it says are in force, possibly none.
    Adjusted(AppliedApplication),
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The call is complete.
    Done(Done),
    /// It wants to be called again.
    Wait {
        /// How long to wait.
        wait: Duration,
        /// What to hand back.
        state: String,
        /// Percent of the whole call.
        progress: Option<f64>,
    },
}

/// How a step of an undo ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Undo {
    /// All is undone.
    Done,
    /// It wants to be called again.
    Wait {
        /// How long to wait.
        wait: Duration,
        /// What to hand back.
        state: String,
    },
}

/// How a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The driver answered with a failure.
    Failure {
        /// What kind.
        status: Status,
        /// What it says.
        message: String,
    },
    /// It went over its budget and was stopped.
    Budget(String),
    /// It crashed, or its answer could not be read.
    Broken(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Failure { status, message } => write!(f, "{status}: {message}"),
            Fault::Budget(what) => write!(f, "over its budget: {what}"),
            Fault::Broken(what) => write!(f, "broken: {what}"),
        }
    }
}

/// A driver under test. Every call is to run in a fresh instance.
#[async_trait]
pub trait Subject: Send {
    /// What the driver says it is.
    fn manifest(&self) -> &Manifest;

    /// Describes.
    ///
    /// # Errors
    /// How the call failed.
    async fn describe(&mut self) -> Result<Described, Fault>;

    /// One step of a call. With `cancel` the call is no longer wanted from its
    /// first moment, which the driver learns when it reports or asks.
    ///
    /// # Errors
    /// How the step failed.
    async fn step(
        &mut self,
        request: &Request,
        resume: Option<&str>,
        cancel: bool,
    ) -> Result<Step, Fault>;

    /// One step of undoing a call that paused with `state` and was cancelled;
    /// `resume` is the state of the undo's own last pause.
    ///
    /// # Errors
    /// How the step failed.
    async fn cancelled(
        &mut self,
        request: &Request,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Undo, Fault>;

    /// Lets the time of a pause pass.
    async fn wait(&mut self, duration: Duration);
}

/// How a driver is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The control of every call. By default everything is as short as may be.
    pub control: Control,
    /// Whether settings are really changed. Without it only `describe` and the
    /// refusal of an unknown setting are tried with an adjust driver.
    pub change: bool,
    /// How many steps a call may take; a driver that never ends is a failure.
    pub max_steps: u32,
}

impl Default for Plan {
    fn default() -> Plan {
        let short = |seconds| Some(Seconds::from(Duration::from_secs(seconds)));
        Plan {
            control: Control {
                warmup: short(0),
                duration: short(1),
                delay: short(0),
                settlement: short(0),
                ..Control::default()
            },
            change: true,
            max_steps: 1000,
        }
    }
}

#[cfg(test)]
mod tests;
