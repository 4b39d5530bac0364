//! What a servo tells the service (protocol sections 3, 4 and 7).
//!
//! A report is one of two things, never both: what the operation brought, or a
//! [`Failure`]. On the wire the two share one flat object, told apart by
//! `status`, which the original leaves out when MEASURE and ADJUST succeed.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use thiserror::Error;

use crate::vocabulary::vocabulary;
use crate::{Descriptor, Measurement, Members, Named, Number, Operation, Reason, State, Status};

vocabulary! {
    /// The events.
    EventName {
        /// The servo has started.
        Hello = "HELLO",
        /// The servo asks for a command.
        WhatsNext = "WHATS_NEXT",
        /// Report about DESCRIBE.
        Description = "DESCRIPTION",
        /// Report about MEASURE.
        Measurement = "MEASUREMENT",
        /// Report about ADJUST.
        Adjustment = "ADJUSTMENT",
        /// The servo stops.
        Goodbye = "GOODBYE",
    }
}

/// One message of a servo, its content not yet interpreted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Which event it is.
    pub event: EventName,
    /// Its content; null with WHATS_NEXT.
    #[serde(default)]
    pub param: Value,
    /// Id of the deployment, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servo_uid: Option<String>,
}

/// One message, interpreted.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is built for each message and never stored in bulk"
)]
pub enum Event {
    /// The servo has started.
    Hello(Hello),
    /// The servo asks for a command.
    WhatsNext,
    /// How far an operation is.
    Progress(Operation, Progress),
    /// Final report about DESCRIBE.
    Description(Report<Descriptor>),
    /// Final report about MEASURE.
    Measurement(Report<Measurement>),
    /// Final report about ADJUST.
    Adjustment(Report<State>),
    /// The servo stops.
    Goodbye(Goodbye),
}

/// The greeting.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hello {
    /// Which agent it is, for example `github.com/opsani/servo`.
    #[serde(default)]
    pub agent: String,
    /// Free facts about the agent.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub telemetry: Named<String>,
}

/// The farewell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Goodbye {
    /// Name of the signal, `exit` or `restart`.
    #[serde(default)]
    pub reason: String,
}

/// How far an operation is (section 7).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Percent done, 0 to 100; null when unknown. Always written.
    pub progress: Option<Number>,
    /// Seconds since the operation began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Number>,
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Name of the present stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Percent of the stage that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stageprogress: Option<Number>,
    /// Estimate of the seconds that are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_remain: Option<Number>,
    /// Items worth keeping.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// Id of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd_uid: Option<String>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

/// A final report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<T> {
    /// What the operation brought, or how it failed.
    pub outcome: Result<T, Failure>,
    /// Id of the command.
    pub cmd_uid: Option<String>,
}

/// How an operation failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure; never `ok`.
    pub status: Status,
    /// One machine-readable word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Of ADJUST: what is in force now, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<State>>,
}

/// How a success is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Success {
    /// Always with `status` (section 4.7, recommendation).
    #[default]
    WithStatus,
    /// As the original: MEASUREMENT and ADJUSTMENT without `status`.
    Original,
}

/// Why the content of an event cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EventError {
    /// No such event.
    #[error("unknown event `{0}`")]
    Unknown(String),
    /// The content is not what the event needs.
    #[error("the content of {event} cannot be used: {problem}")]
    Param {
        /// Which event.
        event: EventName,
        /// What is wrong.
        problem: String,
    },
}

/// What a report can carry: its members among those of the flat object.
trait Payload: Sized {
    /// Name of the member without which there is no payload.
    const MEMBER: &'static str;
    fn write(&self) -> Result<Members, serde_json::Error>;
    fn read(param: &Members) -> Result<Self, serde_json::Error>;
    /// What is in force after a failure, where the report is about that. What
    /// cannot be read is unknown: the failure is to be heard all the same.
    fn in_force(_: &Members) -> Option<Box<State>> {
        None
    }
}

impl Payload for Descriptor {
    const MEMBER: &'static str = "descriptor";
    fn write(&self) -> Result<Members, serde_json::Error> {
        wrapped(Self::MEMBER, self)
    }
    fn read(param: &Members) -> Result<Self, serde_json::Error> {
        member(param, Self::MEMBER)
    }
}

impl Payload for State {
    const MEMBER: &'static str = "state";
    fn write(&self) -> Result<Members, serde_json::Error> {
        wrapped(Self::MEMBER, self)
    }
    fn read(param: &Members) -> Result<Self, serde_json::Error> {
        member(param, Self::MEMBER)
    }
    fn in_force(param: &Members) -> Option<Box<State>> {
        Box::<State>::deserialize(param.get(Self::MEMBER)?).ok()
    }
}

impl Payload for Measurement {
    const MEMBER: &'static str = "metrics";
    fn write(&self) -> Result<Members, serde_json::Error> {
        match serde_json::to_value(self)? {
            Value::Object(members) => Ok(members),
            _ => Ok(Members::new()),
        }
    }
    fn read(param: &Members) -> Result<Self, serde_json::Error> {
        Self::deserialize(&Value::Object(param.clone()))
    }
}

