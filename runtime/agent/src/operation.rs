//! One call of a driver, from its first step to its result.
//!
//! The agent and the command line both run calls through here, so a driver
//! tested on a laptop meets the same waits, limits and cancels as in
//! production. The runner owns everything that is not the driver's work: the
//! wait between two steps, the limit on the whole call, the grace of a cancel,
//! the check of the result. Steps and reports are two futures polled side by
//! side in one task; dropping the call drops the step that runs.
//!
//! A cancel that meets a finished step at the same moment loses: the result is
//! there and true, and throwing it away would help nobody.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};
use servo_policy::Budget;
use servo_protocol::check::{self, Finding};
use servo_protocol::{AppliedApplication, Measurement, Operation, Reason, Status};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::driver::{
    AdjustDriver, AdjustRequest, CallContext, CallId, CancelSupport, DriverFacts, DriverFailure,
    MeasureDriver, MeasureRequest, Step,
};
use crate::journal::{Began, DriverId, Journal, JournalError};
use crate::observer::{Notice, Observer};
use crate::progress::{ProgressReport, ProgressSink};
use crate::reporting::{Cause, Pacing, Reporter, Reporting, Unwanted};

/// Limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// From the start to the result, waits included.
    pub wall: Duration,
    /// How long a cancelled step may go on.
    pub cancel_grace: Duration,
    /// The same when the servo itself stops (section 11: 5 s).
    pub stop_grace: Duration,
    /// How many steps it may have. A driver that waits for nothing again and
    /// again would otherwise keep the host busy until the wall limit.
    pub steps: u32,
}

impl From<&Budget> for CallLimits {
    fn from(budget: &Budget) -> Self {
        Self {
            wall: budget.wall,
            cancel_grace: budget.cancel_grace,
            steps: budget.steps,
            stop_grace: Duration::from_secs(5),
        }
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self::from(&Budget::default())
    }
}

/// A describe that takes longer is not "quick": the service has no sign of
/// life while it runs.
const DESCRIBE_LIMIT: Duration = Duration::from_secs(60);

/// Where a call begins.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Start {
    /// At its first step.
    #[default]
    Fresh,
    /// In a pause, after a restart of the host.
    Paused {
        /// State of the pause.
        state: String,
        /// What is left of the wait.
        wait: Duration,
        /// How long the call has been going on.
        elapsed: Duration,
        /// Percent done when the pause began.
        progress: Option<f64>,
    },
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended<T> {
    /// It brought a result that keeps the contract.
    Done(T),
    /// It failed.
    Failed(DriverFailure),
    /// The service no longer knows the command: nothing is to be reported.
    Abandoned(String),
}

/// One call and what it needs of its surroundings.
pub struct Call<'a> {
    /// Its id.
    pub id: CallId,
    /// The application's id.
    pub app: &'a str,
    /// The command it belongs to.
    pub cmd_uid: Option<String>,
    /// Its limits.
    pub limits: CallLimits,
    /// How often progress is reported.
    pub pacing: Pacing,
    /// Where progress is reported.
    pub reporter: &'a dyn Reporter,
    /// What must survive a crash.
    pub journal: &'a dyn Journal,
    /// Who watches.
    pub observer: &'a dyn Observer,
    /// Set when the servo stops.
    pub stop: &'a CancellationToken,
    /// Where it begins.
    pub start: Start,
}

