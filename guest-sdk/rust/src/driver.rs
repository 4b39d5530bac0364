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
    step::{Interruption, Step},
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

    /// Undoes what a cancelled call began, in steps like the call itself.
    /// `state` is that of the call's last pause, in every step of the undo;
    /// `resume` is nothing at first and then the state of the undo's own last
    /// pause. Called only if the manifest says `cancel = "step"` and the call
    /// had paused.
    ///
    /// # Errors
    ///
    /// The failure the operator is told.
    #[allow(unused_variables)]
    fn cancelled(
        config: &Self::Config,
        request: &MeasureRequest,
        state: Self::State,
        resume: Option<Self::State>,
        cx: &Context,
    ) -> Result<Step<(), Self::State>, Failure> {
        Ok(Step::done(()))
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

    /// Takes up an adjustment that a crash of the host cut short: look what is
    /// in force, and answer like any step. [`Step::done`] says what is in force
    /// now, [`Step::wait`] goes on with [`resume`](Self::resume), a failure ends
    /// the call. Called only if the manifest says `recover = true`; otherwise
    /// such an adjustment is reported as failed, what is in force as unknown.
    ///
    /// # Errors
    ///
    /// The failure the service is told.
    #[allow(unused_variables)]
    fn recover(
        config: &Self::Config,
        request: &AdjustRequest,
        interruption: Interruption<Self::State>,
        cx: &Context,
    ) -> Result<Step<Adjustment, Self::State>, Failure> {
        Err(Failure::failed(
            "the driver was asked to recover but has no `recover`: this is a defect of it",
        ))
    }

    /// Undoes what a cancelled call began, in steps like the call itself.
    /// `state` is that of the call's last pause, in every step of the undo;
    /// `resume` is nothing at first and then the state of the undo's own last
    /// pause. Called only if the manifest says `cancel = "step"` and the call
    /// had paused. The result is the settings in force after the undo;
    /// [`Adjustment::as_requested`], which names none, means unknown here.
    ///
    /// # Errors
    ///
    /// The failure the operator is told.
    #[allow(unused_variables)]
    fn cancelled(
        config: &Self::Config,
        request: &AdjustRequest,
        state: Self::State,
        resume: Option<Self::State>,
        cx: &Context,
    ) -> Result<Step<Adjustment, Self::State>, Failure> {
        Ok(Step::done(Adjustment::default()))
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
    resume: Option<&str>,
) -> Result<RawStep<()>, Failure> {
    let (config, resume) = (config(cx)?, resume.map(state).transpose()?);
    raw(D::cancelled(
        &config,
        request,
        state(text)?,
        resume,
        &cx.shielded(),
    )?)
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

pub(crate) fn adjust_recover<D: Adjust>(
    cx: &Context,
    request: &AdjustRequest,
    text: Option<&str>,
    in_step: bool,
) -> Result<RawStep<Adjustment>, Failure> {
    let config = config(cx)?;
    let interruption = Interruption {
        state: text.map(state).transpose()?,
        in_step,
    };
    raw(D::recover(&config, request, interruption, cx)?)
}

pub(crate) fn adjust_cancelled<D: Adjust>(
    cx: &Context,
    request: &AdjustRequest,
    text: &str,
    resume: Option<&str>,
) -> Result<RawStep<Adjustment>, Failure> {
    let (config, resume) = (config(cx)?, resume.map(state).transpose()?);
    raw(D::cancelled(
        &config,
        request,
        state(text)?,
        resume,
        &cx.shielded(),
    )?)
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
