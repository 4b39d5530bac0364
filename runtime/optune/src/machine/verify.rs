//! The best settings against those found at the start, measured again.
//!
//! The best of many noisy measurements is partly the luckiest, and hours may
//! lie between it and the baseline. So before it is kept, both are applied and
//! measured again in turn, as often as planned: what has changed meanwhile then
//! changes both. Settings that do not win a second time are not kept.

use super::event::Outcome;
use super::failure::brief;
use super::model::{Changes, Machine};
use super::state::{Command, End, Phase};
use super::study::Verification;

impl Machine {
    /// A step of the verification has ended.
    pub(super) fn verified(
        &mut self,
        outcome: Outcome,
        trial: u32,
        step: u32,
        end: End,
        command: &Command,
        changes: &mut Changes,
    ) {
        // The operator wants it to end: that is why it failed, if it did.
        if self.state.core.stop.is_some() {
            return;
        }
        let about = Verification::subject(trial, step);
        if Verification::applies(step) {
            match outcome {
                Outcome::Failed(failure) => return self.unverified(&brief(&failure), &end),
                _ => self.state.core.applied = self.settings_of(about).cloned(),
            }
        } else {
            let score = match self.score(about, outcome, command, changes) {
                Ok(score) => score,
                Err(failure) => return self.unverified(&brief(&failure), &end),
            };
            let Some(study) = &mut self.state.study else {
                return;
            };
            changes.study = true;
            let verification = study
                .verified
                .get_or_insert_with(|| Verification::new(trial));
            if about == 0 {
                verification.found.push(score);
            } else {
                verification.best.push(score);
            }
        }
        let step = step + 1;
        if step < Verification::ROUND.saturating_mul(self.state.plan.verify) {
            self.state.core.phase = Phase::Verifying { trial, step, end };
            return;
        }
        let means = self.state.study.as_ref().and_then(|study| {
            let verified = study.verified.as_ref()?;
            Some((mean(&verified.best)?, mean(&verified.found)?))
        });
        match means {
            Some((best, found)) if self.better(best, found) => {
                self.state.core.phase = Phase::Restoring {
                    trial,
                    failed: 0,
                    end,
                };
            }
            _ => self.unverified("they were no better than those found", &end),
        }
    }

    /// The best settings are not kept.
    fn unverified(&mut self, why: &str, end: &End) {
        let end = End::Done(format!(
            "{}; measured again, the best settings did not hold: {why}",
            end.reason()
        ));
        self.state.core.phase = Phase::Restoring {
            trial: 0,
            failed: 0,
            end,
        };
    }
}

fn mean(scores: &[f64]) -> Option<f64> {
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}
