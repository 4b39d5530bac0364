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

mod job;
mod steps;
mod undo;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use servo_policy::Budget;
use servo_protocol::{AppliedApplication, Measurement, Reason, Status};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::compat::Compat;
use crate::driver::{
    AdjustDriver, AdjustRequest, CallContext, CallId, DriverFailure, Interruption, MeasureDriver,
    MeasureRequest,
};
use crate::journal::{Journal, JournalError, Undoing};
use crate::observer::{Notice, Observer};
use crate::progress::{ProgressReport, ProgressSink};
use crate::reporting::{Cause, Pacing, Reporter, Reporting, Unwanted};
use job::{Adjusting, Job, Measuring};
use steps::{Steps, Unfinished};

pub(crate) use waiting::Waiting;

/// Limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// From the start to the result, waits included.
    pub wall: Duration,
    /// Undoing what a cancelled call began, waits included.
    pub undo_wall: Duration,
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
            undo_wall: budget.undo_wall,
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
        /// What has passed of the wait.
        waited: Duration,
        /// How long the call has been going on.
        elapsed: Duration,
        /// Percent done when the pause began.
        progress: Option<f64>,
    },
    /// Where it was cut short: the driver is asked what became of it.
    Interrupted {
        /// What the driver is told.
        interruption: Interruption,
        /// Whether the state is that of this very driver.
        own: bool,
        /// How long the call has been going on.
        elapsed: Duration,
        /// Percent done when its last pause began.
        progress: Option<f64>,
    },
    /// In the pause of its undo.
    Undone {
        /// What is undone, and how the call is reported.
        undoing: Undoing,
        /// State of the undo's pause.
        resume: String,
        /// What is left of the wait.
        wait: Duration,
        /// How long the undo has been going on.
        undone: Duration,
        /// How long the call has been going on.
        elapsed: Duration,
        /// Percent done when the call's last pause began.
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

/// What a call has to do with the servo that runs it, where one does.
#[derive(Clone, Default)]
pub(crate) struct Link<'a> {
    /// The command's `param`.
    pub(crate) param: Option<Arc<Value>>,
    /// Set when a call is to be left where it waits.
    pub(crate) leave: Option<&'a CancellationToken>,
    pub(crate) compat: Compat,
}

/// How a call went that a servo runs.
pub(crate) enum Outcome<T> {
    Ended(Ended<T>),
    /// It stands in a pause, and the next servo goes on with it.
    Left,
}

impl<T> Outcome<T> {
    /// Of a call that nobody can tell to leave.
    fn ended(self) -> Ended<T> {
        match self {
            Self::Ended(ended) => ended,
            Self::Left => Ended::Abandoned("it was left in a pause".to_owned()),
        }
    }
}

