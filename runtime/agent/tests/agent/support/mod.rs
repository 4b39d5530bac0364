//! A scripted service and scripted drivers on a paused clock.
//!
//! The service records every event with its time and checks by itself what
//! must hold in every run: one request at a time, and no progress after the
//! final report of a command. When it has no more commands it stops the servo.
#![allow(dead_code, unreachable_pub, reason = "each suite uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{
    AdjustDriver, AdjustRequest, CallContext, CancelSupport, DriverFacts, DriverFailure, Drivers,
    EnvironmentCheck, HttpAnswer, Journal, MeasureDriver, MeasureRequest, Observer, Pause,
    ProgressReport, Recovered, Servo, ServoConfig, ServoHandle, Step, StopReason, Transport,
    TransportError,
};
use servo_protocol::{Application, AppliedApplication, Envelope, Measurement, Metrics};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// What the service does with one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with a status and a body.
    Http(u16, String),
    /// Answers 503 with `Retry-After`.
    Busy(u64),
    /// Takes its time, then does the other thing.
    After(Duration, Box<Reply>),
    /// Drops the connection.
    Gone,
    /// Tells the servo to stop, then does the other thing.
    Stop(StopReason, Box<Reply>),
    /// The same, after the turn.
    StopAfterTurn(StopReason, Box<Reply>),
}

pub fn ok(body: Value) -> Reply {
    Reply::Http(200, body.to_string())
}

pub fn status(status: u16) -> Reply {
    Reply::Http(status, json!({"message": "no"}).to_string())
}

pub fn after(seconds: f64, reply: Reply) -> Reply {
    Reply::After(Duration::from_secs_f64(seconds), Box::new(reply))
}

pub fn cancel(reason: &str) -> Reply {
    ok(json!({"status": "cancel", "reason": reason}))
}

/// Which answers a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum To {
    Hello,
    Command,
    Progress,
    Final,
    Goodbye,
}

/// The scripted service. A queue that has run out answers `ok`.
pub struct Service {
    began: Instant,
    queues: Mutex<HashMap<To, VecDeque<Reply>>>,
    log: Mutex<Vec<(f64, Value)>>,
    open: AtomicBool,
    reported: AtomicBool,
    handle: OnceLock<ServoHandle>,
}

impl Service {
    fn new(script: Vec<(To, Reply)>) -> Self {
        let mut queues: HashMap<To, VecDeque<Reply>> = HashMap::new();
        for (to, reply) in script {
            queues.entry(to).or_default().push_back(reply);
        }
        Self {
            began: Instant::now(),
            queues: Mutex::new(queues),
            log: Mutex::default(),
            open: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            handle: OnceLock::new(),
        }
    }

    /// Tells the servo to stop now.
    pub fn stop(&self, reason: StopReason) {
        self.handle.get().unwrap().stop_now(reason);
    }

    /// What it saw.
    pub fn log(&self) -> Log {
        Log(self.log.lock().unwrap().clone())
    }

    fn next(&self, event: &Envelope) -> Reply {
        let progress = event.param.get("progress").is_some();
        let to = match event.event.as_str() {
            "HELLO" => To::Hello,
            "GOODBYE" => To::Goodbye,
            "WHATS_NEXT" => To::Command,
            _ if progress => To::Progress,
            _ => To::Final,
        };
        match to {
            To::Command => self.reported.store(false, Ordering::SeqCst),
            To::Final => self.reported.store(true, Ordering::SeqCst),
            To::Progress => assert!(
                !self.reported.load(Ordering::SeqCst),
                "progress after the final report"
            ),
            _ => {}
        }
        let scripted = self
            .queues
            .lock()
            .unwrap()
            .entry(to)
            .or_default()
            .pop_front();
        match scripted {
            Some(reply) => reply,
            None if to == To::Command => Reply::Stop(
                StopReason::Sigterm,
                Box::new(ok(json!({"cmd": "SLEEP", "param": {}}))),
            ),
            None => ok(json!({"status": "ok"})),
        }
    }
}

