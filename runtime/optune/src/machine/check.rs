//! An application that is no longer what it was.
//!
//! A servo that greets in the middle of a study was away, and so the study does
//! not know what happened to the application. It looks before it goes on. When
//! other values are in force than the study left there (*drift*), somebody has
//! taken a hand in it: a measurement would be of their settings, and the next
//! adjustment would undo them. Only the operator can say which is wanted, so
//! the study rests until then. When there are other settings to choose from, or
//! other values, the old plan makes no sense any more and a new version of the
//! study begins (see [`super::renew`]).

use servo_protocol::StatusReply;

use super::description::Description;
use super::event::{Notice, Outcome, Reply};
use super::failure::brief;
use super::model::{Changes, Machine};
use super::state::{Drift, MAX_TRIES, Pause, Phase};
use super::study::Study;
use crate::space::{Settings, Space};

/// Most differences that the reason of a pause lists.
const LISTED: usize = 5;

impl Machine {
    /// A description that was asked for in the middle of the study.
    pub(super) fn checked(&mut self, outcome: Outcome, now: u64, changes: &mut Changes) {
        changes.core = true;
        let problem = match outcome {
            Outcome::Described(descriptor) => {
                self.state.core.check = 0;
                match Description::read(&descriptor, &self.state.plan) {
                    Ok(description) => return self.compare(description, now, changes),
                    Err(problem) => problem,
                }
            }
            // It could be described once; a driver that fails now fails in the
            // next command as well, where there is a rule for it.
            Outcome::Failed(failure) => {
                let core = &mut self.state.core;
                core.check = core.check.saturating_sub(1);
                core.backoff = (core.check > 0).then_some(2);
                tracing::warn!(
                    failure = brief(&failure),
                    "the application could not be described again"
                );
                return;
            }
            _ => "the report holds no description".to_owned(),
        };
        let reason = format!("{problem}; mend it and resume the study, or stop it");
        self.pause(reason, Vec::new(), now, changes);
    }

    fn compare(&mut self, description: Description, now: u64, changes: &mut Changes) {
        let Some(study) = &self.state.study else {
            return;
        };
        if !same_shape(&study.space, &description.space) {
            return self.reshape(description, now, changes);
        }
        let drift = match self.in_force(study) {
            Some(expected) => drift(&study.space, expected, &description.present),
            None => Vec::new(),
        };
        if drift.is_empty() {
            return;
        }
        let mut reason =
            "the application has other settings than the study left it with: ".to_owned();
        for (at, each) in drift.iter().take(LISTED).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            reason.push_str(&format!(
                "{comma}{}/{} is {} and was {}",
                each.component, each.setting, each.found, each.expected
            ));
        }
        if drift.len() > LISTED {
            reason.push_str(&format!(" and {} more", drift.len() - LISTED));
        }
        reason.push_str("; resume the study to go on with its own settings, or stop it");
        self.pause(reason, drift, now, changes);
    }

    /// The settings that the study knows to be in force.
    pub(super) fn in_force<'a>(&'a self, study: &'a Study) -> Option<&'a Settings> {
        let untouched = (!self.state.core.touched).then_some(&study.found);
        self.state.core.applied.as_ref().or(untouched)
    }

    fn pause(&mut self, reason: String, drift: Vec<Drift>, now: u64, changes: &mut Changes) {
        let pause = Pause {
            reason,
            drift,
            since: now,
        };
        changes.core = true;
        changes.notices.push(Notice::Paused(pause.clone()));
        self.state.core.paused = Some(pause);
    }

    /// The operator lets the study go on.
    pub(super) fn resume(&mut self, changes: &mut Changes) -> Reply {
        let Some(pause) = self.state.core.paused.take() else {
            return Reply::Status(StatusReply::invalid("the study is not paused"));
        };
        changes.core = true;
        let core = &mut self.state.core;
        if pause.drift.is_empty() {
            core.check = MAX_TRIES;
        } else {
            // What is in force now is not the study's. A measurement has to
            // wait until its own settings are applied again; where the study
            // has changed nothing so far, what is there now is where it begins.
            core.applied = None;
            core.phase = match core.phase.clone() {
                Phase::Measuring { trial } => Phase::Adjusting { trial },
                // Even steps apply.
                Phase::Verifying { trial, step, end } => Phase::Verifying {
                    trial,
                    step: step - step % 2,
                    end,
                },
                Phase::Baseline { .. } if core.touched => Phase::Recovering { failed: 0 },
                Phase::Baseline { .. } => Phase::Describing { failed: 0 },
                phase => phase,
            };
        }
        changes.notices.push(Notice::Phase(core.phase.clone()));
        self.ok()
    }
}

/// Whether two descriptions offer the same choice, in whatever order.
fn same_shape(a: &Space, b: &Space) -> bool {
    a.dimensions.len() == b.dimensions.len()
        && a.fixed == b.fixed
        && a.dimensions.iter().all(|dimension| {
            b.dimensions.iter().any(|other| {
                dimension.component == other.component
                    && dimension.setting == other.setting
                    && dimension.domain == other.domain
            })
        })
}

/// The settings whose value is another one. A value that is not reported is
/// not known to differ.
fn drift(space: &Space, expected: &Settings, present: &Settings) -> Vec<Drift> {
    let mut found = Vec::new();
    for (component, settings) in &expected.0 {
        for (setting, value) in settings {
            let Some(now) = present.get(component, setting) else {
                continue;
            };
            if !space.same_value(component, setting, value, now) {
                found.push(Drift {
                    component: component.clone(),
                    setting: setting.clone(),
                    expected: value.clone(),
                    found: now.clone(),
                });
            }
        }
    }
    found
}
