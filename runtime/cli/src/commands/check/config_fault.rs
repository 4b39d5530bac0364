//! What a driver says about its own configuration, as a key of the operator's file.
//!
//! A driver knows its configuration as one document and no file. By convention
//! a failure with the reason `invalid-config` begins with the key and a colon
//! (`config.settings.cpu.minn: unknown field ...`), as the SDK writes it. The
//! text is a stranger's: what does not follow the convention is shown as it is.

use servo_agent::DriverFailure;
use servo_config::misplaced;
use servo_text::nearest;

/// The reason of such a failure.
const REASON: &str = "invalid-config";

/// A key of a driver's configuration that the driver does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfigFault {
    /// The key below `drivers.<role>`, such as `config.settings.cpu.minn`.
    pub(super) key: String,
    /// What is wrong with it.
    pub(super) problem: String,
    /// What to write.
    pub(super) remedy: String,
}

impl ConfigFault {
    /// The fault that a failure is about, if it is about one.
    pub(super) fn of(failure: &DriverFailure) -> Option<Self> {
        if failure.reason.as_ref()?.as_str() != REASON {
            return None;
        }
        let (key, said) = failure.message.split_once(": ")?;
        if !is_key(key) {
            return None;
        }
        let said = said.lines().next().unwrap_or_default();
        let (problem, remedy) = unknown(said)
            .or_else(|| missing(said))
            .or_else(|| of_another_kind(said))
            .unwrap_or_else(|| (said.to_owned(), "correct the value".to_owned()));
        Some(Self {
            key: key.to_owned(),
            problem,
            remedy,
        })
    }
}

/// ``unknown field `minn`, expected one of `type`, `min` ``
fn unknown(said: &str) -> Option<(String, String)> {
    said.strip_prefix("unknown field `")?;
    let mut quoted = said.split('`').skip(1).step_by(2);
    let name = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    let remedy = match nearest(name, &known) {
        _ if known.is_empty() => "remove it".to_owned(),
        Some(slip) => format!(
            "did you mean `{slip}`? the keys here are {}",
            known.join(", ")
        ),
        None => format!("the keys here are {}", known.join(", ")),
    };
    Some(("the driver knows no such key".to_owned(), remedy))
}

/// ``missing field `min` ``
fn missing(said: &str) -> Option<(String, String)> {
    let name = said.strip_prefix("missing field `")?.split('`').next()?;
    Some((
        format!("the key `{name}` is missing in it"),
        format!("add `{name}:`"),
    ))
}

/// `invalid type: string "two", expected u32`
fn of_another_kind(said: &str) -> Option<(String, String)> {
    let rest = said
        .strip_prefix("invalid type: ")
        .or_else(|| said.strip_prefix("invalid value: "))?;
    let (unexpected, expected) = rest.split_once(", expected ")?;
    Some(misplaced(unexpected, expected))
}

/// `config`, or a key below it.
fn is_key(text: &str) -> bool {
    let rest = text.strip_prefix("config");
    rest.is_some_and(|rest| {
        (rest.is_empty() || rest.starts_with(['.', '[']))
            && rest.len() <= 512
            && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

#[cfg(test)]
mod tests {
    use servo_protocol::{Reason, Status};

    use super::*;

    fn failure(reason: &str, message: &str) -> DriverFailure {
        DriverFailure::new(Status::Failed, Reason::from(reason), message)
    }

    #[test]
    fn field_18_what_is_wrong_with_a_key_is_said_in_words_of_the_file() {
        for (said, problem, remedy) in [
            (
                "unknown field `minn`, expected one of `type`, `min`, `max`",
                "the driver knows no such key",
                "did you mean `min`? the keys here are type, min, max",
            ),
            (
                "unknown field `zebra`, expected `type` or `min`",
                "the driver knows no such key",
                "the keys here are type, min",
            ),
            (
                "unknown field `minn`, there are no fields",
                "the driver knows no such key",
                "remove it",
            ),
            (
                "missing field `min`",
                "the key `min` is missing in it",
                "add `min:`",
            ),
            (
                "invalid type: string \"two\", expected u32",
                "\"two\" stands where a whole number belongs",
                "write a whole number",
            ),
            ("is too much", "is too much", "correct the value"),
        ] {
            let message = format!("config.settings.cpu.minn: {said}");
            let fault = ConfigFault::of(&failure("invalid-config", &message)).unwrap();
            let expected = ConfigFault {
                key: "config.settings.cpu.minn".to_owned(),
                problem: problem.to_owned(),
                remedy: remedy.to_owned(),
            };
            assert_eq!(fault, expected);
        }
    }

    #[test]
    fn what_is_not_about_a_key_is_left_alone() {
        for (reason, message) in [
            ("unavailable", "config.endpoint: no"),
            ("invalid-config", "the endpoint: nobody is there"),
            ("invalid-config", "configuration: is wrong"),
            ("invalid-config", "no colon"),
        ] {
            let fault = ConfigFault::of(&failure(reason, message));
            assert_eq!(fault, None, "{message}");
        }
    }
}
