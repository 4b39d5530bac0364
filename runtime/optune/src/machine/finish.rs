//! The end: by way of the best settings, or back to those found at the start.

use servo_protocol::{Failure, Reason, Status};

use super::event::Outcome;
use super::failure::{brief, failure};
use super::model::{Changes, Machine};
use super::state::{End, MAX_TRIES, Phase};
use super::study::TrialState;

/// Tries of a way back that fails for other reasons than a refusal: half an
/// hour and more, with the rests between them. A full disk, a servo that is
/// killed, a backend that is down pass; settings that nobody chose must not
/// stay because of them.
pub(super) const MAX_RETURNS: u32 = 30;

impl Machine {
    pub(super) fn end(&mut self, end: End) {
        self.state.core.phase = Phase::Ended { end };
        self.state.core.backoff = None;
    }

    /// The operator's stop, at a moment when nothing is in hand.
    pub(super) fn halt(&mut self, now: u64, changes: &mut Changes) {
        let Some(reason) = self.state.core.stop.clone() else {
            return;
        };
        if matches!(
            self.state.core.phase,
            Phase::Restoring { .. } | Phase::Ended { .. }
        ) {
            return;
        }
        let running = self
            .state
            .trials
            .last()
            .filter(|trial| trial.state == TrialState::Running);
        if let Some(number) = running.map(|trial| trial.number) {
            let failure = failure(Status::Cancelled, Reason::Cancelled, &reason);
            self.change_trial(number, changes, |trial| trial.fail(&failure, now));
        }
        self.finish(End::Stopped(reason));
    }

    /// Ends the study: by way of the best settings, where any were changed.
    pub(super) fn finish(&mut self, end: End) {
        self.state.core.backoff = None;
        self.state.core.paused = None;
        if !self.state.core.touched {
            return self.end(end);
        }
        let trial = self
            .best()
            .filter(|_| self.best_beats_baseline())
            .map_or(0, |best| best.number);
        let wanted = self.state.plan.verify > 0 && matches!(end, End::Done(_));
        if wanted && trial != 0 {
            self.state.core.phase = Phase::Verifying {
                trial,
                step: 0,
                end,
            };
            return;
        }
        self.state.core.phase = Phase::Restoring {
            trial,
            failed: 0,
            end,
        };
    }

    pub(super) fn restored(&mut self, outcome: Outcome, trial: u32, failed: u32, end: End) {
        match outcome {
            Outcome::Failed(failure) if failed + 1 < returns(&failure) => {
                self.again(
                    Phase::Restoring {
                        trial,
                        failed: failed + 1,
                        end,
                    },
                    failed,
                );
            }
            Outcome::Failed(failure) if trial != 0 => {
                let end = End::Failed(format!(
                    "the best settings could not be applied: {}",
                    brief(&failure)
                ));
                self.state.core.phase = Phase::Restoring {
                    trial: 0,
                    failed: 0,
                    end,
                };
            }
            Outcome::Failed(failure) => {
                let problem = brief(&failure);
                self.end(End::Failed(format!(
                    "the settings found at the start could not be restored, check the application: {problem}"
                )));
            }
            _ => {
                self.state.core.applied = self.settings_of(trial).cloned();
                self.end(end);
            }
        }
    }
}

/// How often the way back is tried that fails like this.
pub(super) fn returns(failure: &Failure) -> u32 {
    if failure.status == Status::Rejected {
        MAX_TRIES
    } else {
        MAX_RETURNS
    }
}
