//! A servo that is no longer there.
//!
//! The protocol has no heartbeat: a servo is silent while it sleeps and while
//! a driver without progress works. So how long silence may last depends on
//! what the servo was told: three times its last sleep, one and a half times
//! what the control of the command adds up to, and never less than three
//! minutes, which is six times the interval at which drivers on the original's
//! base class report.
//!
//! Being lost is a guess. A trial whose servo is lost is shown as such at once,
//! but it is decided only when the servo asks for something else: until then a
//! late report is as good as any, and the measurement is not wasted.

use servo_protocol::Operation;

use super::event::{Notice, Reply};
use super::model::{Changes, Machine};
use super::state::Phase;
use super::study::{Trial, TrialState};
use crate::options::StudyOptions;

/// Silence beyond what a command adds up to, as a factor of it.
const SLACK: f64 = 1.5;
/// Sleeps that a servo may miss.
const SLEEPS: f64 = 3.0;

impl Machine {
    /// The servo has spoken.
    pub(super) fn hear(&mut self, now: u64, changes: &mut Changes) {
        self.heard = Some(now);
        if let Some(servo) = self.state.core.servo.as_mut().filter(|servo| servo.lost) {
            servo.lost = false;
            servo.connected = true;
            changes.notices.push(Notice::Servo(servo.clone()));
            changes.core = true;
        }
    }

    /// When the servo will count as lost, in milliseconds since the Unix epoch.
    fn deadline(&self) -> Option<u64> {
        let core = &self.state.core;
        let servo = core.servo.as_ref()?;
        let at_work = self.exposed().is_some() && core.presumed_lost.is_none();
        if servo.lost || !(servo.connected || at_work) {
            return None;
        }
        let patience = std::time::Duration::from_secs_f64(self.patience());
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        Some(self.heard?.saturating_add(patience))
    }

    /// Seconds that the servo may be silent.
    fn patience(&self) -> f64 {
        let plan = &self.state.plan;
        let told = match &self.state.outstanding {
            Some(command) => SLACK * adds_up_to(plan, command.operation),
            None => SLEEPS * f64::from(self.rest),
        };
        // A month: durations come from options and must not overflow.
        told.max(f64::from(plan.lost_after)).min(30.0 * 86_400.0)
    }

    /// Whether a tick would change something.
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        let unheard = self.state.core.servo.is_some() && self.heard.is_none();
        // The clock was put back.
        let future = self.heard.is_some_and(|heard| heard > now);
        unheard || future || self.deadline().is_some_and(|deadline| deadline <= now)
    }

    pub(super) fn tick(&mut self, now: u64, changes: &mut Changes) -> Reply {
        if self.heard.is_none_or(|heard| heard > now) {
            self.heard = Some(now);
        }
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return self.ok();
        }
        let silent = now.saturating_sub(self.heard.unwrap_or(now)) / 1000;
        if let Some(servo) = &mut self.state.core.servo {
            servo.lost = true;
            servo.connected = false;
            changes.notices.push(Notice::Servo(servo.clone()));
            changes.core = true;
        }
        let why = format!("nothing was heard of the servo for {silent} s");
        self.presume_lost(why, now, changes);
        self.ok()
    }

    /// The trial whose settings may be in force, unmeasured.
    fn exposed(&self) -> Option<u32> {
        let in_hand = self.state.outstanding.as_ref().map(|each| each.operation);
        match self.state.core.phase {
            Phase::Measuring { trial } => Some(trial),
            Phase::Adjusting { trial } if in_hand == Some(Operation::Adjust) => Some(trial),
            _ => None,
        }
    }

    /// Nobody may be at work on the trial any more.
    pub(super) fn presume_lost(&mut self, why: String, now: u64, changes: &mut Changes) {
        let Some(trial) = self.exposed() else {
            return;
        };
        let at_work = self
            .state
            .outstanding
            .as_ref()
            .is_some_and(|command| command.operation != Operation::Describe);
        if at_work {
            self.state.core.presumed_lost = Some(why);
            changes.core = true;
            self.show(trial, changes);
        } else {
            self.close("lost", changes);
            self.lose(trial, &why, now, changes);
        }
    }

    /// The servo asks for something to do: it is not at work on anything.
    pub(super) fn confirm_lost(&mut self, now: u64, changes: &mut Changes) {
        let Some(why) = self.state.core.presumed_lost.take() else {
            return;
        };
        let trial = self.exposed();
        self.close("lost", changes);
        if let Some(trial) = trial {
            self.lose(trial, &why, now, changes);
        }
    }

    /// A report shows that it is at work after all.
    pub(super) fn presume_alive(&mut self, changes: &mut Changes) {
        if self.state.core.presumed_lost.take().is_some() {
            changes.core = true;
            if let Some(trial) = self.exposed() {
                self.show(trial, changes);
            }
        }
    }

    fn lose(&mut self, trial: u32, why: &str, now: u64, changes: &mut Changes) {
        self.change_trial(trial, changes, |trial| trial.lose(why, now));
        self.state.core.phase = Phase::Recovering { failed: 0 };
    }

    /// A trial as subscribers should see it: one that is presumed lost is lost, though
    /// it is not decided yet.
    pub(super) fn shown(&self, trial: &Trial) -> Trial {
        let mut shown = trial.clone();
        if let Some(why) = &self.state.core.presumed_lost
            && trial.state == TrialState::Running
        {
            shown.lose(why, self.heard.unwrap_or(trial.started));
        }
        shown
    }

    fn show(&self, number: u32, changes: &mut Changes) {
        let found = self.state.trials.iter().find(|each| each.number == number);
        if let Some(trial) = found {
            changes.notices.push(Notice::Trial(self.shown(trial)));
        }
    }
}

/// Seconds that the control of a command adds up to.
fn adds_up_to(plan: &StudyOptions, operation: Operation) -> f64 {
    let control = match operation {
        Operation::Describe => return 0.0,
        Operation::Measure => &plan.control,
        Operation::Adjust => &plan.adjust_control,
    };
    let waits = [
        control.warmup,
        control.duration,
        // The older name of the same wait.
        control.delay.or(control.past),
        control.settlement,
    ];
    waits
        .into_iter()
        .flatten()
        .map(|seconds| seconds.get().as_secs_f64())
        .sum()
}