impl Call<'_> {
    /// Measures.
    pub async fn measure(
        &self,
        driver: &dyn MeasureDriver,
        request: &MeasureRequest,
    ) -> Ended<Measurement> {
        self.run(&Measuring { driver, request }).await
    }

    /// Adjusts. The result is the settings the driver says are in force;
    /// empty: those requested.
    pub async fn adjust(
        &self,
        driver: &dyn AdjustDriver,
        request: &AdjustRequest,
    ) -> Ended<AppliedApplication> {
        self.run(&Adjusting { driver, request }).await
    }

    /// Runs `describe`, which is handed a context, within its limit.
    ///
    /// # Errors
    /// As the driver says; `timeout` or `stopping` when it did not end in time.
    pub async fn describe<T, F>(
        &self,
        describe: impl FnOnce(CallContext) -> F,
    ) -> Result<T, DriverFailure>
    where
        F: Future<Output = Result<T, DriverFailure>>,
    {
        let limit = self.limits.wall.min(DESCRIBE_LIMIT);
        let cancel = CancellationToken::new();
        let (progress, _watched) = ProgressSink::new(cancel.clone());
        let cx = self.context(progress, cancel, Instant::now() + limit);
        tokio::select! {
            biased;
            result = describe(cx) => result,
            () = self.stop.cancelled() => Err(stopping()),
            () = sleep(limit) => Err(timed_out(format!(
                "the description took longer than {limit:?}; it must be quick"
            ))),
        }
    }

    fn context(
        &self,
        progress: ProgressSink,
        cancel: CancellationToken,
        deadline: Instant,
    ) -> CallContext {
        CallContext {
            app: self.app.to_owned(),
            call: self.id.clone(),
            progress,
            cancel,
            deadline,
        }
    }

    async fn run<J: Job>(&self, job: &J) -> Ended<J::Output> {
        let (elapsed, percent, message) = match &self.start {
            Start::Fresh => (Duration::ZERO, Some(0.0), "starting the driver"),
            Start::Paused {
                elapsed, progress, ..
            } => (*elapsed, *progress, "going on after a restart of the servo"),
        };
        let now = Instant::now();
        let began = now.checked_sub(elapsed).unwrap_or(now);
        let deadline = later(now, self.limits.wall.saturating_sub(elapsed));
        let cancel = CancellationToken::new();
        let (progress, watched) = ProgressSink::new(cancel.clone());
        let unwanted = Unwanted::new(cancel.clone(), self.stop.clone());
        let cx = self.context(progress, cancel, deadline);
        let facts = job.facts();
        let driver = format!("{} {}", facts.name, facts.version);
        self.observer.notice(Notice::Started {
            call: self.id.clone(),
            operation: J::OPERATION,
            driver,
        });

        cx.progress.report(ProgressReport {
            percent,
            message: Some(message.to_owned()),
            ..ProgressReport::default()
        });
        let ended = CancellationToken::new();
        let mut reporting = Reporting::new(self, &unwanted, watched, began, &ended);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = reporting.first() => {}
        }
        if let Some(cause) = unwanted.cause() {
            self.cancelling(&cause);
            return match cause {
                Cause::Abandoned(reason) => Ended::Abandoned(reason),
                cause => Ended::Failed(cause.failure("before the driver was started")),
            };
        }

        let steps = async {
            let result = self.steps(job, &cx, &unwanted).await;
            ended.cancel();
            result
        };
        let (result, ()) = tokio::join!(steps, reporting.rest());
        if let Some(Cause::Abandoned(reason)) = unwanted.cause() {
            return Ended::Abandoned(reason);
        }
        match result {
            Ok(output) => Ended::Done(output),
            Err(failure) => Ended::Failed(failure),
        }
    }

    fn cancelling(&self, cause: &Cause) {
        self.observer.notice(Notice::Cancelling {
            call: self.id.clone(),
            why: cause.to_string(),
        });
    }

    async fn steps<J: Job>(
        &self,
        job: &J,
        cx: &CallContext,
        unwanted: &Unwanted,
    ) -> Result<J::Output, DriverFailure> {
        let mut resume = None;
        if let Start::Paused {
            state,
            wait,
            elapsed,
            ..
        } = &self.start
        {
            if *elapsed >= self.limits.wall {
                let failure = timed_out(format!(
                    "the call's {:?} were over before the servo ran again; raise \
                     `grants.limits.wall`",
                    self.limits.wall
                ));
                return Err(self.undo(job, Some(state), failure).await);
            }
            self.pause(*wait, cx, unwanted, job, state).await?;
            resume = Some(state.clone());
        }
        let mut steps: u32 = 0;
        loop {
            steps += 1;
            if steps > self.limits.steps {
                let message = format!(
                    "the driver is not done after {} steps; raise `grants.limits.steps`",
                    self.limits.steps
                );
                let failure = DriverFailure::new(Status::Failed, Reason::Timeout, message);
                return Err(self.undo(job, resume.as_deref(), failure).await);
            }
            let recorded = match &resume {
                None => {
                    let began = Began {
                        call: self.id.clone(),
                        driver: DriverId::from(job.facts()),
                        request: job.request(),
                    };
                    self.journal.began(&began).await
                }
                Some(_) => self.journal.resumed(&self.id).await,
            };
            if let Err(error) = recorded {
                let failure = unrecorded(&error);
                return Err(self.undo(job, resume.as_deref(), failure).await);
            }
            let pause = match self.step(job, cx, unwanted, resume.as_deref()).await {
                StepEnd::Free(Ok(Step::Done(output))) => {
                    job.check(&output).map_err(|finding| DriverFailure {
                        status: Status::Failed,
                        reason: Some(finding.reason()),
                        message: format!("the driver's result breaks the contract: {finding}"),
                    })?;
                    return Ok(output);
                }
                StepEnd::Free(Ok(Step::Wait(pause))) => pause,
                StepEnd::Free(Err(failure)) | StepEnd::Cancelled(Err(failure), _) => {
                    return Err(failure);
                }
                StepEnd::Cancelled(Ok(Step::Done(_)), cause) => {
                    return Err(cause.failure("just as the driver finished"));
                }
                StepEnd::Cancelled(Ok(Step::Wait(pause)), cause) => {
                    let failure = cause.failure("between two steps");
                    return Err(self.undo(job, Some(&pause.state), failure).await);
                }
                StepEnd::Dropped(failure) => {
                    return Err(self.undo(job, resume.as_deref(), failure).await);
                }
            };
            if let Err(error) = self.journal.paused(&self.id, &pause).await {
                let failure = unrecorded(&error);
                return Err(self.undo(job, Some(&pause.state), failure).await);
            }
            self.observer.notice(Notice::Paused {
                call: self.id.clone(),
                wait: pause.wait,
                message: pause.message.clone(),
            });
            cx.progress.report(ProgressReport {
                percent: pause.progress,
                message: pause.message,
                ..ProgressReport::default()
            });
            self.pause(pause.wait, cx, unwanted, job, &pause.state)
                .await?;
            resume = Some(pause.state);
        }
    }

    /// Waits between two steps.
    async fn pause<J: Job>(
        &self,
        wait: Duration,
        cx: &CallContext,
        unwanted: &Unwanted,
        job: &J,
        state: &str,
    ) -> Result<(), DriverFailure> {
        let left = cx.deadline.saturating_duration_since(Instant::now());
        if wait >= left {
            let failure = timed_out(format!(
                "the driver wants to wait {wait:?}, but only {left:?} of the call's {:?} are left; \
                 raise `grants.limits.wall`",
                self.limits.wall
            ));
            return Err(self.undo(job, Some(state), failure).await);
        }
        tokio::select! {
            biased;
            cause = unwanted.wait() => {
                self.cancelling(&cause);
                Err(self.undo(job, Some(state), cause.failure("while it waited")).await)
            }
            () = sleep(wait) => Ok(()),
        }
    }

    /// Runs one step to its end, to the deadline, or into a cancel.
    async fn step<J: Job>(
        &self,
        job: &J,
        cx: &CallContext,
        unwanted: &Unwanted,
        resume: Option<&str>,
    ) -> StepEnd<J::Output> {
        let late = || {
            StepEnd::Dropped(timed_out(format!(
                "the call took longer than {:?}; raise `grants.limits.wall`",
                self.limits.wall
            )))
        };
        let step = job.step(cx, resume);
        tokio::pin!(step);
        let cause = tokio::select! {
            biased;
            result = &mut step => return StepEnd::Free(result),
            () = sleep_until(cx.deadline) => return late(),
            cause = unwanted.wait() => cause,
        };
        self.cancelling(&cause);
        cx.cancel.cancel();
        if job.facts().cancel == CancelSupport::None {
            return StepEnd::Dropped(cause.failure("while the driver ran"));
        }
        let stop_grace = async {
            self.stop.cancelled().await;
            sleep(self.limits.stop_grace).await;
        };
        tokio::select! {
            biased;
            result = &mut step => StepEnd::Cancelled(result, cause),
            () = sleep_until(cx.deadline) => late(),
            () = sleep(self.limits.cancel_grace) => StepEnd::Dropped(
                cause.failure("while the driver ran; it did not stop within its grace"),
            ),
            () = stop_grace => StepEnd::Dropped(
                cause.failure("while the driver ran; it did not stop in time"),
            ),
        }
    }

    /// Gives the driver the chance to undo what it began, and returns the
    /// failure of the call.
    async fn undo<J: Job>(
        &self,
        job: &J,
        state: Option<&str>,
        mut failure: DriverFailure,
    ) -> DriverFailure {
        let (CancelSupport::Step, Some(state)) = (job.facts().cancel, state) else {
            return failure;
        };
        let grace = if self.stop.is_cancelled() {
            self.limits.stop_grace.min(self.limits.cancel_grace)
        } else {
            self.limits.cancel_grace
        };
        // The call is cancelled, its undo is not: it gets a token of its own.
        let cancel = CancellationToken::new();
        let (progress, _watched) = ProgressSink::new(cancel.clone());
        let cx = self.context(progress, cancel, Instant::now() + grace);
        let problem = match timeout(grace, job.cancelled(&cx, state)).await {
            Ok(Ok(())) => return failure,
            Ok(Err(problem)) => problem.to_string(),
            Err(_) => format!("it took longer than {grace:?}"),
        };
        failure.message = format!("{}; undoing it failed: {problem}", failure.message);
        self.observer.notice(Notice::UndoFailed {
            call: self.id.clone(),
            problem,
        });
        failure
    }
}

