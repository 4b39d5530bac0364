//! What the agent needs of a driver.
//!
//! The traits are the seam between the agent and whatever runs drivers: the
//! sandbox in production, plain Rust in tests. They speak in the words of the
//! wire protocol, so that a sandboxed driver is nothing but a translation.
//! Drivers are steps, as in the contract `servo:driver`: a step ends with a
//! result or with a wish to be called again, and the waiting is the agent's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use servo_protocol::{
    Application, AppliedApplication, Control, Failure, Measurement, Metrics, Reason, State, Status,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::progress::ProgressSink;

/// What stands in a driver's manifest and matters to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverFacts {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of its bytes, `sha256:<hex>`; none for drivers that are no artifact.
    pub digest: Option<String>,
    /// How it can be cancelled.
    pub cancel: CancelSupport,
    /// Whether it takes up an adjustment that was cut short.
    pub recover: bool,
}

/// How a driver can be cancelled inside a step. Between steps it always can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CancelSupport {
    /// Not at all: the step is dropped at once.
    #[default]
    None,
    /// It learns of it from its progress reports and ends by itself within the grace.
    Report,
    /// As `Report`, and it has a step of its own to undo what it began.
    Step,
}

/// Identity of one call: of all steps of one operation, from start to result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallId(Arc<str>);

impl CallId {
    /// An id made of the command's id, or of random digits.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Sixteen random hexadecimal digits.
    #[must_use]
    pub fn random() -> Self {
        // Without an entropy source the id only has to differ from its neighbours.
        let number = getrandom::u64().unwrap_or_else(|_| {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| u64::from(since.subsec_nanos()) ^ since.as_secs())
        });
        Self(format!("{number:016x}").into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What every step is given beside its request.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The application's id.
    pub app: String,
    /// Which call this step belongs to.
    pub call: CallId,
    /// The command's `param` as the service sent it, for drivers that are to
    /// see it so; none for a description, and where no servo runs the call.
    pub param: Option<Arc<Value>>,
    /// Where the driver tells how far it is.
    pub progress: ProgressSink,
    /// Set when the call is no longer wanted.
    pub cancel: CancellationToken,
    /// When the whole call must have ended.
    pub deadline: Instant,
}

/// What is to be measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MeasureRequest {
    /// Names of the metrics wanted; absent: all there are.
    pub metrics: Option<Vec<String>>,
    /// How to measure.
    pub control: Control,
}

/// What is to be adjusted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AdjustRequest {
    /// The values to bring into force; each fits what the driver described.
    pub application: AppliedApplication,
    /// How to adjust.
    pub control: Control,
    /// Nothing is to be changed; the result says what would be in force.
    pub dry_run: bool,
}

/// Where an adjustment was cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// State of its last pause; none: it had not paused.
    pub state: Option<String>,
    /// Whether a step was running. Otherwise it was waiting, and the state is
    /// that of another version of the driver.
    pub in_step: bool,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<T> {
    /// The call is complete.
    Done(T),
    /// Call again later.
    Wait(Pause),
}

/// A wish to be called again later.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pause {
    /// How long to wait.
    pub wait: Duration,
    /// What the driver needs to go on: JSON text.
    pub state: String,
    /// Percent of the whole call done when the wait begins.
    pub progress: Option<f64>,
    /// What is being waited for, for people.
    pub message: Option<String>,
}

/// How a driver failed, as the service will see it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{status}{}: {message}", reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default())]
pub struct DriverFailure {
    /// The kind of failure; `ok` counts as `failed`.
    pub status: Status,
    /// One machine-readable word.
    pub reason: Option<Reason>,
    /// Text for people.
    pub message: String,
    /// Of an adjustment: the settings that are in force now; none: unknown.
    pub in_force: Option<Box<AppliedApplication>>,
}

