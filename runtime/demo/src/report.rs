//! What the main job says: while it runs, in the end to people, and in the end
//! to programs. Pure: data in, text out.
//!
//! Names and rules in a report may come from a driver, and a driver is not
//! trusted, not even with the terminal. Every text is therefore shown in
//! printable ASCII, anything else escaped, and shortened; this also makes the
//! columns come out even without a table of character widths. The `--json`
//! object and [`JobReport`] itself keep the texts as they are, since JSON has
//! its own escapes.

mod text;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use text::Style;

/// Settings with their values, as a flat object (`{"workers": 4}`) or one
/// object for each component (`{"web": {"workers": 4}}`). Order is kept.
pub type SettingsMap = Map<String, Value>;

/// One point that was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number from 1; 0 is the baseline.
    pub number: u32,
    /// What the application was set to.
    pub settings: SettingsMap,
    /// How it did.
    pub outcome: Outcome,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The measured performance, in the unit of the report. More is better.
    Performance(f64),
    /// There is no performance, and why.
    Failed(String),
}

impl Outcome {
    /// The performance, where there is one.
    #[must_use]
    pub fn performance(&self) -> Option<f64> {
        match self {
            Self::Performance(value) => Some(*value),
            Self::Failed(_) => None,
        }
    }
}

/// How often a driver used one rule of its grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleUse {
    /// The rule as the operator wrote it.
    pub rule: String,
    /// Requests that it allowed.
    pub requests: u64,
    /// Bytes of bodies sent.
    pub sent: u64,
    /// Bytes of bodies received.
    pub received: u64,
}

/// Something a driver tried and was not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What it tried.
    pub what: String,
    /// How often.
    pub count: u64,
}

/// What one driver reached outside its sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// The driver, for example `measure ab 1.0.0`.
    pub driver: String,
    /// Every rule it was granted, used or not.
    pub rules: Vec<RuleUse>,
    /// What it tried in vain; empty for a driver that keeps to its grant.
    pub refused: Vec<Refusal>,
}

/// The result of the main job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobReport {
    /// Unit of every performance, for example `requests/s`.
    pub unit: String,
    /// The baseline, then every trial, in order.
    pub trials: Vec<Trial>,
    /// Performance of the settings it began with; absent when that failed.
    pub baseline: Option<f64>,
    /// Best performance; absent when every trial failed.
    pub best: Option<f64>,
    /// By which share of the baseline the best is better: 0.0 is no
    /// improvement, 1.0 is twice the performance. Absent without both, and when
    /// the baseline is zero.
    pub improvement: Option<f64>,
    /// The settings that did best: what the application is left with.
    pub settings: SettingsMap,
    /// What each driver reached, in the order measure, adjust.
    pub touched: Vec<Touched>,
}

/// The object that `--json` prints at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many trials were made after the baseline, the failed ones included.
    pub trials: usize,
    /// As [`JobReport::baseline`].
    pub baseline: Option<f64>,
    /// As [`JobReport::best`].
    pub best: Option<f64>,
    /// As [`JobReport::improvement`].
    pub improvement: Option<f64>,
    /// As [`JobReport::settings`].
    pub settings: SettingsMap,
}

impl JobReport {
    /// The report on `trials`, of which number 0 is the baseline. On a tie
    /// the earlier trial is the best, so that nothing changes for nothing.
    #[must_use]
    pub fn new(unit: impl Into<String>, trials: Vec<Trial>, touched: Vec<Touched>) -> Self {
        let first = trials.first().filter(|trial| trial.number == 0);
        let baseline = first.and_then(|trial| trial.outcome.performance());
        let winner = trials
            .iter()
            .filter_map(|trial| Some((trial, trial.outcome.performance()?)))
            .filter(|(_, performance)| performance.is_finite())
            .reduce(|best, next| if next.1 > best.1 { next } else { best });
        let best = winner.map(|(_, performance)| performance);
        Self {
            unit: unit.into(),
            baseline,
            best,
            improvement: best.zip(baseline).and_then(gain),
            settings: winner
                .map(|(trial, _)| trial)
                .or(first)
                .map(|trial| trial.settings.clone())
                .unwrap_or_default(),
            trials,
            touched,
        }
    }

    /// How many trials were made after the baseline.
    fn made(&self) -> usize {
        self.trials.iter().filter(|trial| trial.number > 0).count()
    }

    /// The object for `--json`.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            trials: self.made(),
            baseline: self.baseline,
            best: self.best,
            improvement: self.improvement,
            settings: self.settings.clone(),
        }
    }
}

/// By which share of `old` the new figure is larger.
fn gain((new, old): (f64, f64)) -> Option<f64> {
    Some(new / old - 1.0).filter(|gain| gain.is_finite() && old > 0.0)
}

#[cfg(test)]
mod tests;
