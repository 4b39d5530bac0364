//! A program as a driver of the agent.
//!
//! Every call runs the program twice, as the original does: `--info` first,
//! since a driver may be replaced between two calls and then cancels
//! otherwise, then the call itself. A program cannot pause, so every step ends
//! with a result.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rustix::fs::Access;
use servo_agent::{
    AdjustDriver, AdjustRequest, CallContext, CancelSupport, DriverFacts, DriverFailure,
    MeasureDriver, MeasureRequest, Step,
};
use servo_protocol::{
    Application, AppliedApplication, Measurement, Members, Metrics, Reason, Status,
};
use tokio_util::sync::CancellationToken;

use crate::answer::Manner;
use crate::capture::Room;
use crate::convert;
use crate::info::{self, Info};
use crate::lines::{Lines, Progress};
use crate::options::{NativeError, NativeLimits, NativeOptions, Program};
use crate::run::{Document, OnCancel, Run};

/// What takes the place of a version before the first `--info`.
const UNKNOWN_VERSION: &str = "unknown";

/// A driver that is an ordinary program. It measures or adjusts: which of the
/// two it can do shows only when it is asked.
#[derive(Debug)]
pub struct NativeDriver {
    program: Program,
    options: NativeOptions,
    limits: NativeLimits,
    before: DriverFacts,
    /// Without and with cancel, from the first `--info` on.
    after: OnceLock<[DriverFacts; 2]>,
    /// What the newest `--info` said.
    has_cancel: AtomicBool,
}

/// One run that is a call.
struct Job<'a> {
    arguments: &'a [&'a str],
    input: Option<&'a [u8]>,
    describing: bool,
}

impl NativeDriver {
    /// A driver from a program, which is found in the folder of the options
    /// unless its path is absolute. Nothing is run yet.
    ///
    /// # Errors
    /// There is no such file, or it is not executable.
    pub fn new(program: &Path, options: &NativeOptions) -> Result<Self, NativeError> {
        let program = Program::new(program, &options.folder)?;
        let path = program.file();
        let file = std::fs::metadata(&path).map_err(|source| NativeError::Unreachable {
            path: path.clone(),
            source,
        })?;
        if !file.is_file() || rustix::fs::access(&path, Access::EXEC_OK).is_err() {
            return Err(NativeError::NotExecutable { path });
        }
        Ok(Self {
            before: facts(&program.name, UNKNOWN_VERSION, CancelSupport::None),
            after: OnceLock::new(),
            has_cancel: AtomicBool::new(false),
            program,
            options: options.clone(),
            limits: NativeLimits::default(),
        })
    }

    /// With other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: NativeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Asks the program what it is (`--info`).
    ///
    /// # Errors
    /// It cannot be run, is too slow, or does not answer by the convention.
    pub async fn info(&self) -> Result<Info, DriverFailure> {
        let never = CancellationToken::new();
        self.ask(&never, self.manner(false)).await
    }

    fn manner(&self, describing: bool) -> Manner {
        Manner {
            stderr: self.options.stderr,
            compat: self.options.compat,
            describing,
        }
    }

