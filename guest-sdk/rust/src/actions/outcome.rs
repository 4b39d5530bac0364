//! How an action ended, or why it did not run.

use crate::failure::Failure;

/// What an action left behind when it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code of the program.
    pub code: i32,
    /// Its standard output, cut at the host's cap.
    pub stdout: String,
    /// Its standard error, cut at the host's cap.
    pub stderr: String,
}

impl Output {
    /// The standard output of a program that ended with code 0.
    ///
    /// # Errors
    ///
    /// A failure with the code and the end of the standard error.
    pub fn ok(self) -> Result<String, Failure> {
        if self.code == 0 {
            return Ok(self.stdout);
        }
        let error = self.stderr.trim();
        let skip = error.chars().count().saturating_sub(500);
        let tail: String = error.chars().skip(skip).collect();
        Err(Failure::failed(format!(
            "the action ended with code {}: {tail}",
            self.code
        )))
    }
}

/// Why an action did not run to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operator grants no action of this name. The text says which line
    /// to add.
    #[error("the action is not granted: {0}")]
    Denied(String),
    /// An argument is missing, unknown or outside what its hole allows.
    #[error("the action does not take these arguments: {0}")]
    InvalidArgument(String),
    /// It was started and stopped at its time limit.
    #[error("the action was stopped at its time limit")]
    TimedOut,
    /// It could not be started.
    #[error("the action could not be started: {0}")]
    Failed(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::failed(error.to_string());
        match error {
            Error::Denied(_) => failure.reason("denied"),
            Error::InvalidArgument(_) => failure.reason("invalid-input"),
            Error::TimedOut => failure.reason("timeout"),
            Error::Failed(_) => failure,
        }
    }
}
