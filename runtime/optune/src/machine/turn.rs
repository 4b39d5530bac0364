//! The transitions.

use serde_json::{Map, Value, json};
use servo_protocol::{Control, Operation, Reason, Status, StatusReply};

use super::event::{Input, Notice, Outcome, Reaction, Reply, Write};
use super::failure::{MAX_TEXT, failure};
use super::model::{Changes, Machine};
use super::state::{Command, End, MAX_TRIES, Phase, Progress, ServoSeen};
use super::study::{Verification, cut};
use crate::space::Settings;

/// Times a command is handed out without a report before it is given up. Lost
/// answers come in twos and threes.
pub const MAX_DELIVERIES: u32 = 10;
/// Times that the servo may work on a command, as its progress shows, and then
/// ask for another one. A driver that answers NaN makes the original drop the
/// report and ask again, for ever, and each time is a whole measurement.
pub const MAX_DROPPED: u32 = 3;

/// Longest name of an agent that is kept, in bytes.
const MAX_AGENT: usize = 200;

impl Machine {
    /// Takes one event in. `now` is the time stamp for what is recorded, in
    /// milliseconds since the Unix epoch.
    pub fn handle(&mut self, input: Input, servo_uid: Option<&str>, now: u64) -> Reaction {
        let mut changes = Changes::default();
        let superseded = input.of_servo()
            && !matches!(input, Input::Hello { .. })
            && servo_uid.is_some_and(|uid| {
                let known = self
                    .state
                    .core
                    .servo
                    .as_ref()
                    .and_then(|servo| servo.servo_uid.as_deref());
                known.is_some_and(|known| known != uid)
            });
        let before = self.state.core.phase.clone();
        if input.of_servo() && !superseded {
            self.hear(now, &mut changes);
        }
        let reply = if superseded {
            Reply::Superseded
        } else {
            match input {
                Input::Hello { agent } => self.hello(&agent, servo_uid, now, &mut changes),
                Input::WhatsNext => self.whats_next(now, &mut changes),
                Input::Progress {
                    operation,
                    uid,
                    percent,
                    message,
                } => {
                    let message = message.map(|message| cut(&message, MAX_TEXT));
                    let progress = Progress {
                        operation,
                        percent,
                        message,
                    };
                    Reply::Status(self.report_progress(progress, uid.as_deref(), &mut changes))
                }
                Input::Final {
                    operation,
                    uid,
                    outcome,
                } => Reply::Status(self.report(
                    operation,
                    uid.as_deref(),
                    outcome,
                    now,
                    &mut changes,
                )),
                Input::Goodbye { reason } => self.goodbye(&reason, now, &mut changes),
                Input::Stop { reason } => self.stop(reason, now, &mut changes),
                Input::Resume => self.resume(&mut changes),
                Input::Renew(plan) => self.renew(*plan, &mut changes),
                Input::Tick => self.tick(now, &mut changes),
            }
        };
        if before != self.state.core.phase {
            // Reports are forgiven per step.
            self.state.core.repeats = 0;
            changes.core = true;
            changes
                .notices
                .push(Notice::Phase(self.state.core.phase.clone()));
        }
        if changes.core {
            changes.writes.push(Write::Core(self.state.core.clone()));
        }
        if let (true, Some(study)) = (changes.study, &self.state.study) {
            changes.writes.push(Write::Study(study.clone()));
        }
        Reaction {
            reply,
            writes: changes.writes,
            notices: changes.notices,
        }
    }

    pub(super) fn ok(&self) -> Reply {
        Reply::Status(StatusReply::ok())
    }

    fn hello(
        &mut self,
        agent: &str,
        servo_uid: Option<&str>,
        now: u64,
        changes: &mut Changes,
    ) -> Reply {
        let agent = cut(agent, MAX_AGENT);
        let servo = ServoSeen {
            agent,
            servo_uid: servo_uid.map(str::to_owned),
            connected: true,
            lost: false,
        };
        changes.notices.push(Notice::Servo(servo.clone()));
        self.state.core.servo = Some(servo);
        // One that was killed at work has dropped nothing.
        self.progress = None;
        changes.core = true;
        let undescribed = self.state.study.is_none();
        match &self.state.core.phase {
            Phase::Waiting => self.state.core.phase = Phase::Describing { failed: 0 },
            // A servo that could not describe may have been mended.
            Phase::Ended {
                end: End::Failed(_),
            } if undescribed => {
                self.state.core.phase = Phase::Describing { failed: 0 };
            }
            Phase::Describing { .. } | Phase::Ended { .. } => {}
            // While it was away somebody may have changed the application.
            _ => self.state.core.check = MAX_TRIES,
        }
        self.give_up_if_stopped(now, changes);
        self.ok()
    }

