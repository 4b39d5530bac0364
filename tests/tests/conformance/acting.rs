//! Drivers that follow a script, of either kind.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{
    AdjustDriver, AdjustRequest, CallContext, CancelSupport, DriverFacts, DriverFailure,
    MeasureDriver, MeasureRequest, ProgressReport, Step,
};
use servo_protocol::{Application, AppliedApplication, Measurement, Metrics};
use tokio::time::sleep;

/// What a driver does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Reports so many percent with a message and a stage.
    Report(f64, &'static str),
    /// Goes on for so many seconds.
    Work(f64),
    /// Goes on until it is told to stop.
    UntilCancelled,
    /// Never ends by itself.
    Forever,
    /// Brings a result: `metrics` and `annotations`, or the application in force.
    Done(Value),
    /// Fails with status, reason and message.
    Fail(&'static str, Option<&'static str>, &'static str),
}

/// A driver that follows a script.
pub struct Acting {
    facts: DriverFacts,
    description: Result<Value, &'static str>,
    acts: Mutex<VecDeque<Act>>,
    described: AtomicUsize,
    started: Mutex<Vec<Value>>,
    running: AtomicUsize,
}

impl Acting {
    /// With cancel support or without.
    pub fn new(cancel: bool, acts: Vec<Act>) -> Arc<Self> {
        Self::describing(
            cancel,
            Ok(json!({
                "m": {"unit": "ms"},
                "components": {"web": {"settings": {"cpu": {"min": 0.5, "max": 4, "step": 0.25, "value": 1}}}},
            })),
            acts,
        )
    }

    /// With a description; a failing one has a message.
    pub fn describing(
        cancel: bool,
        description: Result<Value, &'static str>,
        acts: Vec<Act>,
    ) -> Arc<Self> {
        Arc::new(Self {
            facts: DriverFacts {
                name: "scripted".to_owned(),
                version: "1.0.0".to_owned(),
                digest: None,
                cancel: if cancel {
                    CancelSupport::Report
                } else {
                    CancelSupport::None
                },
                recover: false,
            },
            description,
            acts: Mutex::new(acts.into()),
            described: AtomicUsize::new(0),
            started: Mutex::default(),
            running: AtomicUsize::new(0),
        })
    }

    /// Requests of the steps that began.
    pub fn started(&self) -> Vec<Value> {
        self.started.lock().unwrap().clone()
    }

    /// How often it was asked to describe.
    pub fn described(&self) -> usize {
        self.described.load(Ordering::SeqCst)
    }

    /// Steps that run now.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// What is described of the application, or of the metrics.
    fn describe_now(&self, application: bool) -> Result<Value, DriverFailure> {
        self.described.fetch_add(1, Ordering::SeqCst);
        match &self.description {
            Ok(all) => {
                let mut mine = all.clone();
                let members = mine.as_object_mut().unwrap();
                members.retain(|name, _| (name == "components") == application);
                Ok(mine)
            }
            Err(message) => Err(failure("failed", None, message)),
        }
    }

    async fn act<T>(
        &self,
        cx: &CallContext,
        request: Value,
        read: fn(Value) -> T,
    ) -> Result<Step<T>, DriverFailure> {
        struct Running<'a>(&'a AtomicUsize);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.started.lock().unwrap().push(request);
        self.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(&self.running);
        loop {
            let act = self.acts.lock().unwrap().pop_front();
            match act.expect("the driver was started once too often") {
                Act::Report(percent, message) => {
                    let _verdict = cx.progress.report(ProgressReport {
                        percent: Some(percent),
                        message: Some(message.to_owned()),
                        stage: Some("load".to_owned()),
                        ..ProgressReport::default()
                    });
                }
                Act::Work(seconds) => sleep(Duration::from_secs_f64(seconds)).await,
                Act::UntilCancelled => cx.cancel.cancelled().await,
                Act::Forever => std::future::pending().await,
                Act::Done(result) => {
                    return Ok(Step::Done(read(result)));
                }
                Act::Fail(status, reason, message) => {
                    return Err(failure(status, reason, message));
                }
            }
        }
    }
}

fn failure(status: &str, reason: Option<&str>, message: &str) -> DriverFailure {
    DriverFailure {
        status: status.into(),
        reason: reason.map(Into::into),
        message: message.to_owned(),
        in_force: None,
    }
}

#[async_trait]
impl MeasureDriver for Acting {
    fn facts(&self) -> &DriverFacts {
        &self.facts
    }
    async fn describe(&self, _: &CallContext) -> Result<Metrics, DriverFailure> {
        self.describe_now(false)
            .map(|metrics| serde_json::from_value(metrics).unwrap())
    }
    async fn step(
        &self,
        cx: &CallContext,
        request: &MeasureRequest,
        _: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        let request = json!({"metrics": request.metrics, "control": request.control});
        self.act(cx, request, |result| {
            serde_json::from_value(result).unwrap()
        })
        .await
    }
}

#[async_trait]
impl AdjustDriver for Acting {
    fn facts(&self) -> &DriverFacts {
        &self.facts
    }
    async fn describe(&self, _: &CallContext) -> Result<Application, DriverFailure> {
        self.describe_now(true)
            .map(|application| serde_json::from_value(application).unwrap())
    }
    async fn step(
        &self,
        cx: &CallContext,
        request: &AdjustRequest,
        _: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        let request = json!({"application": request.application, "control": request.control});
        self.act(cx, request, |result| {
            serde_json::from_value(result).unwrap()
        })
        .await
    }
}