#[async_trait]
impl Transport for Service {
    async fn post(&self, event: &Envelope) -> Result<HttpAnswer, TransportError> {
        /// The request is over, or was given up.
        struct Open<'a>(&'a AtomicBool);
        impl Drop for Open<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }
        assert!(
            !self.open.swap(true, Ordering::SeqCst),
            "two requests at once"
        );
        let _open = Open(&self.open);
        let text = serde_json::to_string(event).unwrap();
        let at = self.began.elapsed().as_secs_f64();
        let value = serde_json::from_str(&text).unwrap();
        self.log.lock().unwrap().push((at, value));
        let mut reply = self.next(event);
        loop {
            reply = match reply {
                Reply::Http(status, body) => {
                    return Ok(HttpAnswer {
                        status,
                        body: body.into(),
                        retry_after: None,
                    });
                }
                Reply::Busy(seconds) => {
                    return Ok(HttpAnswer {
                        status: 503,
                        body: "busy".into(),
                        retry_after: Some(Duration::from_secs(seconds)),
                    });
                }
                Reply::Gone => return Err(TransportError("connection reset".to_owned())),
                Reply::After(wait, reply) => {
                    sleep(wait).await;
                    *reply
                }
                Reply::Stop(reason, reply) => {
                    self.handle.get().unwrap().stop_now(reason);
                    *reply
                }
                Reply::StopAfterTurn(reason, reply) => {
                    self.handle.get().unwrap().stop_after_turn(reason);
                    *reply
                }
            };
        }
    }
}

/// What a fake driver does in one step.
pub enum Act<T> {
    /// Ends at once.
    End(Result<Step<T>, DriverFailure>),
    /// Reports, takes its time, goes on.
    Report(ProgressReport, Duration, Box<Act<T>>),
    /// Never ends by itself.
    Forever,
    /// Goes on until it is cancelled, then takes its time and ends.
    UntilCancelled(Duration, Result<Step<T>, DriverFailure>),
}

impl<T> Act<T> {
    pub fn done(result: T) -> Self {
        Self::End(Ok(Step::Done(result)))
    }

    pub fn fail(failure: DriverFailure) -> Self {
        Self::End(Err(failure))
    }

    pub fn wait(seconds: u64, state: &str, progress: f64) -> Self {
        Self::End(Ok(Step::Wait(Pause {
            wait: Duration::from_secs(seconds),
            state: state.to_owned(),
            progress: Some(progress),
            message: Some("waiting".to_owned()),
        })))
    }

    pub fn report(percent: f64, message: &str, seconds: f64, then: Self) -> Self {
        let report = ProgressReport {
            percent: Some(percent),
            message: Some(message.to_owned()),
            stage: Some("load".to_owned()),
            ..ProgressReport::default()
        };
        Self::Report(report, Duration::from_secs_f64(seconds), Box::new(then))
    }
}

/// A scripted driver that remembers what it saw.
pub struct Fake<R, T, D> {
    facts: DriverFacts,
    describe: Mutex<Result<D, DriverFailure>>,
    acts: Mutex<VecDeque<Act<T>>>,
    undo: Mutex<VecDeque<Result<Step<AppliedApplication>, DriverFailure>>>,
    /// (seconds, request, state) of every step.
    pub steps: Mutex<Vec<(f64, R, Option<String>)>>,
    /// State of every undo step.
    pub undone: Mutex<Vec<String>>,
    pub described: AtomicUsize,
    /// Steps that are running now.
    pub running: AtomicUsize,
    began: Instant,
}

pub type FakeMeasure = Fake<MeasureRequest, Measurement, Metrics>;
pub type FakeAdjust = Fake<AdjustRequest, AppliedApplication, Application>;

impl<R: Clone, T, D: Clone> Fake<R, T, D> {
    pub fn new(cancel: CancelSupport, describe: Value, acts: Vec<Act<T>>) -> Self
    where
        D: serde::de::DeserializeOwned,
    {
        Self {
            facts: DriverFacts {
                name: "fake".to_owned(),
                version: "1.0.0".to_owned(),
                digest: None,
                cancel,
                recover: false,
            },
            describe: Mutex::new(Ok(serde_json::from_value(describe).unwrap())),
            acts: Mutex::new(acts.into()),
            undo: Mutex::default(),
            steps: Mutex::default(),
            undone: Mutex::default(),
            described: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            began: Instant::now(),
        }
    }

    pub fn describing(self, describe: Result<D, DriverFailure>) -> Self {
        *self.describe.lock().unwrap() = describe;
        self
    }

    pub fn undoing(self, undo: Result<(), DriverFailure>) -> Self {
        self.undoing_in(vec![
            undo.map(|()| Step::Done(AppliedApplication::default())),
        ])
    }

