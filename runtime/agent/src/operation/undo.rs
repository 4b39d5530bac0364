//! Undoing what a cancelled call began.
//!
//! An undo is made of steps and waits like the call, and has a wall limit of
//! its own that begins with it: rolling back takes as long as rolling out. The
//! service goes on hearing of it, since a servo that says nothing for minutes
//! counts as lost. Each part of it is in the journal before it happens, so that
//! one that waits goes on after a crash; one that was cut short in a step is
//! not run again, like an adjustment.
//!
//! A journal that cannot be written stops no undo: what was begun would stay as
//! it is, and that is worse than an undo that a crash forgets.

use std::time::Duration;

use servo_protocol::{AppliedApplication, Failure};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::job::Job;
use super::steps::{Steps, Unfinished};
use super::{later, timed_out};
use crate::driver::{CallContext, CancelSupport, DriverFailure, Pause, Step};
use crate::journal::{UndoRecord, Undoing};
use crate::observer::Notice;
use crate::progress::ProgressReport;

/// A pause of an undo.
pub(super) struct UndoPause {
    pub(super) state: String,
    pub(super) wait: Duration,
    /// Whether the next servo would find it.
    pub(super) kept: bool,
}

/// Why an undo did not end well.
enum NotUndone {
    /// It failed.
    Failed(DriverFailure),
    /// It stands in a pause, and the next servo goes on with it.
    Left,
}

impl From<DriverFailure> for NotUndone {
    fn from(failure: DriverFailure) -> Self {
        Self::Failed(failure)
    }
}

