//! What the generated exports call: a driver's trait behind the contract's
//! functions.

use std::{marker::PhantomData, rc::Rc, time::Duration};

use super::imports::Imports;
use crate::{
    bindings::{
        adjust_world::exports::servo::driver::adjust as adjust_world,
        measure_world::exports::servo::driver::measure as measure_world,
        servo::driver::model as wire,
    },
    context::Context,
    driver::{self, Adjust, Measure, RawPause, RawStep},
    failure::{Failure, Status},
    logger,
    model::{Adjustment, SettingValue},
    request::{AdjustRequest, Control, MeasureRequest},
};

/// A measure driver behind the `measure` interface.
#[derive(Debug)]
pub struct MeasureExport<D>(PhantomData<D>);

/// An adjust driver behind the `adjust` interface.
#[derive(Debug)]
pub struct AdjustExport<D>(PhantomData<D>);

impl<D: Measure> measure_world::Guest for MeasureExport<D> {
    fn describe(app: String) -> Result<Vec<wire::Metric>, wire::Failure> {
        driver::describe_measure::<D>(&context(&app)).map_err(Into::into)
    }

    fn measure(
        request: measure_world::MeasureRequest,
        resume: Option<String>,
    ) -> Result<measure_world::MeasureStep, wire::Failure> {
        let request = measure_request(request)?;
        let step = driver::measure::<D>(&context(&request.app), &request, resume.as_deref())?;
        Ok(match step {
            RawStep::Done(done) => measure_world::MeasureStep::Done(measure_world::Measurement {
                samples: done.samples,
                notes: done.notes,
            }),
            RawStep::Wait(pause) => measure_world::MeasureStep::Wait(pause.into()),
        })
    }

    fn cancelled(
        request: measure_world::MeasureRequest,
        state: String,
        resume: Option<String>,
    ) -> Result<measure_world::UndoStep, wire::Failure> {
        let request = measure_request(request)?;
        let cx = context(&request.app);
        let step = driver::measure_cancelled::<D>(&cx, &request, &state, resume.as_deref())?;
        Ok(match step {
            RawStep::Done(()) => measure_world::UndoStep::Done,
            RawStep::Wait(pause) => measure_world::UndoStep::Wait(pause.into()),
        })
    }
}

impl<D: Adjust> adjust_world::Guest for AdjustExport<D> {
    fn describe(app: String) -> Result<wire::Application, wire::Failure> {
        driver::describe_adjust::<D>(&context(&app)).map_err(Into::into)
    }

    fn adjust(
        request: adjust_world::AdjustRequest,
        resume: Option<String>,
    ) -> Result<adjust_world::AdjustStep, adjust_world::AdjustFailure> {
        let request = adjust_request(request)?;
        let step = driver::adjust::<D>(&context(&request.app), &request, resume.as_deref())?;
        Ok(step.into())
    }

    fn recover(
        request: adjust_world::AdjustRequest,
        interruption: adjust_world::Interruption,
    ) -> Result<adjust_world::AdjustStep, adjust_world::AdjustFailure> {
        let request = adjust_request(request)?;
        let cx = context(&request.app);
        let (state, in_step) = (interruption.state.as_deref(), interruption.in_step);
        Ok(driver::adjust_recover::<D>(&cx, &request, state, in_step)?.into())
    }

    fn cancelled(
        request: adjust_world::AdjustRequest,
        state: String,
        resume: Option<String>,
    ) -> Result<adjust_world::UndoStep, adjust_world::AdjustFailure> {
        let request = adjust_request(request)?;
        let cx = context(&request.app);
        let step = driver::adjust_cancelled::<D>(&cx, &request, &state, resume.as_deref())?;
        Ok(match step {
            RawStep::Done(done) => adjust_world::UndoStep::Done(adjustment(done)),
            RawStep::Wait(pause) => adjust_world::UndoStep::Wait(pause.into()),
        })
    }
}

fn context(app: &str) -> Context {
    logger::install();
    Context::new(Rc::new(Imports), app)
}

fn measure_request(request: measure_world::MeasureRequest) -> Result<MeasureRequest, Failure> {
    Ok(MeasureRequest {
        app: request.app,
        metrics: request.metrics,
        control: control(request.control)?,
    })
}

fn adjust_request(request: adjust_world::AdjustRequest) -> Result<AdjustRequest, Failure> {
    Ok(AdjustRequest {
        app: request.app,
        settings: request.settings,
        control: control(request.control)?,
        dry_run: request.dry_run,
    })
}

fn control(control: wire::Control) -> Result<Control, Failure> {
    let time = |name: &str, value: Option<f64>| match value {
        None => Ok(None),
        Some(seconds) => Duration::try_from_secs_f64(seconds)
            .map(Some)
            .map_err(|error| {
                Failure::failed(format!("control.{name}: {error}")).reason("invalid-input")
            }),
    };
    Ok(Control {
        warmup: time("warmup", control.warmup)?,
        duration: time("duration", control.duration)?,
        delay: time("delay", control.delay)?,
        past: time("past", control.past)?,
        settlement: time("settlement", control.settlement)?,
        raw_load: control.load,
        raw_userdata: control.userdata,
    })
}

impl From<RawPause> for wire::Pause {
    fn from(pause: RawPause) -> Self {
        Self {
            wait: pause.wait.as_secs_f64(),
            state: pause.state,
            progress: pause.progress,
            message: pause.message,
        }
    }
}

impl From<RawStep<Adjustment>> for adjust_world::AdjustStep {
    fn from(step: RawStep<Adjustment>) -> Self {
        match step {
            RawStep::Done(done) => Self::Done(adjustment(done)),
            RawStep::Wait(pause) => Self::Wait(pause.into()),
        }
    }
}

fn adjustment(done: Adjustment) -> adjust_world::Adjustment {
    adjust_world::Adjustment {
        settings: done.settings,
    }
}

/// Of `describe` and of a measurement, which change nothing.
impl From<Failure> for wire::Failure {
    fn from(failure: Failure) -> Self {
        if failure.in_force.is_some() {
            log::warn!("only the failure of an adjustment can say which settings are in force");
        }
        plain(failure).0
    }
}

impl From<Failure> for adjust_world::AdjustFailure {
    fn from(failure: Failure) -> Self {
        let (failure, in_force) = plain(failure);
        Self { failure, in_force }
    }
}

fn plain(failure: Failure) -> (wire::Failure, Option<Vec<SettingValue>>) {
    let wire = wire::Failure {
        status: match failure.status {
            Status::Failed => wire::FailureStatus::Failed,
            Status::Rejected => wire::FailureStatus::Rejected,
            Status::Aborted => wire::FailureStatus::Aborted,
            Status::TransientFailure => wire::FailureStatus::TransientFailure,
            Status::Cancelled => wire::FailureStatus::Cancelled,
        },
        reason: failure.reason,
        message: failure.message,
    };
    (wire, failure.in_force)
}
