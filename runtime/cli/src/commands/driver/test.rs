//! `servo driver test`: the contract checks on a driver in the sandbox.
//!
//! The checks speak of a subject; this makes one of a sandboxed driver. Every
//! call gets an id of its own, hence a budget of its own, and pauses are waited
//! for in real time, since the application is real.

use std::time::Duration;

use async_trait::async_trait;
use servo_agent::{
    AdjustDriver, AdjustRequest, CallContext, CallId, DriverFailure, MeasureDriver, MeasureRequest,
    ProgressSink, Step as AgentStep, admitted,
};
use servo_artifact::{DriverKind, Manifest};
use servo_config::Ceilings;
use servo_devkit::contract::{self, Described, Done, Fault, Plan, Request, Step, Subject, Undo};
use servo_host::Sandboxed;
use servo_protocol::Reason;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::given;
use crate::args::DriverTestArgs;
use crate::exit::{Failed, Message, Outcome};
use crate::output;

pub(crate) async fn run(args: DriverTestArgs) -> Outcome {
    let (driver, ceilings) = given::driver(&args.artifact, &args.grants).await?;
    let mut subject = InSandbox {
        app: args.grants.app.clone(),
        wall: driver.bound().grants().budget.wall,
        driver,
        ceilings,
        call: CallId::random(),
    };
    let mut plan = Plan {
        change: !args.read_only,
        ..Plan::default()
    };
    if let Some(text) = &args.control {
        plan.control = serde_json::from_str(text)
            .map_err(|error| Failed::usage(format_args!("--control: {error}")))?;
    }
    let report = contract::run(&mut subject, &plan).await;
    let printed = if args.json {
        output::json(&report, false)
    } else {
        output::line(&report)
    };
    if report.passed() {
        printed
    } else {
        Err(Failed::Ran(Message::Said))
    }
}

/// A driver in the sandbox as the checks see it.
struct InSandbox {
    driver: Sandboxed,
    /// What no value of a setting may exceed, also here.
    ceilings: Ceilings,
    app: String,
    wall: Duration,
    /// The call that the next step belongs to.
    call: CallId,
}

impl InSandbox {
    /// The context of a step; one without `resume` begins a call.
    fn context(&mut self, fresh: bool, cancelled: bool) -> CallContext {
        if fresh {
            self.call = CallId::random();
        }
        let cancel = CancellationToken::new();
        if cancelled {
            cancel.cancel();
        }
        let (progress, _) = ProgressSink::new(cancel.clone());
        CallContext {
            app: self.app.clone(),
            call: self.call.clone(),
            param: None,
            progress,
            cancel,
            deadline: Instant::now() + self.wall,
        }
    }
}

fn fault(failure: DriverFailure) -> Fault {
    match failure.reason {
        Some(Reason::Timeout | Reason::OutOfMemory) => Fault::Budget(failure.message),
        Some(Reason::Trap) => Fault::Broken(failure.message),
        Some(Reason::Other(word)) if word == "limit" => Fault::Budget(failure.message),
        _ => Fault::Failure {
            status: failure.status,
            message: failure.message,
        },
    }
}

fn step<T>(step: AgentStep<T>, done: impl FnOnce(T) -> Done) -> Step {
    match step {
        AgentStep::Done(result) => Step::Done(done(result)),
        AgentStep::Wait(pause) => Step::Wait {
            wait: pause.wait,
            state: pause.state,
            progress: pause.progress,
        },
    }
}

fn undo<T>(step: AgentStep<T>) -> Undo {
    match step {
        AgentStep::Done(_) => Undo::Done,
        AgentStep::Wait(pause) => Undo::Wait {
            wait: pause.wait,
            state: pause.state,
        },
    }
}

#[async_trait]
impl Subject for InSandbox {
    fn manifest(&self) -> &Manifest {
        self.driver.bound().manifest()
    }

    async fn describe(&mut self) -> Result<Described, Fault> {
        let cx = self.context(true, false);
        match self.manifest().kind {
            DriverKind::Measure => MeasureDriver::describe(&self.driver, &cx)
                .await
                .map(Described::Metrics),
            DriverKind::Adjust => AdjustDriver::describe(&self.driver, &cx)
                .await
                .map(Described::Application),
        }
        .map_err(fault)
    }

    async fn step(
        &mut self,
        request: &Request,
        resume: Option<&str>,
        cancel: bool,
    ) -> Result<Step, Fault> {
        let cx = self.context(resume.is_none(), cancel);
        match request {
            Request::Measure(param) => {
                let request = measuring(param);
                MeasureDriver::step(&self.driver, &cx, &request, resume)
                    .await
                    .map(|ended| step(ended, Done::Measured))
            }
            Request::Adjust(param) => {
                let request = adjusting(param);
                admitted(&request.application, &self.ceilings).map_err(fault)?;
                AdjustDriver::step(&self.driver, &cx, &request, resume)
                    .await
                    .map(|ended| step(ended, Done::Adjusted))
            }
        }
        .map_err(fault)
    }

    async fn cancelled(
        &mut self,
        request: &Request,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Undo, Fault> {
        let cx = self.context(resume.is_none(), false);
        match request {
            Request::Measure(param) => {
                let request = measuring(param);
                MeasureDriver::cancelled(&self.driver, &cx, &request, state, resume)
                    .await
                    .map(undo)
            }
            Request::Adjust(param) => {
                let request = adjusting(param);
                AdjustDriver::cancelled(&self.driver, &cx, &request, state, resume)
                    .await
                    .map(undo)
            }
        }
        .map_err(fault)
    }

    async fn wait(&mut self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn measuring(param: &servo_protocol::MeasureParam) -> MeasureRequest {
    MeasureRequest {
        metrics: param.metrics.clone(),
        control: param.control.clone(),
    }
}

fn adjusting(param: &servo_protocol::AdjustParam) -> AdjustRequest {
    AdjustRequest {
        application: param.state.application.clone(),
        control: param.control.clone(),
        dry_run: false,
    }
}
