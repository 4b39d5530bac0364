//! The recorded facts of a study: the description, the baseline, the trials.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use servo_protocol::Failure;

use crate::sampler::Observation;
use crate::space::{Point, Settings, Space};

/// Longest text of a failure that is kept, in bytes. The original can send
/// messages of megabytes; the head says what failed and the tail, where
/// tracebacks end, why.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024;
/// Longest status or reason that is kept, in bytes.
const MAX_WORD: usize = 200;

/// What was found at the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// What may be changed.
    pub space: Space,
    /// The settings found, which an unlucky study returns to.
    pub found: Settings,
    /// Names of the metrics, in the order described.
    pub metrics: Vec<String>,
    /// `optimization.perf` of the description.
    pub perf: Option<String>,
    /// The objective in use, for people.
    pub objective: String,
    /// Scores of the baseline measurements so far.
    pub scores: Vec<f64>,
    /// Their mean, once all are made.
    pub baseline: Option<f64>,
    /// What the best settings and those found brought when they were measured
    /// again.
    #[serde(default)]
    pub verified: Option<Verification>,
}

/// Measurements of the best settings and of those found, in turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The best trial.
    pub trial: u32,
    /// Scores of its settings.
    pub best: Vec<f64>,
    /// Scores of the settings found at the start.
    pub found: Vec<f64>,
}

impl Verification {
    /// Steps of one round.
    pub(super) const ROUND: u32 = 4;

    pub(super) fn new(trial: u32) -> Self {
        Self {
            trial,
            best: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Whether a step applies settings; else it measures them.
    pub(super) fn applies(step: u32) -> bool {
        step.is_multiple_of(2)
    }

    /// The trial whose settings a step is about; 0 means those found.
    pub(super) fn subject(trial: u32, step: u32) -> u32 {
        if step % Self::ROUND < 2 { 0 } else { trial }
    }
}

impl Study {
    /// The baseline as samplers see it; none when the settings found lie
    /// between the steps of the grid.
    pub(super) fn observation(&self, maximize: bool) -> Option<Observation> {
        let cost = self.baseline.map(|score| cost(score, maximize))?;
        Some(Observation {
            point: self.space.point_of(&self.found)?,
            cost: Some(cost),
        })
    }
}

/// How a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrialState {
    /// Being applied or measured.
    Running,
    /// It has a score.
    Scored,
    /// It has a reason instead.
    Failed,
    /// The servo went away in the middle: it says nothing about the settings.
    Lost,
}

/// Where a trial was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Number of the study.
    pub study: u32,
    /// Its number there.
    pub trial: u32,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// From 1.
    pub number: u32,
    /// Where in the space.
    pub point: Point,
    /// The settings sent.
    pub settings: Settings,
    /// How it stands.
    pub state: TrialState,
    /// Value of the objective.
    pub score: Option<f64>,
    /// Status of the failure.
    pub status: Option<String>,
    /// One word about the failure.
    pub reason: Option<String>,
    /// Text about the failure, cut to 16 KiB.
    pub message: Option<String>,
    /// When it began, in milliseconds since the Unix epoch.
    pub started: u64,
    /// When it ended.
    pub ended: Option<u64>,
    /// The lost trial whose settings it tries once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_of: Option<u32>,
    /// The earlier study that it was made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Origin>,
}

impl Trial {
    pub(super) fn new(number: u32, point: Point, settings: Settings, now: u64) -> Self {
        Self {
            number,
            point,
            settings,
            state: TrialState::Running,
            score: None,
            status: None,
            reason: None,
            message: None,
            started: now,
            ended: None,
            again_of: None,
            imported: None,
        }
    }

    /// Lost for the first time: made once more, and not counted.
    pub(super) fn is_made_again(&self) -> bool {
        self.state == TrialState::Lost && self.again_of.is_none()
    }

    /// The trial as samplers see it, once it has ended.
    pub(super) fn observation(&self, maximize: bool) -> Option<Observation> {
        if self.state == TrialState::Running || self.is_made_again() {
            return None;
        }
        Some(Observation {
            point: self.point.clone(),
            cost: self.score.map(|score| cost(score, maximize)),
        })
    }

    pub(super) fn lose(&mut self, why: &str, now: u64) {
        self.state = TrialState::Lost;
        self.status = Some("lost".to_owned());
        self.message = Some(cut(why, MAX_MESSAGE));
        self.ended = Some(now);
    }

    pub(super) fn fail(&mut self, failure: &Failure, now: u64) {
        self.state = TrialState::Failed;
        self.status = Some(cut(failure.status.as_str(), MAX_WORD));
        self.reason = failure
            .reason
            .as_ref()
            .map(|reason| cut(reason.as_str(), MAX_WORD));
        self.message = failure
            .message
            .as_deref()
            .map(|message| cut(message, MAX_MESSAGE));
        self.ended = Some(now);
    }
}

fn cost(score: f64, maximize: bool) -> f64 {
    if maximize { -score } else { score }
}

/// Head and tail of a text that is too long.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let half = most / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    let (head, tail) = (
        text.get(..head).unwrap_or_default(),
        text.get(tail..).unwrap_or_default(),
    );
    format!(
        "{head}\n[... {} bytes cut ...]\n{tail}",
        text.len() - head.len() - tail.len()
    )
}

/// `descriptor.optimization.perf`, where it says something.
pub(super) fn perf(descriptor: &Value) -> Option<String> {
    let text = descriptor
        .get("optimization")?
        .get("perf")?
        .as_str()?
        .trim();
    (!text.is_empty()).then(|| text.to_owned())
}
