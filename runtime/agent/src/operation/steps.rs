//! The steps of one call and the waits between them.
//!
//! Whatever ends a call here says whose doing it was: a driver's own words
//! travel on as they are, and what the host has to say is worded by the host.

use std::time::Duration;

use servo_protocol::check::Problem;
use servo_protocol::{AppliedApplication, Reason, Status};
use tokio::time::{Instant, sleep, sleep_until};

use super::job::Job;
use super::undo::UndoPause;
use super::waiting::{Counting, Wait, Waiting};
use super::{Call, Link, Start, timed_out, unrecorded};
use crate::driver::{CallContext, CancelSupport, DriverFailure, Interruption, Pause, Step};
use crate::journal::{Began, DriverId};
use crate::observer::Notice;
use crate::progress::ProgressReport;
use crate::reporting::{Cause, Unwanted};

/// Why a call ended without a result.
pub(super) enum Unfinished {
    /// The driver said so.
    Stated(DriverFailure),
    /// The host said so.
    Own(DriverFailure),
    /// It stands in a pause, and the next servo goes on with it.
    Left,
}

/// How a step ended.
enum StepEnd<T> {
    /// By itself.
    Free(Result<Step<T>, DriverFailure>),
    /// By itself, after it was told to.
    Cancelled(Result<Step<T>, DriverFailure>, Cause),
    /// It was dropped.
    Dropped(Unfinished),
}

/// The step that comes next.
enum Next {
    /// The first.
    First,
    /// One after a pause that left this state.
    Later(String),
    /// One in which the driver is asked what became of the call.
    Recover {
        interruption: Interruption,
        /// Whether the state in it is that of this very driver.
        own: bool,
    },
}

impl Next {
    /// The state with which what the steps before began can be undone.
    fn undoable(&self) -> Option<&str> {
        match self {
            Self::First | Self::Recover { own: false, .. } => None,
            Self::Later(state) => Some(state),
            Self::Recover { interruption, .. } => interruption.state.as_deref(),
        }
    }
}

/// A call that runs.
pub(super) struct Steps<'a, J> {
    pub(super) call: &'a Call<'a>,
    pub(super) link: &'a Link<'a>,
    pub(super) job: &'a J,
    pub(super) cx: &'a CallContext,
    pub(super) unwanted: &'a Unwanted,
    pub(super) waiting: &'a Waiting,
    /// When the call began.
    pub(super) began: Instant,
    /// When this servo took it up.
    pub(super) since: Instant,
}

