//! What a servo posted, read as far as it can be used.
//!
//! The original repeats a request for ever on any error answer, so nothing it
//! can send may be an error here: what cannot be read becomes either a failed
//! report, which moves the study on, or a polite `invalid`. Three things are
//! known to arrive and are met on purpose: failure messages of megabytes (a
//! body above 1 MiB, or one that would become too much in memory, is read
//! without its measurements), NaN and infinities as bare words (Python writes
//! them; they are read as null, so that the metric has no number), and
//! successes without a `status`.

mod lenient;
mod weight;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use servo_protocol::{
    Annotation, EventName, Failure, Measurement, Named, Operation, Reason, Sample, State, Status,
};

use self::lenient::{Percent, Present, Settings, Text};
use crate::machine::{Input, Outcome, cut};
use crate::text;

/// Largest body that is read with all its content. A measurement of a hundred
/// metrics with an hour of points each stays below it.
pub(crate) const MAX_FULL: usize = 1024 * 1024;
/// Largest body that is read at all; above it the connection is closed.
pub(crate) const MAX_BODY: usize = 16 * 1024 * 1024;
/// Longest id that is looked at, in bytes.
const MAX_ID: usize = 200;
/// Longest complaint about a body, in bytes.
const MAX_PROBLEM: usize = 300;

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

/// A body; `D`, `M` and `A` are the payloads, or what skips them.
#[derive(Deserialize)]
struct Envelope<D, M, A, S: Default> {
    #[serde(default)]
    event: Text,
    #[serde(default)]
    servo_uid: Text,
    #[serde(default = "none")]
    param: Option<Param<D, M, A, S>>,
}

fn none<T>() -> Option<T> {
    None
}

#[derive(Deserialize)]
struct Param<D, M, A, S: Default> {
    #[serde(default)]
    status: Text,
    #[serde(default)]
    reason: Text,
    #[serde(default)]
    message: Text,
    #[serde(default)]
    agent: Text,
    #[serde(default)]
    cmd_uid: Text,
    #[serde(default)]
    progress: Percent,
    #[serde(default)]
    state: S,
    #[serde(default = "none")]
    descriptor: Option<D>,
    #[serde(default = "none")]
    metrics: Option<M>,
    #[serde(default = "none")]
    annotations: Option<A>,
}

type Full = Envelope<Value, Named<Sample>, Named<Annotation>, Settings>;
type Lean = Envelope<IgnoredAny, IgnoredAny, IgnoredAny, Present>;

/// What a report holds beside its words.
#[derive(Default)]
struct Payload {
    descriptor: Option<Value>,
    measurement: Option<Measurement>,
    state: bool,
    /// The settings that a failed adjustment says are in force; what cannot be
    /// read is unknown, and the failure counts all the same.
    in_force: Option<Box<State>>,
    /// Why it was not read.
    unread: Option<String>,
}

/// The words of a message.
#[derive(Default)]
struct Words {
    status: Text,
    reason: Text,
    message: Text,
    agent: Text,
    cmd_uid: Text,
    progress: Percent,
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
    let heavy = if body.len() > MAX_FULL {
        let bytes = body.len();
        Some(format!("it has {bytes} bytes; at most {MAX_FULL} are read"))
    } else {
        weight::too_heavy(body)
    };
    let unread = match heavy {
        Some(heavy) => heavy,
        None => match parse::<Full>(body) {
            Ok(full) => return full.message(),
            Err(error) => error.to_string(),
        },
    };
    let lean: Lean = parse(body).map_err(|error| complaint("the body is not JSON", &error))?;
    lean.message(complaint("the report cannot be read", &unread))
}

fn complaint(what: &str, problem: &impl ToString) -> String {
    let problem = cut(&problem.to_string(), MAX_PROBLEM).replace('\n', " ");
    format!("{what}: {}", text::lines(&problem))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(body).or_else(|error| match without_bare_words(body) {
        Some(finite) => serde_json::from_slice(&finite),
        None => Err(error),
    })
}

impl Full {
    fn message(self) -> Result<Message, String> {
        let Some(param) = self.param else {
            return message(
                self.event,
                self.servo_uid,
                Words::default(),
                Payload::default(),
            );
        };
        let payload = Payload {
            descriptor: param.descriptor,
            measurement: param.metrics.map(|metrics| Measurement {
                metrics,
                annotations: param.annotations.unwrap_or_default(),
            }),
            state: param.state.present,
            in_force: param.state.state,
            unread: None,
        };
        let words = Words {
            status: param.status,
            reason: param.reason,
            message: param.message,
            agent: param.agent,
            cmd_uid: param.cmd_uid,
            progress: param.progress,
        };
        message(self.event, self.servo_uid, words, payload)
    }
}

