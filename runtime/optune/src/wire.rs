//! What a servo posted, read as far as it can be used.
//!
//! The original repeats a request for ever on any error answer, so nothing it
//! can send may be an error here: what cannot be read becomes either a failed
//! report, which moves the study on, or a polite `invalid`. Three things are
//! known to arrive and are met on purpose: failure messages of megabytes (a
//! body above 1 MiB is read without its measurements, which bounds the memory
//! it can take), NaN and infinities as bare words (Python writes them; they
//! are read as null, so that the metric has no number), and successes without
//! a `status`.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use servo_protocol::{EventName, Failure, Measurement, Operation, Reason, Status};

use crate::machine::{Input, Outcome};

/// Largest body that is read with all its content. A measurement of a hundred
/// metrics with an hour of points each stays below it.
pub(crate) const MAX_FULL: usize = 1024 * 1024;
/// Largest body that is read at all; above it the connection is closed.
pub(crate) const MAX_BODY: usize = 16 * 1024 * 1024;
/// Longest id that is looked at, in bytes.
const MAX_ID: usize = 200;

/// A message that can be taken in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// The event's name, for the record.
    pub(crate) name: EventName,
    /// What it says.
    pub(crate) input: Input,
    /// The deployment, where the servo has one.
    pub(crate) servo_uid: Option<String>,
}

/// Whether a body looks like a report of progress; for answers that have to
/// be given before it was read.
pub(crate) fn may_be_progress(body: &[u8]) -> bool {
    const KEY: &[u8] = b"\"progress\"";
    // It is the first member that servos write, after the name of the event.
    let head = body.get(..200).unwrap_or(body);
    head.windows(KEY.len()).any(|window| window == KEY)
}

/// Reads a body.
///
/// # Errors
/// One line about why there is no message in it.
pub(crate) fn read(body: &[u8]) -> Result<Message, String> {
    if body.len() > MAX_FULL {
        return read_large(body);
    }
    let value: Value = serde_json::from_slice(body)
        .or_else(|error| {
            let finite = without_bare_words(body).ok_or(error)?;
            serde_json::from_slice(&finite)
        })
        .map_err(|error| format!("the body is not JSON: {error}"))?;
    let name = value
        .get("event")
        .and_then(Value::as_str)
        .ok_or("there is no `event`")?;
    let param = value.get("param").unwrap_or(&Value::Null);
    let name = EventName::from(name);
    let input = input(&name, param)?;
    Ok(Message {
        name,
        input,
        servo_uid: id(value.get("servo_uid")),
    })
}

fn id(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    (!text.is_empty() && text.len() <= MAX_ID).then(|| text.to_owned())
}

fn text(param: &Value, member: &str) -> Option<String> {
    param.get(member).and_then(Value::as_str).map(str::to_owned)
}

fn operation(name: &EventName) -> Option<Operation> {
    match name {
        EventName::Description => Some(Operation::Describe),
        EventName::Measurement => Some(Operation::Measure),
        EventName::Adjustment => Some(Operation::Adjust),
        _ => None,
    }
}

fn input(name: &EventName, param: &Value) -> Result<Input, String> {
    if let Some(operation) = operation(name) {
        // An id that is no text is a wrong one, not an absent one.
        let uid = match param.get("cmd_uid") {
            None | Some(Value::Null) => None,
            other => Some(id(other).unwrap_or_default()),
        };
        // Progress is told by its key alone; null means an unknown percentage.
        if let Some(percent) = param.get("progress") {
            let percent = percent.as_f64().map(|percent| percent.clamp(0.0, 100.0));
            return Ok(Input::Progress {
                operation,
                uid,
                percent,
                message: text(param, "message"),
            });
        }
        return Ok(Input::Final {
            operation,
            uid,
            outcome: outcome(operation, param),
        });
    }
    match name {
        EventName::Hello => Ok(Input::Hello {
            agent: text(param, "agent").unwrap_or_default(),
        }),
        EventName::WhatsNext => Ok(Input::WhatsNext),
        EventName::Goodbye => Ok(Input::Goodbye {
            reason: text(param, "reason").unwrap_or_default(),
        }),
        other => Err(format!(
            "unknown event `{}`",
            crate::machine::cut(other.as_str(), 100)
        )),
    }
}

