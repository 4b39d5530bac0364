//! Going on after a crash: what becomes of what was in hand.
//!
//! Nothing can tell the servo what happened while it was gone, so each case
//! takes what is certain from the journal and risks nothing on the rest.
//!
//! | in hand | what becomes of it |
//! |---|---|
//! | a report that may not have arrived | sent, before anything is asked for |
//! | a command of which no step had begun | carried out |
//! | a pause | goes on with the state it left and what is left of its wait |
//! | a measurement in a step | the step is begun again with the state it was given |
//! | an adjustment in a step | its driver is asked what became of it, if it recovers; otherwise reported `failed`, `unknown` |
//! | an undo in a pause | goes on, with what is left of its wait |
//! | an undo in a step | the call is reported as it was to be, and the state of the application as unknown |
//!
//! A report can arrive and the servo can end before it knows. Sending it again
//! is the only choice that never loses a result. A service that gives its
//! commands a `cmd_uid` finds it in the report, accepts the first of the two
//! and answers the second alike (protocol section 24); one that gives none
//! answers that it expected something else, and the servo greets again.
//!
//! A measurement only looks, so a step of it that was cut short can be had
//! again: the window it had begun stands in the state, and reporting a failure
//! would cost the service a trial for nothing. An adjustment in a step may have
//! changed all, some or none of the application. Running the step again could
//! repeat what must happen once (a restart, a scaling), and calling it a
//! success would be a lie. Only the driver can look what became of it: one that
//! recovers is asked, and answers like a step. For any other the service hears
//! that the state is unknown, and decides. Between two steps nothing is half
//! done: there an adjustment goes on.
//!
//! What takes the process with it would do so at every start, so the same step
//! is begun three times at most, and a driver is asked three times at most what
//! became of an adjustment. A pause belongs to the driver that left it: another
//! version, or other bytes, cannot be expected to read the state, unless it is
//! one that recovers, which is told that it is an older one's.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use servo_protocol::{
    AppliedApplication, Command, CommandBody, Control, Envelope, EventName, Operation, Reason,
    Status,
};

use crate::driver::{AdjustRequest, CallId, DriverFacts, DriverFailure, Interruption};
use crate::journal::{CallInHand, DriverId, Recovered, Standing, UndoInHand, UnsentReport};
use crate::operation::Start;
use crate::round::{Reported, Round, about_to_send};
use crate::servo::Servo;

/// How often one step is begun.
const ATTEMPTS: u32 = 3;

/// What becomes of a call.
#[derive(Debug, PartialEq)]
enum Decision {
    /// It is carried out from its beginning.
    Afresh,
    /// It goes on there, with this request.
    Resume(Start, Value),
    /// It has failed.
    Fail(DriverFailure),
}

/// The driver that there is now.
#[derive(Debug)]
struct Ours {
    id: DriverId,
    /// Whether it takes up an adjustment that was cut short.
    recovers: bool,
}

impl From<&DriverFacts> for Ours {
    fn from(facts: &DriverFacts) -> Self {
        Self {
            id: facts.into(),
            recovers: facts.recover,
        }
    }
}

/// What becomes of a call, given the driver that there is now.
fn decide(operation: Operation, call: CallInHand, driver: Option<&Ours>) -> Decision {
    let attempts = call.attempts;
    let elapsed = call.elapsed;
    let begun = match call.standing {
        Standing::Accepted if attempts >= ATTEMPTS => return given_up(operation, attempts),
        Standing::Accepted => return Decision::Afresh,
        Standing::Begun(begun) => *begun,
    };
    // Where there is none, the round says so.
    let same = driver.is_none_or(|ours| ours.id == begun.driver);
    if let Some(undo) = begun.undo {
        let whole = begun.pause.and_then(|pause| pause.progress);
        return undo_on(undo, begun.request, same, elapsed, whole);
    }
    let recovers = operation == Operation::Adjust && driver.is_some_and(|ours| ours.recovers);
    let asked_too_often = begun.recovering && attempts >= ATTEMPTS;
    if begun.running && operation == Operation::Adjust && (!recovers || asked_too_often) {
        return match begun.recovering {
            true if asked_too_often => given_up(operation, attempts),
            _ => Decision::Fail(unknown(
                "the servo ended while the driver was adjusting; the state of the application is \
                 unknown"
                    .to_owned(),
            )),
        };
    }
    if recovers && (begun.running || !same) {
        let (state, progress) = match begun.pause {
            Some(pause) => (Some(pause.state), pause.progress),
            None => (None, None),
        };
        let start = Start::Interrupted {
            interruption: Interruption {
                state,
                in_step: begun.running,
            },
            own: same,
            elapsed,
            progress,
        };
        return Decision::Resume(start, begun.request);
    }
    if attempts >= ATTEMPTS {
        return given_up(operation, attempts);
    }
    let Some(pause) = begun.pause else {
        return Decision::Afresh;
    };
    if let (false, Some(ours)) = (same, driver) {
        let message = format!(
            "the call was begun by the driver {} and cannot be continued by {}",
            begun.driver, ours.id
        );
        let reason = Reason::Other("version-mismatch".to_owned());
        return Decision::Fail(DriverFailure::new(Status::Failed, reason, message));
    }
    let start = Start::Paused {
        state: pause.state,
        wait: pause.left,
        waited: pause.waited,
        elapsed,
        progress: pause.progress,
    };
    Decision::Resume(start, begun.request)
}

