//! The transitions.

use serde_json::{Map, Value, json};
use servo_protocol::{Control, Failure, Measurement, Operation, Reason, Status, StatusReply};

use super::study::{Study, Trial, TrialState, perf};
use super::{
    Command, End, Input, MAX_DELIVERIES, MAX_REPEATS, MAX_TRIES, Machine, Notice, Outcome, Phase,
    Progress, Reaction, Reply, ServoSeen, Write,
};
use crate::objective::{FormulaError, Objective};
use crate::space::{Settings, Space};

/// Longest name of an agent that is kept, in bytes.
const MAX_AGENT: usize = 200;
/// Longest text of a progress report that is kept, in bytes.
const MAX_PROGRESS: usize = 1000;

/// Changes and news of one reaction, while it is being made.
#[derive(Default)]
pub(super) struct Changes {
    writes: Vec<Write>,
    notices: Vec<Notice>,
    core: bool,
    study: bool,
}

impl Machine {
    /// Takes one event in. `now` is the time stamp for what is recorded, in
    /// milliseconds since the Unix epoch.
    pub fn handle(&mut self, input: Input, servo_uid: Option<&str>, now: u64) -> Reaction {
        let mut changes = Changes::default();
        let superseded = !matches!(input, Input::Hello { .. } | Input::Stop { .. })
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
                    let message = message.map(|message| super::study::cut(&message, MAX_PROGRESS));
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
                Input::Goodbye { .. } => self.goodbye(&mut changes),
                Input::Stop { reason } => self.stop(reason, now, &mut changes),
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

    fn ok(&self) -> Reply {
        Reply::Status(StatusReply::ok())
    }

    fn hello(
        &mut self,
        agent: &str,
        servo_uid: Option<&str>,
        now: u64,
        changes: &mut Changes,
    ) -> Reply {
        let agent = super::study::cut(agent, MAX_AGENT);
        let servo = ServoSeen {
            agent,
            servo_uid: servo_uid.map(str::to_owned),
            connected: true,
        };
        changes.notices.push(Notice::Servo(servo.clone()));
        self.state.core.servo = Some(servo);
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
            _ => {}
        }
        self.give_up_if_stopped(now, changes);
        self.ok()
    }

    fn goodbye(&mut self, changes: &mut Changes) -> Reply {
        if let Some(servo) = &mut self.state.core.servo {
            servo.connected = false;
            changes.notices.push(Notice::Servo(servo.clone()));
            changes.core = true;
        }
        self.ok()
    }

