//! How a call fails.
//!
//! A failure is what the service sees, so it is its own type with the
//! service's vocabulary instead of a boxed error: a driver decides whether the
//! settings are to blame (`rejected`) or the circumstances (`failed`). Errors
//! of this crate and the usual ones of the standard library convert with `?`
//! and mean `failed`; [`FailureContext`] adds what was being done.

use std::fmt;

use crate::model::SettingValue;

/// The kind of failure, as the service knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Unspecific, or worth another try.
    Failed,
    /// The requested settings are bad; this point should not be tried again.
    Rejected,
    /// Given up early on purpose, for example because an objective was violated.
    Aborted,
    /// Something unrelated got in between; repeating makes sense.
    TransientFailure,
    /// Stopped because the host asked for it.
    Cancelled,
}

/// Why a call did not succeed, in words for the service and its people.
///
/// ```
/// use servo_driver::{Failure, failure::Status};
///
/// let failure = Failure::rejected("the service did not come up within 60 s").reason("start-failed");
/// assert_eq!(failure.status, Status::Rejected);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The kind of failure.
    pub status: Status,
    /// A short machine-readable word, for example `slo-violation`.
    pub reason: Option<String>,
    /// One or more sentences for people. Never a secret.
    pub message: String,
    /// Of an adjustment: the settings that are in force now; see
    /// [`in_force`](Self::in_force).
    pub in_force: Option<Vec<SettingValue>>,
}

impl Failure {
    fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: None,
            message: message.into(),
            in_force: None,
        }
    }

    /// Unspecific, or worth another try.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }

    /// The requested settings are bad; this point should not be tried again.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(Status::Rejected, message)
    }

    /// Given up early on purpose.
    pub fn aborted(message: impl Into<String>) -> Self {
        Self::new(Status::Aborted, message)
    }

    /// Something unrelated got in between; repeating makes sense.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(Status::TransientFailure, message)
    }

    /// Stopped because the host asked for it.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(Status::Cancelled, message).reason("cancelled")
    }

    /// Sets the machine-readable word. The vocabulary is open; words in use
    /// are `start-failed`, `unstable`, `slo-violation`, `invalid-setting`,
    /// `invalid-input` and `denied`.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Says which settings are in force now, as read back from the application.
    /// The service is told them; without it, it must take them for unknown.
    ///
    /// Only an adjustment has any: `describe` and a measurement drop them with
    /// a warning in the log.
    ///
    /// ```
    /// use servo_driver::{Failure, model::SettingValue};
    ///
    /// let failure = Failure::rejected("the new version does not come up; the old one serves")
    ///     .in_force([SettingValue::new("web", "workers", 4)]);
    /// ```
    #[must_use]
    pub fn in_force(mut self, settings: impl IntoIterator<Item = SettingValue>) -> Self {
        self.in_force = Some(settings.into_iter().collect());
        self
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The call is no longer wanted. Return it with `?`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call was cancelled")]
pub struct Cancelled;

impl From<Cancelled> for Failure {
    fn from(cancelled: Cancelled) -> Self {
        Self::cancelled(cancelled.to_string())
    }
}

macro_rules! failed_from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::failed(error.to_string())
            }
        }
    )*};
}

failed_from!(
    serde_json::Error,
    std::num::ParseFloatError,
    std::num::ParseIntError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
);

/// Of a file that no granted folder holds the system only says that it is not
/// there; where nothing is granted at all, that is said instead.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        #[cfg(target_arch = "wasm32")]
        if matches!(error.raw_os_error(), Some(8 | 44 | 76))
            && wasip2::filesystem::preopens::get_directories().is_empty()
        {
            return Self::failed(format!(
                "{error}: no folder is granted to this driver, so there are no files; \
                 see `grants.folders`"
            ))
            .reason("denied");
        }
        Self::failed(error.to_string())
    }
}

/// Says what was being done when something failed.
pub trait FailureContext<T> {
    /// Turns the error into a failure whose message begins with `doing`.
    ///
    /// ```
    /// use servo_driver::{Failure, FailureContext};
    ///
    /// fn workers(text: &str) -> Result<u32, Failure> {
    ///     Ok(text.parse::<u32>().context("reading the number of workers")?)
    /// }
    /// assert!(workers("x").unwrap_err().message.starts_with("reading the number of workers: "));
    /// ```
    ///
    /// # Errors
    ///
    /// The error it was given, as a failure.
    fn context(self, doing: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> FailureContext<T> for Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| error.into().context(doing))
    }
}