fn given_up(operation: Operation, attempts: u32) -> Decision {
    Decision::Fail(unknown(format!(
        "the servo ended {attempts} times at this point of {operation}, so it is not tried again; \
         look into its log and the system's for the cause"
    )))
}

/// What becomes of a call that was being undone.
fn undo_on(
    undo: UndoInHand,
    request: Value,
    same: bool,
    elapsed: Duration,
    progress: Option<f64>,
) -> Decision {
    let why = match undo.pause {
        Some(pause) if !undo.running && same => {
            let start = Start::Undone {
                undoing: undo.what,
                resume: pause.state,
                wait: pause.left,
                undone: undo.elapsed,
                elapsed,
                progress,
            };
            return Decision::Resume(start, request);
        }
        Some(_) if !undo.running => "another driver is here now than the one that was undoing it",
        _ => "the servo ended while the driver was undoing it",
    };
    let mut failure = DriverFailure::from(undo.what.failure);
    failure.message = format!(
        "{}; {why}, so the state of the application is unknown",
        failure.message
    );
    failure.in_force = None;
    Decision::Fail(failure)
}

fn unknown(message: String) -> DriverFailure {
    DriverFailure::new(Status::Failed, Reason::Unknown, message)
}

impl Servo {
    /// Goes on with what was in hand.
    pub(crate) async fn recover(&mut self, recovered: Recovered) -> Reported {
        tracing::info!("after the last run, {recovered}");
        match recovered {
            Recovered::Nothing => Reported::InStep,
            Recovered::Report(report) => self.send_again(report).await,
            Recovered::Call(call) => self.take_up(call).await,
        }
    }

    async fn send_again(&mut self, report: UnsentReport) -> Reported {
        let UnsentReport { call, event } = report;
        let operation = match event.event {
            EventName::Description => Operation::Describe,
            EventName::Adjustment => Operation::Adjust,
            _ => Operation::Measure,
        };
        let envelope = Envelope {
            // The deployment that sends it is this one.
            servo_uid: self.config.servo_uid.clone(),
            ..event
        };
        self.delay_point(&about_to_send(&envelope)).await;
        Round::new(self, None, call)
            .deliver(operation, &envelope)
            .await
    }

    async fn take_up(&mut self, in_hand: CallInHand) -> Reported {
        // A service that cannot be greeted stops no wait.
        let in_hand = in_hand.after(self.recovered_at.elapsed());
        let call = in_hand.call.clone();
        let answer = in_hand.command.clone();
        let command = match Command::parse(&answer) {
            Ok(command) => command,
            Err(error) => {
                // It was understood when it was accepted.
                tracing::error!("the command in the journal is no longer understood: {error}");
                Round::new(self, None, call).close().await;
                return Reported::InStep;
            }
        };
        let (operation, driver) = match &command.body {
            CommandBody::Describe(_) => (Operation::Describe, None),
            CommandBody::Measure(_) => (
                Operation::Measure,
                self.drivers.measure.as_ref().map(|driver| driver.facts()),
            ),
            CommandBody::Adjust(_) => (
                Operation::Adjust,
                self.drivers.adjust.as_ref().map(|driver| driver.facts()),
            ),
            CommandBody::Sleep(_) => return Reported::InStep,
        };
        let driver = driver.map(Ours::from);
        match decide(operation, in_hand, driver.as_ref()) {
            Decision::Afresh => self.round(command, &answer, call).await,
            Decision::Fail(failure) => {
                Round::new(self, command.cmd_uid, call)
                    .fail(operation, failure.into())
                    .await
            }
            Decision::Resume(start, request) => {
                self.resume(command, &answer, call, start, &request).await
            }
        }
    }

    async fn resume(
        &mut self,
        command: Command,
        answer: &Value,
        call: CallId,
        start: Start,
        request: &Value,
    ) -> Reported {
        let Command { body, cmd_uid } = command;
        let mut round = Round::new(self, cmd_uid, call).with_param(answer);
        match body {
            CommandBody::Measure(param) => round.measure(param, start).await,
            CommandBody::Adjust(param) => match adjust_request(request) {
                Ok(request) => round.adjust(param, Some((start, request))).await,
                Err(error) => {
                    let message = format!("the request in the journal cannot be read: {error}");
                    round.fail(Operation::Adjust, unknown(message).into()).await
                }
            },
            // Neither has steps, so neither pauses.
            CommandBody::Describe(_) | CommandBody::Sleep(_) => Reported::InStep,
        }
    }
}

/// The request that the steps before were given: values that were checked
/// against a description then, and not what another one would make of them now.
fn adjust_request(request: &Value) -> Result<AdjustRequest, serde_json::Error> {
    #[derive(Deserialize)]
    struct Written {
        application: AppliedApplication,
        control: Control,
        #[serde(default)]
        dry_run: bool,
    }
    let Written {
        application,
        control,
        dry_run,
    } = Written::deserialize(request)?;
    Ok(AdjustRequest {
        application,
        control,
        dry_run,
    })
}
