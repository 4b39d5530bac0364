//! What the service asks for: the answer to WHATS_NEXT (protocol section 5).
//!
//! Two kinds of bad commands are told apart, because the agent reacts
//! differently: one that is not understood brings no event at all, only another
//! WHATS_NEXT after a wait (5.5); one that names an operation whose parameters
//! cannot be used is reported as a failure of that operation.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{Control, Members, Seconds, State};

/// How long to sleep when SLEEP does not say so usably (section 5.4).
pub const DEFAULT_SLEEP: Duration = Duration::from_secs(120);

/// The commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandName {
    /// Describe the application and the metrics.
    Describe,
    /// Measure.
    Measure,
    /// Change settings.
    Adjust,
    /// Nothing to do for a while.
    Sleep,
}

impl CommandName {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "DESCRIBE",
            Self::Measure => "MEASURE",
            Self::Adjust => "ADJUST",
            Self::Sleep => "SLEEP",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Describe, Self::Measure, Self::Adjust, Self::Sleep]
            .into_iter()
            .find(|name| name.as_str() == text)
    }
}

impl fmt::Display for CommandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The commands that run drivers and bring a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// DESCRIBE, reported by DESCRIPTION.
    Describe,
    /// MEASURE, reported by MEASUREMENT.
    Measure,
    /// ADJUST, reported by ADJUSTMENT.
    Adjust,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Describe => "DESCRIBE",
            Self::Measure => "MEASURE",
            Self::Adjust => "ADJUST",
        })
    }
}

/// One command.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// What is to be done.
    pub body: CommandBody,
    /// Id of this command, echoed in every report about it.
    pub cmd_uid: Option<String>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandBody {
    /// DESCRIBE.
    Describe(DescribeParam),
    /// MEASURE.
    Measure(MeasureParam),
    /// ADJUST.
    Adjust(AdjustParam),
    /// SLEEP.
    Sleep(SleepParam),
}

/// Parameters of DESCRIBE.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DescribeParam {
    /// Only `environment` is of use.
    #[serde(default, skip_serializing_if = "is_default")]
    pub control: Control,
}

/// Parameters of MEASURE.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MeasureParam {
    /// Names of the metrics wanted; absent: all there are. Read from a list or
    /// from an object keyed by name, written as a list.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "names"
    )]
    pub metrics: Option<Vec<String>>,
    /// How to measure.
    #[serde(default)]
    pub control: Control,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

/// Parameters of ADJUST.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AdjustParam {
    /// The settings to bring into force.
    pub state: State,
    /// How to adjust.
    #[serde(default)]
    pub control: Control,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

/// Parameters of SLEEP.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SleepParam {
    /// How long.
    pub duration: Seconds,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Why a command cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    /// The answer is no JSON object; counts as a failed request (section 6).
    #[error("the answer to WHATS_NEXT is no JSON object")]
    NotAnObject,
    /// There is no `cmd`.
    #[error("the answer to WHATS_NEXT has no `cmd`")]
    NoCommand,
    /// `cmd` is none of the four.
    #[error("unknown command `{0}`; the commands are DESCRIBE, MEASURE, ADJUST and SLEEP")]
    Unknown(String),
    /// `param`, or `param.control`, is missing or not an object.
    #[error("the command {0} has no usable `{1}`")]
    NoParam(CommandName, &'static str),
    /// The command is understood, its parameters are not. To be reported as a
    /// failure of the operation.
    #[error("the parameters of {operation} cannot be used: {problem}")]
    InvalidParam {
        /// Which operation.
        operation: Operation,
        /// The command's id.
        cmd_uid: Option<String>,
        /// What is wrong.
        problem: String,
    },
}

impl Command {
    /// A command.
    #[must_use]
    pub fn new(body: CommandBody, cmd_uid: Option<String>) -> Self {
        Self { body, cmd_uid }
    }