    /// The steps of its undo, in this order.
    pub fn undoing_in(self, undo: Vec<Result<Step<AppliedApplication>, DriverFailure>>) -> Self {
        *self.undo.lock().unwrap() = undo.into();
        self
    }

    fn describe_now(&self) -> Result<D, DriverFailure> {
        self.described.fetch_add(1, Ordering::SeqCst);
        self.describe.lock().unwrap().clone()
    }

    async fn act(
        &self,
        cx: &CallContext,
        request: &R,
        resume: Option<&str>,
    ) -> Result<Step<T>, DriverFailure> {
        struct Running<'a>(&'a AtomicUsize);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(&self.running);
        let at = self.began.elapsed().as_secs_f64();
        let seen = (at, request.clone(), resume.map(str::to_owned));
        self.steps.lock().unwrap().push(seen);
        let act = self.acts.lock().unwrap().pop_front();
        let mut act = act.expect("the driver was started once too often");
        loop {
            act = match act {
                Act::End(result) => return result,
                Act::Report(report, wait, then) => {
                    let _verdict = cx.progress.report(report);
                    sleep(wait).await;
                    *then
                }
                Act::Forever => std::future::pending().await,
                Act::UntilCancelled(wait, result) => {
                    cx.cancel.cancelled().await;
                    sleep(wait).await;
                    return result;
                }
            };
        }
    }

    fn undo_now(
        &self,
        cx: &CallContext,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        assert!(!cx.cancel.is_cancelled(), "the undo step is not cancelled");
        let seen = resume.map_or(state.to_owned(), |resume| format!("{state}, {resume}"));
        self.undone.lock().unwrap().push(seen);
        let next = self.undo.lock().unwrap().pop_front();
        next.unwrap_or(Ok(Step::Done(AppliedApplication::default())))
    }
}

#[async_trait]
impl MeasureDriver for FakeMeasure {
    fn facts(&self) -> &DriverFacts {
        &self.facts
    }
    async fn describe(&self, _: &CallContext) -> Result<Metrics, DriverFailure> {
        self.describe_now()
    }
    async fn step(
        &self,
        cx: &CallContext,
        request: &MeasureRequest,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        self.act(cx, request, resume).await
    }
    async fn cancelled(
        &self,
        cx: &CallContext,
        _: &MeasureRequest,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Step<()>, DriverFailure> {
        Ok(match self.undo_now(cx, state, resume)? {
            Step::Done(_) => Step::Done(()),
            Step::Wait(pause) => Step::Wait(pause),
        })
    }
}

#[async_trait]
impl AdjustDriver for FakeAdjust {
    fn facts(&self) -> &DriverFacts {
        &self.facts
    }
    async fn describe(&self, _: &CallContext) -> Result<Application, DriverFailure> {
        self.describe_now()
    }
    async fn step(
        &self,
        cx: &CallContext,
        request: &AdjustRequest,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        self.act(cx, request, resume).await
    }
    async fn cancelled(
        &self,
        cx: &CallContext,
        _: &AdjustRequest,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        self.undo_now(cx, state, resume)
    }
}

pub fn metrics() -> Value {
    json!({"throughput": {"unit": "rps"}})
}

pub fn application() -> Value {
    json!({"components": {"web": {"settings": {
        "cpu": {"type": "range", "min": 0.5, "max": 4, "step": 0.25, "value": 1.0, "unit": "cores"},
        "gc": {"type": "enum", "values": ["serial", "g1"], "value": "g1"},
    }}}, "monitoring": {"spec": 1}})
}

pub fn measurement() -> Measurement {
    serde_json::from_value(json!({"metrics": {"throughput": {"value": 104.5, "unit": "rps"}}}))
        .unwrap()
}

pub fn applied(cpu: f64) -> AppliedApplication {
    AppliedApplication::from_values([("web", "cpu", cpu.into())])
}

pub fn measures(cancel: CancelSupport, acts: Vec<Act<Measurement>>) -> Arc<FakeMeasure> {
    Arc::new(Fake::new(cancel, metrics(), acts))
}

pub fn adjusts(acts: Vec<Act<AppliedApplication>>) -> Arc<FakeAdjust> {
    Arc::new(Fake::new(CancelSupport::None, application(), acts))
}

pub fn failure(status: &str, reason: Option<&str>, message: &str) -> DriverFailure {
    DriverFailure {
        status: status.into(),
        reason: reason.map(Into::into),
        message: message.to_owned(),
        in_force: None,
    }
}

/// A servo, its drivers and its script.
pub struct Run {
    pub config: ServoConfig,
    pub drivers: Drivers,
    pub script: Vec<(To, Reply)>,
    pub journal: Option<Arc<dyn Journal>>,
    pub observer: Option<Arc<dyn Observer>>,
    pub recovered: Option<Recovered>,
    pub environment: Option<Arc<dyn EnvironmentCheck>>,
}

impl Run {
    pub fn new(script: Vec<(To, Reply)>) -> Self {
        let mut config = ServoConfig::new("shop");
        config.retry = config.retry.without_jitter();
        Self {
            config,
            drivers: Drivers::default(),
            script,
            journal: None,
            observer: None,
            recovered: None,
            environment: None,
        }
    }

