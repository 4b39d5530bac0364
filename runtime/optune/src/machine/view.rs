//! What subscribers see of a machine.

use serde::{Deserialize, Serialize};

use super::model::Machine;
use super::state::{End, Pause, Phase};
use super::study::{Trial, TrialState, Verification};
use crate::space::Settings;

/// A score and the settings that brought it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The trial; 0 is the baseline.
    pub trial: u32,
    /// Value of the objective.
    pub score: f64,
    /// The settings.
    pub settings: Settings,
}

/// Which settings are in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InForce {
    /// Not known: nothing was described, or an adjustment did not end well.
    #[default]
    Unknown,
    /// Those found at the start.
    Found,
    /// Those of a trial.
    Trial(u32),
}

/// How many trials there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialCounts {
    /// Planned.
    pub planned: u32,
    /// Ended with a score.
    pub scored: u32,
    /// Ended without.
    pub failed: u32,
    /// Being made.
    pub running: u32,
    /// Lost with the servo. Each is made once more, so they are not among the
    /// planned ones.
    #[serde(default)]
    pub lost: u32,
}

/// A study in a few lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudySummary {
    /// `account/application`.
    pub app: String,
    /// Number of the study, from 1.
    #[serde(default)]
    pub study: u32,
    /// `waiting`, `describing`, `baseline`, `exploring`, `verifying`,
    /// `restoring`, `paused`, `done`, `stopped` or `failed`.
    pub state: String,
    /// Why it ended or rests.
    pub reason: Option<String>,
    /// Why it rests, and what was changed behind its back.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// What is optimized.
    pub objective: Option<String>,
    /// Whether a higher score is better.
    pub maximize: bool,
    /// The seed of every random choice.
    pub seed: u64,
    /// Number of trials.
    pub trials: TrialCounts,
    /// The settings found at the start and their score.
    pub baseline: Option<Scored>,
    /// The best that was measured: the best trial, or the baseline (trial 0)
    /// while no trial is better.
    pub best: Option<Scored>,
    /// What the best settings and those found brought when they were measured
    /// again at the end.
    #[serde(default)]
    pub verified: Option<Verification>,
    /// By which share of the baseline the best is better. None while there is
    /// no baseline or it is 0.
    pub improvement: Option<f64>,
    /// The settings known to be in force.
    pub settings: Option<Settings>,
    /// Which those are.
    #[serde(default)]
    pub in_force: InForce,
}

impl StudySummary {
    /// Whether the study has ended, in whatever way.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self.state.as_str(), "done" | "stopped" | "failed")
    }
}

impl Machine {
    /// Whether one score is better than another.
    pub(super) fn better(&self, a: f64, b: f64) -> bool {
        if self.state.plan.maximize {
            a > b
        } else {
            a < b
        }
    }

    /// The best scored trial; of equals the first.
    pub(super) fn best(&self) -> Option<&Trial> {
        let mut best: Option<(&Trial, f64)> = None;
        for trial in &self.state.trials {
            if let Some(score) = trial.score
                && best.is_none_or(|(_, known)| self.better(score, known))
            {
                best = Some((trial, score));
            }
        }
        best.map(|(trial, _)| trial)
    }

    pub(super) fn best_beats_baseline(&self) -> bool {
        let best = self.best().and_then(|trial| trial.score);
        let baseline = self.state.study.as_ref().and_then(|study| study.baseline);
        matches!((best, baseline), (Some(best), Some(baseline)) if self.better(best, baseline))
    }

    /// Which settings those in force are.
    fn which(&self, settings: Option<&Settings>) -> InForce {
        let Some(settings) = settings else {
            return InForce::Unknown;
        };
        let found = self.state.study.as_ref().map(|study| &study.found);
        // The best first: several trials may have had the same settings.
        let best = self.best().into_iter();
        best.chain(self.state.trials.iter().rev())
            .find(|trial| trial.settings == *settings && found != Some(settings))
            .map_or(InForce::Found, |trial| InForce::Trial(trial.number))
    }

    /// The trials as subscribers should see them.
    pub(crate) fn trials(&self) -> Vec<Trial> {
        self.state
            .trials
            .iter()
            .map(|trial| self.shown(trial))
            .collect()
    }

    /// One word for the phase.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.state.core.paused.is_some() {
            return "paused";
        }
        match &self.state.core.phase {
            Phase::Waiting => "waiting",
            Phase::Describing { .. } => "describing",
            Phase::Baseline { .. } => "baseline",
            Phase::Adjusting { .. } | Phase::Measuring { .. } | Phase::Recovering { .. } => {
                "exploring"
            }
            Phase::Verifying { .. } => "verifying",
            Phase::Restoring { .. } => "restoring",
            Phase::Ended { end: End::Done(_) } => "done",
            Phase::Ended {
                end: End::Stopped(_),
            } => "stopped",
            Phase::Ended {
                end: End::Failed(_),
            } => "failed",
        }
    }

    /// The study in a few lines.
    #[must_use]
    pub fn summary(&self, app: &str) -> StudySummary {
        let state = &self.state;
        let count = |wanted| {
            u32::try_from(
                state
                    .trials
                    .iter()
                    .filter(|trial| self.shown(trial).state == wanted)
                    .count(),
            )
            .unwrap_or(u32::MAX)
        };
        let baseline = state.study.as_ref().and_then(|study| {
            Some(Scored {
                trial: 0,
                score: study.baseline?,
                settings: study.found.clone(),
            })
        });
        let best = self
            .best()
            .filter(|_| baseline.is_none() || self.best_beats_baseline())
            .and_then(|trial| {
                Some(Scored {
                    trial: trial.number,
                    score: trial.score?,
                    settings: trial.settings.clone(),
                })
            })
            .or_else(|| baseline.clone());
        let improvement = baseline
            .as_ref()
            .zip(best.as_ref())
            .and_then(|(baseline, best)| {
                let gain = if state.plan.maximize {
                    best.score - baseline.score
                } else {
                    baseline.score - best.score
                };
                Some(gain / baseline.score.abs()).filter(|share| share.is_finite())
            });
        let settings = state
            .study
            .as_ref()
            .and_then(|study| self.in_force(study))
            .cloned();
        StudySummary {
            app: app.to_owned(),
            study: state.core.study,
            state: self.word().to_owned(),
            reason: match (&state.core.phase, &state.core.paused) {
                (_, Some(pause)) => Some(pause.reason.clone()),
                (
                    Phase::Ended { end }
                    | Phase::Restoring { end, .. }
                    | Phase::Verifying { end, .. },
                    None,
                ) => Some(end.reason().to_owned()),
                _ => None,
            },
            paused: state.core.paused.clone(),
            objective: state.study.as_ref().map(|study| study.objective.clone()),
            maximize: state.plan.maximize,
            seed: state.plan.seed,
            trials: TrialCounts {
                planned: state.plan.trials,
                scored: count(TrialState::Scored),
                failed: count(TrialState::Failed),
                running: count(TrialState::Running),
                lost: count(TrialState::Lost),
            },
            baseline,
            best,
            verified: state
                .study
                .as_ref()
                .and_then(|study| study.verified.clone()),
            improvement,
            in_force: self.which(settings.as_ref()),
            settings,
        }
    }
}