impl Call<'_> {
    /// Measures.
    pub async fn measure(
        &self,
        driver: &dyn MeasureDriver,
        request: &MeasureRequest,
    ) -> Ended<Measurement> {
        let link = Link::default();
        self.measure_linked(&link, driver, request).await.ended()
    }

    /// Adjusts. The result is the settings the driver says are in force;
    /// empty: those requested.
    pub async fn adjust(
        &self,
        driver: &dyn AdjustDriver,
        request: &AdjustRequest,
    ) -> Ended<AppliedApplication> {
        let link = Link::default();
        self.adjust_linked(&link, driver, request).await.ended()
    }

    pub(crate) async fn measure_linked(
        &self,
        link: &Link<'_>,
        driver: &dyn MeasureDriver,
        request: &MeasureRequest,
    ) -> Outcome<Measurement> {
        self.run(link, &Measuring { driver, request }).await
    }

    pub(crate) async fn adjust_linked(
        &self,
        link: &Link<'_>,
        driver: &dyn AdjustDriver,
        request: &AdjustRequest,
    ) -> Outcome<AppliedApplication> {
        self.run(link, &Adjusting { driver, request }).await
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
        let deadline = Instant::now() + limit;
        let cx = self.context(&Link::default(), progress, cancel, deadline);
        tokio::select! {
            biased;
            result = describe(cx) => result,
            () = self.stop.cancelled() => Err(stopping()),
            () = sleep(limit) => Err(timed_out(format!(
                "the description took longer than {limit:?}; it must be quick"
            ))),
        }
    }

    pub(crate) fn context(
        &self,
        link: &Link<'_>,
        progress: ProgressSink,
        cancel: CancellationToken,
        deadline: Instant,
    ) -> CallContext {
        CallContext {
            app: self.app.to_owned(),
            call: self.id.clone(),
            param: link.param.clone(),
            progress,
            cancel,
            deadline,
        }
    }

    async fn run<J: Job>(&self, link: &Link<'_>, job: &J) -> Outcome<J::Output> {
        let (elapsed, percent, message) = match &self.start {
            Start::Fresh => (Duration::ZERO, Some(0.0), "starting the driver"),
            Start::Paused {
                elapsed, progress, ..
            } => (*elapsed, *progress, "going on after a restart of the servo"),
            Start::Interrupted {
                elapsed, progress, ..
            } => (
                *elapsed,
                progress.or(Some(0.0)),
                "asking the driver what became of it, after a restart of the servo",
            ),
            Start::Undone {
                elapsed, progress, ..
            } => (
                *elapsed,
                *progress,
                "going on to undo it, after a restart of the servo",
            ),
        };
        let now = Instant::now();
        let began = now.checked_sub(elapsed).unwrap_or(now);
        let deadline = later(now, self.limits.wall.saturating_sub(elapsed));
        let cancel = CancellationToken::new();
        let (progress, watched) = ProgressSink::new(cancel.clone());
        let unwanted = Unwanted::new(cancel.clone(), self.stop.clone());
        let cx = self.context(link, progress, cancel, deadline);
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
        let waiting = Waiting::default();
        let steps = Steps {
            call: self,
            link,
            job,
            cx: &cx,
            unwanted: &unwanted,
            waiting: &waiting,
            began,
            since: now,
        };
        let ended = CancellationToken::new();
        let mut reporting = Reporting {
            call: self,
            compat: link.compat,
            unwanted: &unwanted,
            progress: &cx.progress,
            watched,
            waiting: &waiting,
            began,
            ended: &ended,
            last: Instant::now(),
            failed: None,
        };
        {
            // What was counted before the restart does not count backwards.
            let _counting = steps.counting_at_start();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = reporting.first() => {}
            }
        }
        // What has begun before may have to be undone, which the steps see to.
        if let (Start::Fresh, Some(cause)) = (&self.start, unwanted.cause()) {
            self.cancelling(&cause);
            return Outcome::Ended(match cause {
                Cause::Abandoned(reason) => Ended::Abandoned(reason),
                cause => {
                    let mut failure = cause.failure("before the driver was started");
                    if link.compat.cancel_words && matches!(cause, Cause::Cancelled(_)) {
                        failure.status = Status::Failed;
                    }
                    Ended::Failed(own(link.compat, failure))
                }
            });
        }

        let steps = async {
            let result = steps.run().await;
            ended.cancel();
            result
        };
        let (result, ()) = tokio::join!(steps, reporting.rest());
        let ended = match result {
            Ok(output) => Ended::Done(output),
            Err(Unfinished::Stated(failure)) => Ended::Failed(link.compat.stated(failure)),
            Err(Unfinished::Own(failure)) => Ended::Failed(own(link.compat, failure)),
            // What is left to do is not forgotten, whoever still wants a report.
            Err(Unfinished::Left) => return Outcome::Left,
        };
        Outcome::Ended(match unwanted.cause() {
            Some(Cause::Abandoned(reason)) => Ended::Abandoned(reason),
            _ => ended,
        })
    }

    fn cancelling(&self, cause: &Cause) {
        self.observer.notice(Notice::Cancelling {
            call: self.id.clone(),
            why: cause.to_string(),
        });
    }
}

/// A failure of the servo's own making.
fn own(compat: Compat, mut failure: DriverFailure) -> DriverFailure {
    if compat.bare_failures {
        failure.reason = None;
    }
    failure
}

/// A moment so far off that the clock cannot tell it becomes one in a year.
fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait)
        .unwrap_or_else(|| now + Duration::from_secs(365 * 86_400))
}

fn timed_out(message: String) -> DriverFailure {
    DriverFailure::new(Status::Failed, Reason::Timeout, message)
}

pub(crate) fn stopping() -> DriverFailure {
    DriverFailure::new(Status::Cancelled, Reason::Stopping, "the servo stops")
}

/// What cannot be recorded is not done.
pub(crate) fn unrecorded(error: &JournalError) -> DriverFailure {
    let reason = Reason::Other("journal".to_owned());
    DriverFailure::new(Status::Failed, reason, error.to_string())
}