impl<J: Job> Steps<'_, J> {
    /// Runs one step after the other until the call has ended.
    pub(super) async fn run(&self) -> Result<J::Output, Unfinished> {
        let mut next = self.first().await?;
        let mut steps: u32 = 0;
        loop {
            steps += 1;
            if steps > self.call.limits.steps {
                let failure = timed_out(format!(
                    "the driver is not done after {} steps; raise `grants.limits.steps`",
                    self.call.limits.steps
                ));
                let end = Unfinished::Own(failure);
                return Err(self.undo(next.undoable(), end).await);
            }
            self.record(&next).await?;
            let pause = match self.step(&next).await {
                StepEnd::Free(Ok(Step::Done(output))) => return self.checked(output),
                StepEnd::Free(Ok(Step::Wait(pause))) => pause,
                StepEnd::Free(Err(failure)) => return Err(self.stated(failure)),
                StepEnd::Cancelled(Err(failure), cause) => {
                    return Err(self.stated(with_cause(failure, &cause)));
                }
                StepEnd::Cancelled(Ok(Step::Done(_)), cause) => {
                    return Err(self.unwanted_now(&cause, "just as the driver finished"));
                }
                StepEnd::Cancelled(Ok(Step::Wait(pause)), cause) => {
                    let end = self.unwanted_now(&cause, "between two steps");
                    return Err(self.undo(Some(&pause.state), end).await);
                }
                StepEnd::Dropped(end) => {
                    return Err(self.undo(next.undoable(), end).await);
                }
            };
            next = Next::Later(self.paused(pause).await?);
        }
    }

    /// The step with which the call begins, or goes on after a restart.
    async fn first(&self) -> Result<Next, Unfinished> {
        match &self.call.start {
            Start::Fresh => Ok(Next::First),
            Start::Paused {
                state,
                wait,
                waited,
                elapsed,
                progress,
            } => {
                self.still_in_time(*elapsed, Some(state)).await?;
                // The first report may have taken its time; the wait went on.
                let passed = self.since.elapsed().min(*wait);
                let (wait, waited) = (wait.saturating_sub(passed), waited.saturating_add(passed));
                self.pause(wait, waited, *progress, state).await?;
                Ok(Next::Later(state.clone()))
            }
            Start::Interrupted {
                interruption,
                own,
                elapsed,
                ..
            } => {
                let next = Next::Recover {
                    interruption: interruption.clone(),
                    own: *own,
                };
                self.still_in_time(*elapsed, next.undoable()).await?;
                if let Some(cause) = self.unwanted.cause() {
                    self.call.cancelling(&cause);
                    let end =
                        self.unwanted_now(&cause, "before the driver was asked what became of it");
                    return Err(self.undo(next.undoable(), end).await);
                }
                Ok(next)
            }
            Start::Undone {
                undoing,
                resume,
                wait,
                undone,
                ..
            } => {
                let passed = self.since.elapsed();
                let at = UndoPause {
                    state: resume.clone(),
                    wait: wait.saturating_sub(passed),
                    kept: true,
                };
                let undone = undone.saturating_add(passed);
                Err(self.go_on_undoing(undoing, at, undone).await)
            }
        }
    }

    async fn still_in_time(
        &self,
        elapsed: Duration,
        undoable: Option<&str>,
    ) -> Result<(), Unfinished> {
        if elapsed < self.call.limits.wall {
            return Ok(());
        }
        let failure = timed_out(format!(
            "the call's {:?} were over before the servo ran again; raise `grants.limits.wall`",
            self.call.limits.wall
        ));
        Err(self.undo(undoable, Unfinished::Own(failure)).await)
    }

    /// A failure in the driver's words. Settings that cannot be are not told.
    pub(super) fn stated(&self, mut failure: DriverFailure) -> Unfinished {
        failure.in_force = failure
            .in_force
            .filter(|settings| self.can_be_in_force(settings));
        Unfinished::Stated(failure)
    }

    /// Whether settings that the driver says are in force can be; the operator
    /// is told of those that cannot.
    pub(super) fn can_be_in_force(&self, settings: &AppliedApplication) -> bool {
        let Err(finding) = self.job.check_in_force(settings) else {
            return true;
        };
        self.call.observer.notice(Notice::Odd {
            finding: format!("what the driver says is in force cannot be: {finding}"),
        });
        false
    }

    /// Counts on with the pause in which the call begins, if it begins in one.
    pub(super) fn counting_at_start(&self) -> Option<Counting<'_>> {
        match &self.call.start {
            Start::Fresh | Start::Interrupted { .. } | Start::Undone { .. } => None,
            Start::Paused {
                wait,
                waited,
                progress,
                ..
            } => Some(self.counting(*wait, *waited, *progress)),
        }
    }

    fn counting(&self, wait: Duration, waited: Duration, progress: Option<f64>) -> Counting<'_> {
        let now = Instant::now();
        let wait = Wait {
            progress,
            since: now.checked_sub(waited).unwrap_or(now),
            whole: wait.saturating_add(waited),
            call: self.began,
            length: self.job.length(),
        };
        self.waiting.during(&self.cx.progress, wait)
    }

    /// Tells the journal that a step is about to run.
    async fn record(&self, next: &Next) -> Result<(), Unfinished> {
        let (call, journal) = (&self.call.id, self.call.journal);
        let driver = || DriverId::from(self.job.facts());
        let recorded = match next {
            Next::First => {
                let began = Began {
                    call: call.clone(),
                    driver: driver(),
                    request: self.job.request(),
                };
                journal.began(&began).await
            }
            Next::Later(_) => journal.resumed(call).await,
            Next::Recover { .. } => journal.recovering(call, &driver()).await,
        };
        match recorded {
            Ok(()) => Ok(()),
            Err(error) => {
                let end = Unfinished::Own(unrecorded(&error));
                Err(self.undo(next.undoable(), end).await)
            }
        }
    }

    /// A result that keeps the contract.
    fn checked(&self, output: J::Output) -> Result<J::Output, Unfinished> {
        let Err(finding) = self.job.check(&output) else {
            return Ok(output);
        };
        let lets_through = self.link.compat.unchecked
            && !matches!(
                *finding.problem,
                Problem::NoMetrics | Problem::NotFinite { .. }
            );
        if lets_through {
            tracing::debug!("the driver's result breaks the contract: {finding}");
            return Ok(output);
        }
        let message = format!("the driver's result breaks the contract: {finding}");
        let failure = DriverFailure::new(Status::Failed, finding.reason(), message);
        Err(Unfinished::Own(failure))
    }

    /// Records a pause and waits it out; the state for the next step.
    async fn paused(&self, pause: Pause) -> Result<String, Unfinished> {
        if let Err(error) = self.call.journal.paused(&self.call.id, &pause).await {
            let end = Unfinished::Own(unrecorded(&error));
            return Err(self.undo(Some(&pause.state), end).await);
        }
        let Pause {
            wait,
            state,
            progress,
            message,
        } = pause;
        self.call.observer.notice(Notice::Paused {
            call: self.call.id.clone(),
            wait,
            message: message.clone(),
        });
        self.cx.progress.report(ProgressReport {
            percent: progress,
            message,
            ..ProgressReport::default()
        });
        self.pause(wait, Duration::ZERO, progress, &state).await?;
        Ok(state)
    }

    /// Waits between two steps; `waited` is what has passed of the wait before.
    async fn pause(
        &self,
        wait: Duration,
        waited: Duration,
        progress: Option<f64>,
        state: &str,
    ) -> Result<(), Unfinished> {
        let left = self.cx.deadline.saturating_duration_since(Instant::now());
        if wait >= left {
            let failure = timed_out(format!(
                "the driver wants to wait {wait:?}, but only {left:?} of the call's {:?} are left; \
                 raise `grants.limits.wall`",
                self.call.limits.wall
            ));
            return Err(self.undo(Some(state), Unfinished::Own(failure)).await);
        }
        let _counting = self.counting(wait, waited, progress);
        let left_alone = async {
            match self.link.leave {
                Some(leave) => leave.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            cause = self.unwanted.wait() => {
                self.call.cancelling(&cause);
                let end = self.unwanted_now(&cause, "while it waited");
                Err(self.undo(Some(state), end).await)
            }
            () = left_alone => Err(Unfinished::Left),
            () = sleep(wait) => Ok(()),
        }
    }

    /// Runs one step to its end, to the deadline, or into a cancel.
    async fn step(&self, next: &Next) -> StepEnd<J::Output> {
        let limits = self.call.limits;
        let late = || {
            StepEnd::Dropped(Unfinished::Own(timed_out(format!(
                "the call took longer than {:?}; raise `grants.limits.wall`",
                limits.wall
            ))))
        };
        let step = async {
            match next {
                Next::First => self.job.step(self.cx, None).await,
                Next::Later(state) => self.job.step(self.cx, Some(state)).await,
                Next::Recover { interruption, .. } => self.job.recover(self.cx, interruption).await,
            }
        };
        tokio::pin!(step);
        let cause = tokio::select! {
            biased;
            result = &mut step => return StepEnd::Free(result),
            () = sleep_until(self.cx.deadline) => return late(),
            cause = self.unwanted.wait() => cause,
        };
        self.call.cancelling(&cause);
        self.cx.cancel.cancel();
        let supported = self.job.facts().cancel != CancelSupport::None;
        if !supported || matches!(cause, Cause::Unheard) {
            return StepEnd::Dropped(self.unwanted_now(&cause, "while the driver ran"));
        }
        let stop_grace = async {
            self.call.stop.cancelled().await;
            sleep(limits.stop_grace).await;
        };
        // The original gave a driver that can be cancelled all the time it
        // wanted, and took what it brought.
        let at_will = self.link.compat.cancel_words && matches!(cause, Cause::Cancelled(_));
        let grace = async {
            if at_will {
                std::future::pending::<()>().await;
            }
            sleep(limits.cancel_grace).await;
        };
        tokio::select! {
            biased;
            result = &mut step => match result {
                Ok(step) if at_will => StepEnd::Free(Ok(step)),
                result => StepEnd::Cancelled(result, cause),
            },
            () = sleep_until(self.cx.deadline) => late(),
            () = grace => {
                let moment = "while the driver ran; it did not stop within its grace";
                StepEnd::Dropped(self.unwanted_now(&cause, moment))
            }
            () = stop_grace => {
                let moment = "while the driver ran; it did not stop in time";
                StepEnd::Dropped(self.unwanted_now(&cause, moment))
            }
        }
    }

    /// How a call ends that was not wanted at this moment, its driver started.
    fn unwanted_now(&self, cause: &Cause, moment: &str) -> Unfinished {
        let mut failure = cause.failure(moment);
        if self.link.compat.cancel_words && matches!(cause, Cause::Cancelled(_)) {
            // Nobody listened to the driver any more, so it had said nothing.
            failure.status = Status::NoData;
            failure.reason = Some(Reason::Undefined);
            return Unfinished::Stated(failure);
        }
        Unfinished::Own(failure)
    }
}

/// The driver's words, and why it had to end: the service shall find its own
/// reason in the report.
fn with_cause(mut failure: DriverFailure, cause: &Cause) -> DriverFailure {
    failure.message = if failure.message.is_empty() {
        cause.to_string()
    } else {
        format!("{} ({cause})", failure.message)
    };
    failure
}
