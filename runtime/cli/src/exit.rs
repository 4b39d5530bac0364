//! Exit codes, and the one message that explains one.

use std::fmt::Display;
use std::process::ExitCode;

/// How a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It ran, and what it ran failed: exit code 1. The text may be empty when
    /// everything has been said already.
    Ran(String),
    /// Its arguments or files are wrong: exit code 2.
    Usage(String),
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

/// What every command returns.
pub(crate) type Outcome = Result<(), Failed>;

/// Prints the message of a failure and gives its code.
pub(crate) fn report(outcome: Outcome) -> ExitCode {
    let (code, text) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failed::Ran(text)) => (1, text),
        Err(Failed::Usage(text)) => (2, text),
    };
    if !text.is_empty() {
        eprintln!("servo: {text}");
    }
    ExitCode::from(code)
}
