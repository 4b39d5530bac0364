//! Drivers in the sandbox, as the agent sees drivers.
//!
//! The agent speaks the words of the wire, the sandbox those of the contract;
//! this translates and adds nothing. A call's steps must share one budget, and
//! the agent names the call in every step's context, so the adapter keeps the
//! sandbox's side of the call that is under way. A servo has one command in
//! hand at a time, hence there is one.

mod convert;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use servo_agent::{
    AdjustDriver, AdjustRequest, CallContext, CallId, CancelSupport, DriverFacts, DriverFailure,
    Interruption, MeasureDriver, MeasureRequest, ProgressReport, ProgressSink, Step,
};
use servo_audit::AttemptList;
use servo_protocol::{Application, AppliedApplication, Measurement, Metrics};
use servo_sandbox::{BoundDriver, Call, CallObserver, LogLevel, Part, Progress};

use crate::silence::{Voice, watched};
use crate::ungranted::Ungranted;

/// The sandbox's side of what is under way.
#[derive(Debug)]
struct Current {
    id: CallId,
    part: Part,
    call: Arc<Call>,
}

/// A driver in the sandbox, of either kind.
#[derive(Debug)]
pub struct Sandboxed {
    driver: BoundDriver,
    facts: DriverFacts,
    current: Mutex<Option<Current>>,
    silence: Option<Duration>,
    voice: Voice,
    ungranted: Vec<Ungranted>,
}

impl Sandboxed {
    /// The agent's view of a bound driver.
    #[must_use]
    pub fn new(driver: BoundDriver) -> Self {
        let manifest = driver.manifest();
        let facts = DriverFacts {
            name: manifest.name.to_string(),
            version: manifest.version.to_string(),
            digest: Some(driver.digest().to_string()),
            cancel: match manifest.cancel {
                servo_artifact::CancelSupport::None => CancelSupport::None,
                servo_artifact::CancelSupport::Report => CancelSupport::Report,
                servo_artifact::CancelSupport::Step => CancelSupport::Step,
            },
            recover: manifest.recover,
        };
        Self {
            driver,
            facts,
            current: Mutex::new(None),
            silence: None,
            voice: Voice::default(),
            ungranted: Vec::new(),
        }
    }

    /// With what it asks for and does not get.
    #[must_use]
    pub(crate) fn with_ungranted(mut self, ungranted: Vec<Ungranted>) -> Self {
        self.ungranted = ungranted;
        self
    }

    /// What it asks for and does not get.
    #[must_use]
    pub fn ungranted(&self) -> &[Ungranted] {
        &self.ungranted
    }

    /// Gives a step up that shows no sign of life for so long; none: never.
    #[must_use]
    pub fn with_silence(mut self, limit: Option<Duration>) -> Self {
        self.silence = limit;
        self
    }

    /// The same driver, none of whose calls changes anything.
    #[must_use]
    pub fn as_dry_run(&self) -> Self {
        Self {
            driver: self.driver.as_dry_run(),
            facts: self.facts.clone(),
            current: Mutex::new(None),
            silence: self.silence,
            voice: self.voice.clone(),
            ungranted: self.ungranted.clone(),
        }
    }

    /// What the last call, if it was a dry run, kept from happening; of a
    /// driver that only does dry runs, what all of its calls did.
    #[must_use]
    pub fn attempts(&self) -> AttemptList {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let call = current.as_ref().map(|current| &current.call);
        call.map_or_else(AttemptList::default, |call| call.attempts())
    }

    /// The bound driver itself.
    #[must_use]
    pub fn bound(&self) -> &BoundDriver {
        &self.driver
    }

    /// The sandbox's side of the call that a step belongs to. A call that is
    /// undone is cancelled, so its undo has a token of its own in the context.
    fn call(&self, cx: &CallContext, part: Part) -> Arc<Call> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = &*current
            && current.id == cx.call
            && current.part == part
        {
            return Arc::clone(&current.call);
        }
        let observer = Arc::new(Relay {
            driver: self.facts.name.clone(),
            progress: cx.progress.clone(),
            voice: self.voice.clone(),
        });
        let call =
            Arc::new(
                self.driver
                    .begin_as(part, cx.call.to_string(), observer, cx.cancel.clone()),
            );
        *current = Some(Current {
            id: cx.call.clone(),
            part,
            call: Arc::clone(&call),
        });
        call
    }

    /// Lets go of a call that has ended: what it holds is kept for nothing. What
    /// a dry run attempted is asked for afterwards.
    fn forget(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|it| !it.call.is_dry_run()) {
            *current = None;
        }
    }

    /// The end of a description, which is a call of one step.
    fn described<T>(&self, described: Result<T, DriverFailure>) -> Result<T, DriverFailure> {
        self.forget();
        described
    }

    /// The end of a step, which may be the last one of its call.
    fn stepped<T>(&self, step: Result<Step<T>, DriverFailure>) -> Result<Step<T>, DriverFailure> {
        if !matches!(step, Ok(Step::Wait(_))) {
            self.forget();
        }
        step
    }

    /// Runs a step under watch, tells the operator what it left behind, and
    /// hands on how it ended.
    async fn run<T>(
        &self,
        step: impl Future<Output = servo_sandbox::Step<T>>,
    ) -> Result<T, DriverFailure> {
        let signs = || self.voice.signs(&self.driver.ledger());
        let step = watched(step, self.silence, signs).await?;
        let driver = self.facts.name.as_str();
        let report = step.report;
        let printed = report.output.text();
        if !printed.trim().is_empty() {
            // Line by line, since an event is one line of the log.
            for line in printed.trim().lines().take(servo_text::MAX_LINES) {
                tracing::info!(target: "servo::driver", driver, "printed: {line}");
            }
        }
        if report.output.dropped > 0 || report.log_lines_dropped > 0 {
            tracing::warn!(
                target: "servo::driver",
                driver,
                output_bytes = report.output.dropped,
                log_lines = report.log_lines_dropped,
                "output over the budget was dropped"
            );
        }
        tracing::debug!(
            target: "servo::driver",
            driver,
            cpu_us = u64::try_from(report.cpu.as_micros()).unwrap_or(u64::MAX),
            memory = report.memory,
            "step ended"
        );
        step.end.into_result().map_err(convert::failure)
    }
}

