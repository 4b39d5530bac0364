//! What one command brings: run the drivers, report (protocol sections 4 and 5).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use servo_protocol::{
    AdjustParam, Application, Descriptor, Envelope, Event, Failure, MeasureParam, Measurement,
    Metrics, MetricsDescriptor, Named, Number, Operation, Optimization, Progress, Reason, Report,
    State, Status, StatusReply,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::description::{admitted, fitted};
use crate::driver::{AdjustRequest, CallId, DriverFailure, MeasureRequest};
use crate::environment::CHECK_LIMIT;
use crate::exchange::Exchange;
use crate::journal::{Accepted, JournalError};
use crate::message;
use crate::observer::{Brought, Notice};
use crate::operation::{Call, CallLimits, Ended, Link, Outcome, Start, stopping, unrecorded};
use crate::progress::{ProgressReport, ProgressSink};
use crate::reporting::{Answer, NoReporter, Pacing, Reporter, Undelivered};
use crate::retry::RequestKind;
use crate::servo::Servo;

/// The metric that the original copies, and the name of the copy (section 4.3).
const ALIAS_OF: &str = "requests throughput";
const ALIAS: &str = "perf";

/// Most of the service's words that are logged and sent back to it.
const WORDS_LENGTH: usize = 500;

/// Whether servo and service still agree on what is going on.
pub(crate) enum Reported {
    InStep,
    OutOfStep(String),
    /// Nothing is reported: the call waits, and the next servo goes on with it.
    Left,
}

impl Reported {
    pub(crate) fn out_of_step(status: &StatusReply) -> Self {
        Self::OutOfStep(words(status, "the service gave no reason"))
    }
}

/// The service's words, as far as they are for people.
fn words(status: &StatusReply, otherwise: &str) -> String {
    let reason = status.reason.as_ref().map(|reason| reason.as_str());
    let words = reason.or(status.message.as_deref()).unwrap_or(otherwise);
    words.chars().take(WORDS_LENGTH).collect()
}

/// What is about to be sent, for somebody who says when.
pub(crate) fn about_to_send(envelope: &Envelope) -> String {
    format!("send {} {}", envelope.event, envelope.param)
}

/// One round of the loop that ends with a report.
pub(crate) struct Round<'a> {
    servo: &'a mut Servo,
    cmd_uid: Option<String>,
    call: CallId,
    /// The command's `param`, as it came.
    param: Option<Arc<Value>>,
}

impl<'a> Round<'a> {
    pub(crate) fn new(servo: &'a mut Servo, cmd_uid: Option<String>, call: CallId) -> Self {
        Self {
            servo,
            cmd_uid,
            call,
            param: None,
        }
    }

    /// With the `param` of the command.
    pub(crate) fn with_param(mut self, command: &Value) -> Self {
        self.param = command.get("param").cloned().map(Arc::new);
        self
    }