/// How a step ended.
enum StepEnd<T> {
    /// By itself.
    Free(Result<Step<T>, DriverFailure>),
    /// By itself, after it was told to.
    Cancelled(Result<Step<T>, DriverFailure>, Cause),
    /// It was dropped.
    Dropped(DriverFailure),
}

/// A moment so far off that the clock cannot tell it becomes one in a year.
fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait)
        .unwrap_or_else(|| now + Duration::from_secs(365 * 86_400))
}

fn timed_out(message: String) -> DriverFailure {
    DriverFailure::new(Status::Failed, Reason::Timeout, message)
}

fn stopping() -> DriverFailure {
    DriverFailure::new(Status::Cancelled, Reason::Stopping, "the servo stops")
}

/// What cannot be recorded is not done.
pub(crate) fn unrecorded(error: &JournalError) -> DriverFailure {
    let reason = Reason::Other("journal".to_owned());
    DriverFailure::new(Status::Failed, reason, error.to_string())
}

/// What a check let through can be written, so null never appears.
fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// What measuring and adjusting have in common.
#[async_trait]
trait Job: Sync {
    const OPERATION: Operation;
    type Output: Serialize + Send + Sync;
    fn facts(&self) -> &DriverFacts;
    fn request(&self) -> Value;
    fn check(&self, output: &Self::Output) -> Result<(), Finding>;
    async fn step(
        &self,
        cx: &CallContext,
        resume: Option<&str>,
    ) -> Result<Step<Self::Output>, DriverFailure>;
    async fn cancelled(&self, cx: &CallContext, state: &str) -> Result<(), DriverFailure>;
}

