//! Adjusts an application whose settings are a JSON document behind an HTTP
//! address.
//!
//! An adjustment is one write and then only looking: does the address give the
//! new values back, is the application ready, does it stay so. All looking is
//! done in steps with pauses between them, hence an application that takes an
//! hour to restart costs no memory, and the servo may crash meanwhile. What was
//! in force before travels in the state of the pauses, so that a cancelled
//! adjustment can be undone by whoever comes next.

#![forbid(unsafe_code)]

mod config;
mod document;
mod target;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use servo_driver::{
    Adjust, AdjustRequest, Adjustment, Application, Context, Failure, Interruption, Step,
    export_adjust,
    failure::Status,
    model::{Component, SettingValue},
};

pub use config::{Config, Kind, Ready, Setting, WriteForm, WriteMethod};
use document::Member;
use target::Target;

/// The driver.
#[derive(Debug)]
pub struct Http;

/// What is carried from one look to the next.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// The members as they were before, for undoing.
    before: Vec<Member>,
    /// What the looking is for.
    stage: Stage,
    /// When it began and when it ends, since the Unix epoch: the monotonic
    /// clock means nothing to the next step.
    began: Duration,
    ends: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    /// Until the new values are in force.
    Applying,
    /// Whether they stay so.
    Settling,
}

impl Adjust for Http {
    type Config = Config;
    type State = State;

    fn describe(config: &Config, cx: &Context) -> Result<Application, Failure> {
        let target = Target::new(config, cx)?;
        let document = target.read()?;
        let component = Component::new(target.component());
        let settings = target.settings().map(|setting| setting.describe(&document));
        Ok(Application::new([
            settings.fold(component, Component::setting)
        ]))
    }

    fn start(
        config: &Config,
        request: &AdjustRequest,
        cx: &Context,
    ) -> Result<Step<Adjustment, State>, Failure> {
        let target = Target::new(config, cx)?;
        let wanted = target.wanted(&request.settings)?;
        let document = target.read()?;
        let before: Vec<_> = wanted.iter().map(|member| member.now(&document)).collect();
        if wanted.iter().all(|member| member.holds(&document)) {
            log::info!("the requested values are in force already");
        } else {
            target
                .write(&document, &wanted)
                .inspect_err(|failure| undo_if_cancelled(failure, config, &before, cx))?;
        }
        let began = cx.unix_time();
        let ends = began + target.timeout();
        let state = State {
            before,
            stage: Stage::Applying,
            began,
            ends,
        };
        Ok(look_again(
            &target,
            state,
            began,
            "waiting for the new values to be in force",
        ))
    }

    fn resume(
        config: &Config,
        request: &AdjustRequest,
        state: State,
        cx: &Context,
    ) -> Result<Step<Adjustment, State>, Failure> {
        let before = state.before.clone();
        look(config, request, state, cx)
            .inspect_err(|failure| undo_if_cancelled(failure, config, &before, cx))
    }

    /// A write is one request, which came whole or not at all: looking at the
    /// document tells which.
    fn recover(
        config: &Config,
        request: &AdjustRequest,
        interruption: Interruption<State>,
        cx: &Context,
    ) -> Result<Step<Adjustment, State>, Failure> {
        if let Some(state) = interruption.state {
            return Self::resume(config, request, state, cx);
        }
        let target = Target::new(config, cx)?;
        let wanted = target.wanted(&request.settings)?;
        let document = target.read()?;
        if !wanted.iter().all(|member| member.holds(&document)) {
            let text = "the servo ended before the new values were written";
            return Err(Failure::failed(text).in_force(in_force(&target, &document)));
        }
        let began = cx.unix_time();
        let state = State {
            // What was there before went with the servo.
            before: wanted.iter().map(|member| member.now(&document)).collect(),
            stage: Stage::Applying,
            began,
            ends: began + target.timeout(),
        };
        look(config, request, state, cx)
    }

    fn cancelled(
        config: &Config,
        _: &AdjustRequest,
        state: State,
        _: Option<State>,
        cx: &Context,
    ) -> Result<Step<Adjustment, State>, Failure> {
        undo(config, &state.before, cx)?;
        Ok(Step::done(Adjustment::default()))
    }
}

/// One look at the application.
fn look(
    config: &Config,
    request: &AdjustRequest,
    state: State,
    cx: &Context,
) -> Result<Step<Adjustment, State>, Failure> {
    let target = Target::new(config, cx)?;
    let wanted = target.wanted(&request.settings)?;
    let now = cx.unix_time();
    let verdict = target.look(&wanted)?;
    match (state.stage, verdict) {
        (Stage::Applying, Ok(in_force)) => {
            let settlement = request
                .control
                .settlement
                .unwrap_or_else(|| target.settle());
            if settlement.is_zero() {
                return Ok(Step::done(Adjustment::in_force(in_force)));
            }
            let ends = now + settlement;
            let state = State {
                stage: Stage::Settling,
                began: now,
                ends,
                ..state
            };
            Ok(look_again(
                &target,
                state,
                now,
                "watching whether the application stays ready",
            ))
        }
        (Stage::Applying, Err(why)) if now >= state.ends => {
            let waited = target.timeout();
            let text = format!("not in force within {waited:?}: {why}");
            Err(Failure::rejected(text).reason("start-failed"))
        }
        (Stage::Applying, Err(why)) => Ok(look_again(&target, state, now, &why)),
        (Stage::Settling, Ok(in_force)) if now >= state.ends => {
            Ok(Step::done(Adjustment::in_force(in_force)))
        }
        (Stage::Settling, Ok(_)) => Ok(look_again(
            &target,
            state,
            now,
            "watching whether the application stays ready",
        )),
        (Stage::Settling, Err(why)) => {
            let text = format!("the application did not stay ready: {why}");
            Err(Failure::rejected(text).reason("unstable"))
        }
    }
}

/// A pause until the next look, which is never later than the end of the stage.
fn look_again(target: &Target, state: State, now: Duration, why: &str) -> Step<Adjustment, State> {
    let left = state.ends.saturating_sub(now);
    let length = state
        .ends
        .saturating_sub(state.began)
        .as_secs_f64()
        .max(f64::MIN_POSITIVE);
    let share = (now.saturating_sub(state.began).as_secs_f64() / length).clamp(0.0, 1.0);
    let (offset, width): (f64, f64) = match state.stage {
        Stage::Applying => (0.0, 50.0),
        Stage::Settling => (50.0, 49.0),
    };
    Step::wait(target.interval().min(left), state)
        .progress((offset + width * share).trunc())
        .message(why)
}

fn undo_if_cancelled(failure: &Failure, config: &Config, before: &[Member], cx: &Context) {
    if failure.status == Status::Cancelled
        && let Err(failure) = undo(config, before, &cx.shielded())
    {
        log::error!("the values from before could not be written back: {failure}");
    }
}

fn undo(config: &Config, before: &[Member], cx: &Context) -> Result<(), Failure> {
    let target = Target::new(config, cx)?;
    let document = target.read()?;
    target.write(&document, before)?;
    log::info!("the values from before the adjustment are written back");
    Ok(())
}

/// What the service is told is in force.
fn in_force(target: &Target, document: &serde_json::Value) -> Vec<SettingValue> {
    let name = target.component();
    let value = |setting: &target::Known| {
        let value = setting.value(document)?;
        Some(SettingValue::new(name, setting.name(), value))
    };
    target.settings().filter_map(value).collect()
}

export_adjust!(Http);
