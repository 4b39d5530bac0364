//! The steps: what follows from the end of a command.

use serde_json::{Value, json};
use servo_protocol::{Failure, Measurement, Operation, Reason, Status};

use super::study::{Study, Trial, TrialState, cut, perf};
use super::turn::{Changes, MAX_TEXT};
use super::{
    Command, End, MAX_REPEATS, MAX_RETURNS, MAX_TRIES, Machine, Notice, Outcome, Phase, Write,
};
use crate::objective::{Objective, ObjectiveError};
use crate::options::StudyOptions;
use crate::space::{Point, Settings, Space};

/// Seconds until the environment is asked for again.
const ELSEWHERE: u32 = 30;

/// What a descriptor says, as far as a study needs it.
pub(super) struct Description {
    pub(super) space: Space,
    /// The present values, where they are told.
    pub(super) present: Settings,
    pub(super) metrics: Vec<String>,
    pub(super) perf: Option<String>,
    /// The objective that it leads to.
    pub(super) objective: String,
}

impl Description {
    /// Reads a descriptor. An error is one line for people.
    pub(super) fn read(descriptor: &Value, plan: &StudyOptions) -> Result<Self, String> {
        let application = descriptor
            .get("application")
            .cloned()
            .unwrap_or_else(|| json!({}));
        let (space, present) = Space::read(&application).map_err(|error| {
            format!("the description of the application cannot be used: {error}")
        })?;
        let metrics: Vec<String> = descriptor
            .pointer("/measurement/metrics")
            .and_then(Value::as_object)
            .map(|metrics| metrics.keys().cloned().collect())
            .unwrap_or_default();
        let perf = perf(descriptor);
        let names: Vec<&str> = metrics.iter().map(String::as_str).collect();
        let objective = Objective::choose(&plan.objective, perf.as_deref(), &names)
            .map_err(|error: ObjectiveError| error.to_string())?;
        let objective = objective.text().to_owned();
        Ok(Self {
            space,
            present,
            metrics,
            perf,
            objective,
        })
    }
}

