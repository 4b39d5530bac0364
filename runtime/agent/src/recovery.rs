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
//! | an adjustment in a step | reported `failed`, `unknown` |
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
//! success would be a lie; the service hears that the state is unknown and
//! decides. Between two steps nothing is half done: there an adjustment goes on.
//!
//! What takes the process with it would do so at every start, so the same step
//! is begun three times at most. And a pause belongs to the driver that left
//! it: another version, or other bytes, cannot be expected to read the state.

use serde::Deserialize;
use serde_json::Value;
use servo_protocol::{
    AppliedApplication, Command, CommandBody, Control, Envelope, EventName, Operation, Reason,
    Status,
};

use crate::driver::{AdjustRequest, CallId, DriverFailure};
use crate::journal::{CallInHand, DriverId, PauseInHand, Recovered, Standing, UnsentReport};
use crate::operation::Start;
use crate::servo::Servo;
use crate::turn::{Reported, Turn, about_to_send};

/// How often one step is begun.
const ATTEMPTS: u32 = 3;

/// What becomes of a call.
#[derive(Debug, PartialEq)]
enum Decision {
    /// It is carried out from its beginning.
    Afresh,
    /// It goes on at a pause, with this request.
    Resume(Start, Value),
    /// It has failed.
    Fail(DriverFailure),
}

/// What becomes of a call, given the driver that there is now.
fn decide(operation: Operation, call: CallInHand, driver: Option<&DriverId>) -> Decision {
    let in_step = match &call.standing {
        Standing::Accepted => false,
        Standing::FirstStep => true,
        Standing::Paused(pause) => pause.running,
    };
    if in_step && operation == Operation::Adjust {
        return Decision::Fail(unknown(
            "the servo ended while the driver was adjusting; the state of the application is \
             unknown"
                .to_owned(),
        ));
    }
    if call.attempts >= ATTEMPTS {
        return Decision::Fail(unknown(format!(
            "the servo ended {} times at this point of {operation}, so it is not tried again; look \
             into its log and the system's for the cause",
            call.attempts
        )));
    }
    let Standing::Paused(pause) = call.standing else {
        return Decision::Afresh;
    };
    let PauseInHand {
        driver: theirs,
        request,
        state,
        left,
        waited,
        progress,
        ..
    } = *pause;
    match driver {
        // The turn says that there is none.
        None => {}
        Some(ours) if *ours == theirs => {}
        Some(ours) => {
            let message = format!(
                "the call was begun by the driver {theirs} and cannot be continued by {ours}"
            );
            let reason = Reason::Other("version-mismatch".to_owned());
            return Decision::Fail(DriverFailure::new(Status::Failed, reason, message));
        }
    }
    let start = Start::Paused {
        state,
        wait: left,
        waited,
        elapsed: call.elapsed,
        progress,
    };
    Decision::Resume(start, request)
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
        Turn::new(self, None, call)
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
                Turn::new(self, None, call).close().await;
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
        let driver = driver.map(DriverId::from);
        match decide(operation, in_hand, driver.as_ref()) {
            Decision::Afresh => self.turn(command, &answer, call).await,
            Decision::Fail(failure) => {
                Turn::new(self, command.cmd_uid, call)
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
        let mut turn = Turn::new(self, cmd_uid, call).with_param(answer);
        match body {
            CommandBody::Measure(param) => turn.measure(param, start).await,
            CommandBody::Adjust(param) => match adjust_request(request) {
                Ok(request) => turn.adjust(param, Some((start, request))).await,
                Err(error) => {
                    let message = format!("the request in the journal cannot be read: {error}");
                    turn.fail(Operation::Adjust, unknown(message).into()).await
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