    pub fn measure(mut self, driver: &Arc<FakeMeasure>) -> Self {
        self.drivers.measure = Some(driver.clone());
        self
    }

    pub fn adjust(mut self, driver: &Arc<FakeAdjust>) -> Self {
        self.drivers.adjust = Some(driver.clone());
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut ServoConfig)) -> Self {
        change(&mut self.config);
        self
    }

    pub fn journal(mut self, journal: &Arc<impl Journal + 'static>) -> Self {
        self.journal = Some(journal.clone());
        self
    }

    pub fn environment(mut self, check: &Arc<impl EnvironmentCheck + 'static>) -> Self {
        self.environment = Some(check.clone());
        self
    }

    pub fn recovered(mut self, recovered: Recovered) -> Self {
        self.recovered = Some(recovered);
        self
    }

    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Runs until the script is over. Returns why it stopped and what the
    /// service saw.
    pub async fn go(self) -> (StopReason, Log) {
        let (service, servo) = self.start();
        let reason = servo.await.unwrap();
        (reason, service.log())
    }

    /// Starts it in a task of its own.
    pub fn start(self) -> (Arc<Service>, JoinHandle<StopReason>) {
        let service = Arc::new(Service::new(self.script));
        let transport: Arc<dyn Transport> = service.clone();
        let mut servo = Servo::new(self.config, self.drivers, transport);
        if let Some(journal) = self.journal {
            servo = servo.with_journal(journal);
        }
        if let Some(observer) = self.observer {
            servo = servo.with_observer(observer);
        }
        if let Some(check) = self.environment {
            servo = servo.with_environment(check);
        }
        if let Some(recovered) = self.recovered {
            servo = servo.with_recovered(recovered);
        }
        assert!(service.handle.set(servo.handle()).is_ok());
        (service, tokio::spawn(servo.run()))
    }
}

/// What the service saw: seconds and event.
#[derive(Debug, Clone)]
pub struct Log(pub Vec<(f64, Value)>);

impl Log {
    /// `seconds EVENT` of every request; a progress report is `EVENT%`.
    pub fn lines(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(at, event)| {
                let name = event["event"].as_str().unwrap();
                let progress = event["param"].get("progress").is_some();
                format!("{at} {name}{}", if progress { "%" } else { "" })
            })
            .collect()
    }

    /// Content of every event of this name; `EVENT%` for its progress.
    pub fn params(&self, name: &str) -> Vec<Value> {
        let (name, progress) = match name.strip_suffix('%') {
            Some(name) => (name, true),
            None => (name, false),
        };
        self.0
            .iter()
            .map(|(_, event)| event)
            .filter(|event| {
                event["event"] == name && event["param"].get("progress").is_some() == progress
            })
            .map(|event| event["param"].clone())
            .collect()
    }

    /// Content of the only final report of this name.
    pub fn report(&self, name: &str) -> Value {
        let reports = self.params(name);
        assert_eq!(reports.len(), 1, "exactly one final report: {self:?}");
        reports.into_iter().next().unwrap()
    }
}

/// A command.
pub fn cmd(name: &str, param: Value) -> (To, Reply) {
    (To::Command, ok(json!({"cmd": name, "param": param})))
}

/// MEASURE for one metric.
pub fn measure() -> (To, Reply) {
    cmd(
        "MEASURE",
        json!({"metrics": ["throughput"], "control": {"duration": 2}}),
    )
}

/// ADJUST of cpu.
pub fn adjust(cpu: Value) -> (To, Reply) {
    let state =
        json!({"application": {"components": {"web": {"settings": {"cpu": {"value": cpu}}}}}});
    cmd("ADJUST", json!({"state": state, "control": {}}))
}
