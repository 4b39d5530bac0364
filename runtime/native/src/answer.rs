//! From the end of a run to a result or a failure (protocol sections 13.6 and 22).
//!
//! All rules about status, reason, exit code and stderr stand here, each with
//! what the original makes of it, since this is where the two differ.

use serde_json::Value;
use servo_agent::DriverFailure;
use servo_protocol::{Members, Reason, Status};

use crate::lines::Response;
use crate::message::{last, quote, shorten_as_original};
use crate::options::StderrShare;
use crate::process::Exit;
use crate::run::{Ended, RunError};

/// Most of a driver's stderr that is logged, in bytes.
const LOGGED: usize = 16 << 10;

/// How answers are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) stderr: StderrShare,
    pub(crate) compat: bool,
    /// A description needs no status, and in the original no reason (section 4.3).
    pub(crate) describing: bool,
}

/// What a response says beside its content. An empty text counts as none.
struct Said {
    status: Option<Status>,
    reason: Option<Reason>,
    message: Option<String>,
}

impl Said {
    fn read(members: &Members) -> Self {
        let text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        Self {
            status: text("status").map(|it| Status::from(it.as_str())),
            reason: text("reason").map(|it| Reason::from(it.as_str())),
            message: text("message"),
        }
    }
}

impl Manner {
    /// A failure in our own words. The original gives none of these a reason.
    pub(crate) fn failed(self, reason: &str, message: impl Into<String>) -> DriverFailure {
        let failure = DriverFailure::new(Status::Failed, Reason::from(reason), message);
        self.finish(failure, true)
    }

    /// Why a run came to nothing.
    pub(crate) fn lost(self, error: &RunError) -> DriverFailure {
        let (reason, message) = match error {
            RunError::Start { .. } => ("not-started", error.to_string()),
            RunError::Output(_) => ("invalid-output", error.to_string()),
            RunError::Silent(_) | RunError::Late(_) => {
                ("timeout", format!("the driver was ended: {error}"))
            }
        };
        self.failed(reason, message)
    }

    /// The members of the response, if the run was a success.
    pub(crate) fn settle(
        self,
        response: Option<Response>,
        ended: &Ended,
    ) -> Result<Members, DriverFailure> {
        Self::log(ended);
        let not_finite = response.as_ref().is_some_and(|it| it.not_finite);
        let answered = response.is_some();
        let members = match response {
            Some(response) => self.members(&response)?,
            None => Members::from_iter([("status".to_owned(), "nodata".into())]),
        };
        let said = Said::read(&members);
        let clean = ended.exit.is_success();
        let own = match &said.status {
            Some(Status::Ok) => clean || self.compat,
            Some(_) => answered,
            None => self.describing && clean,
        };
        if ended.cancelled && !self.compat && !own {
            let message = format!("the driver was told to stop; {}", ended.exit);
            let failure = DriverFailure::new(Status::Cancelled, Reason::Cancelled, message);
            return Err(self.finish(failure, false));
        }
        let status_says_ok = said.status == Some(Status::Ok);
        let (status, reason) = match said.status {
            Some(Status::Ok) if clean || self.compat => {
                return self.finite(not_finite).map(|()| members);
            }
            None if self.describing && clean => return self.finite(not_finite).map(|()| members),
            // The reason of a success is none of a failure.
            Some(Status::Ok) => (Status::Failed, Some(Reason::from("exit-code"))),
            Some(status) => (status, said.reason),
            None if !clean => {
                let own = (!self.compat).then(|| Reason::from("exit-code"));
                (Status::Failed, said.reason.or(own))
            }
            None if self.compat => (Status::Undefined, said.reason),
            None => (Status::Failed, Some(Reason::NoStatus)),
        };
        let reason = reason.or(self.compat.then_some(Reason::Undefined));
        let mut message = said.message.unwrap_or_default();
        if !self.compat {
            message = match (answered, message.is_empty()) {
                (false, _) => format!("the driver gave no response; {}", ended.exit),
                (true, true) => format!("the driver gave no message; {}", ended.exit),
                // Nothing else in the report says what went wrong.
                (true, false) if status_says_ok => format!("{message} (but {})", ended.exit),
                (true, false) => message,
            };
        }
        if !clean {
            message = self.with_stderr(message, ended);
        }
        let failure = DriverFailure {
            status,
            reason,
            message,
            in_force: None,
        };
        Err(self.finish(failure, false))
    }

    fn members(self, response: &Response) -> Result<Members, DriverFailure> {
        // The line was read before; only what it takes to keep it can fail, such
        // as half a surrogate pair.
        serde_json::from_slice(&response.text).map_err(|error| {
            let line = quote(&response.text);
            let message = format!("the driver's response cannot be read ({error}): {line}");
            self.failed("invalid-output", message)
        })
    }

    /// JSON has no word for them, and null would be a lie.
    fn finite(self, not_finite: bool) -> Result<(), DriverFailure> {
        if !not_finite {
            return Ok(());
        }
        Err(self.failed(
            "invalid-output",
            "the driver's response holds NaN or Infinity, which JSON does not know; \
             it must write null where it has no value",
        ))
    }

    pub(crate) fn with_stderr(self, message: String, ended: &Ended) -> String {
        let message = match ended.stderr.share(self.stderr, self.compat) {
            Some(text) if self.compat || !text.is_empty() => format!("{message}\nstderr:\n{text}"),
            _ => message,
        };
        if self.compat && self.stderr == StderrShare::All {
            return shorten_as_original(message);
        }
        message
    }

    /// In the original's manner a failed description has one status and no
    /// reason, and a failure in the agent's own words has no reason.
    fn finish(self, mut failure: DriverFailure, own: bool) -> DriverFailure {
        if self.compat && self.describing {
            failure.status = Status::Failed;
        }
        if self.compat && (own || self.describing) {
            failure.reason = None;
        }
        failure
    }

    fn log(ended: &Ended) {
        let text = ended.stderr.text();
        let stderr = last(text.trim_end(), LOGGED);
        match ended.exit {
            Exit::Code(0) if stderr.is_empty() => {}
            Exit::Code(0) => tracing::debug!(target: "servo::driver", "stderr: {stderr}"),
            exit => tracing::warn!(target: "servo::driver", "{exit}; stderr: {stderr}"),
        }
    }
}
