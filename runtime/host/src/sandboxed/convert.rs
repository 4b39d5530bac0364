//! From the words of the wire to those of the contract, and back.
//!
//! What goes in was parsed by the agent, what comes out was checked by the
//! sandbox; what is left to go wrong here is JSON that a driver handed over as
//! text, and a number of seconds that is none.

use std::time::Duration;

use servo_protocol::{
    Annotation, Application, AppliedApplication, Component, Control, Instance, Measurement,
    Members, Metric, Metrics, Number, Point, Reading, Reason, Sample, Scalar, Seconds, Setting,
    SettingKind, Status,
};
use servo_sandbox::{adjust, measure, model};

use servo_agent::{AdjustRequest, DriverFailure, Interruption, MeasureRequest, Pause, Step};

pub(super) fn failure(failed: servo_sandbox::Failed) -> DriverFailure {
    let servo_sandbox::Failed { failure, in_force } = failed;
    let failed = DriverFailure {
        status: match failure.status {
            model::FailureStatus::Failed => Status::Failed,
            model::FailureStatus::Rejected => Status::Rejected,
            model::FailureStatus::Aborted => Status::Aborted,
            model::FailureStatus::TransientFailure => Status::TransientFailure,
            model::FailureStatus::Cancelled => Status::Cancelled,
        },
        reason: failure.reason.map(|reason| Reason::from(reason.as_str())),
        message: failure.message,
        in_force: None,
    };
    failed.with_in_force(in_force.map(applied).unwrap_or_default())
}

fn applied(settings: Vec<model::SettingValue>) -> AppliedApplication {
    let values = settings.into_iter();
    AppliedApplication::from_values(values.map(|it| (it.component, it.setting, scalar(it.value))))
}

fn scalar_in(scalar: &Scalar) -> model::Scalar {
    match scalar {
        Scalar::Number(Number::Integer(value)) => model::Scalar::Integer(*value),
        Scalar::Number(Number::Float(value)) => model::Scalar::Number(*value),
        Scalar::Text(text) => model::Scalar::Text(text.clone()),
    }
}

fn scalar(scalar: model::Scalar) -> Scalar {
    match scalar {
        model::Scalar::Integer(value) => Scalar::Number(Number::Integer(value)),
        model::Scalar::Number(value) => Scalar::Number(Number::Float(value)),
        model::Scalar::Text(text) => Scalar::Text(text),
    }
}

fn control_in(control: &Control) -> Result<model::Control, DriverFailure> {
    let seconds = |seconds: Option<Seconds>| seconds.map(|it| it.get().as_secs_f64());
    Ok(model::Control {
        warmup: seconds(control.warmup),
        duration: seconds(control.duration),
        delay: seconds(control.delay),
        past: seconds(control.past),
        settlement: seconds(control.settlement),
        load: members_in("load", control.load.as_ref())?,
        userdata: members_in("userdata", control.userdata.as_ref())?,
    })
}

fn members_in(name: &str, members: Option<&Members>) -> Result<Option<String>, DriverFailure> {
    members
        .map(serde_json::to_string)
        .transpose()
        .map_err(|error| {
            DriverFailure::new(
                Status::Failed,
                Reason::InvalidInput,
                format!("control.{name} cannot be handed to the driver: {error}"),
            )
        })
}

pub(super) fn measure_request(
    app: &str,
    request: &MeasureRequest,
) -> Result<measure::MeasureRequest, DriverFailure> {
    Ok(measure::MeasureRequest {
        app: app.to_owned(),
        metrics: request.metrics.clone().unwrap_or_default(),
        control: control_in(&request.control)?,
    })
}

pub(super) fn adjust_request(
    app: &str,
    request: &AdjustRequest,
) -> Result<adjust::AdjustRequest, DriverFailure> {
    Ok(adjust::AdjustRequest {
        app: app.to_owned(),
        settings: request
            .application
            .values()
            .map(|(component, setting, value)| model::SettingValue {
                component: component.to_owned(),
                setting: setting.to_owned(),
                value: scalar_in(value),
            })
            .collect(),
        control: control_in(&request.control)?,
        dry_run: request.dry_run,
    })
}

