//! The loop: greet, ask, do, report, until told to stop (protocol section 10).
//!
//! One command is in hand at a time. Whatever goes wrong inside a round ends in
//! a report or in a wait, never in the end of the loop and never in a tight
//! circle of requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use servo_config::Ceilings;
use servo_protocol::{
    Application, Command, CommandBody, CommandError, Event, Goodbye, Hello, Named, Operation,
    StatusReply,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::compat::Compat;
use crate::driver::{AdjustDriver, CallId, MeasureDriver};
use crate::environment::EnvironmentCheck;
use crate::exchange::Exchange;
use crate::journal::{Journal, NoJournal, Recovered};
use crate::observer::{NoObserver, Notice, Observer};
use crate::operation::{CallLimits, Start};
use crate::pace::Pace;
use crate::reporting::Pacing;
use crate::retry::{Backoff, RequestKind, RetryPolicy};
use crate::round::{Reported, Round};
use crate::shutdown::{ServoHandle, StopReason};
use crate::transport::Transport;

/// The name the original gives itself in HELLO.
pub const DEFAULT_AGENT: &str = "github.com/opsani/servo";

/// Longest sleep that the service can order. After a day, ask again.
const LONGEST_SLEEP: Duration = Duration::from_secs(86_400);

/// What a servo needs to know.
#[derive(Debug, Clone)]
pub struct ServoConfig {
    /// The application's id.
    pub app: String,
    /// What it calls itself in HELLO.
    pub agent: String,
    /// Free facts for HELLO.
    pub telemetry: Named<String>,
    /// Id of this deployment.
    pub servo_uid: Option<String>,
    /// `OPTUNE_PERF`: formula for the service, passed on unread. Empty counts as none.
    pub perf: Option<String>,
    /// Where the original is followed.
    pub compat: Compat,
    /// What happens before HELLO and before each report.
    pub pace: Pace,
    /// When failed requests are repeated.
    pub retry: RetryPolicy,
    /// How often progress is reported.
    pub pacing: Pacing,
    /// Limits of the calls of the measure driver.
    pub measure_limits: CallLimits,
    /// Limits of the calls of the adjust driver.
    pub adjust_limits: CallLimits,
    /// What no value of a setting may exceed.
    pub ceilings: Ceilings,
}

impl ServoConfig {
    /// For an application, everything else by default.
    #[must_use]
    pub fn new(app: impl Into<String>) -> Self {
        Self {
            app: app.into(),
            agent: DEFAULT_AGENT.to_owned(),
            telemetry: Named::new(),
            servo_uid: None,
            perf: None,
            compat: Compat::default(),
            pace: Pace::default(),
            retry: RetryPolicy::default(),
            pacing: Pacing::default(),
            measure_limits: CallLimits::default(),
            adjust_limits: CallLimits::default(),
            ceilings: Ceilings::default(),
        }
    }
}

/// The drivers of a servo. A command for a missing one fails with `no-drivers`.
#[derive(Clone, Default)]
pub struct Drivers {
    /// Measures.
    pub measure: Option<Arc<dyn MeasureDriver>>,
    /// Adjusts.
    pub adjust: Option<Arc<dyn AdjustDriver>>,
}

/// One servo for one application.
pub struct Servo {
    pub(crate) config: ServoConfig,
    pub(crate) drivers: Drivers,
    pub(crate) exchange: Exchange,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) journal: Arc<dyn Journal>,
    /// Whether somebody can go on with what is left in the journal.
    keeps_journal: bool,
    pub(crate) environment: Option<Arc<dyn EnvironmentCheck>>,
    pub(crate) stops: ServoHandle,
    /// What was in hand when the servo before this one ended.
    recovered: Recovered,
    /// The last reason for a sleep that was told.
    told: Mutex<Option<String>>,
    /// When that was told.
    pub(crate) recovered_at: Instant,
    /// What the adjust driver described last; requested values are checked against it.
    pub(crate) described: Option<Application>,
}

