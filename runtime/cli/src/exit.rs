//! Exit codes, and the one message that explains one.

use std::fmt::Display;
use std::process::ExitCode;

use servo_config::ConfigError;
use servo_host::Explanation;
use servo_policy::Advice;

use crate::output;

/// How a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It ran, and what it ran failed: exit code 1.
    Ran(Message),
    /// Its arguments or files are wrong: exit code 2.
    Usage(Message),
    /// Nobody reads its results any more: exit code 0, and no word.
    Unread,
}

/// What is said about a failure.
#[derive(Debug)]
pub(crate) enum Message {
    /// Everything has been said already.
    Said,
    /// What is wrong.
    Text(String),
    /// What is wrong, where it stands, and what to do.
    Explained(Explanation),
}

impl Failed {
    /// What ran failed.
    pub(crate) fn ran(error: impl Display) -> Self {
        Self::Ran(Message::Text(error.to_string()))
    }

    /// What was asked for is wrong.
    pub(crate) fn usage(error: impl Display) -> Self {
        Self::Usage(Message::Text(error.to_string()))
    }

    /// A key of a file is wrong.
    pub(crate) fn config(error: ConfigError) -> Self {
        Self::Usage(Message::Explained(Explanation::Places(vec![error])))
    }
}

impl From<Advice> for Message {
    fn from(advice: Advice) -> Self {
        Self::Explained(Explanation::Advice(advice))
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Said => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Explained(explanation) => explanation.fmt(f),
        }
    }
}

/// For a log: a failure that does not end the process.
impl Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ran(message) | Self::Usage(message) => message.fmt(f),
            Self::Unread => f.write_str("nobody reads the results"),
        }
    }
}

/// What every command returns.
pub(crate) type Outcome = Result<(), Failed>;

/// Lines after the first one are indented: none that came with a text from
/// outside can be taken for a line of ours.
fn hanging(text: &str) -> String {
    text.trim_end().replace('\n', "\n  ")
}

/// Prints the message of a failure and gives its code.
pub(crate) fn report(outcome: Outcome) -> ExitCode {
    let (code, message) = match outcome {
        Ok(()) | Err(Failed::Unread) => return ExitCode::SUCCESS,
        Err(Failed::Ran(message)) => (1, message),
        Err(Failed::Usage(message)) => (2, message),
    };
    if !matches!(message, Message::Said) {
        output::note(format_args!("servo: {}", hanging(&message.to_string())));
    }
    ExitCode::from(code)
}