struct Measuring<'a> {
    driver: &'a dyn MeasureDriver,
    request: &'a MeasureRequest,
}

#[async_trait]
impl Job for Measuring<'_> {
    const OPERATION: Operation = Operation::Measure;
    type Output = Measurement;

    fn facts(&self) -> &DriverFacts {
        self.driver.facts()
    }

    fn request(&self) -> Value {
        json!({
            "metrics": self.request.metrics,
            "control": json_of(&self.request.control),
        })
    }

    fn check(&self, measurement: &Measurement) -> Result<(), Finding> {
        let wanted = self.request.metrics.as_deref();
        check::check_measurement(measurement, wanted, &self.request.control)
    }

    async fn step(
        &self,
        cx: &CallContext,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        self.driver.step(cx, self.request, resume).await
    }

    async fn cancelled(&self, cx: &CallContext, state: &str) -> Result<(), DriverFailure> {
        self.driver.cancelled(cx, self.request, state).await
    }
}

struct Adjusting<'a> {
    driver: &'a dyn AdjustDriver,
    request: &'a AdjustRequest,
}

#[async_trait]
impl Job for Adjusting<'_> {
    const OPERATION: Operation = Operation::Adjust;
    type Output = AppliedApplication;

    fn facts(&self) -> &DriverFacts {
        self.driver.facts()
    }

    fn request(&self) -> Value {
        json!({
            "application": json_of(&self.request.application),
            "control": json_of(&self.request.control),
        })
    }

    fn check(&self, applied: &AppliedApplication) -> Result<(), Finding> {
        check::check_applied(applied)
    }

    async fn step(
        &self,
        cx: &CallContext,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        self.driver.step(cx, self.request, resume).await
    }

    async fn cancelled(&self, cx: &CallContext, state: &str) -> Result<(), DriverFailure> {
        self.driver.cancelled(cx, self.request, state).await
    }
}