impl Machine {
    /// Forgets the command in hand.
    pub(super) fn close(&mut self, status: &str, changes: &mut Changes) -> Option<Command> {
        let command = self.state.outstanding.take()?;
        self.progress = None;
        self.state.core.adrift = None;
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
                    let measured = self
                        .state
                        .study
                        .as_ref()
                        .is_some_and(|study| study.baseline.is_some());
                    if measured {
                        self.next_trial(now, changes);
                    } else {
                        self.state.core.phase = Phase::Baseline { failed: 0 };
                    }
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
    fn forgive(&mut self, failure: &Failure) -> bool {
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
        core.nap = elsewhere.then_some(ELSEWHERE);
        true
    }

    /// Another try after a rest that grows.
    fn again(&mut self, phase: Phase, failed: u32) {
        self.state.core.phase = phase;
        self.state.core.nap = Some(2_u32.saturating_pow(failed + 1).min(60));
    }

    fn end(&mut self, end: End) {
        self.state.core.phase = Phase::Ended { end };
        self.state.core.nap = None;
    }

    fn described(&mut self, outcome: Outcome, failed: u32, changes: &mut Changes) {
        let problem = match outcome {
            Outcome::Described(descriptor) => match self.begin(&descriptor) {
                Ok(()) => {
                    changes.study = true;
                    self.state.core.phase = Phase::Baseline { failed: 0 };
                    return;
                }
                // Asking again would bring the same description.
                Err(problem) => return self.end(End::Failed(problem)),
            },
            Outcome::Failed(failure) => brief(&failure),
            _ => "the report holds no description".to_owned(),
        };
        if failed + 1 < MAX_TRIES {
            return self.again(Phase::Describing { failed: failed + 1 }, failed);
        }
        self.end(End::Failed(format!(
            "the application could not be described: {problem}"
        )));
    }

    /// Makes a study from a description.
    fn begin(&mut self, descriptor: &Value) -> Result<(), String> {
        let description = Description::read(descriptor, &self.state.plan)?;
        description
            .space
            .all_known(&description.present)
            .map_err(|error| {
                format!("the description of the application cannot be used: {error}")
            })?;
        self.state.study = Some(Study {
            space: description.space,
            found: description.present,
            metrics: description.metrics,
            perf: description.perf,
            objective: description.objective,
            scores: Vec::new(),
            baseline: None,
            verified: None,
        });
        self.engine = self.build_engine();
        Ok(())
    }

    /// The score of a measurement, recorded with it.
    pub(super) fn score(
        &self,
        trial: u32,
        outcome: Outcome,
        command: &Command,
        changes: &mut Changes,
    ) -> Result<f64, Failure> {
        let measurement: Measurement = match outcome {
            Outcome::Measured(measurement) => measurement,
            Outcome::Failed(failure) => return Err(failure),
            _ => {
                return Err(failure(
                    Status::Failed,
                    Reason::InvalidMeasurement,
                    "the report holds no measurement",
                ));
            }
        };
        let score = match &self.engine {
            Some(engine) => engine
                .objective
                .score(&measurement)
                .map_err(|error| error.to_string()),
            None => Err("there is no objective".to_owned()),
        };
        changes.writes.push(Write::Measurement {
            seq: command.seq,
            trial,
            score: score.as_ref().ok().copied(),
            measurement,
        });
        score.map_err(|problem| failure(Status::Failed, Reason::InvalidMeasurement, &problem))
    }

    fn baseline_measured(
        &mut self,
        outcome: Outcome,
        failed: u32,
        command: &Command,
        now: u64,
        changes: &mut Changes,
    ) {
        let score = match self.score(0, outcome, command, changes) {
            Ok(score) => score,
            Err(_) if failed + 1 < MAX_TRIES => {
                return self.again(Phase::Baseline { failed: failed + 1 }, failed);
            }
            Err(failure) => {
                let problem = brief(&failure);
                return self.end(End::Failed(format!(
                    "the settings found at the start could not be measured: {problem}"
                )));
            }
        };
        let repeats = self.state.plan.baseline_repeats.max(1) as usize;
        let Some(study) = &mut self.state.study else {
            return;
        };
        study.scores.push(score);
        changes.study = true;
        if study.scores.len() < repeats {
            self.state.core.phase = Phase::Baseline { failed: 0 };
            return;
        }
        study.baseline = Some(study.scores.iter().sum::<f64>() / study.scores.len() as f64);
        let observation = study.observation(self.state.plan.maximize);
        self.tell(observation);
        self.next_trial(now, changes);
    }

    /// Begins the next trial, or the end.
    pub(super) fn next_trial(&mut self, now: u64, changes: &mut Changes) {
        if self.state.core.stop.is_some() {
            return self.halt(now, changes);
        }
        let failed_in_a_row = self
            .state
            .trials
            .iter()
            .rev()
            .filter(|trial| !trial.is_made_again())
            .take_while(|trial| trial.state != TrialState::Scored)
            .count();
        if failed_in_a_row >= self.state.plan.max_failed_in_a_row.max(1) as usize {
            return self.finish(End::Failed(format!(
                "{failed_in_a_row} trials in a row failed"
            )));
        }
        if let Some(lost) = self.to_be_made_again() {
            return self.begin_trial(lost.point.clone(), Some(lost.number), now, changes);
        }
        let made = self
            .state
            .trials
            .iter()
            .filter(|trial| !trial.is_made_again())
            .count();
        if made >= self.state.plan.trials as usize {
            return self.finish(End::Done(format!(
                "all {} trials were made",
                self.state.plan.trials
            )));
        }
        match self.engine.as_mut().and_then(|engine| engine.sampler.ask()) {
            Some(point) => self.begin_trial(point, None, now, changes),
            None => self.finish(End::Done(
                "every combination of settings was tried".to_owned(),
            )),
        }
    }

    /// A lost trial that was not made once more so far.
    fn to_be_made_again(&self) -> Option<&Trial> {
        self.state.trials.iter().find(|lost| {
            let again = |each: &Trial| each.again_of == Some(lost.number);
            lost.is_made_again() && !self.state.trials.iter().any(again)
        })
    }

    fn begin_trial(
        &mut self,
        point: Point,
        again_of: Option<u32>,
        now: u64,
        changes: &mut Changes,
    ) {
        let Some(study) = &self.state.study else {
            return;
        };
        let number = u32::try_from(self.state.trials.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let mut trial = Trial::new(number, point.clone(), study.space.settings(&point), now);
        trial.again_of = again_of;
        changes.writes.push(Write::Trial(trial.clone()));
        changes.notices.push(Notice::Trial(trial.clone()));
        self.state.trials.push(trial);
        self.state.core.phase = Phase::Adjusting { trial: number };
    }

    pub(super) fn change_trial(
        &mut self,
        number: u32,
        changes: &mut Changes,
        change: impl FnOnce(&mut Trial),
    ) {
        let Some(trial) = self
            .state
            .trials
            .iter_mut()
            .find(|each| each.number == number)
        else {
            return;
        };
        change(trial);
        changes.writes.push(Write::Trial(trial.clone()));
        changes.notices.push(Notice::Trial(trial.clone()));
        let observation = trial.observation(self.state.plan.maximize);
        self.tell(observation);
    }

    fn trial_failed(&mut self, number: u32, failure: &Failure, now: u64, changes: &mut Changes) {
        self.change_trial(number, changes, |trial| trial.fail(failure, now));
        self.state.core.phase = Phase::Recovering { failed: 0 };
    }

    fn trial_measured(
        &mut self,
        number: u32,
        outcome: Outcome,
        command: &Command,
        now: u64,
        changes: &mut Changes,
    ) {
        match self.score(number, outcome, command, changes) {
            Err(failure) => self.trial_failed(number, &failure, now, changes),
            Ok(score) => {
                self.change_trial(number, changes, |trial| {
                    trial.state = TrialState::Scored;
                    trial.score = Some(score);
                    trial.ended = Some(now);
                });
                self.state.core.last_good = number;
                self.next_trial(now, changes);
            }
        }
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
        self.state.core.nap = None;
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

    fn restored(&mut self, outcome: Outcome, trial: u32, failed: u32, end: End) {
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

pub(super) fn failure(status: Status, reason: Reason, message: &str) -> Failure {
    Failure {
        status,
        reason: Some(reason),
        message: Some(message.to_owned()),
        state: None,
    }
}

/// How often the way back is tried that fails like this.
fn returns(failure: &Failure) -> u32 {
    if failure.status == Status::Rejected {
        MAX_TRIES
    } else {
        MAX_RETURNS
    }
}

/// A failure in one line.
pub(super) fn brief(failure: &Failure) -> String {
    let mut text = failure.status.to_string();
    if let Some(reason) = &failure.reason {
        text.push_str(&format!(" ({reason})"));
    }
    if let Some(message) = failure
        .message
        .as_deref()
        .filter(|message| !message.is_empty())
    {
        text.push_str(&format!(": {message}"));
    }
    cut(&text, MAX_TEXT)
}