impl DriverFailure {
    /// A failure with a reason.
    #[must_use]
    pub fn new(status: Status, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: Some(reason),
            message: message.into(),
            in_force: None,
        }
    }

    /// The same, with the settings that are in force now, where they are known.
    #[must_use]
    pub fn with_in_force(mut self, settings: AppliedApplication) -> Self {
        self.in_force = (!settings.is_empty()).then(|| Box::new(settings));
        self
    }
}

impl From<DriverFailure> for Failure {
    fn from(failure: DriverFailure) -> Self {
        let status = match failure.status {
            Status::Ok => Status::Failed,
            other => other,
        };
        Self {
            status,
            reason: failure.reason,
            message: Some(failure.message),
            state: failure
                .in_force
                .map(|settings| Box::new(State::from(*settings))),
        }
    }
}

impl From<Failure> for DriverFailure {
    fn from(failure: Failure) -> Self {
        Self {
            status: failure.status,
            reason: failure.reason,
            message: failure.message.unwrap_or_default(),
            in_force: failure.state.map(|state| Box::new(state.application)),
        }
    }
}

/// A driver that measures.
///
/// Every future may be dropped at any await: dropping it must end the step and
/// free what it holds.
#[async_trait]
pub trait MeasureDriver: Send + Sync {
    /// What it is.
    fn facts(&self) -> &DriverFacts;

    /// The metrics it can report. Quick, and changes nothing.
    ///
    /// # Errors
    /// As the driver says, or why it could not run.
    async fn describe(&self, cx: &CallContext) -> Result<Metrics, DriverFailure>;

    /// One step: the first without `resume`, each later one with the state of
    /// the pause before it.
    ///
    /// # Errors
    /// As the driver says, or why it could not run.
    async fn step(
        &self,
        cx: &CallContext,
        request: &MeasureRequest,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure>;

    /// One step of undoing what a cancelled call began; `state` is that of the
    /// call's last pause, `resume` that of the undo's own. Only called when the
    /// facts say [`CancelSupport::Step`] and the call had paused.
    ///
    /// # Errors
    /// As the driver says, or why it could not run.
    async fn cancelled(
        &self,
        _cx: &CallContext,
        _request: &MeasureRequest,
        _state: &str,
        _resume: Option<&str>,
    ) -> Result<Step<()>, DriverFailure> {
        Ok(Step::Done(()))
    }
}

/// A driver that adjusts.
///
/// Every future may be dropped at any await: dropping it must end the step and
/// free what it holds.
#[async_trait]
pub trait AdjustDriver: Send + Sync {
    /// What it is.
    fn facts(&self) -> &DriverFacts;

    /// The application's settings with their limits and present values. Quick,
    /// and changes nothing.
    ///
    /// # Errors
    /// As the driver says, or why it could not run.
    async fn describe(&self, cx: &CallContext) -> Result<Application, DriverFailure>;

    /// One step: the first without `resume`, each later one with the state of
    /// the pause before it. The result is the settings now in force; empty:
    /// those requested.
    ///
    /// # Errors
    /// As the driver says, or why it could not run.
    async fn step(
        &self,
        cx: &CallContext,
        request: &AdjustRequest,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure>;

    /// One step of undoing what a cancelled call began; `state` is that of the
    /// call's last pause, `resume` that of the undo's own. Only called when the
    /// facts say [`CancelSupport::Step`] and the call had paused. The
    /// result is the settings now in force; empty: unknown.
    ///
    /// # Errors
    /// As the driver says, or why it could not run.
    async fn cancelled(
        &self,
        _cx: &CallContext,
        _request: &AdjustRequest,
        _state: &str,
        _resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        Ok(Step::Done(AppliedApplication::default()))
    }

    /// Takes up an adjustment that was cut short, and ends like a step. Only
    /// called when the facts say that the driver recovers.
    ///
    /// # Errors
    /// As the driver says, or why it could not run.
    async fn recover(
        &self,
        _cx: &CallContext,
        _request: &AdjustRequest,
        _interruption: &Interruption,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        let message = "the driver cannot take up an adjustment that was cut short";
        Err(DriverFailure::new(Status::Failed, Reason::Unknown, message))
    }
}
