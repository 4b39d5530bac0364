//! The trials: which comes next, and how each ends.

use servo_protocol::{Failure, Measurement, Reason, Status};

use super::event::{Notice, Outcome, Write};
use super::failure::{brief, failure};
use super::model::{Changes, Machine};
use super::state::{Command, End, MAX_TRIES, Phase};
use super::study::{Trial, TrialState};
use crate::space::Point;

impl Machine {
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

    pub(super) fn baseline_measured(
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

    pub(super) fn trial_failed(
        &mut self,
        number: u32,
        failure: &Failure,
        now: u64,
        changes: &mut Changes,
    ) {
        self.change_trial(number, changes, |trial| trial.fail(failure, now));
        if self.holds(self.state.core.last_good) {
            return self.recovered(now, changes);
        }
        self.state.core.phase = Phase::Recovering { failed: 0 };
    }

    /// Whether what is in force is known to be what a trial asked for: a driver
    /// may have gone back by itself.
    fn holds(&self, trial: u32) -> bool {
        let core = &self.state.core;
        let known = (&core.applied, self.settings_of(trial), &self.state.study);
        let (Some(applied), Some(wanted), Some(study)) = known else {
            return false;
        };
        wanted.0.iter().all(|(component, settings)| {
            settings.iter().all(|(setting, value)| {
                let now = applied.get(component, setting);
                now.is_some_and(|now| study.space.same_value(component, setting, value, now))
            })
        })
    }

    /// The last good settings are in force again.
    pub(super) fn recovered(&mut self, now: u64, changes: &mut Changes) {
        let study = self.state.study.as_ref();
        if study.is_some_and(|study| study.baseline.is_some()) {
            self.next_trial(now, changes);
        } else {
            self.state.core.phase = Phase::Baseline { failed: 0 };
        }
    }

    pub(super) fn trial_measured(
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
}
