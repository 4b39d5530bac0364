//! Another study of the same application.
//!
//! There are two ways to it. The operator begins one where one has ended: it
//! starts from nothing, with the options of the day, and finds the application
//! as the last study left it. Or the application offers other settings, or
//! other values, than the study was planned with: then a new version of the
//! study begins. It keeps the way back to the settings found at the very
//! start, and the old trials that are still points of the new space, as far as
//! they were scored by the same objective.
//!
//! What was before stays in the store under its own number.

use servo_protocol::StatusReply;

use super::description::Description;
use super::event::{Notice, Reply, Write};
use super::model::{Changes, Machine};
use super::state::{Core, End, Phase};
use super::study::{Origin, Study, Trial, TrialState};
use crate::options::StudyOptions;
use crate::space::{Settings, Space};

impl Machine {
    /// Whether another study may begin.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state.core.phase, Phase::Ended { .. })
    }

    /// Another study by the operator's wish.
    pub(super) fn renew(&mut self, plan: StudyOptions, changes: &mut Changes) -> Reply {
        if !self.has_ended() {
            return Reply::Status(StatusReply::invalid(
                "the present study has not ended; stop it first",
            ));
        }
        let phase = match &self.state.core.servo {
            Some(_) => Phase::Describing { failed: 0 },
            None => Phase::Waiting,
        };
        let closed = self.state.core.clone();
        self.next_number(closed, plan, changes);
        let core = &mut self.state.core;
        core.phase = phase;
        core.stop = None;
        core.touched = false;
        core.applied = None;
        self.state.study = None;
        self.state.trials.clear();
        self.engine = None;
        self.ok()
    }

    /// Gives the study its next number, and forgets what belonged to the last.
    fn next_number(&mut self, closed: Core, plan: StudyOptions, changes: &mut Changes) {
        let core = &mut self.state.core;
        core.study += 1;
        core.last_good = 0;
        core.repeats = 0;
        core.backoff = None;
        core.check = 0;
        core.paused = None;
        core.presumed_lost = None;
        changes.core = true;
        changes.writes.push(Write::Renewed {
            closed: Box::new(closed),
            number: core.study,
            plan: Box::new(plan.clone()),
        });
        changes.notices.push(Notice::Renewed(core.study));
        self.state.plan = plan;
    }

    /// A new version of the study, for an application that has changed.
    pub(super) fn reshape(&mut self, new: Description, now: u64, changes: &mut Changes) {
        let Some(old) = self.state.study.clone() else {
            return;
        };
        let found = match kept(&old.found, &new) {
            Ok(found) => found,
            Err(at) => {
                let reason =
                    format!("{at}: the present value is unknown, so it could not be restored");
                return self.finish(End::Failed(reason));
            }
        };
        let running = self.state.trials.last().map(|trial| trial.number);
        if let Some(number) = running {
            self.change_trial(number, changes, |trial| {
                if trial.state == TrialState::Running {
                    trial.lose("the application offers other settings now", now);
                }
            });
        }
        let number = self.state.core.study;
        let mut closed = self.state.core.clone();
        closed.phase = Phase::Ended {
            end: End::Stopped(format!(
                "the application offers other settings; study {} goes on",
                number + 1
            )),
        };
        let plan = self.state.plan.clone();
        let last_good = closed.last_good;
        self.next_number(closed, plan, changes);

        let same_objective = old.objective == new.objective;
        let trials: Vec<Trial> = if same_objective {
            let old = std::mem::take(&mut self.state.trials);
            imported(&old, number, &new.space)
        } else {
            Vec::new()
        };
        self.state.core.last_good = trials
            .iter()
            .find(|trial| trial.imported.is_some_and(|from| from.trial == last_good))
            .map_or(0, |trial| trial.number);
        // What was found may be outside of the new ranges; then it was never
        // measured as it is now.
        let same_baseline = same_objective && found == old.found;
        let (scores, baseline) = if same_baseline {
            (old.scores, old.baseline)
        } else {
            (Vec::new(), None)
        };
        if baseline.is_none() {
            self.state.core.last_good = 0;
        }
        for trial in &trials {
            changes.writes.push(Write::Trial(trial.clone()));
            changes.notices.push(Notice::Trial(trial.clone()));
        }
        self.state.trials = trials;
        self.state.study = Some(Study {
            space: new.space,
            found,
            metrics: new.metrics,
            perf: new.perf,
            objective: new.objective,
            scores,
            baseline,
            verified: None,
        });
        changes.study = true;
        self.engine = self.build_engine();
        if self.state.core.touched {
            self.state.core.phase = Phase::Recovering { failed: 0 };
        } else if baseline.is_none() {
            self.state.core.phase = Phase::Baseline { failed: 0 };
        } else {
            self.next_trial(now, changes);
        }
    }
}

/// What to return to: as found at the very start where the description still
/// allows it, else what is in force now. Fails with the name of a setting of
/// which neither is known.
fn kept(old: &Settings, new: &Description) -> Result<Settings, String> {
    let mut found = Settings::default();
    for (component, setting) in new.space.names() {
        let before = old
            .get(component, setting)
            .filter(|value| new.space.allows(component, setting, value));
        let value = before
            .or_else(|| new.present.get(component, setting))
            .ok_or_else(|| format!("{component}/{setting}"))?;
        found.set(component, setting, value.clone());
    }
    Ok(found)
}

/// The ended trials that are points of another space, numbered anew.
fn imported(trials: &[Trial], study: u32, space: &Space) -> Vec<Trial> {
    let names = space.names().count();
    let fitting = trials.iter().filter_map(|trial| {
        let ended = matches!(trial.state, TrialState::Scored | TrialState::Failed);
        let settings = &trial.settings;
        let same_names = settings.0.values().map(|each| each.len()).sum::<usize>() == names
            && space.names().all(|(component, setting)| {
                settings
                    .get(component, setting)
                    .is_some_and(|value| space.allows(component, setting, value))
            });
        let point = space.point_of(settings).filter(|_| ended && same_names)?;
        Some((trial, point))
    });
    fitting
        .zip(1..)
        .map(|((trial, point), number)| Trial {
            number,
            point,
            again_of: None,
            imported: Some(trial.imported.unwrap_or(Origin {
                study,
                trial: trial.number,
            })),
            ..trial.clone()
        })
        .collect()
}