fn pause(pause: model::Pause) -> Result<Pause, DriverFailure> {
    let wait = Duration::try_from_secs_f64(pause.wait).map_err(|error| {
        DriverFailure::new(
            Status::Failed,
            Reason::Trap,
            format!("the driver asks to wait {} seconds: {error}", pause.wait),
        )
    })?;
    Ok(Pause {
        wait,
        state: pause.state,
        progress: pause.progress,
        message: pause.message,
    })
}

pub(super) fn measure_step(step: measure::MeasureStep) -> Result<Step<Measurement>, DriverFailure> {
    match step {
        measure::MeasureStep::Done(done) => Ok(Step::Done(measurement(done))),
        measure::MeasureStep::Wait(wait) => Ok(Step::Wait(pause(wait)?)),
    }
}

pub(super) fn adjust_step(
    step: adjust::AdjustStep,
) -> Result<Step<AppliedApplication>, DriverFailure> {
    match step {
        adjust::AdjustStep::Done(done) => Ok(Step::Done(applied(done.settings))),
        adjust::AdjustStep::Wait(wait) => Ok(Step::Wait(pause(wait)?)),
    }
}

pub(super) fn measure_undo(step: measure::UndoStep) -> Result<Step<()>, DriverFailure> {
    match step {
        measure::UndoStep::Done => Ok(Step::Done(())),
        measure::UndoStep::Wait(wait) => Ok(Step::Wait(pause(wait)?)),
    }
}

pub(super) fn adjust_undo(
    step: adjust::UndoStep,
) -> Result<Step<AppliedApplication>, DriverFailure> {
    match step {
        adjust::UndoStep::Done(done) => Ok(Step::Done(applied(done.settings))),
        adjust::UndoStep::Wait(wait) => Ok(Step::Wait(pause(wait)?)),
    }
}

pub(super) fn interruption(interruption: &Interruption) -> adjust::Interruption {
    adjust::Interruption {
        state: interruption.state.clone(),
        in_step: interruption.in_step,
    }
}

pub(super) fn metrics(metrics: Vec<model::Metric>) -> Metrics {
    let metric = |metric: model::Metric| {
        let described = Metric {
            unit: metric.unit,
            annotation: metric.annotation,
            min: metric.min.map(Number::from),
            max: metric.max.map(Number::from),
            extra: Members::new(),
        };
        (metric.name, described)
    };
    metrics.into_iter().map(metric).collect()
}

pub(super) fn application(application: model::Application) -> Application {
    let component = |component: model::Component| {
        let settings = component.settings.into_iter().map(setting).collect();
        let described = Component {
            settings,
            extra: Members::new(),
        };
        (component.name, described)
    };
    Application {
        components: application.components.into_iter().map(component).collect(),
        extra: Members::new(),
    }
}

fn setting(setting: model::Setting) -> (String, Setting) {
    let kind = match setting.kind {
        model::SettingKind::Range(range) => SettingKind::Range {
            min: range.min.into(),
            max: range.max.into(),
            step: range.step.map(Number::from),
            value: range.value.map(Number::from),
        },
        model::SettingKind::Choice(choice) => SettingKind::Enum {
            values: choice.values.into_iter().map(scalar).collect(),
            value: choice.value.map(scalar),
        },
    };
    let described = Setting {
        kind,
        unit: setting.unit,
        default: setting.default.map(scalar),
        pinned: setting.pinned,
        extra: Members::new(),
    };
    (setting.name, described)
}

fn measurement(measurement: measure::Measurement) -> Measurement {
    let sample = |sample: model::Sample| {
        let reading = match sample.reading {
            model::Reading::Single(value) => Reading::Single(value.map(scalar)),
            model::Reading::Series(instances) => {
                Reading::Series(instances.into_iter().map(instance).collect())
            }
        };
        let measured = Sample {
            reading,
            unit: sample.unit,
            annotation: sample.annotation,
            extra: Members::new(),
        };
        (sample.metric, measured)
    };
    let note = |note: model::Note| (note.name, Annotation::Text(note.text));
    Measurement {
        metrics: measurement.samples.into_iter().map(sample).collect(),
        annotations: measurement.notes.into_iter().map(note).collect(),
    }
}

fn instance(instance: model::Instance) -> Instance {
    let point = |point: model::Point| Point {
        time: point.time.into(),
        value: point.value.map(Number::from),
    };
    Instance {
        id: instance.id,
        points: instance.points.into_iter().map(point).collect(),
    }
}