    fn stop(&mut self, reason: String, now: u64, changes: &mut Changes) -> Reply {
        if self.state.core.stop.is_none() && !matches!(self.state.core.phase, Phase::Ended { .. }) {
            self.state.core.stop = Some(super::study::cut(&reason, MAX_PROGRESS));
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

    fn whats_next(&mut self, now: u64, changes: &mut Changes) -> Reply {
        if self.state.core.phase == Phase::Waiting {
            self.state.core.phase = Phase::Describing { failed: 0 };
        }
        self.give_up_if_stopped(now, changes);
        let tired = self
            .state
            .outstanding
            .as_ref()
            .is_some_and(|command| command.deliveries >= MAX_DELIVERIES);
        if tired {
            let text = format!(
                "the command was handed out {MAX_DELIVERIES} times and no usable report came back"
            );
            self.conclude(
                Outcome::Failed(failure(
                    Status::NoData,
                    Reason::Other("no-report".into()),
                    &text,
                )),
                now,
                changes,
            );
        }
        if let Some(seconds) = self.state.core.nap.take() {
            changes.core = true;
            return sleep(seconds, "waiting before another try");
        }
        if self.state.outstanding.is_none() {
            let Some((operation, param)) = self.next_command() else {
                let reason = match &self.state.core.phase {
                    Phase::Ended { end } => end.reason().to_owned(),
                    _ => "nothing to do".to_owned(),
                };
                return sleep(self.state.plan.idle_sleep.max(1), &reason);
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
            });
            self.progress = None;
        }
        let Some(command) = &mut self.state.outstanding else {
            return sleep(self.state.plan.idle_sleep.max(1), "nothing to do");
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
        match &self.state.core.phase {
            Phase::Waiting | Phase::Ended { .. } => None,
            Phase::Describing { .. } => Some((Operation::Describe, json!({}))),
            Phase::Baseline { .. } | Phase::Measuring { .. } => {
                let metrics = self
                    .state
                    .study
                    .as_ref()
                    .map(|study| study.metrics.clone())
                    .unwrap_or_default();
                let control = control(&self.state.plan.control);
                Some((
                    Operation::Measure,
                    json!({ "metrics": metrics, "control": control }),
                ))
            }
            Phase::Adjusting { trial } | Phase::Restoring { trial, .. } => {
                adjust(self.settings_of(*trial)?)
            }
            Phase::Recovering { .. } => adjust(self.settings_of(self.state.core.last_good)?),
        }
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
        self.conclude(outcome, now, changes);
        StatusReply::ok()
    }

    /// Forgets the command in hand.
    fn close(&mut self, status: &str, changes: &mut Changes) -> Option<Command> {
        let command = self.state.outstanding.take()?;
        self.progress = None;
        self.state.core.last_closed = Some(command.operation);
        changes.core = true;
        changes.writes.push(Write::Closed {
            seq: command.seq,
            status: super::study::cut(status, 200),
        });
        Some(command)
    }

    /// The command in hand has ended: on to the next step.
    fn conclude(&mut self, outcome: Outcome, now: u64, changes: &mut Changes) {
        let status = match &outcome {
            Outcome::Failed(failure) => failure.status.as_str().to_owned(),
            _ => "ok".to_owned(),
        };
        let Some(command) = self.close(&status, changes) else {
            return;
        };
        if let Outcome::Failed(failure) = &outcome
            && self.forgive(failure)
        {
            return;
        }
        match self.state.core.phase.clone() {
            Phase::Waiting | Phase::Ended { .. } => {}
            Phase::Describing { failed } => self.described(outcome, failed, changes),
            Phase::Baseline { failed } => {
                self.baseline_measured(outcome, failed, &command, now, changes)
            }
            Phase::Adjusting { trial } => match outcome {
                Outcome::Failed(failure) => self.trial_failed(trial, &failure, now, changes),
                _ => {
                    self.state.core.applied = self.settings_of(trial).cloned();
                    self.state.core.phase = Phase::Measuring { trial };
                }
            },
            Phase::Measuring { trial } => {
                self.trial_measured(trial, outcome, &command, now, changes)
            }
            Phase::Recovering { failed } => match outcome {
                Outcome::Failed(_) if failed + 1 < MAX_TRIES => {
                    self.again(Phase::Recovering { failed: failed + 1 }, failed)
                }
                Outcome::Failed(failure) => {
                    let end = End::Failed(format!(
                        "the last good settings could not be applied again: {}",
                        brief(&failure)
                    ));
                    self.state.core.phase = Phase::Restoring {
                        trial: 0,
                        failed: 0,
                        end,
                    };
                }
                _ => {
                    self.state.core.applied = self.settings_of(self.state.core.last_good).cloned();
                    self.next_trial(now, changes);
                }
            },
            Phase::Restoring { trial, failed, end } => self.restored(outcome, trial, failed, end),
        }
        if self.state.core.stop.is_some() {
            self.halt(now, changes);
        }
    }

    /// Some failures say nothing about the settings: the same step is done
    /// again, a few times.
    fn forgive(&mut self, failure: &Failure) -> bool {
        let passing =
            failure.status == Status::TransientFailure || failure.reason == Some(Reason::Stopping);
        let core = &mut self.state.core;
        if !passing || core.repeats >= MAX_REPEATS || core.stop.is_some() {
            return false;
        }
        core.repeats += 1;
        true
    }

    /// Another try after a rest that grows.
    fn again(&mut self, phase: Phase, failed: u32) {
        self.state.core.phase = phase;
        self.state.core.nap = Some(2_u32.saturating_pow(failed + 1).min(60));
    }

    fn end(&mut self, end: End) {
        self.state.core.phase = Phase::Ended { end };
        self.state.core.nap = None;
    }

    fn described(&mut self, outcome: Outcome, failed: u32, changes: &mut Changes) {
        let problem = match outcome {
            Outcome::Described(descriptor) => match self.begin(&descriptor) {
                Ok(()) => {
                    changes.study = true;
                    self.state.core.phase = Phase::Baseline { failed: 0 };
                    return;
                }
                // Asking again would bring the same description.
                Err(problem) => return self.end(End::Failed(problem)),
            },
            Outcome::Failed(failure) => brief(&failure),
            _ => "the report holds no description".to_owned(),
        };
        if failed + 1 < MAX_TRIES {
            return self.again(Phase::Describing { failed: failed + 1 }, failed);
        }
        self.end(End::Failed(format!(
            "the application could not be described: {problem}"
        )));
    }

    /// Makes a study from a description.
    fn begin(&mut self, descriptor: &Value) -> Result<(), String> {
        let application = descriptor
            .get("application")
            .cloned()
            .unwrap_or_else(|| json!({}));
        let (space, found) = Space::describe(&application).map_err(|error| {
            format!("the description of the application cannot be used: {error}")
        })?;
        let metrics: Vec<String> = descriptor
            .pointer("/measurement/metrics")
            .and_then(Value::as_object)
            .map(|metrics| metrics.keys().cloned().collect())
            .unwrap_or_default();
        let perf = perf(descriptor);
        let names: Vec<&str> = metrics.iter().map(String::as_str).collect();
        let objective = Objective::choose(&self.state.plan.objective, perf.as_deref(), &names)
            .map_err(|error: FormulaError| error.to_string())?;
        let objective = objective.text().to_owned();
        self.state.study = Some(Study {
            space,
            found,
            metrics,
            perf,
            objective,
            scores: Vec::new(),
            baseline: None,
        });
        self.engine = self.build_engine();
        Ok(())
    }

    /// The score of a measurement, recorded with it.
    fn score(
        &self,
        trial: u32,
        outcome: Outcome,
        command: &Command,
        changes: &mut Changes,
    ) -> Result<f64, Failure> {
        let measurement: Measurement = match outcome {
            Outcome::Measured(measurement) => measurement,
            Outcome::Failed(failure) => return Err(failure),
            _ => {
                return Err(failure(
                    Status::Failed,
                    Reason::InvalidMeasurement,
                    "the report holds no measurement",
                ));
            }
        };
        let score = match &self.engine {
            Some(engine) => engine
                .objective
                .score(&measurement)
                .map_err(|error| error.to_string()),
            None => Err("there is no objective".to_owned()),
        };
        changes.writes.push(Write::Measurement {
            seq: command.seq,
            trial,
            score: score.as_ref().ok().copied(),
            measurement,
        });
        score.map_err(|problem| failure(Status::Failed, Reason::InvalidMeasurement, &problem))
    }

    fn baseline_measured(
        &mut self,
        outcome: Outcome,
        failed: u32,
        command: &Command,
        now: u64,
        changes: &mut Changes,
    ) {
        let score = match self.score(0, outcome, command, changes) {
            Ok(score) => score,
            Err(_) if failed + 1 < MAX_TRIES => {
                return self.again(Phase::Baseline { failed: failed + 1 }, failed);
            }
            Err(failure) => {
                let problem = brief(&failure);
                return self.end(End::Failed(format!(
                    "the settings found at the start could not be measured: {problem}"
                )));
            }
        };
        let repeats = self.state.plan.baseline_repeats.max(1) as usize;
        let Some(study) = &mut self.state.study else {
            return;
        };
        study.scores.push(score);
        changes.study = true;
        if study.scores.len() < repeats {
            self.state.core.phase = Phase::Baseline { failed: 0 };
            return;
        }
        study.baseline = Some(study.scores.iter().sum::<f64>() / study.scores.len() as f64);
        let observation = study.observation(self.state.plan.maximize);
        self.tell(observation);
        self.next_trial(now, changes);
    }

    /// Begins the next trial, or the end.
    fn next_trial(&mut self, now: u64, changes: &mut Changes) {
        if self.state.core.stop.is_some() {
            return self.halt(now, changes);
        }
        let failed_in_a_row = self
            .state
            .trials
            .iter()
            .rev()
            .take_while(|trial| trial.state == TrialState::Failed)
            .count();
        if failed_in_a_row >= self.state.plan.max_failed_in_a_row.max(1) as usize {
            return self.finish(End::Failed(format!(
                "{failed_in_a_row} trials in a row failed"
            )));
        }
        let number = u32::try_from(self.state.trials.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        if number > self.state.plan.trials {
            return self.finish(End::Done(format!(
                "all {} trials were made",
                self.state.plan.trials
            )));
        }
        let point = self.engine.as_mut().and_then(|engine| engine.sampler.ask());
        let (Some(point), Some(study)) = (point, &self.state.study) else {
            return self.finish(End::Done(
                "every combination of settings was tried".to_owned(),
            ));
        };
        let trial = Trial::new(number, point.clone(), study.space.settings(&point), now);
        changes.writes.push(Write::Trial(trial.clone()));
        changes.notices.push(Notice::Trial(trial.clone()));
        self.state.trials.push(trial);
        self.state.core.phase = Phase::Adjusting { trial: number };
    }

    fn change_trial(
        &mut self,
        number: u32,
        changes: &mut Changes,
        change: impl FnOnce(&mut Trial),
    ) {
        let Some(trial) = self
            .state
            .trials
            .iter_mut()
            .find(|each| each.number == number)
        else {
            return;
        };
        change(trial);
        changes.writes.push(Write::Trial(trial.clone()));
        changes.notices.push(Notice::Trial(trial.clone()));
        let observation = trial.observation(self.state.plan.maximize);
        self.tell(observation);
    }

    fn trial_failed(&mut self, number: u32, failure: &Failure, now: u64, changes: &mut Changes) {
        self.change_trial(number, changes, |trial| trial.fail(failure, now));
        self.state.core.phase = Phase::Recovering { failed: 0 };
    }

    fn trial_measured(
        &mut self,
        number: u32,
        outcome: Outcome,
        command: &Command,
        now: u64,
        changes: &mut Changes,
    ) {
        match self.score(number, outcome, command, changes) {
            Err(failure) => self.trial_failed(number, &failure, now, changes),
            Ok(score) => {
                self.change_trial(number, changes, |trial| {
                    trial.state = TrialState::Scored;
                    trial.score = Some(score);
                    trial.ended = Some(now);
                });
                self.state.core.last_good = number;
                self.next_trial(now, changes);
            }
        }
    }

    /// The operator's stop, at a moment when nothing is in hand.
    fn halt(&mut self, now: u64, changes: &mut Changes) {
        let Some(reason) = self.state.core.stop.clone() else {
            return;
        };
        if matches!(
            self.state.core.phase,
            Phase::Restoring { .. } | Phase::Ended { .. }
        ) {
            return;
        }
        let running = self
            .state
            .trials
            .last()
            .filter(|trial| trial.state == TrialState::Running);
        if let Some(number) = running.map(|trial| trial.number) {
            let failure = failure(Status::Cancelled, Reason::Cancelled, &reason);
            self.change_trial(number, changes, |trial| trial.fail(&failure, now));
        }
        self.finish(End::Stopped(reason));
    }

    /// Ends the study: by way of the best settings, where any were changed.
    fn finish(&mut self, end: End) {
        self.state.core.nap = None;
        if !self.state.core.touched {
            return self.end(end);
        }
        let trial = self
            .best()
            .filter(|_| self.best_beats_baseline())
            .map_or(0, |best| best.number);
        self.state.core.phase = Phase::Restoring {
            trial,
            failed: 0,
            end,
        };
    }

    fn restored(&mut self, outcome: Outcome, trial: u32, failed: u32, end: End) {
        match outcome {
            Outcome::Failed(_) if failed + 1 < MAX_TRIES => {
                self.again(
                    Phase::Restoring {
                        trial,
                        failed: failed + 1,
                        end,
                    },
                    failed,
                );
            }
            Outcome::Failed(failure) if trial != 0 => {
                let end = End::Failed(format!(
                    "the best settings could not be applied: {}",
                    brief(&failure)
                ));
                self.state.core.phase = Phase::Restoring {
                    trial: 0,
                    failed: 0,
                    end,
                };
            }
            Outcome::Failed(failure) => {
                let problem = brief(&failure);
                self.end(End::Failed(format!(
                    "the settings found at the start could not be restored, check the application: {problem}"
                )));
            }
            _ => {
                self.state.core.applied = self.settings_of(trial).cloned();
                self.end(end);
            }
        }
    }
}

fn sleep(seconds: u32, reason: &str) -> Reply {
    Reply::Command(
        json!({ "cmd": "SLEEP", "param": { "duration": seconds, "data": { "reason": reason } } }),
    )
}

fn control(control: &Control) -> Value {
    serde_json::to_value(control).unwrap_or_else(|_| json!({}))
}

fn failure(status: Status, reason: Reason, message: &str) -> Failure {
    Failure {
        status,
        reason: Some(reason),
        message: Some(message.to_owned()),
    }
}

/// A failure in one line.
fn brief(failure: &Failure) -> String {
    let mut text = failure.status.to_string();
    if let Some(reason) = &failure.reason {
        text.push_str(&format!(" ({reason})"));
    }
    if let Some(message) = failure
        .message
        .as_deref()
        .filter(|message| !message.is_empty())
    {
        text.push_str(&format!(": {message}"));
    }
    super::study::cut(&text, MAX_PROGRESS)
}