    fn goodbye(&mut self, reason: &str, now: u64, changes: &mut Changes) -> Reply {
        if let Some(servo) = &mut self.state.core.servo {
            servo.connected = false;
            changes.notices.push(Notice::Servo(servo.clone()));
            changes.core = true;
        }
        // A servo that only starts again goes on with what it has in hand.
        if !matches!(reason, "restart" | "restarting") {
            let why = format!("the servo said goodbye ({})", cut(reason, MAX_TEXT));
            self.presume_lost(why, now, changes);
        }
        self.ok()
    }

    fn stop(&mut self, reason: String, now: u64, changes: &mut Changes) -> Reply {
        if self.state.core.stop.is_none() && !matches!(self.state.core.phase, Phase::Ended { .. }) {
            self.state.core.stop = Some(cut(&reason, MAX_TEXT));
            changes.core = true;
            if self.state.outstanding.is_none() {
                self.halt(now, changes);
            }
        }
        self.ok()
    }

    /// A servo that greets or asks has no operation in hand. When the operator
    /// wants the study to end, the command it had is not handed out again.
    fn give_up_if_stopped(&mut self, now: u64, changes: &mut Changes) {
        if self.state.core.stop.is_some() && self.may_cancel() {
            self.close("lost", changes);
            self.halt(now, changes);
        }
    }

    /// A command that is handed out over and over brings nothing.
    fn give_up_if_dropped(&mut self, now: u64, changes: &mut Changes) {
        let worked = self.progress.take().is_some();
        let Some(command) = &mut self.state.outstanding else {
            return;
        };
        command.dropped += u32::from(worked);
        if command.deliveries < MAX_DELIVERIES && command.dropped < MAX_DROPPED {
            return;
        }
        let text = format!(
            "the command was handed out {} times and no usable report came back",
            command.deliveries
        );
        let reason = Reason::Other("no-report".into());
        let outcome = Outcome::Failed(failure(Status::NoData, reason, &text));
        self.conclude(outcome, now, changes);
    }

    fn whats_next(&mut self, now: u64, changes: &mut Changes) -> Reply {
        if self.state.core.phase == Phase::Waiting {
            self.state.core.phase = Phase::Describing { failed: 0 };
        }
        self.give_up_if_stopped(now, changes);
        self.confirm_lost(now, changes);
        self.give_up_if_dropped(now, changes);
        if let Some(seconds) = self.state.core.backoff.take() {
            changes.core = true;
            return self.sleep(seconds, "waiting before another try");
        }
        let idle = self.state.plan.idle_sleep.max(1);
        if self.state.outstanding.is_none() {
            let Some((operation, param)) = self.next_command() else {
                let core = &self.state.core;
                let reason = match (&core.phase, &core.paused) {
                    (Phase::Ended { end }, _) => end.reason().to_owned(),
                    (_, Some(pause)) => pause.reason.clone(),
                    _ => "nothing to do".to_owned(),
                };
                return self.sleep(idle, &reason);
            };
            let core = &mut self.state.core;
            core.seq += 1;
            if operation == Operation::Adjust {
                core.touched = true;
                core.applied = None;
            }
            changes.core = true;
            let uid = format!("{}-{}", core.uid, core.seq);
            self.state.outstanding = Some(Command {
                uid,
                seq: core.seq,
                operation,
                param,
                deliveries: 0,
                dropped: 0,
            });
            self.progress = None;
        }
        let Some(command) = &mut self.state.outstanding else {
            return self.sleep(idle, "nothing to do");
        };
        command.deliveries += 1;
        changes.writes.push(Write::Command(command.clone()));
        let name = command.operation.to_string();
        Reply::Command(json!({ "cmd": name, "param": command.param, "cmd_uid": command.uid }))
    }

    /// What the phase asks for.
    fn next_command(&self) -> Option<(Operation, Value)> {
        let adjust = |settings: &Settings| {
            let mut param = Map::new();
            param.insert("state".to_owned(), settings.to_state());
            param.insert(
                "control".to_owned(),
                control(&self.state.plan.adjust_control),
            );
            Some((Operation::Adjust, Value::Object(param)))
        };
        let core = &self.state.core;
        if core.paused.is_some() {
            return None;
        }
        // The way back comes first: it does not depend on what is in force.
        let going_back = matches!(
            core.phase,
            Phase::Recovering { .. } | Phase::Restoring { .. } | Phase::Ended { .. }
        );
        if core.check > 0 && !going_back {
            return Some((Operation::Describe, self.describe_param()));
        }
        match &core.phase {
            Phase::Waiting | Phase::Ended { .. } => None,
            Phase::Describing { .. } => Some((Operation::Describe, self.describe_param())),
            Phase::Verifying { trial, step, .. } if Verification::applies(*step) => {
                adjust(self.settings_of(Verification::subject(*trial, *step))?)
            }
            Phase::Baseline { .. } | Phase::Measuring { .. } | Phase::Verifying { .. } => {
                let mut param = Map::new();
                // None described: all there are, which is told by leaving it out.
                if let Some(study) = &self.state.study
                    && !study.metrics.is_empty()
                {
                    param.insert("metrics".to_owned(), json!(study.metrics));
                }
                param.insert("control".to_owned(), control(&self.state.plan.control));
                Some((Operation::Measure, Value::Object(param)))
            }
            Phase::Adjusting { trial } | Phase::Restoring { trial, .. } => {
                adjust(self.settings_of(*trial)?)
            }
            Phase::Recovering { .. } => adjust(self.settings_of(self.state.core.last_good)?),
        }
    }