impl Servo {
    /// A servo that nobody watches and that keeps no journal.
    #[must_use]
    pub fn new(config: ServoConfig, drivers: Drivers, transport: Arc<dyn Transport>) -> Self {
        let observer: Arc<dyn Observer> = Arc::new(NoObserver);
        let exchange = Exchange {
            transport,
            retry: if config.compat.plain_retries {
                config.retry.plain()
            } else {
                config.retry
            },
            compat: config.compat,
            servo_uid: config.servo_uid.clone(),
            observer: Arc::clone(&observer),
        };
        Self {
            config,
            drivers,
            exchange,
            observer,
            journal: Arc::new(NoJournal),
            keeps_journal: false,
            environment: None,
            stops: ServoHandle::default(),
            recovered: Recovered::Nothing,
            told: Mutex::default(),
            recovered_at: Instant::now(),
            described: None,
        }
    }

    /// Lets somebody watch.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.exchange.observer = Arc::clone(&observer);
        self.observer = observer;
        self
    }

    /// Keeps a journal.
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = journal;
        self.keeps_journal = true;
        self
    }

    /// Lets somebody check the environment that a command asks for. Without, it
    /// is never the right one.
    #[must_use]
    pub fn with_environment(mut self, environment: Arc<dyn EnvironmentCheck>) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Goes on with what was in hand, as the journal says, after the greeting
    /// and before it asks for anything new.
    #[must_use]
    pub fn with_recovered(mut self, recovered: Recovered) -> Self {
        self.recovered = recovered;
        self.recovered_at = Instant::now();
        self
    }

    /// Stops it, from anywhere.
    #[must_use]
    pub fn handle(&self) -> ServoHandle {
        self.stops.clone()
    }

    /// Runs until told to stop, and returns why it stopped. After
    /// [`StopReason::Restart`] the caller begins again with a new servo.
    pub async fn run(mut self) -> StopReason {
        self.delay_point("say HELLO").await;
        let greeted = self.greet().await;
        if greeted {
            self.work().await;
            self.make_up().await;
        }
        let reason = self.stops.reason();
        if greeted {
            let goodbye = Event::Goodbye(Goodbye {
                reason: reason.to_string(),
            });
            let delivered = match self.exchange.pack(&goodbye) {
                Ok(envelope) => self.exchange.goodbye(&envelope).await,
                Err(_) => false,
            };
            self.observer.notice(Notice::Goodbye {
                reason: reason.to_string(),
                delivered,
            });
        }
        reason
    }

    async fn greet(&self) -> bool {
        let hello = Event::Hello(Hello {
            agent: self.config.agent.clone(),
            telemetry: self.config.telemetry.clone(),
        });
        let answered = self.ask(RequestKind::Hello, &hello).await.is_some();
        if answered {
            self.observer.notice(Notice::Greeted);
        }
        answered
    }

    /// What the journal could not keep was told when it failed.
    async fn make_up(&self) {
        if let Err(error) = self.journal.idle().await {
            tracing::debug!("{error}");
        }
    }

    async fn ask(&self, kind: RequestKind, event: &Event) -> Option<Value> {
        // HELLO and WHATS_NEXT hold no numbers and can always be packed.
        let envelope = self.exchange.pack(event).ok()?;
        self.exchange.insist(kind, &envelope, &self.stops).await
    }

    async fn work(&mut self) {
        let mut backoff = Backoff::default();
        let recovered = std::mem::take(&mut self.recovered);
        // What is not begun now stays in the journal for the next start.
        if recovered != Recovered::Nothing && !self.stops.is_stopping() {
            self.observer.notice(Notice::Recovered {
                what: recovered.to_string(),
            });
            let reported = self.recover(recovered).await;
            if !self.settle(reported, &mut backoff).await {
                return;
            }
        }
        while !self.stops.is_stopping() {
            self.make_up().await;
            let Some(answer) = self.ask(RequestKind::WhatsNext, &Event::WhatsNext).await else {
                return;
            };
            let reported = match Command::parse(&answer) {
                Ok(command) => self.round(command, &answer, CallId::random()).await,
                Err(CommandError::InvalidParam {
                    operation,
                    cmd_uid,
                    problem,
                }) => {
                    Round::new(self, cmd_uid, CallId::random())
                        .refuse(operation, &problem)
                        .await
                }
                Err(error) => match StatusReply::parse(&answer) {
                    Ok(status) if status.is_out_of_step() && !self.config.compat.only_cancel => {
                        Reported::out_of_step(&status)
                    }
                    _ => {
                        if error == CommandError::NoCommand {
                            self.delay_point("ask again").await;
                        }
                        let wait = backoff.next();
                        tracing::warn!(?wait, "{error}");
                        self.observer.notice(Notice::Malformed {
                            problem: error.to_string(),
                            wait,
                        });
                        self.rest(wait).await;
                        continue;
                    }
                },
            };
            if !self.settle(reported, &mut backoff).await {
                return;
            }
        }
    }

    /// Greets again where servo and service are out of step. False: the servo
    /// was told to stop before.
    async fn settle(&self, reported: Reported, backoff: &mut Backoff) -> bool {
        match reported {
            Reported::InStep => {
                backoff.reset();
                true
            }
            Reported::Left => {
                tracing::info!("the call goes on waiting with the next servo");
                false
            }
            Reported::OutOfStep(reason) => {
                tracing::warn!("out of step with the service, greeting again: {reason}");
                self.observer.notice(Notice::OutOfStep { reason });
                self.rest(backoff.next()).await;
                self.greet().await
            }
        }
    }

    pub(crate) async fn round(
        &mut self,
        command: Command,
        answer: &Value,
        call: CallId,
    ) -> Reported {
        self.observer.notice(Notice::Command {
            name: command.name(),
            cmd_uid: command.cmd_uid.clone(),
        });
        let asks_environment = command
            .control()
            .is_some_and(|control| control.environment.is_some());
        let Command { body, cmd_uid } = command;
        let mut round = Round::new(self, cmd_uid, call).with_param(answer);
        let operation = match &body {
            CommandBody::Describe(_) => Some(Operation::Describe),
            CommandBody::Measure(_) => Some(Operation::Measure),
            CommandBody::Adjust(_) => Some(Operation::Adjust),
            CommandBody::Sleep(_) => None,
        };
        if let Some(operation) = operation {
            if let Err(reported) = round.accept(operation, answer).await {
                return reported;
            }
            if asks_environment && let Err(reported) = round.environment(operation).await {
                return reported;
            }
        }
        match body {
            CommandBody::Describe(_) => round.describe().await,
            CommandBody::Measure(param) => round.measure(param, Start::Fresh).await,
            CommandBody::Adjust(param) => round.adjust(param, None).await,
            CommandBody::Sleep(param) => {
                let wait = param.duration.get().min(LONGEST_SLEEP);
                let reason = param
                    .data
                    .as_ref()
                    .and_then(|data| data.get("reason"))
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                let failed = param
                    .data
                    .as_ref()
                    .and_then(|data| data.get("state"))
                    .and_then(Value::as_str)
                    == Some("failed");
                self.tell_reason(reason.as_deref(), failed);
                self.observer.notice(Notice::Sleeping { wait, reason });
                let by_hand =
                    matches!(&self.config.pace, Pace::Interactive(prompt) if !prompt.ended());
                if !by_hand {
                    self.rest(wait).await;
                }
                self.delay_point("ask for the next command").await;
                Reported::InStep
            }
        }
    }

    /// Says once why the service has nothing to do.
    fn tell_reason(&self, reason: Option<&str>, failed: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_deref() == reason {
            return;
        }
        *told = reason.map(str::to_owned);
        match reason.map(servo_text::shown) {
            Some(reason) if failed => tracing::warn!("the study has failed: {reason}"),
            Some(reason) => tracing::info!("the service has nothing to do: {reason}"),
            None => {}
        }
    }

    /// Waits, unless told to stop.
    async fn rest(&self, wait: Duration) {
        self.unless_stopped(sleep(wait)).await;
    }

    async fn unless_stopped(&self, done: impl Future<Output = ()>) {
        let stop = if self.config.compat.patient_stops {
            self.stops.now()
        } else {
            self.stops.any()
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = done => {}
        }
    }

    /// Where `--delay` waits and `--interactive` asks; `next` is what comes then.
    pub(crate) async fn delay_point(&self, next: &str) {
        match &self.config.pace {
            Pace::Straight => {}
            Pace::Delay(delay) => self.rest(*delay).await,
            Pace::Interactive(prompt) => self.unless_stopped(prompt.line(next)).await,
        }
    }

    /// Set when a call is to be left where it waits: at a restart, provided
    /// that the next servo will find it.
    pub(crate) fn leave(&self) -> Option<&CancellationToken> {
        let finds = self.keeps_journal && !self.config.compat.patient_stops;
        finds.then(|| self.stops.leave())
    }
}