    /// Records the command; one that cannot be recorded is not carried out.
    pub(crate) async fn accept(
        &mut self,
        operation: Operation,
        command: &Value,
    ) -> Result<(), Reported> {
        let accepted = Accepted {
            call: self.call.clone(),
            command: command.clone(),
        };
        match self.servo.journal.accepted(&accepted).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(operation, unrecorded(&error).into()).await),
        }
    }

    /// Goes on only in the environment that the command asks for (section 9).
    pub(crate) async fn environment(&mut self, operation: Operation) -> Result<(), Reported> {
        let Err(failure) = self.checked_environment(operation).await else {
            return Ok(());
        };
        let failure = self.servo.config.compat.own(failure);
        Err(self.fail(operation, failure).await)
    }

    async fn checked_environment(&self, operation: Operation) -> Result<(), Failure> {
        let Some(check) = &self.servo.environment else {
            let message = "the command asks for an environment, but no environment check is                            configured";
            return Err(mismatch(Reason::NoPlugin, message));
        };
        let stop = self.servo.stops.now();
        let cancel = CancellationToken::new();
        let (progress, _watched) = ProgressSink::new(cancel.clone());
        let call = self.call(self.servo.config.measure_limits, &NoReporter);
        let deadline = Instant::now() + CHECK_LIMIT;
        let cx = call.context(&self.link(), progress, cancel.clone(), deadline);
        let param = self.param.clone().unwrap_or_default();
        let stopped = async {
            stop.cancelled().await;
            cancel.cancel();
            sleep(call.limits.stop_grace).await;
        };
        let checked = tokio::select! {
            biased;
            checked = check.check(&cx, operation, &param) => checked,
            () = stopped => return Err(Failure::from(stopping())),
            () = sleep(CHECK_LIMIT) => {
                let message = format!("the environment check took longer than {CHECK_LIMIT:?}");
                return Err(mismatch(Reason::Timeout, message));
            }
        };
        if checked.is_err() && stop.is_cancelled() {
            return Err(Failure::from(stopping()));
        }
        checked.map_err(|failure| Failure {
            status: Status::EnvironmentMismatch,
            ..failure
        })
    }

    /// The command's parameters cannot be used.
    pub(crate) async fn refuse(&mut self, operation: Operation, problem: &str) -> Reported {
        let message = format!("the parameters of {operation} cannot be used: {problem}");
        let failure = DriverFailure::new(Status::Failed, Reason::InvalidInput, message);
        let failure = self.servo.config.compat.own(failure.into());
        self.fail(operation, failure).await
    }

    pub(crate) async fn describe(&mut self) -> Reported {
        let compat = self.servo.config.compat;
        let outcome = self
            .descriptor()
            .await
            .map_err(|failure| compat.own(failure.into()));
        let seen = outcome.clone().map(|d| Brought::Descriptor(Box::new(d)));
        let report = Report {
            outcome,
            cmd_uid: self.cmd_uid.clone(),
        };
        self.report(Operation::Describe, Event::Description(report), seen)
            .await
    }

    /// Adjust first, then measure; the first failure ends it (section 5.1).
    async fn descriptor(&mut self) -> Result<Descriptor, DriverFailure> {
        if self.servo.drivers.adjust.is_none() && self.servo.drivers.measure.is_none() {
            return Err(no_driver("describe"));
        }
        let application = self.application().await?.unwrap_or_default();
        let mut metrics = self.metrics().await?;
        if self.servo.config.compat.perf_alias {
            add_alias(&mut metrics);
        }
        let perf = self.servo.config.perf.clone();
        Ok(Descriptor {
            application,
            measurement: MetricsDescriptor {
                metrics,
                ..MetricsDescriptor::default()
            },
            optimization: perf
                .filter(|perf| !perf.is_empty())
                .map(|perf| Optimization {
                    perf: Some(perf),
                    ..Optimization::default()
                }),
            ..Descriptor::default()
        })
    }

    /// Asks the adjust driver, and remembers the answer.
    async fn application(&mut self) -> Result<Option<Application>, DriverFailure> {
        let Some(driver) = self.servo.drivers.adjust.clone() else {
            return Ok(None);
        };
        let call = self.call(self.servo.config.adjust_limits, &NoReporter);
        let application = call.application(driver.as_ref()).await?;
        self.servo.described = Some(application.clone());
        Ok(Some(application))
    }

    async fn metrics(&self) -> Result<Metrics, DriverFailure> {
        let Some(driver) = self.servo.drivers.measure.as_deref() else {
            return Ok(Metrics::default());
        };
        let call = self.call(self.servo.config.measure_limits, &NoReporter);
        call.metrics(driver).await
    }

    pub(crate) async fn measure(&mut self, param: MeasureParam, start: Start) -> Reported {
        let outcome = match self.measured(param, start).await {
            Outcome::Left => return Reported::Left,
            Outcome::Ended(Ended::Done(measurement)) => Ok(measurement),
            Outcome::Ended(Ended::Failed(failure)) => Err(failure.into()),
            Outcome::Ended(Ended::Abandoned(reason)) => return self.abandon(reason).await,
        };
        let seen = outcome.clone().map(Brought::Measurement);
        let report = Report {
            outcome,
            cmd_uid: self.cmd_uid.clone(),
        };
        self.report(Operation::Measure, Event::Measurement(report), seen)
            .await
    }

    async fn measured(&self, param: MeasureParam, start: Start) -> Outcome<Measurement> {
        let Some(driver) = self.servo.drivers.measure.as_deref() else {
            return self.own(no_driver("measure"));
        };
        let request = MeasureRequest {
            metrics: param.metrics,
            control: param.control,
        };
        let reporter = self.reporter(Operation::Measure);
        let mut call = self.call(self.servo.config.measure_limits, &reporter);
        call.start = start;
        let mut outcome = call.measure_linked(&self.link(), driver, &request).await;
        if let Outcome::Ended(Ended::Done(measurement)) = &mut outcome
            && self.servo.config.compat.perf_alias
        {
            add_alias(&mut measurement.metrics);
        }
        outcome
    }

    /// A failure of the servo's own making.
    fn own<T>(&self, failure: DriverFailure) -> Outcome<T> {
        let mut failure = failure;
        if self.servo.config.compat.bare_failures {
            failure.reason = None;
        }
        Outcome::Ended(Ended::Failed(failure))
    }

    /// Adjusts; `resumed` is where a call goes on and with which request.
    pub(crate) async fn adjust(
        &mut self,
        param: AdjustParam,
        resumed: Option<(Start, AdjustRequest)>,
    ) -> Reported {
        let outcome = match self.adjusted(param, resumed).await {
            Outcome::Left => return Reported::Left,
            Outcome::Ended(Ended::Done(state)) => Ok(state),
            Outcome::Ended(Ended::Failed(failure)) => Err(failure.into()),
            Outcome::Ended(Ended::Abandoned(reason)) => return self.abandon(reason).await,
        };
        let seen = outcome.clone().map(Brought::State);
        let report = Report {
            outcome,
            cmd_uid: self.cmd_uid.clone(),
        };
        self.report(Operation::Adjust, Event::Adjustment(report), seen)
            .await
    }

    async fn adjusted(
        &mut self,
        param: AdjustParam,
        resumed: Option<(Start, AdjustRequest)>,
    ) -> Outcome<State> {
        let Some(driver) = self.servo.drivers.adjust.clone() else {
            return self.own(no_driver("adjust"));
        };
        let (start, request) = match resumed {
            Some(resumed) => resumed,
            None => match self.adjust_request(&param).await {
                Ok(request) => (Start::Fresh, request),
                Err(failure) => return self.own(failure),
            },
        };
        let reporter = self.reporter(Operation::Adjust);
        let mut call = self.call(self.servo.config.adjust_limits, &reporter);
        call.start = start;
        let requested = self.servo.config.compat.requested_state;
        let link = self.link();
        let outcome = call.adjust_linked(&link, driver.as_ref(), &request);
        let ended = match outcome.await {
            Outcome::Left => return Outcome::Left,
            Outcome::Ended(ended) => ended,
        };
        Outcome::Ended(match ended {
            // The driver's state or the requested one, never a mixture (section 17).
            Ended::Done(applied) if applied.is_empty() || requested => Ended::Done(param.state),
            Ended::Done(applied) => Ended::Done(State::from(applied)),
            // The original reports no state with a failure.
            Ended::Failed(failure) if requested => Ended::Failed(DriverFailure {
                in_force: None,
                ..failure
            }),
            Ended::Failed(failure) => Ended::Failed(failure),
            Ended::Abandoned(reason) => Ended::Abandoned(reason),
        })
    }

    /// A value must have been described before it can be asked for; a servo that
    /// has not been asked for a description yet asks the driver itself.
    async fn adjust_request(
        &mut self,
        param: &AdjustParam,
    ) -> Result<AdjustRequest, DriverFailure> {
        if self.servo.config.compat.unchecked {
            // The original knew no ceilings; the operator of this one does.
            admitted(&param.state.application, &self.servo.config.ceilings)?;
            return Ok(AdjustRequest {
                application: param.state.application.clone(),
                control: param.control.clone(),
                dry_run: false,
            });
        }
        let described = match self.servo.described.clone() {
            Some(described) => described,
            None => self.application().await?.unwrap_or_default(),
        };
        Ok(AdjustRequest {
            application: fitted(
                &param.state.application,
                &described,
                &self.servo.config.ceilings,
            )?,
            control: param.control.clone(),
            dry_run: false,
        })
    }

    fn call<'c>(&'c self, limits: CallLimits, reporter: &'c dyn Reporter) -> Call<'c> {
        let stop: &CancellationToken = self.servo.stops.now();
        Call {
            id: self.call.clone(),
            app: &self.servo.config.app,
            cmd_uid: self.cmd_uid.clone(),
            limits,
            pacing: if self.servo.config.compat.plain_progress {
                Pacing::PLAIN
            } else {
                self.servo.config.pacing
            },
            reporter,
            journal: self.servo.journal.as_ref(),
            observer: self.servo.observer.as_ref(),
            stop,
            start: Start::Fresh,
        }
    }

    fn link(&self) -> Link<'_> {
        Link {
            param: self.param.clone(),
            leave: self.servo.leave(),
            compat: self.servo.config.compat,
        }
    }

    fn reporter(&self, operation: Operation) -> ServiceReporter<'_> {
        ServiceReporter {
            exchange: &self.servo.exchange,
            operation,
            cmd_uid: self.cmd_uid.clone(),
        }
    }

    /// The service does not know the command: nothing is to be reported.
    async fn abandon(&self, reason: String) -> Reported {
        self.close().await;
        Reported::OutOfStep(reason)
    }

    /// Nothing is left to do about the command.
    pub(crate) async fn close(&self) {
        let delivered = self.servo.journal.delivered(&self.call).await;
        self.unless_recorded(delivered);
    }

    fn unless_recorded(&self, recorded: Result<(), JournalError>) {
        if let Err(error) = recorded {
            self.servo.observer.notice(Notice::Unrecorded {
                problem: error.to_string(),
            });
        }
    }

    pub(crate) async fn fail(&mut self, operation: Operation, failure: Failure) -> Reported {
        let seen = Err(failure.clone());
        let event = self.failure_event(operation, failure);
        self.report(operation, event, seen).await
    }

    fn failure_event(&self, operation: Operation, failure: Failure) -> Event {
        let cmd_uid = self.cmd_uid.clone();
        match operation {
            Operation::Describe => Event::Description(Report {
                outcome: Err(failure),
                cmd_uid,
            }),
            Operation::Measure => Event::Measurement(Report {
                outcome: Err(failure),
                cmd_uid,
            }),
            Operation::Adjust => Event::Adjustment(Report {
                outcome: Err(failure),
                cmd_uid,
            }),
        }
    }

    async fn report(
        &mut self,
        operation: Operation,
        mut event: Event,
        outcome: Result<Brought, Failure>,
    ) -> Reported {
        shorten(&mut event);
        self.servo
            .observer
            .notice(Notice::Ended { operation, outcome });
        let packed = self.servo.exchange.pack(&event).or_else(|error| {
            // The checks let only finite numbers through, so this is a defect of
            // ours; the service must hear of it all the same.
            let message = format!("the result cannot be written: {error}");
            let failure = DriverFailure::new(Status::Failed, Reason::Unknown, message);
            self.servo
                .exchange
                .pack(&self.failure_event(operation, failure.into()))
        });
        let Ok(envelope) = packed else {
            return Reported::InStep;
        };
        if self.servo.config.compat.silent_stops && self.servo.stops.now().is_cancelled() {
            self.servo
                .observer
                .notice(Notice::Undelivered { operation });
            self.close().await;
            return Reported::InStep;
        }
        let ended = self.servo.journal.ended(&self.call, &envelope).await;
        self.unless_recorded(ended);
        self.servo.delay_point(&about_to_send(&envelope)).await;
        self.deliver(operation, &envelope).await
    }

    /// Sends a final report until it arrives.
    pub(crate) async fn deliver(&self, operation: Operation, envelope: &Envelope) -> Reported {
        let observer = self.servo.observer.as_ref();
        let stops = &self.servo.stops;
        let Some(reply) = self.servo.exchange.report(envelope, stops).await else {
            observer.notice(Notice::Undelivered { operation });
            return Reported::InStep;
        };
        observer.notice(Notice::Delivered { operation });
        self.close().await;
        if reply.is_out_of_step() && !self.servo.config.compat.only_cancel {
            return Reported::out_of_step(&reply);
        }
        if reply.status != Status::Ok {
            let said = words(&reply, "no reason given");
            tracing::warn!(status = %reply.status, "the service is not content with the report: {said}");
        }
        Reported::InStep
    }
}

