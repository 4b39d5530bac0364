//! The two kinds of driver, and how one step of either is run.
//!
//! A driver is a type without a value: every step runs in a fresh instance, so
//! anything kept in `self` would be lost and would only mislead. Configuration
//! is parsed before the driver is asked for anything, hence a mistake in it
//! fails every call in the same way, with the name of the key.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    context::Context,
    failure::Failure,
    host::Host as _,
    json,
    model::{Adjustment, Application, Measurement, Metric},
    request::{AdjustRequest, MeasureRequest},
    step::Step,
};

/// A driver that measures an application. Export it with
/// [`export_measure!`](crate::export_measure).
pub trait Measure {
    /// The driver's section of the operator's configuration. Give it
    /// `#[serde(deny_unknown_fields)]`, so that a misspelt key is an error;
    /// with no configuration at all it is read from `{}`.
    type Config: DeserializeOwned;

    /// What is carried from one step to the next; [`OneStep`](crate::OneStep)
    /// when the driver never waits between steps.
    type State: Serialize + DeserializeOwned;

    /// The metrics this driver can report. Quick, and changes nothing.
    ///
    /// # Errors
    ///
    /// The failure the service is told.
    fn describe(config: &Self::Config, cx: &Context) -> Result<Vec<Metric>, Failure>;

    /// The first step of a measurement.
    ///
    /// # Errors
    ///
    /// The failure the service is told.
    fn start(
        config: &Self::Config,
        request: &MeasureRequest,
        cx: &Context,
    ) -> Result<Step<Measurement, Self::State>, Failure>;

    /// A later step, after the pause that carried `state` has passed.
    ///
    /// # Errors
    ///
    /// The failure the service is told.
    #[allow(unused_variables)]
    fn resume(
        config: &Self::Config,
        request: &MeasureRequest,
        state: Self::State,
        cx: &Context,
    ) -> Result<Step<Measurement, Self::State>, Failure> {
        Err(no_resume())
    }

    /// Undoes what a cancelled call began; `state` is that of the last pause.
    /// Called only if the manifest says `cancel = "step"`.
    ///
    /// # Errors
    ///
    /// The failure the operator is told.
    #[allow(unused_variables)]
    fn cancelled(
        config: &Self::Config,
        request: &MeasureRequest,
        state: Self::State,
        cx: &Context,
    ) -> Result<(), Failure> {
        Ok(())
    }
}

/// A driver that adjusts an application. Export it with
/// [`export_adjust!`](crate::export_adjust).
pub trait Adjust {
    /// The driver's section of the operator's configuration. Give it
    /// `#[serde(deny_unknown_fields)]`, so that a misspelt key is an error;
    /// with no configuration at all it is read from `{}`.
    type Config: DeserializeOwned;

    /// What is carried from one step to the next; [`OneStep`](crate::OneStep)
    /// when the driver never waits between steps.
    type State: Serialize + DeserializeOwned;

    /// The application's settings with their limits and present values. Quick,
    /// and changes nothing.
    ///
    /// # Errors
    ///
    /// The failure the service is told.
    fn describe(config: &Self::Config, cx: &Context) -> Result<Application, Failure>;

    /// The first step of an adjustment.
    ///
    /// # Errors
    ///
    /// The failure the service is told.
    fn start(
        config: &Self::Config,
        request: &AdjustRequest,
        cx: &Context,
    ) -> Result<Step<Adjustment, Self::State>, Failure>;

    /// A later step, after the pause that carried `state` has passed.
    ///
    /// # Errors
    ///
    /// The failure the service is told.
    #[allow(unused_variables)]
    fn resume(
        config: &Self::Config,
        request: &AdjustRequest,
        state: Self::State,
        cx: &Context,
    ) -> Result<Step<Adjustment, Self::State>, Failure> {
        Err(no_resume())
    }

    /// Undoes what a cancelled call began; `state` is that of the last pause.
    /// Called only if the manifest says `cancel = "step"`.
    ///
    /// # Errors
    ///
    /// The failure the operator is told.
    #[allow(unused_variables)]
    fn cancelled(
        config: &Self::Config,
        request: &AdjustRequest,
        state: Self::State,
        cx: &Context,
    ) -> Result<(), Failure> {
        Ok(())
    }
}

fn no_resume() -> Failure {
    Failure::failed("the driver asked to be continued but has no `resume`: this is a defect of it")
}

/// A step as it crosses the boundary: the state is text.
#[derive(Debug)]
pub(crate) enum RawStep<T> {
    Done(T),
    Wait(RawPause),
}

#[derive(Debug)]
pub(crate) struct RawPause {
    pub(crate) wait: Duration,
    pub(crate) state: String,
    pub(crate) progress: Option<f64>,
    pub(crate) message: Option<String>,
}

pub(crate) fn describe_measure<D: Measure>(cx: &Context) -> Result<Vec<Metric>, Failure> {
    D::describe(&config(cx)?, cx)
}

pub(crate) fn measure<D: Measure>(
    cx: &Context,
    request: &MeasureRequest,
    resume: Option<&str>,
) -> Result<RawStep<Measurement>, Failure> {
    let config = config(cx)?;
    raw(match resume {
        None => D::start(&config, request, cx)?,
        Some(text) => D::resume(&config, request, state(text)?, cx)?,
    })
}

pub(crate) fn measure_cancelled<D: Measure>(
    cx: &Context,
    request: &MeasureRequest,
    text: &str,
) -> Result<(), Failure> {
    D::cancelled(&config(cx)?, request, state(text)?, &cx.shielded())
}

pub(crate) fn describe_adjust<D: Adjust>(cx: &Context) -> Result<Application, Failure> {
    D::describe(&config(cx)?, cx)
}

pub(crate) fn adjust<D: Adjust>(
    cx: &Context,
    request: &AdjustRequest,
    resume: Option<&str>,
) -> Result<RawStep<Adjustment>, Failure> {
    let config = config(cx)?;
    raw(match resume {
        None => D::start(&config, request, cx)?,
        Some(text) => D::resume(&config, request, state(text)?, cx)?,
    })
}

pub(crate) fn adjust_cancelled<D: Adjust>(
    cx: &Context,
    request: &AdjustRequest,
    text: &str,
) -> Result<(), Failure> {
    D::cancelled(&config(cx)?, request, state(text)?, &cx.shielded())
}

fn config<C: DeserializeOwned>(cx: &Context) -> Result<C, Failure> {
    json::from_slice(cx.host.config().as_bytes())
        .map_err(|error| Failure::failed(error.within("config")).reason("invalid-config"))
}

fn state<S: DeserializeOwned>(text: &str) -> Result<S, Failure> {
    json::from_slice(text.as_bytes()).map_err(|error| Failure::failed(error.within("state")))
}

fn raw<T, S: Serialize>(step: Step<T, S>) -> Result<RawStep<T>, Failure> {
    Ok(match step {
        Step::Done(result) => RawStep::Done(result),
        Step::Wait(pause) => RawStep::Wait(RawPause {
            wait: pause.wait,
            state: serde_json::to_string(&pause.state)?,
            progress: pause.progress,
            message: pause.message,
        }),
    })
}
