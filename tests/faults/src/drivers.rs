//! Drivers in plain Rust: one that measures by waiting and then looking, one
//! that writes, waits until the application has settled, and looks whether it
//! did. Both reach it through the faulty network, and repeat what got lost a
//! few times, by waiting for a few seconds: as drivers of steps do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{
    AdjustDriver, AdjustRequest, CallContext, CancelSupport, DriverFacts, DriverFailure,
    MeasureDriver, MeasureRequest, Pause, ProgressReport, Step, Verdict,
};
use servo_protocol::{
    Application as Described, AppliedApplication, Measurement, Metrics, Reason, Status,
};
use tokio::time::sleep;

use crate::application::{Application, Ask, Told, Values, applied};
use crate::crash::Crash;
use crate::log::Log;
use crate::net::{Came, Lost, Net};

/// Longest wait for an answer of the application.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often what got lost is tried.
const TRIES: u64 = 6;

/// Wait before another try.
const AGAIN: Duration = Duration::from_secs(5);

/// One thing that a driver did.
#[derive(Debug, Clone, PartialEq)]
pub enum Did {
    /// A step began, with the state it was given.
    Step(Option<String>),
    /// A step ended with a pause.
    Pause(Duration, String),
}

/// Something that a driver did in a call, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// The call.
    pub call: String,
    /// Seconds since the beginning.
    pub at: f64,
    /// What.
    pub did: Did,
}

/// What all drivers did, and how many steps run.
#[derive(Debug, Default)]
pub struct Effects {
    all: Mutex<Vec<Deed>>,
    alive: AtomicU64,
}

impl Effects {
    /// In the order of time.
    #[must_use]
    pub fn all(&self) -> Vec<Deed> {
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Steps that run.
    #[must_use]
    pub fn alive(&self) -> u64 {
        self.alive.load(Ordering::SeqCst)
    }
}

/// Counts one step as running while it lives.
struct Alive<'a>(&'a AtomicU64);

impl<'a> Alive<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What both kinds have in common.
pub struct Driver {
    /// What it is.
    pub facts: DriverFacts,
    /// How long its work takes: the window of a measurement, the settling of
    /// an adjustment.
    pub takes: Duration,
    /// It sits through its window inside one step.
    pub active: bool,
    /// The way to the application.
    pub net: Arc<Net>,
    /// The application.
    pub application: Arc<Application>,
    /// Where the servo may die.
    pub crash: Arc<Crash>,
    /// Where it is kept what it did.
    pub effects: Arc<Effects>,
    /// The record.
    pub log: Arc<Log>,
}

impl Driver {
    /// What a driver is called and can do.
    #[must_use]
    pub fn facts(name: &str, cancel: CancelSupport) -> DriverFacts {
        DriverFacts {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            digest: Some("sha256:01".to_owned()),
            cancel,
            recover: false,
        }
    }

    fn did(&self, cx: &CallContext, did: Did) {
        let deed = Deed {
            call: cx.call.to_string(),
            at: self.log.now(),
            did,
        };
        self.log
            .note(format!("{}: {} {:?}", self.facts.name, deed.call, deed.did));
        self.effects
            .all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(deed);
    }

    async fn ask(&self, what: &str, ask: Ask) -> Result<Told, Lost> {
        let what = format!("{}: {what}", self.facts.name);
        self.crash.point(&format!("{what}: leaves")).await;
        let application = Arc::clone(&self.application);
        let deliver = move |whole: bool| {
            let (application, ask) = (Arc::clone(&application), ask.clone());
            // Half of a request is none: its length does not fit.
            async move {
                if whole {
                    Ok(application.take(ask))
                } else {
                    Err(Lost::Broken)
                }
            }
        };
        let came = self.net.send(&what, PATIENCE, deliver).await;
        self.crash.point(&format!("{what}: answered")).await;
        match came? {
            Came::Whole(told) => Ok(told),
            Came::Torn(_) => Err(Lost::Broken),
        }
    }

    async fn look(&self) -> Result<(u64, Values, bool), Lost> {
        match self.ask("look", Ask::Look).await? {
            Told::Stands(version, values, runs) => Ok((version, values, runs)),
            _ => Err(Lost::Broken),
        }
    }

    /// Once more, later; or not at all.
    fn again<T>(&self, mut state: Value, failed: &str) -> Result<Step<T>, DriverFailure> {
        let tries = number(&state, "tries") + 1;
        if tries >= TRIES {
            let message = format!("the application cannot be reached: {failed}");
            return Err(failure(Status::Failed, "app-unavailable", message));
        }
        if let Some(state) = state.as_object_mut() {
            state.insert("tries".to_owned(), json!(tries));
        }
        Ok(Step::Wait(pause(AGAIN, &state)))
    }

    /// Runs one step and keeps book of it.
    async fn step<T>(
        &self,
        cx: &CallContext,
        resume: Option<&str>,
        step: impl Future<Output = Result<Step<T>, DriverFailure>>,
    ) -> Result<Step<T>, DriverFailure> {
        let _alive = Alive::new(&self.effects.alive);
        self.did(cx, Did::Step(resume.map(str::to_owned)));
        self.crash
            .point(&format!("{}: in a step", self.facts.name))
            .await;
        let ended = step.await;
        if let Ok(Step::Wait(pause)) = &ended {
            self.did(cx, Did::Pause(pause.wait, pause.state.clone()));
        }
        ended
    }
}

fn failure(status: Status, reason: &str, message: String) -> DriverFailure {
    DriverFailure::new(status, Reason::from(reason), message)
}

