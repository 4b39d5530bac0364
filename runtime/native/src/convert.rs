//! Between the programs' JSON and the types of the protocol.
//!
//! What goes in is the command's `param` as the agent understood it; what comes
//! out is read leniently where old drivers are known to stray from the rules
//! that our own must keep (section 16.2): instances without an id or out of
//! order, times in milliseconds. They get what the rules ask for, so that such
//! a driver goes on working; in the original's manner all of it passes as it is.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use servo_agent::{AdjustRequest, DriverFailure, MeasureRequest};
use servo_protocol::{
    Application, AppliedApplication, Instance, Measurement, Members, Metrics, Number, Reading,
};

use crate::answer::Manner;

/// A later time is no time in seconds: it would lie after the year 5000.
const LATEST: f64 = 1e11;

/// What a measure driver reads: `param` of MEASURE (section 5.2), as it came
/// where there is a command.
pub(crate) fn measure_input(
    param: Option<&Value>,
    request: &MeasureRequest,
) -> Result<Vec<u8>, serde_json::Error> {
    if let Some(param) = param {
        return serde_json::to_vec(param);
    }
    let mut members = Members::new();
    if let Some(metrics) = &request.metrics {
        members.insert("metrics".to_owned(), json!(metrics));
    }
    members.insert(
        "control".to_owned(),
        serde_json::to_value(&request.control)?,
    );
    serde_json::to_vec(&members)
}

/// What an adjust driver reads: the members of the state, and `control` beside
/// them (section 5.3). The values are those of the request, which were checked.
pub(crate) fn adjust_input(
    param: Option<&Value>,
    request: &AdjustRequest,
) -> Result<Vec<u8>, serde_json::Error> {
    let given = |name: &str| param.and_then(|param| param.get(name));
    let mut members = match given("state") {
        Some(Value::Object(state)) => state.clone(),
        _ => Members::new(),
    };
    let application = serde_json::to_value(&request.application)?;
    members.insert("application".to_owned(), application);
    let control = match given("control") {
        Some(control) => control.clone(),
        None => serde_json::to_value(&request.control)?,
    };
    members.insert("control".to_owned(), control);
    serde_json::to_vec(&members)
}

/// The answer to `--describe`.
pub(crate) fn metrics(mut answer: Members, manner: Manner) -> Result<Metrics, DriverFailure> {
    let mut metrics = answer.remove("metrics").unwrap_or_default();
    // A metric without members of its own is often written as nothing.
    for metric in members_of(&mut metrics) {
        if metric.is_null() {
            *metric = json!({});
        }
    }
    typed(metrics, "metrics", manner)
}

/// The answer to `--query`.
pub(crate) fn application(
    mut answer: Members,
    manner: Manner,
) -> Result<Application, DriverFailure> {
    let application = answer.remove("application").unwrap_or_default();
    typed(application, "application", manner)
}

/// The answer of a measurement.
pub(crate) fn measurement(
    mut answer: Members,
    manner: Manner,
) -> Result<Measurement, DriverFailure> {
    let mut metrics = answer.remove("metrics").unwrap_or_default();
    for metric in members_of(&mut metrics) {
        name_instances(metric, manner);
    }
    let annotations = answer.remove("annotations").unwrap_or_default();
    let mut measurement = Measurement {
        metrics: typed(metrics, "metrics", manner)?,
        annotations: typed(annotations, "annotations", manner)?,
    };
    if manner.compat {
        return Ok(measurement);
    }
    for sample in measurement.metrics.values_mut() {
        if let Reading::Series(instances) = &mut sample.reading {
            instances.iter_mut().for_each(in_seconds);
            instances.sort_by(|a, b| a.id.cmp(&b.id));
        }
    }
    Ok(measurement)
}

/// The state that an adjust driver says is in force; empty: it does not say.
/// No agent ever read it, so what is no state is not worth a failure.
pub(crate) fn applied(mut answer: Members) -> AppliedApplication {
    let application = answer
        .remove("state")
        .and_then(|mut state| state.as_object_mut()?.remove("application"))
        .filter(Value::is_object);
    match application.map(serde_json::from_value) {
        Some(Ok(applied)) => applied,
        Some(Err(error)) => {
            tracing::warn!(
                target: "servo::driver",
                "the state that the driver returns cannot be read, so the requested one is \
                 reported: {error}"
            );
            AppliedApplication::default()
        }
        None => AppliedApplication::default(),
    }
}

/// Null and absent mean empty.
fn typed<T: DeserializeOwned + Default>(
    value: Value,
    name: &str,
    manner: Manner,
) -> Result<T, DriverFailure> {
    if value.is_null() {
        return Ok(T::default());
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let reason = match name {
            "application" => "invalid-setting",
            _ => "invalid-measurement",
        };
        let (path, problem) = (error.path().to_string(), error.into_inner());
        let place = if path == "." {
            name.to_owned()
        } else {
            format!("{name}.{path}")
        };
        manner.failed(
            reason,
            format!("the driver's `{place}` cannot be used: {problem}"),
        )
    })
}

fn members_of(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value
        .as_object_mut()
        .into_iter()
        .flat_map(|members| members.values_mut())
}

/// An id that is a number becomes text; one that is missing becomes the
/// instance's number, as the drivers did that had no better id.
fn name_instances(metric: &mut Value, manner: Manner) {
    let instances = metric.get_mut("values").and_then(Value::as_array_mut);
    for (number, instance) in instances.into_iter().flatten().enumerate() {
        let Some(members) = instance.as_object_mut() else {
            continue;
        };
        let id = match members.get("id") {
            Some(Value::Number(id)) => id.to_string(),
            Some(Value::String(id)) if !id.is_empty() => continue,
            None | Some(Value::Null | Value::String(_)) if !manner.compat => number.to_string(),
            Some(Value::Null) => String::new(),
            _ => continue,
        };
        members.insert("id".to_owned(), Value::String(id));
    }
}

/// Some drivers give times in milliseconds.
fn in_seconds(instance: &mut Instance) {
    for point in &mut instance.points {
        if point.time.as_f64() > LATEST {
            point.time = Number::from(point.time.as_f64() / 1000.0);
        }
    }
    instance
        .points
        .sort_by(|a, b| a.time.as_f64().total_cmp(&b.time.as_f64()));
}
