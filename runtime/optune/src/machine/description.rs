//! The beginning: what the application is, and what a study makes of it.

use serde_json::{Value, json};

use super::event::Outcome;
use super::failure::brief;
use super::model::{Changes, Machine};
use super::state::{End, MAX_TRIES, Phase};
use super::study::{Study, perf};
use crate::objective::{Objective, ObjectiveError};
use crate::options::StudyOptions;
use crate::space::{Settings, Space};

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
    pub(super) fn described(&mut self, outcome: Outcome, failed: u32, changes: &mut Changes) {
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
    pub(super) fn begin(&mut self, descriptor: &Value) -> Result<(), String> {
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
}