/// No `status` but a payload is a success (protocol 4.7).
fn outcome(operation: Operation, param: &Value) -> Outcome {
    let payload = param.get(match operation {
        Operation::Describe => "descriptor",
        Operation::Measure => "metrics",
        Operation::Adjust => "state",
    });
    let ok = match param.get("status") {
        None | Some(Value::Null) => payload.is_some_and(|payload| !payload.is_null()),
        Some(status) => status.as_str() == Some("ok"),
    };
    if !ok {
        return Outcome::Failed(Failure {
            status: text(param, "status")
                .as_deref()
                .map_or(Status::Undefined, Status::from),
            reason: text(param, "reason").as_deref().map(Reason::from),
            message: text(param, "message"),
            state: None,
        });
    }
    match operation {
        Operation::Describe => Outcome::Described(payload.cloned().unwrap_or_default()),
        Operation::Adjust => Outcome::Adjusted,
        Operation::Measure => match Measurement::deserialize(param) {
            Ok(measurement) => Outcome::Measured(measurement),
            Err(error) => {
                Outcome::Failed(unusable(format!("the measurement cannot be read: {error}")))
            }
        },
    }
}

fn unusable(message: String) -> Failure {
    Failure {
        status: Status::Failed,
        reason: Some(Reason::InvalidMeasurement),
        message: Some(message),
        state: None,
    }
}

/// The parts of a large body that decide what happens; everything else is
/// skipped without being kept.
#[derive(Deserialize)]
struct Large<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(default)]
    servo_uid: Option<Value>,
    #[serde(borrow, default)]
    param: Option<LargeParam<'a>>,
}

#[derive(Deserialize, Default)]
struct LargeParam<'a> {
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    cmd_uid: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "seen")]
    progress: bool,
    #[serde(default, deserialize_with = "seen")]
    state: bool,
}

fn seen<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(from).map(|_| true)
}

fn read_large(body: &[u8]) -> Result<Message, String> {
    let large: Large<'_> = serde_json::from_slice(body)
        .map_err(|error| format!("the body is not JSON that can be used: {error}"))?;
    let name = EventName::from(large.event.as_ref());
    let param = large.param.unwrap_or_default();
    let servo_uid = id(large.servo_uid.as_ref());
    let own = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    let Some(operation) = operation(&name) else {
        let input = input(&name, &Value::Null)?;
        return Ok(Message {
            name,
            input,
            servo_uid,
        });
    };
    let uid = own(param.cmd_uid).map(|uid| {
        if uid.len() <= MAX_ID {
            uid
        } else {
            String::new()
        }
    });
    let input = if param.progress {
        Input::Progress {
            operation,
            uid,
            percent: None,
            message: own(param.message),
        }
    } else {
        let status = param.status.as_deref().map(Status::from);
        let outcome = match status {
            Some(status) if status != Status::Ok => Outcome::Failed(Failure {
                status,
                reason: param.reason.as_deref().map(Reason::from),
                message: own(param.message),
                state: None,
            }),
            // The settings are in force, however long the report about them.
            Some(_) if operation == Operation::Adjust => Outcome::Adjusted,
            None if operation == Operation::Adjust && param.state => Outcome::Adjusted,
            _ => Outcome::Failed(unusable(format!(
                "the report has {} bytes; at most {MAX_FULL} are read",
                body.len()
            ))),
        };
        Input::Final {
            operation,
            uid,
            outcome,
        }
    };
    Ok(Message {
        name,
        input,
        servo_uid,
    })
}

/// `NaN`, `Infinity` and `-Infinity` outside of texts, replaced by null; none
/// when there are none.
fn without_bare_words(body: &[u8]) -> Option<Vec<u8>> {
    let words: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let mut clean = Vec::with_capacity(body.len());
    let (mut in_text, mut escaped, mut changed) = (false, false, false);
    let mut rest = body;
    while let Some((first, tail)) = rest.split_first() {
        if !in_text && let Some(word) = words.into_iter().find(|word| rest.starts_with(word)) {
            clean.extend_from_slice(b"null");
            changed = true;
            rest = rest.get(word.len()..).unwrap_or_default();
            continue;
        }
        match first {
            b'"' if !escaped => in_text = !in_text,
            _ => {}
        }
        escaped = in_text && *first == b'\\' && !escaped;
        clean.push(*first);
        rest = tail;
    }
    changed.then_some(clean)
}

#[cfg(test)]
mod tests;
