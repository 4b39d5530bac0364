//! Whether the environment is the one a command asks for (protocol section 9),
//! as the original asked: by a program `./environment`.

use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;
use servo_agent::{CallContext, EnvironmentCheck};
use servo_protocol::{Failure, Operation, Reason, Status};

use crate::capture::Room;
use crate::message::{last, quote};
use crate::options::{NativeError, NativeLimits, NativeOptions, Program};
use crate::process::Exit;
use crate::run::{Document, Ended, OnCancel, Run, RunError};

/// Most bytes of its answer.
const LONGEST: usize = 1 << 20;

/// Most of its stderr that is logged, in bytes.
const LOGGED: usize = 16 << 10;

/// A plugin that says whether the environment is the right one. Whether the
/// program is there is looked at for each check.
#[derive(Debug)]
pub struct NativeEnvironment {
    program: Program,
    compat: bool,
    limits: NativeLimits,
}

impl NativeEnvironment {
    /// A check by a program, usually `./environment`, which is found in the
    /// folder of the options unless its path is absolute.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn new(program: &Path, options: &NativeOptions) -> Result<Self, NativeError> {
        Ok(Self {
            program: Program::new(program, &options.folder)?,
            compat: options.compat,
            limits: NativeLimits::default(),
        })
    }

    /// With other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: NativeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The original has one status for all of this and no reason.
    fn mismatch(&self, reason: &str, message: String) -> Failure {
        Failure {
            status: Status::EnvironmentMismatch,
            reason: (!self.compat).then(|| Reason::from(reason)),
            message: Some(message),
            state: None,
        }
    }

    fn lost(&self, error: &RunError) -> Failure {
        let reason = match error {
            RunError::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Reason::NoPlugin.as_str()
            }
            RunError::Late(_) | RunError::Silent(_) => Reason::Timeout.as_str(),
            RunError::Start { .. } | RunError::Output(_) => "mismatch",
        };
        self.mismatch(reason, format!("the environment check failed: {error}"))
    }

    fn judge(&self, ended: &Ended, output: &[u8]) -> Result<(), Failure> {
        let no = |message: String| Err(self.mismatch("mismatch", message));
        if ended.exit != Exit::Code(0) {
            return no(format!("the environment check failed: {}", ended.exit));
        }
        let answer: Value = match serde_json::from_slice(output) {
            Ok(answer) => answer,
            Err(error) => {
                let line = quote(output.trim_ascii());
                return no(format!(
                    "the environment check's answer is not JSON ({error}): {line}"
                ));
            }
        };
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        match text("status") {
            Some("ok") => Ok(()),
            status => {
                let said = [status, text("reason"), text("message")];
                let said: Vec<&str> = said.into_iter().flatten().collect();
                let said = if said.is_empty() {
                    "nothing".to_owned()
                } else {
                    quote(said.join(", ").as_bytes())
                };
                no(format!("the environment check said {said}"))
            }
        }
    }
}

#[async_trait]
impl EnvironmentCheck for NativeEnvironment {
    async fn check(
        &self,
        cx: &CallContext,
        operation: Operation,
        param: &Value,
    ) -> Result<(), Failure> {
        tracing::info!(target: "servo::driver", %operation, "checking the environment");
        let input = param.to_string();
        let run = Run {
            program: &self.program,
            arguments: &[],
            input: Some(input.as_bytes()),
            io_timeout: None,
            wall: Some(self.limits.environment),
            ending: self.limits.ending,
            stderr: Room::USUAL,
            cancel: Some((&cx.cancel, OnCancel::Kill)),
        };
        let mut document = Document::new(LONGEST);
        let ended = run
            .run(&mut document)
            .await
            .map_err(|error| self.lost(&error))?;
        let stderr = ended.stderr.text();
        if !stderr.trim().is_empty() {
            tracing::info!(target: "servo::driver", "environment: {}", last(stderr.trim_end(), LOGGED));
        }
        if ended.cancelled {
            return Err(Failure {
                status: Status::Cancelled,
                reason: Some(Reason::Cancelled),
                message: Some("cancelled during the environment check".to_owned()),
                state: None,
            });
        }
        self.judge(&ended, &document.bytes)
    }
}
