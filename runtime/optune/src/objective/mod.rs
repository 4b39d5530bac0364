//! The score of a measurement: a formula over its metrics.
//!
//! The language is that of `servo-formula`; here are the metrics that it speaks
//! of, and what a study optimizes when nobody says it.

mod series;

use std::fmt;

use serde::{Deserialize, Serialize};
use servo_formula::{Formula, FormulaError, ValueError};
use servo_protocol::Measurement;
use servo_text::shown_within;

/// Metrics that are taken without being named, in this order: the word of the
/// original, then the main metric of its benchmark driver (protocol 4.3).
const USUAL: [&str; 2] = ["perf", "requests throughput"];
/// Most names that an error lists.
const LISTED: usize = 20;

/// What a study optimizes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveSpec {
    /// `optimization.perf` of the description, else the metric `perf`, else
    /// `requests throughput`, else the only metric there is.
    #[default]
    Auto,
    /// One metric by its name, which may hold any characters.
    Metric(String),
    /// A formula.
    Formula(String),
}

/// A formula over metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective(Formula);

/// Why there is no objective.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectiveError {
    /// The text cannot be read.
    #[error("the objective {0}")]
    Formula(#[from] FormulaError),
    /// A name that no metric has.
    #[error("the objective uses `{name}`, but the metrics are {known}")]
    UnknownMetric {
        /// The name.
        name: String,
        /// The names there are.
        known: Known,
    },
    /// Nothing says what to optimize.
    #[error("{}; {}", self.problem(), self.remedy())]
    Ambiguous {
        /// The names there are.
        known: Known,
    },
}

impl ObjectiveError {
    /// What is wrong, without what to do about it.
    #[must_use]
    pub fn problem(&self) -> String {
        match self {
            Self::Ambiguous { known } => format!(
                "nothing says what to optimize: the metrics are {known}, and no formula is set"
            ),
            other => other.to_string(),
        }
    }

    /// What to do about it, with a line to copy.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Ambiguous { known } | Self::UnknownMetric { known, .. } => known.remedy(),
            Self::Formula(_) => "correct `OPTUNE_PERF` or `--objective`".to_owned(),
        }
    }
}

/// Why a measurement has no score.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// A metric of the formula was not measured.
    #[error("the metric `{name}` was not measured; measured were {known}")]
    Missing {
        /// The name.
        name: String,
        /// The names there are.
        known: Known,
    },
    /// A metric has no usable number.
    #[error("the metric `{name}` has no finite number: {problem}")]
    NotANumber {
        /// The name.
        name: String,
        /// What it has instead.
        problem: &'static str,
    },
    /// The formula has no value.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// A list of names for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known(Vec<String>);

impl Known {
    fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }
}

impl Known {
    /// The lines that set a formula, to be copied.
    fn remedy(&self) -> String {
        let formula = self
            .0
            .iter()
            .find_map(|name| formula(name))
            .unwrap_or_else(|| "FORMULA".to_owned());
        format!(
            "start the service with `--objective '{formula}'`, or the servo with `OPTUNE_PERF='{formula}'`, or with any other formula over them"
        )
    }
}

/// The formula that is one metric; none for a name that could not be copied
/// into a shell.
fn formula(name: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || " ._-/:%".contains(c);
    if name.is_empty() || name.len() > 80 || !name.chars().all(plain) {
        return None;
    }
    let written = [name.to_owned(), format!("m[\"{name}\"]")];
    written
        .into_iter()
        .find(|text| Objective::parse(text).is_ok_and(|objective| objective.metrics() == [name]))
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (at, name) in self.0.iter().take(LISTED).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}`{}`", shown_within(name, 80))?;
        }
        match self.0.len().checked_sub(LISTED) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

impl Objective {
    /// Reads a formula.
    ///
    /// # Errors
    /// When the text is not of the grammar, too long or too deep.
    pub fn parse(text: &str) -> Result<Self, ObjectiveError> {
        Ok(Self(Formula::parse(text)?))
    }

    /// The value of one metric.
    #[must_use]
    pub fn metric(name: &str) -> Self {
        Self(Formula::metric(name))
    }

    /// Decides what a study optimizes. `perf` is the formula of the
    /// description, `described` the names of its metrics; when it names none
    /// (the list is optional), names in a formula are only checked later.
    ///
    /// # Errors
    /// When the formula cannot be read, uses a metric that is not described,
    /// or when nothing says what to optimize.
    pub fn choose(
        spec: &ObjectiveSpec,
        perf: Option<&str>,
        described: &[&str],
    ) -> Result<Self, ObjectiveError> {
        let objective = match (spec, perf) {
            (ObjectiveSpec::Metric(name), _) => Self::metric(name),
            (ObjectiveSpec::Formula(text), _) => Self::parse(text)?,
            (ObjectiveSpec::Auto, Some(text)) => Self::parse(text)?,
            (ObjectiveSpec::Auto, None) => {
                let usual = USUAL.into_iter().find(|name| described.contains(name));
                match (usual, described) {
                    (Some(name), _) => Self::metric(name),
                    (None, [name]) => Self::metric(name),
                    (None, []) => Self::metric(USUAL[0]),
                    (None, _) => {
                        return Err(ObjectiveError::Ambiguous {
                            known: Known::of(described.iter().copied()),
                        });
                    }
                }
            }
        };
        if !described.is_empty()
            && let Some(name) = objective
                .metrics()
                .into_iter()
                .find(|name| !described.contains(name))
        {
            return Err(ObjectiveError::UnknownMetric {
                name: shorten(name, 80),
                known: Known::of(described.iter().copied()),
            });
        }
        Ok(objective)
    }

    /// The formula as written.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// The metrics it uses, each once, in order of appearance.
    #[must_use]
    pub fn metrics(&self) -> Vec<&str> {
        self.0.metrics()
    }

    /// The score of a measurement; always finite.
    ///
    /// # Errors
    /// When a metric is missing or has no finite number, or the result is not
    /// a finite number.
    pub fn score(&self, measurement: &Measurement) -> Result<f64, ScoreError> {
        self.0
            .value(|name, reducer| series::value(measurement, name, reducer))
    }
}

/// The two ends of a text, as it can be shown.
fn shorten(text: &str, most: usize) -> String {
    shown_within(text, most).to_string()
}

#[cfg(test)]
mod tests;