fn wrapped(name: &str, payload: &impl Serialize) -> Result<Members, serde_json::Error> {
    Ok(Members::from_iter([(
        name.to_owned(),
        serde_json::to_value(payload)?,
    )]))
}

fn member<T: DeserializeOwned>(param: &Members, name: &str) -> Result<T, serde_json::Error> {
    T::deserialize(param.get(name).unwrap_or(&Value::Null))
}

fn write<T: Payload>(report: &Report<T>, status: bool) -> Result<Value, serde_json::Error> {
    let mut param = Members::new();
    match &report.outcome {
        Ok(payload) => {
            if status {
                param.insert("status".to_owned(), json!(Status::Ok));
            }
            param.extend(payload.write()?);
        }
        Err(failure) => {
            if let Value::Object(members) = serde_json::to_value(failure)? {
                param.extend(members);
            }
        }
    }
    if let Some(uid) = &report.cmd_uid {
        param.insert("cmd_uid".to_owned(), json!(uid));
    }
    Ok(Value::Object(param))
}

/// No `status` but a payload means success.
fn read<T: Payload>(event: &EventName, param: &Value) -> Result<Report<T>, EventError> {
    let bad = |problem: String| EventError::Param {
        event: event.clone(),
        problem,
    };
    let members = param
        .as_object()
        .ok_or_else(|| bad("it is no object".to_owned()))?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let status = match members.get("status") {
        None | Some(Value::Null) => None,
        Some(Value::String(status)) => Some(Status::from(status.as_str())),
        Some(_) => return Err(bad("`status` is no text".to_owned())),
    };
    let outcome = match status {
        Some(status) if status != Status::Ok => Err(Failure {
            status,
            reason: text("reason").map(Reason::from),
            message: text("message").map(str::to_owned),
            state: T::in_force(members),
        }),
        None if !members.contains_key(T::MEMBER) => {
            return Err(bad(format!("it has neither `status` nor `{}`", T::MEMBER)));
        }
        _ => Ok(T::read(members).map_err(|error| bad(error.to_string()))?),
    };
    Ok(Report {
        outcome,
        cmd_uid: text("cmd_uid").map(str::to_owned),
    })
}

impl Event {
    /// Which event it is.
    #[must_use]
    pub fn name(&self) -> EventName {
        match self {
            Self::Hello(_) => EventName::Hello,
            Self::WhatsNext => EventName::WhatsNext,
            Self::Progress(Operation::Describe, _) | Self::Description(_) => EventName::Description,
            Self::Progress(Operation::Measure, _) | Self::Measurement(_) => EventName::Measurement,
            Self::Progress(Operation::Adjust, _) | Self::Adjustment(_) => EventName::Adjustment,
            Self::Goodbye(_) => EventName::Goodbye,
        }
    }

    /// Packs the event.
    ///
    /// # Errors
    /// A number is not finite.
    pub fn to_envelope(
        &self,
        success: Success,
        servo_uid: Option<String>,
    ) -> Result<Envelope, serde_json::Error> {
        let status = success == Success::WithStatus;
        let param = match self {
            Self::Hello(hello) => serde_json::to_value(hello)?,
            Self::WhatsNext => Value::Null,
            Self::Progress(_, progress) => serde_json::to_value(progress)?,
            Self::Description(report) => write(report, true)?,
            Self::Measurement(report) => write(report, status)?,
            Self::Adjustment(report) => write(report, status)?,
            Self::Goodbye(goodbye) => serde_json::to_value(goodbye)?,
        };
        Ok(Envelope {
            event: self.name(),
            param,
            servo_uid,
        })
    }

    /// Interprets an envelope.
    ///
    /// # Errors
    /// The event is unknown or its content cannot be used.
    pub fn from_envelope(envelope: &Envelope) -> Result<Self, EventError> {
        let Envelope { event, param, .. } = envelope;
        let operation = match event {
            EventName::Description => Some(Operation::Describe),
            EventName::Measurement => Some(Operation::Measure),
            EventName::Adjustment => Some(Operation::Adjust),
            _ => None,
        };
        if let Some(operation) = operation
            && param.get("progress").is_some()
        {
            return Ok(Self::Progress(operation, content(event, param)?));
        }
        Ok(match event {
            // A connectivity test greets with null.
            EventName::Hello if param.is_null() => Self::Hello(Hello::default()),
            EventName::Hello => Self::Hello(content(event, param)?),
            EventName::WhatsNext => Self::WhatsNext,
            EventName::Description => Self::Description(read(event, param)?),
            EventName::Measurement => Self::Measurement(read(event, param)?),
            EventName::Adjustment => Self::Adjustment(read(event, param)?),
            EventName::Goodbye if param.is_null() => Self::Goodbye(Goodbye::default()),
            EventName::Goodbye => Self::Goodbye(content(event, param)?),
            EventName::Other(word) => return Err(EventError::Unknown(word.clone())),
        })
    }
}

fn content<T: DeserializeOwned>(event: &EventName, param: &Value) -> Result<T, EventError> {
    T::deserialize(param).map_err(|error| EventError::Param {
        event: event.clone(),
        problem: error.to_string(),
    })
}
