//! A driver during whose waits the agent's clock is fake, and real while it runs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use servo_agent::{CallContext, DriverFacts, DriverFailure, MeasureDriver, MeasureRequest, Step};
use servo_host::Sandboxed;
use servo_protocol::{Measurement, Metrics};

/// Makes the agent's clock fake while a call waits.
pub(super) struct Clocked<'a> {
    driver: &'a Sandboxed,
    fake: AtomicBool,
    since: Mutex<Option<tokio::time::Instant>>,
    waits: Mutex<Vec<Duration>>,
    when_paused: &'a (dyn Fn() + Sync),
}

impl<'a> Clocked<'a> {
    pub(super) fn new(driver: &'a Sandboxed, when_paused: &'a (dyn Fn() + Sync)) -> Self {
        Self {
            driver,
            fake: AtomicBool::new(false),
            since: Mutex::default(),
            waits: Mutex::default(),
            when_paused,
        }
    }

    /// How long the call waited between its steps, to the second.
    pub(super) fn into_waits(self) -> Vec<Duration> {
        self.resume();
        self.waits.into_inner().unwrap()
    }

    fn pause(&self) {
        (self.when_paused)();
        tokio::time::pause();
        self.fake.store(true, Ordering::SeqCst);
        *self.since.lock().unwrap() = Some(tokio::time::Instant::now());
    }

    fn resume(&self) {
        if self.fake.swap(false, Ordering::SeqCst) {
            let since = self.since.lock().unwrap().take().unwrap();
            // The clock's timers are precise to a millisecond.
            let waited = Duration::from_secs(since.elapsed().as_secs());
            self.waits.lock().unwrap().push(waited);
            tokio::time::resume();
        }
    }
}

#[async_trait]
impl MeasureDriver for Clocked<'_> {
    fn facts(&self) -> &DriverFacts {
        MeasureDriver::facts(self.driver)
    }

    async fn describe(&self, cx: &CallContext) -> Result<Metrics, DriverFailure> {
        MeasureDriver::describe(self.driver, cx).await
    }

    async fn step(
        &self,
        cx: &CallContext,
        request: &MeasureRequest,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        self.resume();
        let step = MeasureDriver::step(self.driver, cx, request, resume).await;
        if matches!(step, Ok(Step::Wait(_))) {
            self.pause();
        }
        step
    }

    async fn cancelled(
        &self,
        cx: &CallContext,
        request: &MeasureRequest,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Step<()>, DriverFailure> {
        self.resume();
        MeasureDriver::cancelled(self.driver, cx, request, state, resume).await
    }
}
