//! What measuring and adjusting have in common, so that the runner of a call
//! is written once.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};
use servo_protocol::check::{self, Finding};
use servo_protocol::{AppliedApplication, Control, Measurement, Operation};

use crate::driver::{
    AdjustDriver, AdjustRequest, CallContext, DriverFacts, DriverFailure, Interruption,
    MeasureDriver, MeasureRequest, Step,
};

/// What a check let through can be written, so null never appears.
fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// One operation of one driver.
#[async_trait]
pub(super) trait Job: Sync {
    const OPERATION: Operation;
    type Output: Serialize + Send + Sync;
    fn facts(&self) -> &DriverFacts;
    fn request(&self) -> Value;
    fn check(&self, output: &Self::Output) -> Result<(), Finding>;
    /// How long the command says that it takes at least, where it does.
    fn length(&self) -> Duration;
    async fn step(
        &self,
        cx: &CallContext,
        resume: Option<&str>,
    ) -> Result<Step<Self::Output>, DriverFailure>;
    /// Takes up a call that was cut short.
    async fn recover(
        &self,
        cx: &CallContext,
        interruption: &Interruption,
    ) -> Result<Step<Self::Output>, DriverFailure>;
    /// Whether settings can be those in force: a measurement has none.
    fn check_in_force(&self, settings: &AppliedApplication) -> Result<(), Finding> {
        check::check_applied(settings)
    }
    /// One step of an undo; done with the settings now in force, where the
    /// driver says so.
    async fn cancelled(
        &self,
        cx: &CallContext,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure>;
}

pub(super) struct Measuring<'a> {
    pub(super) driver: &'a dyn MeasureDriver,
    pub(super) request: &'a MeasureRequest,
}

#[async_trait]
impl Job for Measuring<'_> {
    const OPERATION: Operation = Operation::Measure;
    type Output = Measurement;

    fn facts(&self) -> &DriverFacts {
        self.driver.facts()
    }

    fn request(&self) -> Value {
        json!({
            "metrics": self.request.metrics,
            "control": json_of(&self.request.control),
        })
    }

    fn check(&self, measurement: &Measurement) -> Result<(), Finding> {
        let wanted = self.request.metrics.as_deref();
        check::check_measurement(measurement, wanted, &self.request.control)
    }

    fn length(&self) -> Duration {
        let Control {
            warmup,
            duration,
            delay,
            past,
            ..
        } = &self.request.control;
        [*warmup, *duration, delay.or(*past)]
            .into_iter()
            .flatten()
            .fold(Duration::ZERO, |sum, part| sum.saturating_add(part.get()))
    }

    async fn step(
        &self,
        cx: &CallContext,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        self.driver.step(cx, self.request, resume).await
    }

    async fn recover(
        &self,
        cx: &CallContext,
        interruption: &Interruption,
    ) -> Result<Step<Measurement>, DriverFailure> {
        // A measurement only looks: it is simply gone on with.
        self.step(cx, interruption.state.as_deref()).await
    }

    async fn cancelled(
        &self,
        cx: &CallContext,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        let step = self
            .driver
            .cancelled(cx, self.request, state, resume)
            .await?;
        Ok(match step {
            Step::Done(()) => Step::Done(AppliedApplication::default()),
            Step::Wait(pause) => Step::Wait(pause),
        })
    }
}

pub(super) struct Adjusting<'a> {
    pub(super) driver: &'a dyn AdjustDriver,
    pub(super) request: &'a AdjustRequest,
}

#[async_trait]
impl Job for Adjusting<'_> {
    const OPERATION: Operation = Operation::Adjust;
    type Output = AppliedApplication;

    fn facts(&self) -> &DriverFacts {
        self.driver.facts()
    }

    fn request(&self) -> Value {
        json!({
            "application": json_of(&self.request.application),
            "control": json_of(&self.request.control),
            "dry_run": self.request.dry_run,
        })
    }

    fn check(&self, applied: &AppliedApplication) -> Result<(), Finding> {
        check::check_applied(applied)
    }

    fn length(&self) -> Duration {
        let settlement = self.request.control.settlement;
        settlement.map_or(Duration::ZERO, |settlement| settlement.get())
    }

    async fn step(
        &self,
        cx: &CallContext,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        self.driver.step(cx, self.request, resume).await
    }

    async fn recover(
        &self,
        cx: &CallContext,
        interruption: &Interruption,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        self.driver.recover(cx, self.request, interruption).await
    }

    async fn cancelled(
        &self,
        cx: &CallContext,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        self.driver.cancelled(cx, self.request, state, resume).await
    }
}