    /// Of the control, only the environment means something to DESCRIBE.
    fn describe_param(&self) -> Value {
        match &self.state.plan.control.environment {
            Some(environment) => json!({ "control": { "environment": environment } }),
            None => json!({}),
        }
    }

    fn sleep(&mut self, seconds: u32, reason: &str) -> Reply {
        self.rest = seconds;
        Reply::Command(
            json!({ "cmd": "SLEEP", "param": { "duration": seconds, "data": { "reason": reason, "state": self.word() } } }),
        )
    }

    /// Settings of a trial; 0 is the baseline.
    pub(super) fn settings_of(&self, trial: u32) -> Option<&Settings> {
        match trial {
            0 => self.state.study.as_ref().map(|study| &study.found),
            number => self
                .state
                .trials
                .iter()
                .find(|each| each.number == number)
                .map(|each| &each.settings),
        }
    }

    fn report_progress(
        &mut self,
        progress: Progress,
        uid: Option<&str>,
        changes: &mut Changes,
    ) -> StatusReply {
        if let Err(reply) = self.expect(progress.operation, uid) {
            return reply;
        }
        self.presume_alive(changes);
        if let Some(reason) = &self.state.core.stop
            && self.may_cancel()
        {
            return StatusReply::cancel(reason);
        }
        changes.notices.push(Notice::Progress(progress.clone()));
        self.progress = Some(progress);
        StatusReply::ok()
    }

    /// Whether the command in hand may be broken off. The way back to good
    /// settings is never cancelled.
    fn may_cancel(&self) -> bool {
        self.state.outstanding.is_some()
            && matches!(
                self.state.core.phase,
                Phase::Describing { .. }
                    | Phase::Baseline { .. }
                    | Phase::Adjusting { .. }
                    | Phase::Measuring { .. }
                    | Phase::Verifying { .. }
            )
    }

    /// Whether a report is about the command in hand.
    fn expect(&self, operation: Operation, uid: Option<&str>) -> Result<(), StatusReply> {
        let outstanding = self.state.outstanding.as_ref();
        match (outstanding, uid) {
            (Some(command), Some(uid)) if command.uid != uid => {
                Err(StatusReply::invalid("unexpected cmd_uid"))
            }
            (None, Some(_)) => Err(StatusReply::invalid("unexpected cmd_uid")),
            (Some(command), _) if command.operation != operation => {
                let due = command.operation;
                Err(StatusReply::unexpected_event(format!(
                    "got a report about {operation} while one about {due} was due"
                )))
            }
            (None, None) => Err(StatusReply::unexpected_event(format!(
                "got a report about {operation} while none was due"
            ))),
            (Some(_), _) => Ok(()),
        }
    }

    /// Whether a final report was taken before: its answer was lost.
    fn repeated(&self, operation: Operation, uid: Option<&str>) -> bool {
        let core = &self.state.core;
        let outstanding = self.state.outstanding.as_ref();
        match uid {
            Some(uid) => uid
                .strip_prefix(core.uid.as_str())
                .and_then(|rest| rest.strip_prefix('-'))
                .and_then(|seq| seq.parse::<u64>().ok())
                .is_some_and(|seq| {
                    seq >= 1
                        && seq <= core.seq
                        && outstanding.is_none_or(|command| command.seq != seq)
                }),
            // A servo that has not asked since then cannot have a new result.
            None => outstanding.is_none() && core.last_closed == Some(operation),
        }
    }

    fn report(
        &mut self,
        operation: Operation,
        uid: Option<&str>,
        outcome: Outcome,
        now: u64,
        changes: &mut Changes,
    ) -> StatusReply {
        if self.repeated(operation, uid) {
            return StatusReply::ok();
        }
        if let Err(reply) = self.expect(operation, uid) {
            return reply;
        }
        self.presume_alive(changes);
        self.conclude(outcome, now, changes);
        StatusReply::ok()
    }
}

fn control(control: &Control) -> Value {
    serde_json::to_value(control).unwrap_or_else(|_| json!({}))
}