    /// Reads the answer to WHATS_NEXT.
    ///
    /// # Errors
    /// The answer is not understood, or its parameters cannot be used.
    pub fn parse(answer: &Value) -> Result<Self, CommandError> {
        let members = answer.as_object().ok_or(CommandError::NotAnObject)?;
        let word = match members.get("cmd") {
            None | Some(Value::Null) => return Err(CommandError::NoCommand),
            Some(Value::String(word)) => word,
            Some(other) => return Err(CommandError::Unknown(other.to_string())),
        };
        let name = CommandName::parse(word).ok_or_else(|| CommandError::Unknown(word.clone()))?;
        let cmd_uid = members
            .get("cmd_uid")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let param = members
            .get("param")
            .ok_or(CommandError::NoParam(name, "param"))?;
        let body = match name {
            CommandName::Sleep => CommandBody::Sleep(SleepParam::read(param)),
            CommandName::Describe => {
                CommandBody::Describe(operation_param(Operation::Describe, name, param, &cmd_uid)?)
            }
            CommandName::Measure => {
                CommandBody::Measure(operation_param(Operation::Measure, name, param, &cmd_uid)?)
            }
            CommandName::Adjust => {
                CommandBody::Adjust(operation_param(Operation::Adjust, name, param, &cmd_uid)?)
            }
        };
        Ok(Self { body, cmd_uid })
    }

    /// Which command it is.
    #[must_use]
    pub fn name(&self) -> CommandName {
        match self.body {
            CommandBody::Describe(_) => CommandName::Describe,
            CommandBody::Measure(_) => CommandName::Measure,
            CommandBody::Adjust(_) => CommandName::Adjust,
            CommandBody::Sleep(_) => CommandName::Sleep,
        }
    }

    /// How the operation is to be done; none for SLEEP.
    #[must_use]
    pub fn control(&self) -> Option<&Control> {
        match &self.body {
            CommandBody::Describe(param) => Some(&param.control),
            CommandBody::Measure(param) => Some(&param.control),
            CommandBody::Adjust(param) => Some(&param.control),
            CommandBody::Sleep(_) => None,
        }
    }

    /// The answer to WHATS_NEXT as the service sends it.
    ///
    /// # Errors
    /// A number is not finite.
    pub fn to_value(&self) -> Result<Value, serde_json::Error> {
        let param = match &self.body {
            CommandBody::Describe(param) => serde_json::to_value(param),
            CommandBody::Measure(param) => serde_json::to_value(param),
            CommandBody::Adjust(param) => serde_json::to_value(param),
            CommandBody::Sleep(param) => serde_json::to_value(param),
        }?;
        let mut answer = json!({ "cmd": self.name().as_str(), "param": param });
        if let (Some(uid), Some(members)) = (&self.cmd_uid, answer.as_object_mut()) {
            members.insert("cmd_uid".to_owned(), json!(uid));
        }
        Ok(answer)
    }
}

impl SleepParam {
    /// Sleep this long.
    #[must_use]
    pub fn new(duration: Duration) -> Self {
        Self {
            duration: duration.into(),
            data: None,
        }
    }

    /// Whatever is not a usable duration means [`DEFAULT_SLEEP`].
    fn read(param: &Value) -> Self {
        let duration = param
            .get("duration")
            .and_then(|duration| Seconds::deserialize(duration).ok());
        Self {
            duration: duration.unwrap_or_else(|| DEFAULT_SLEEP.into()),
            data: param.get("data").filter(|data| !data.is_null()).cloned(),
        }
    }
}

fn operation_param<'a, T: Deserialize<'a>>(
    operation: Operation,
    name: CommandName,
    param: &'a Value,
    cmd_uid: &Option<String>,
) -> Result<T, CommandError> {
    let members = param
        .as_object()
        .ok_or(CommandError::NoParam(name, "param"))?;
    if members.get("control").is_some_and(Value::is_null) {
        return Err(CommandError::NoParam(name, "param.control"));
    }
    T::deserialize(param).map_err(|error| CommandError::InvalidParam {
        operation,
        cmd_uid: cmd_uid.clone(),
        problem: error.to_string(),
    })
}

fn is_default(control: &Control) -> bool {
    *control == Control::default()
}

fn names<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    Ok(Option::<Names>::deserialize(deserializer)?.map(|Names(names)| names))
}

/// A list of names, or an object whose members have them.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of names, or an object with them as its keys")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = items.next_element()? {
                    names.push(name);
                }
                Ok(Names(names))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut members: A,
            ) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, serde::de::IgnoredAny)) = members.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