impl Lean {
    fn message(self, unread: String) -> Result<Message, String> {
        let mut payload = Payload {
            unread: Some(unread),
            ..Payload::default()
        };
        let Some(param) = self.param else {
            return message(self.event, self.servo_uid, Words::default(), payload);
        };
        payload.state = param.state.0;
        let words = Words {
            status: param.status,
            reason: param.reason,
            message: param.message,
            agent: param.agent,
            cmd_uid: param.cmd_uid,
            progress: param.progress,
        };
        message(self.event, self.servo_uid, words, payload)
    }
}

fn message(
    event: Text,
    servo_uid: Text,
    words: Words,
    payload: Payload,
) -> Result<Message, String> {
    let event = event.said().ok_or("there is no `event`")?;
    let name = EventName::from(event.as_str());
    let input = input(&name, words, payload)?;
    Ok(Message {
        name,
        input,
        servo_uid: servo_uid.said().filter(|uid| is_id(uid)),
    })
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID
}

fn operation(name: &EventName) -> Option<Operation> {
    match name {
        EventName::Description => Some(Operation::Describe),
        EventName::Measurement => Some(Operation::Measure),
        EventName::Adjustment => Some(Operation::Adjust),
        _ => None,
    }
}

fn input(name: &EventName, words: Words, payload: Payload) -> Result<Input, String> {
    if let Some(operation) = operation(name) {
        // An id that is no text is a wrong one, not an absent one.
        let uid = match words.cmd_uid {
            Text::Absent => None,
            Text::Is(ref uid) if is_id(uid) => Some(uid.clone()),
            Text::Other | Text::Is(_) => Some(String::new()),
        };
        // Progress is told by its key alone; null means an unknown percentage.
        if words.progress.present {
            return Ok(Input::Progress {
                operation,
                uid,
                percent: words.progress.value.map(|value| value.clamp(0.0, 100.0)),
                message: words.message.said(),
            });
        }
        return Ok(Input::Final {
            operation,
            uid,
            outcome: outcome(operation, words, payload),
        });
    }
    match name {
        EventName::Hello => Ok(Input::Hello {
            agent: words.agent.said().unwrap_or_default(),
        }),
        EventName::WhatsNext => Ok(Input::WhatsNext),
        EventName::Goodbye => Ok(Input::Goodbye {
            reason: words.reason.said().unwrap_or_default(),
        }),
        other => Err(format!(
            "unknown event `{}`",
            cut(other.as_str(), 100).replace('\n', " ")
        )),
    }
}

/// No `status` but a payload is a success (protocol 4.7).
fn outcome(operation: Operation, words: Words, payload: Payload) -> Outcome {
    let ok = match &words.status {
        Text::Absent => match operation {
            Operation::Describe => payload.descriptor.is_some() || payload.unread.is_some(),
            Operation::Measure => payload.measurement.is_some() || payload.unread.is_some(),
            Operation::Adjust => payload.state,
        },
        Text::Is(status) => status == "ok",
        Text::Other => false,
    };
    if !ok {
        return Outcome::Failed(Failure {
            status: words
                .status
                .said()
                .as_deref()
                .map_or(Status::Undefined, Status::from),
            reason: words.reason.said().as_deref().map(Reason::from),
            message: words.message.said(),
            state: payload.in_force.filter(|_| operation == Operation::Adjust),
        });
    }
    match (operation, payload.unread) {
        // The settings are in force, however long the report about them.
        (Operation::Adjust, _) => Outcome::Adjusted,
        (_, Some(unread)) => unusable(unread),
        (Operation::Describe, None) => Outcome::Described(payload.descriptor.unwrap_or_default()),
        (Operation::Measure, None) => match payload.measurement {
            Some(measurement) => Outcome::Measured(measurement),
            None => unusable("the report has no metrics".to_owned()),
        },
    }
}

fn unusable(message: String) -> Outcome {
    Outcome::Failed(Failure {
        status: Status::Failed,
        reason: Some(Reason::InvalidMeasurement),
        message: Some(message),
        state: None,
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
