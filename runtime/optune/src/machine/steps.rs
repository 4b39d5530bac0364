//! The steps: what follows from the end of a command.

use servo_protocol::{Failure, Operation, Reason, Status};

use super::event::{Outcome, Write};
use super::failure::brief;
use super::finish::returns;
use super::model::{Changes, Machine};
use super::state::{Command, End, Phase};
use super::study::cut;
use crate::space::Settings;

/// Times that a report of the kind "not the settings' fault" is forgiven.
const MAX_REPEATS: u32 = 2;

/// Seconds until the environment is asked for again.
const ELSEWHERE: u32 = 30;

impl Machine {
    /// Forgets the command in hand.
    pub(super) fn close(&mut self, status: &str, changes: &mut Changes) -> Option<Command> {
        let command = self.state.outstanding.take()?;
        self.progress = None;
        self.state.core.presumed_lost = None;
        self.state.core.last_closed = Some(command.operation);
        changes.core = true;
        changes.writes.push(Write::Closed {
            seq: command.seq,
            status: cut(status, 200),
        });
        Some(command)
    }

    /// The command in hand has ended: on to the next step.
    pub(super) fn conclude(&mut self, outcome: Outcome, now: u64, changes: &mut Changes) {
        let status = match &outcome {
            Outcome::Failed(failure) => failure.status.as_str().to_owned(),
            _ => "ok".to_owned(),
        };
        let Some(command) = self.close(&status, changes) else {
            return;
        };
        if let (Operation::Adjust, Outcome::Failed(failure)) = (command.operation, &outcome) {
            let state = failure.state.as_deref();
            self.state.core.applied = state.map(|state| Settings::from(&state.application));
        }
        if let Outcome::Failed(failure) = &outcome
            && self.forgive(failure)
        {
            return;
        }
        match self.state.core.phase.clone() {
            Phase::Waiting | Phase::Ended { .. } => {}
            phase
                if command.operation == Operation::Describe
                    && !matches!(phase, Phase::Describing { .. }) =>
            {
                self.checked(outcome, now, changes);
            }
            Phase::Describing { failed } => self.described(outcome, failed, changes),
            Phase::Baseline { failed } => {
                self.baseline_measured(outcome, failed, &command, now, changes)
            }
            Phase::Adjusting { trial } => match outcome {
                Outcome::Failed(failure) => self.trial_failed(trial, &failure, now, changes),
                _ => {
                    self.state.core.applied = self.settings_of(trial).cloned();
                    self.state.core.phase = Phase::Measuring { trial };
                }
            },
            Phase::Measuring { trial } => {
                self.trial_measured(trial, outcome, &command, now, changes)
            }
            Phase::Recovering { failed } => match outcome {
                Outcome::Failed(failure) if failed + 1 < returns(&failure) => {
                    self.again(Phase::Recovering { failed: failed + 1 }, failed)
                }
                Outcome::Failed(failure) => {
                    let end = End::Failed(format!(
                        "the last good settings could not be applied again: {}",
                        brief(&failure)
                    ));
                    self.state.core.phase = Phase::Restoring {
                        trial: 0,
                        failed: 0,
                        end,
                    };
                }
                _ => {
                    self.state.core.applied = self.settings_of(self.state.core.last_good).cloned();
                    self.recovered(now, changes);
                }
            },
            Phase::Verifying { trial, step, end } => {
                self.verified(outcome, trial, step, end, &command, changes);
            }
            Phase::Restoring { trial, failed, end } => self.restored(outcome, trial, failed, end),
        }
        if self.state.core.stop.is_some() {
            self.halt(now, changes);
        }
    }

    /// Some failures say nothing about the settings: the same step is done
    /// again, a few times.
    pub(super) fn forgive(&mut self, failure: &Failure) -> bool {
        // The plugin that checks the environment also switches it, which takes
        // its time (protocol section 9).
        let elsewhere = failure.status == Status::EnvironmentMismatch;
        let passing = elsewhere
            || failure.status == Status::TransientFailure
            || failure.reason == Some(Reason::Stopping);
        let core = &mut self.state.core;
        if !passing || core.repeats >= MAX_REPEATS || core.stop.is_some() {
            return false;
        }
        core.repeats += 1;
        core.backoff = elsewhere.then_some(ELSEWHERE);
        true
    }

    /// Another try after a rest that grows.
    pub(super) fn again(&mut self, phase: Phase, failed: u32) {
        self.state.core.phase = phase;
        self.state.core.backoff = Some(2_u32.saturating_pow(failed + 1).min(60));
    }
}