/// Sends progress to the service.
struct ServiceReporter<'a> {
    exchange: &'a Exchange,
    operation: Operation,
    cmd_uid: Option<String>,
}

#[async_trait]
impl Reporter for ServiceReporter<'_> {
    async fn report(
        &self,
        report: &ProgressReport,
        runtime: Duration,
    ) -> Result<Answer, Undelivered> {
        let seconds = i64::try_from(runtime.as_secs()).unwrap_or(i64::MAX);
        let compat = self.exchange.compat;
        let mut progress = Progress {
            progress: report.percent.map(Number::from),
            runtime: Some(Number::Integer(seconds)),
            message: report.message.clone(),
            cmd_uid: self.cmd_uid.clone(),
            ..Progress::default()
        };
        if !compat.plain_progress {
            progress.stage.clone_from(&report.stage);
            progress.stageprogress = report.stage_percent.map(Number::from);
            progress.time_remain = report
                .time_remaining
                .map(|left| Number::from(left.as_secs_f64()));
            progress.log.clone_from(&report.log);
        }
        let event = Event::Progress(self.operation, progress);
        // The sink lets only finite numbers through, so it can be packed.
        let Ok(envelope) = self.exchange.pack(&event) else {
            return Ok(Answer::Proceed);
        };
        let answer = match self.exchange.once(RequestKind::Progress, &envelope).await {
            Ok(answer) => answer,
            Err(lost) => {
                let wait = self.exchange.after_lost_progress(&envelope, &lost);
                return Err(Undelivered { wait });
            }
        };
        let Ok(reply) = StatusReply::parse(&answer) else {
            return Ok(Answer::Proceed);
        };
        if reply.is_out_of_step() && !compat.only_cancel {
            return Ok(Answer::Abandon(words(&reply, "no reason given")));
        }
        Ok(match reply.status {
            Status::Cancel => Answer::Cancel(words(&reply, "no reason given")),
            Status::Ok => Answer::Proceed,
            other => {
                tracing::warn!(status = %other, "the service is not content with a progress report");
                Answer::Proceed
            }
        })
    }
}

fn mismatch(reason: Reason, message: impl Into<String>) -> Failure {
    Failure {
        status: Status::EnvironmentMismatch,
        reason: Some(reason),
        message: Some(message.into()),
        state: None,
    }
}

/// Keeps the message of a failure within its limit.
fn shorten(event: &mut Event) {
    let failure = match event {
        Event::Description(Report { outcome, .. }) => outcome.as_mut().err(),
        Event::Measurement(Report { outcome, .. }) => outcome.as_mut().err(),
        Event::Adjustment(Report { outcome, .. }) => outcome.as_mut().err(),
        _ => None,
    };
    if let Some(Failure { message, .. }) = failure {
        *message = message.take().map(message::shortened);
    }
}

fn no_driver(what: &str) -> DriverFailure {
    let message = format!("no driver is configured to {what}; add one under `drivers`");
    DriverFailure::new(Status::Failed, Reason::NoDrivers, message)
}

/// The original's copy of its main metric (section 4.3).
fn add_alias<T: Clone>(metrics: &mut Named<T>) {
    if !metrics.contains_key(ALIAS)
        && let Some(copied) = metrics.get(ALIAS_OF).cloned()
    {
        metrics.insert(ALIAS.to_owned(), copied);
    }
}