impl<J: Job> Steps<'_, J> {
    /// Gives the driver the chance to undo what it began, and returns how the
    /// call ends.
    pub(super) async fn undo(&self, state: Option<&str>, end: Unfinished) -> Unfinished {
        let (CancelSupport::Step, Some(state)) = (self.job.facts().cancel, state) else {
            return end;
        };
        let (failure, stated) = match &end {
            Unfinished::Stated(failure) => (failure, true),
            Unfinished::Own(failure) => (failure, false),
            Unfinished::Left => return end,
        };
        let undoing = Undoing {
            state: state.to_owned(),
            failure: Failure::from(failure.clone()),
            stated,
        };
        self.tell(&UndoRecord::Begins(undoing)).await;
        self.undone(state, None, self.call.limits.undo_wall, end)
            .await
    }

    /// Goes on with an undo in its pause, after a restart; `undone` is how long
    /// it has been going on.
    pub(super) async fn go_on_undoing(
        &self,
        undoing: &Undoing,
        at: UndoPause,
        undone: Duration,
    ) -> Unfinished {
        let failure = DriverFailure::from(undoing.failure.clone());
        let end = match undoing.stated {
            true => Unfinished::Stated(failure),
            false => Unfinished::Own(failure),
        };
        let left = self.call.limits.undo_wall.saturating_sub(undone);
        self.undone(&undoing.state, Some(at), left, end).await
    }

    async fn undone(
        &self,
        state: &str,
        at: Option<UndoPause>,
        left: Duration,
        end: Unfinished,
    ) -> Unfinished {
        let limits = self.call.limits;
        // The call is cancelled, its undo is not: it gets a token of its own.
        let cancel = CancellationToken::new();
        let progress = self.cx.progress.under(cancel.clone());
        let deadline = later(Instant::now(), left);
        let cx = self.call.context(self.link, progress, cancel, deadline);
        self.undo_progress(&cx, None, Some("undoing what was begun".to_owned()));
        let stopped = async {
            self.call.stop.cancelled().await;
            sleep(limits.stop_grace).await;
        };
        let undone = tokio::select! {
            biased;
            undone = self.undo_steps(&cx, state, at) => undone,
            () = sleep_until(deadline) => Err(timed_out(format!(
                "it took longer than {:?}; raise `grants.limits.undo_wall`",
                limits.undo_wall
            )).into()),
            () = stopped => Err(timed_out(format!(
                "the servo stops, and it took longer than {:?}",
                limits.stop_grace
            )).into()),
        };
        match undone {
            Ok(settings) => told(end, |failure| failure.with_in_force(settings)),
            Err(NotUndone::Left) => Unfinished::Left,
            Err(NotUndone::Failed(problem)) => self.undo_failed(problem, end),
        }
    }

    fn undo_failed(&self, problem: DriverFailure, end: Unfinished) -> Unfinished {
        let in_force = problem.in_force.clone();
        let in_force = in_force.filter(|settings| self.can_be_in_force(settings));
        let problem = problem.to_string();
        self.call.observer.notice(Notice::UndoFailed {
            call: self.call.id.clone(),
            problem: problem.clone(),
        });
        told(end, |failure| DriverFailure {
            message: format!("{}; undoing it failed: {problem}", failure.message),
            in_force,
            ..failure
        })
    }

    async fn undo_steps(
        &self,
        cx: &CallContext,
        state: &str,
        mut at: Option<UndoPause>,
    ) -> Result<AppliedApplication, NotUndone> {
        let mut steps: u32 = 0;
        loop {
            let resume = match at.take() {
                None => None,
                Some(pause) => {
                    self.undo_wait(&pause).await?;
                    self.tell(&UndoRecord::GoesOn).await;
                    Some(pause.state)
                }
            };
            steps += 1;
            if steps > self.call.limits.steps {
                return Err(timed_out(format!(
                    "it is not done after {} steps; raise `grants.limits.steps`",
                    self.call.limits.steps
                ))
                .into());
            }
            let pause = match self.job.cancelled(cx, state, resume.as_deref()).await? {
                Step::Done(settings) if self.can_be_in_force(&settings) => return Ok(settings),
                Step::Done(_) => return Ok(AppliedApplication::default()),
                Step::Wait(pause) => pause,
            };
            at = Some(self.undo_paused(cx, pause).await?);
        }
    }

    async fn undo_paused(&self, cx: &CallContext, pause: Pause) -> Result<UndoPause, NotUndone> {
        let left = cx.deadline.saturating_duration_since(Instant::now());
        if pause.wait >= left {
            return Err(timed_out(format!(
                "it wants to wait {:?}, but only {left:?} of its {:?} are left; raise \
                 `grants.limits.undo_wall`",
                pause.wait, self.call.limits.undo_wall
            ))
            .into());
        }
        let kept = self.tell(&UndoRecord::Waits(pause.clone())).await;
        self.call.observer.notice(Notice::Paused {
            call: self.call.id.clone(),
            wait: pause.wait,
            message: pause.message.clone(),
        });
        self.undo_progress(cx, pause.progress, pause.message);
        Ok(UndoPause {
            state: pause.state,
            wait: pause.wait,
            kept,
        })
    }

    /// Waits between two steps of an undo.
    async fn undo_wait(&self, pause: &UndoPause) -> Result<(), NotUndone> {
        let left_alone = async {
            match self.link.leave {
                Some(leave) if pause.kept => leave.cancelled().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = left_alone => Err(NotUndone::Left),
            () = sleep(pause.wait) => Ok(()),
        }
    }

    /// Tells how far an undo is, in percent of the whole call.
    fn undo_progress(&self, cx: &CallContext, percent: Option<f64>, message: Option<String>) {
        cx.progress.report(ProgressReport {
            // Nothing lowers what was said before.
            percent: percent.or(Some(0.0)),
            message,
            ..ProgressReport::default()
        });
    }

    /// Whether the journal has it.
    async fn tell(&self, record: &UndoRecord) -> bool {
        let Err(error) = self.call.journal.undo(&self.call.id, record).await else {
            return true;
        };
        self.call.observer.notice(Notice::Unrecorded {
            problem: error.to_string(),
        });
        false
    }
}

/// How a call ends, its failure changed.
fn told(end: Unfinished, change: impl FnOnce(DriverFailure) -> DriverFailure) -> Unfinished {
    match end {
        Unfinished::Stated(failure) => Unfinished::Stated(change(failure)),
        Unfinished::Own(failure) => Unfinished::Own(change(failure)),
        Unfinished::Left => Unfinished::Left,
    }
}
