//! The steps of one call and the waits between them.
//!
//! Whatever ends a call here says whose doing it was: a driver's own words
//! travel on as they are, and what the host has to say is worded by the host.

use std::time::Duration;

use servo_protocol::check::Problem;
use servo_protocol::{Reason, Status};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::job::Job;
use super::waiting::{Counting, Wait, Waiting};
use super::{Call, Link, Start, timed_out, unrecorded};
use crate::driver::{CallContext, CancelSupport, DriverFailure, Pause, Step};
use crate::journal::{Began, DriverId};
use crate::observer::Notice;
use crate::progress::{ProgressReport, ProgressSink};
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
        let mut resume = None;
        if let Start::Paused {
            state,
            wait,
            waited,
            elapsed,
            progress,
        } = &self.call.start
        {
            if *elapsed >= self.call.limits.wall {
                let failure = timed_out(format!(
                    "the call's {:?} were over before the servo ran again; raise \
                     `grants.limits.wall`",
                    self.call.limits.wall
                ));
                return Err(self.undo(Some(state), Unfinished::Own(failure)).await);
            }
            // The first report may have taken its time; the wait went on.
            let passed = self.since.elapsed().min(*wait);
            let (wait, waited) = (wait.saturating_sub(passed), waited.saturating_add(passed));
            self.pause(wait, waited, *progress, state).await?;
            resume = Some(state.clone());
        }
        let mut steps: u32 = 0;
        loop {
            steps += 1;
            if steps > self.call.limits.steps {
                let failure = timed_out(format!(
                    "the driver is not done after {} steps; raise `grants.limits.steps`",
                    self.call.limits.steps
                ));
                let end = Unfinished::Own(failure);
                return Err(self.undo(resume.as_deref(), end).await);
            }
            self.record(resume.as_deref()).await?;
            let pause = match self.step(resume.as_deref()).await {
                StepEnd::Free(Ok(Step::Done(output))) => return self.checked(output),
                StepEnd::Free(Ok(Step::Wait(pause))) => pause,
                StepEnd::Free(Err(failure)) => return Err(Unfinished::Stated(failure)),
                StepEnd::Cancelled(Err(failure), cause) => {
                    return Err(Unfinished::Stated(with_cause(failure, &cause)));
                }
                StepEnd::Cancelled(Ok(Step::Done(_)), cause) => {
                    return Err(self.unwanted_now(&cause, "just as the driver finished"));
                }
                StepEnd::Cancelled(Ok(Step::Wait(pause)), cause) => {
                    let end = self.unwanted_now(&cause, "between two steps");
                    return Err(self.undo(Some(&pause.state), end).await);
                }
                StepEnd::Dropped(end) => {
                    return Err(self.undo(resume.as_deref(), end).await);
                }
            };
            resume = Some(self.paused(pause).await?);
        }
    }

    /// Counts on with the pause in which the call begins, if it begins in one.
    pub(super) fn counting_at_start(&self) -> Option<Counting<'_>> {
        match &self.call.start {
            Start::Fresh => None,
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
    async fn record(&self, resume: Option<&str>) -> Result<(), Unfinished> {
        let recorded = match resume {
            None => {
                let began = Began {
                    call: self.call.id.clone(),
                    driver: DriverId::from(self.job.facts()),
                    request: self.job.request(),
                };
                self.call.journal.began(&began).await
            }
            Some(_) => self.call.journal.resumed(&self.call.id).await,
        };
        match recorded {
            Ok(()) => Ok(()),
            Err(error) => {
                let end = Unfinished::Own(unrecorded(&error));
                Err(self.undo(resume, end).await)
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
    async fn step(&self, resume: Option<&str>) -> StepEnd<J::Output> {
        let limits = self.call.limits;
        let late = || {
            StepEnd::Dropped(Unfinished::Own(timed_out(format!(
                "the call took longer than {:?}; raise `grants.limits.wall`",
                limits.wall
            ))))
        };
        let step = self.job.step(self.cx, resume);
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

    /// Gives the driver the chance to undo what it began, and returns how the
    /// call ends.
    async fn undo(&self, state: Option<&str>, end: Unfinished) -> Unfinished {
        let (CancelSupport::Step, Some(state)) = (self.job.facts().cancel, state) else {
            return end;
        };
        let limits = self.call.limits;
        let grace = if self.call.stop.is_cancelled() {
            limits.stop_grace.min(limits.cancel_grace)
        } else {
            limits.cancel_grace
        };
        // The call is cancelled, its undo is not: it gets a token of its own.
        let cancel = CancellationToken::new();
        let (progress, _watched) = ProgressSink::new(cancel.clone());
        let deadline = Instant::now() + grace;
        let cx = self.call.context(self.link, progress, cancel, deadline);
        let undone = timeout(grace, self.undo_steps(&cx, state)).await;
        let problem = match undone {
            Ok(Ok(())) => return end,
            Ok(Err(problem)) => problem.to_string(),
            Err(_) => format!("it took longer than {grace:?}"),
        };
        self.call.observer.notice(Notice::UndoFailed {
            call: self.call.id.clone(),
            problem: problem.clone(),
        });
        let add = |mut failure: DriverFailure| {
            failure.message = format!("{}; undoing it failed: {problem}", failure.message);
            failure
        };
        match end {
            Unfinished::Stated(failure) => Unfinished::Stated(add(failure)),
            Unfinished::Own(failure) => Unfinished::Own(add(failure)),
            Unfinished::Left => Unfinished::Left,
        }
    }
}

impl<J: Job> Steps<'_, J> {
    async fn undo_steps(&self, cx: &CallContext, state: &str) -> Result<(), DriverFailure> {
        let mut resume = None;
        loop {
            match self.job.cancelled(cx, state, resume.as_deref()).await? {
                Step::Done(_) => return Ok(()),
                Step::Wait(pause) => {
                    sleep(pause.wait).await;
                    resume = Some(pause.state);
                }
            }
        }
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