    fn run<'a>(
        &'a self,
        arguments: &'a [&'a str],
        cancel: (&'a CancellationToken, OnCancel),
    ) -> Run<'a> {
        Run {
            program: &self.program,
            arguments,
            input: None,
            io_timeout: self.options.io_timeout,
            wall: None,
            ending: self.limits.ending,
            stderr: if self.options.compat {
                Room::ORIGINAL
            } else {
                Room::USUAL
            },
            cancel: Some(cancel),
        }
    }

    async fn ask(&self, cancel: &CancellationToken, manner: Manner) -> Result<Info, DriverFailure> {
        let mut document = Document::new(info::LONGEST);
        let arguments = ["--info", self.options.app.as_str()];
        let run = Run {
            io_timeout: None,
            wall: Some(self.limits.info),
            ..self.run(&arguments, (cancel, OnCancel::Kill))
        };
        let ended = run.run(&mut document).await;
        if cancel.is_cancelled() {
            return Err(cancelled("before the driver was started"));
        }
        let ended = ended.map_err(|error| manner.lost(&error))?;
        if !ended.exit.is_success() {
            let message = format!("the driver does not answer --info: {}", ended.exit);
            let message = manner.with_stderr(message, &ended);
            return Err(manner.failed("exit-code", message));
        }
        let info = Info::read(&document.bytes, manner)?;
        self.after.get_or_init(|| {
            let version = Some(info.version.as_str()).filter(|version| !version.is_empty());
            let version = version.unwrap_or(UNKNOWN_VERSION);
            [CancelSupport::None, CancelSupport::Report]
                .map(|cancel| facts(&self.program.name, version, cancel))
        });
        self.has_cancel.store(info.has_cancel, Ordering::Relaxed);
        Ok(info)
    }

    async fn call(&self, cx: &CallContext, job: Job<'_>) -> Result<Members, DriverFailure> {
        let manner = self.manner(job.describing);
        let info = self.ask(&cx.cancel, manner).await?;
        let on_cancel = if info.has_cancel {
            OnCancel::Tell
        } else {
            OnCancel::Kill
        };
        let progress = (!job.describing).then_some(Progress {
            sink: &cx.progress,
            compat: self.options.compat,
        });
        let mut lines = Lines::new(self.limits.line, progress);
        let run = Run {
            input: job.input,
            ..self.run(job.arguments, (&cx.cancel, on_cancel))
        };
        let ended = run
            .run(&mut lines)
            .await
            .map_err(|error| manner.lost(&error))?;
        let response = lines
            .end()
            .map_err(|error| manner.failed("invalid-output", error.to_string()))?;
        manner.settle(response, &ended)
    }

    async fn describe(&self, cx: &CallContext, option: &str) -> Result<Members, DriverFailure> {
        let arguments = [option, self.options.app.as_str()];
        let job = Job {
            arguments: &arguments,
            input: None,
            describing: true,
        };
        self.call(cx, job).await
    }

    async fn act(
        &self,
        cx: &CallContext,
        input: Result<Vec<u8>, serde_json::Error>,
        resume: Option<&str>,
    ) -> Result<Members, DriverFailure> {
        let manner = self.manner(false);
        if resume.is_some() {
            // Its journal was written for another driver.
            let message = "a program cannot go on with a call that another driver began";
            return Err(manner.failed("not-started", message));
        }
        let input = input.map_err(|error| {
            let message = format!("the request cannot be handed to the driver: {error}");
            manner.failed(Reason::InvalidInput.as_str(), message)
        })?;
        let arguments = [self.options.app.as_str()];
        let job = Job {
            arguments: &arguments,
            input: Some(&input),
            describing: false,
        };
        self.call(cx, job).await
    }

    /// The newest `--info` decides: the agent looks when it cancels.
    fn facts(&self) -> &DriverFacts {
        let Some([without, with]) = self.after.get() else {
            return &self.before;
        };
        if self.has_cancel.load(Ordering::Relaxed) {
            with
        } else {
            without
        }
    }
}

fn facts(name: &str, version: &str, cancel: CancelSupport) -> DriverFacts {
    DriverFacts {
        name: name.to_owned(),
        version: version.to_owned(),
        digest: None,
        cancel,
        recover: false,
    }
}

fn cancelled(moment: &str) -> DriverFailure {
    let message = format!("cancelled {moment}");
    DriverFailure::new(Status::Cancelled, Reason::Cancelled, message)
}

#[async_trait]
impl MeasureDriver for NativeDriver {
    fn facts(&self) -> &DriverFacts {
        self.facts()
    }

    async fn describe(&self, cx: &CallContext) -> Result<Metrics, DriverFailure> {
        let answer = self.describe(cx, "--describe").await?;
        convert::metrics(answer, self.manner(true))
    }

    async fn step(
        &self,
        cx: &CallContext,
        request: &MeasureRequest,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        let answer = self
            .act(
                cx,
                convert::measure_input(cx.param.as_deref(), request),
                resume,
            )
            .await?;
        convert::measurement(answer, self.manner(false)).map(Step::Done)
    }
}

#[async_trait]
impl AdjustDriver for NativeDriver {
    fn facts(&self) -> &DriverFacts {
        self.facts()
    }

    async fn describe(&self, cx: &CallContext) -> Result<Application, DriverFailure> {
        let answer = self.describe(cx, "--query").await?;
        convert::application(answer, self.manner(true))
    }

    async fn step(
        &self,
        cx: &CallContext,
        request: &AdjustRequest,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        if request.dry_run {
            let message = "a program cannot be run dry: nothing holds back what it does";
            return Err(self.manner(false).failed("dry-run", message));
        }
        let answer = self
            .act(
                cx,
                convert::adjust_input(cx.param.as_deref(), request),
                resume,
            )
            .await?;
        Ok(Step::Done(convert::applied(answer)))
    }
}