/// Hands on what a running call says.
struct Relay {
    driver: String,
    progress: ProgressSink,
    voice: Voice,
}

impl CallObserver for Relay {
    fn progress(&self, progress: Progress) {
        self.voice.heard();
        self.progress.report(ProgressReport {
            percent: progress.percent,
            message: progress.message,
            stage: progress.stage,
            stage_percent: progress.stage_percent,
            time_remaining: progress
                .time_remaining
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            log: Vec::new(),
        });
    }

    fn log(&self, level: LogLevel, target: &str, message: &str) {
        self.voice.heard();
        let driver = self.driver.as_str();
        // `tracing` fixes the level of an event where it is written.
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(target: "servo::driver", driver, from = target, "{message}")
            };
        }
        match level {
            LogLevel::Trace => event!(trace),
            LogLevel::Debug => event!(debug),
            LogLevel::Info => event!(info),
            LogLevel::Warn => event!(warn),
            LogLevel::Error => event!(error),
        }
    }
}

#[async_trait]
impl MeasureDriver for Sandboxed {
    fn facts(&self) -> &DriverFacts {
        &self.facts
    }

    async fn describe(&self, cx: &CallContext) -> Result<Metrics, DriverFailure> {
        let call = self.call(cx, Part::Act);
        let metrics = self.run(call.describe_metrics(&cx.app)).await;
        Ok(convert::metrics(self.described(metrics)?))
    }

    async fn step(
        &self,
        cx: &CallContext,
        request: &MeasureRequest,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        let request = convert::measure_request(&cx.app, request)?;
        let call = self.call(cx, Part::Act);
        let step = self.run(call.measure(&request, resume)).await;
        self.stepped(step.and_then(convert::measure_step))
    }

    async fn cancelled(
        &self,
        cx: &CallContext,
        request: &MeasureRequest,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Step<()>, DriverFailure> {
        let request = convert::measure_request(&cx.app, request)?;
        let call = self.call(cx, Part::Undo);
        let step = call.measure_cancelled(&request, state, resume);
        let step = self.run(step).await;
        self.stepped(step.and_then(convert::measure_undo))
    }
}

#[async_trait]
impl AdjustDriver for Sandboxed {
    fn facts(&self) -> &DriverFacts {
        &self.facts
    }

    async fn describe(&self, cx: &CallContext) -> Result<Application, DriverFailure> {
        let call = self.call(cx, Part::Act);
        let application = self.run(call.describe_application(&cx.app)).await;
        Ok(convert::application(self.described(application)?))
    }

    async fn step(
        &self,
        cx: &CallContext,
        request: &AdjustRequest,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        let request = convert::adjust_request(&cx.app, request)?;
        let call = self.call(cx, Part::Act);
        let step = self.run(call.adjust(&request, resume)).await;
        self.stepped(step.and_then(convert::adjust_step))
    }

    async fn cancelled(
        &self,
        cx: &CallContext,
        request: &AdjustRequest,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        let request = convert::adjust_request(&cx.app, request)?;
        let call = self.call(cx, Part::Undo);
        let step = call.adjust_cancelled(&request, state, resume);
        let step = self.run(step).await;
        self.stepped(step.and_then(convert::adjust_undo))
    }

    async fn recover(
        &self,
        cx: &CallContext,
        request: &AdjustRequest,
        interruption: &Interruption,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        let request = convert::adjust_request(&cx.app, request)?;
        let interruption = convert::interruption(interruption);
        let call = self.call(cx, Part::Act);
        let step = self.run(call.recover(&request, &interruption)).await;
        self.stepped(step.and_then(convert::adjust_step))
    }
}
