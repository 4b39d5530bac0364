//! Exit codes, and the one message that explains one.

use std::fmt::Display;
use std::process::ExitCode;

use crate::output;

/// How a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It ran, and what it ran failed: exit code 1. The text may be empty when
    /// everything has been said already.
    Ran(String),
    /// Its arguments or files are wrong: exit code 2.
    Usage(String),
    /// Nobody reads its results any more: exit code 0, and no word.
    Unread,
}

impl Failed {
    /// What ran failed.
    pub(crate) fn ran(error: impl Display) -> Self {
        Self::Ran(error.to_string())
    }

    /// What was asked for is wrong.
    pub(crate) fn usage(error: impl Display) -> Self {
        Self::Usage(error.to_string())
    }
}

/// For a log: a failure that does not end the process.
impl Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ran(text) | Self::Usage(text) => f.write_str(text),
            Self::Unread => f.write_str("nobody reads the results"),
        }
    }
}

/// What every command returns.
pub(crate) type Outcome = Result<(), Failed>;

/// Prints the message of a failure and gives its code.
pub(crate) fn report(outcome: Outcome) -> ExitCode {
    let (code, text) = match outcome {
        Ok(()) | Err(Failed::Unread) => return ExitCode::SUCCESS,
        Err(Failed::Ran(text)) => (1, text),
        Err(Failed::Usage(text)) => (2, text),
    };
    if !text.is_empty() {
        output::note(format_args!("servo: {text}"));
    }
    ExitCode::from(code)
}