fn number(state: &Value, name: &str) -> u64 {
    state.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn pause(wait: Duration, state: &Value) -> Pause {
    Pause {
        wait,
        state: state.to_string(),
        progress: None,
        message: None,
    }
}

fn state(resume: Option<&str>) -> Value {
    resume
        .and_then(|state| serde_json::from_str(state).ok())
        .unwrap_or_else(|| json!({ "phase": "begin" }))
}

fn phase(state: &Value) -> &str {
    state
        .get("phase")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn cannot_describe(_: Lost) -> DriverFailure {
    let message = "the application cannot be reached to describe it";
    failure(Status::Failed, "app-unavailable", message.to_owned())
}

/// Waits for its window to pass, then looks how the application did.
pub struct Measures(pub Driver);

impl Measures {
    async fn go(
        &self,
        cx: &CallContext,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        let driver = &self.0;
        let state = state(resume);
        if phase(&state) == "begin" {
            let Ok((version, ..)) = driver.look().await else {
                return driver.again(state, "before the measurement");
            };
            if !driver.active {
                let state = json!({"phase": "collect", "version": version});
                return Ok(Step::Wait(pause(driver.takes, &state)));
            }
            self.sit(cx).await?;
            return self
                .collect(json!({"phase": "collect", "version": version}))
                .await;
        }
        self.collect(state).await
    }

    /// Works through its window inside the step.
    async fn sit(&self, cx: &CallContext) -> Result<(), DriverFailure> {
        for part in 0..10_u32 {
            sleep(self.0.takes / 10).await;
            let report = ProgressReport {
                percent: Some(f64::from(part) * 10.0),
                ..ProgressReport::default()
            };
            if cx.progress.report(report) == Verdict::Cancel {
                let message = "told to stop".to_owned();
                return Err(failure(Status::Aborted, "cancelled", message));
            }
        }
        Ok(())
    }

    async fn collect(&self, state: Value) -> Result<Step<Measurement>, DriverFailure> {
        let told = self.0.ask("measure", Ask::Measure).await;
        let Ok(Told::Measured(version, throughput)) = told else {
            return self.0.again(state, "after the measurement");
        };
        if version != number(&state, "version") {
            let message = "the application was changed meanwhile".to_owned();
            return Err(failure(Status::Aborted, "app-update", message));
        }
        let Some(throughput) = throughput else {
            let message = "the application does not run".to_owned();
            return Err(failure(Status::Aborted, "slo-violation", message));
        };
        let measurement = json!({"metrics": {"throughput": {"value": throughput}}});
        serde_json::from_value(measurement)
            .map(Step::Done)
            .map_err(|error| failure(Status::Failed, "unknown", error.to_string()))
    }
}

#[async_trait]
impl MeasureDriver for Measures {
    fn facts(&self) -> &DriverFacts {
        &self.0.facts
    }

    async fn describe(&self, _: &CallContext) -> Result<Metrics, DriverFailure> {
        let _alive = Alive::new(&self.0.effects.alive);
        self.0.look().await.map_err(cannot_describe)?;
        serde_json::from_value(json!({"throughput": {"unit": "rps"}}))
            .map_err(|error| failure(Status::Failed, "unknown", error.to_string()))
    }

    async fn step(
        &self,
        cx: &CallContext,
        _: &MeasureRequest,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        self.0.step(cx, resume, self.go(cx, resume)).await
    }
}

/// Writes, waits until the application has settled, and looks.
pub struct Adjusts(pub Driver);

impl Adjusts {
    async fn go(
        &self,
        request: &AdjustRequest,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        let driver = &self.0;
        let state = state(resume);
        let Ok((version, values, runs)) = driver.look().await else {
            return driver.again(state, "to look at it");
        };
        let wanted = applied(&request.application);
        if phase(&state) != "settle" {
            // Always written, also what stands there already: a write of
            // before that is still under way must find another version.
            return match driver.ask("write", Ask::Write(version, wanted)).await {
                Ok(Told::Written(version)) => {
                    let state = json!({"phase": "settle", "version": version});
                    Ok(Step::Wait(pause(driver.takes, &state)))
                }
                _ => driver.again(state, "to change it"),
            };
        }
        if (version, &values) != (number(&state, "version"), &wanted) {
            let message = "the application was changed meanwhile".to_owned();
            return Err(failure(Status::Failed, "overwritten", message));
        }
        if !runs {
            let message = "the application does not start".to_owned();
            return Err(failure(Status::Rejected, "start-failed", message));
        }
        Ok(Step::Done(AppliedApplication::default()))
    }
}

#[async_trait]
impl AdjustDriver for Adjusts {
    fn facts(&self) -> &DriverFacts {
        &self.0.facts
    }

    async fn describe(&self, _: &CallContext) -> Result<Described, DriverFailure> {
        let _alive = Alive::new(&self.0.effects.alive);
        let (_, values, _) = self.0.look().await.map_err(cannot_describe)?;
        serde_json::from_value(Application::description(&values))
            .map_err(|error| failure(Status::Failed, "unknown", error.to_string()))
    }

    async fn step(
        &self,
        cx: &CallContext,
        request: &AdjustRequest,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        self.0.step(cx, resume, self.go(request, resume)).await
    }

    /// Takes the version away from a write that may be under way.
    async fn cancelled(
        &self,
        _: &CallContext,
        _: &AdjustRequest,
        _: &str,
        _: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        let _alive = Alive::new(&self.0.effects.alive);
        let (version, values, _) = self.0.look().await.map_err(cannot_describe)?;
        self.0
            .ask("write", Ask::Write(version, values))
            .await
            .map(|_| Step::Done(AppliedApplication::default()))
            .map_err(cannot_describe)
    }
}
