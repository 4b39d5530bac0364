//! A host for tests: native, scripted, and without real time.
//!
//! A driver's whole call runs through its steps as it would in the servo: the
//! configuration is parsed for each, and the state goes through its JSON form
//! between two. The clock only moves when something waits for it, so a test of
//! an hour's measurement takes no time and cannot be late.
//!
//! ```
//! # use servo_driver::{*, http::Method, testing::{Host, Reply}};
//! # use serde_json::json;
//! # use std::time::Duration;
//! # struct Latency;
//! # #[derive(serde::Deserialize)] struct Config { url: String }
//! # impl Measure for Latency {
//! #     type Config = Config;
//! #     type State = ();
//! #     fn describe(_: &Config, _: &Context) -> Result<Vec<model::Metric>, Failure> { Ok(vec![]) }
//! #     fn start(_: &Config, _: &MeasureRequest, _: &Context) -> Result<Step<Measurement, ()>, Failure> {
//! #         Ok(Step::wait(Duration::from_secs(60), ()))
//! #     }
//! #     fn resume(config: &Config, _: &MeasureRequest, _: (), cx: &Context) -> Result<Step<Measurement, ()>, Failure> {
//! #         let ms: f64 = cx.http().get_json(&config.url)?;
//! #         Ok(Step::done(Measurement::new([model::Sample::single("latency", ms)])))
//! #     }
//! # }
//! let run = Host::new()
//!     .config(json!({"url": "http://monitor/latency"}))
//!     .on(Method::Get, "http://monitor/latency", Reply::status(503))
//!     .on(Method::Get, "http://monitor/latency", Reply::json(json!(12.5)))
//!     .measure::<Latency>(&MeasureRequest::new("shop"));
//!
//! assert_eq!(run.result.unwrap().value("latency"), Some(&12.5.into()));
//! assert_eq!((run.steps, run.waited), (2, Duration::from_secs(60)));
//! ```
//!
//! What is not scripted is an error: an unexpected request, and a scripted
//! reply that nobody fetched, make the test panic.

pub(crate) mod fake;
mod http;
pub(crate) mod lines;

use std::{rc::Rc, time::Duration};

use self::{fake::Fake, lines::LINES};
pub use self::{
    http::{Reply, Sent},
    lines::Line,
};
use crate::{
    actions,
    context::Context,
    driver::{self, Adjust, Measure, RawPause, RawStep},
    failure::{Cancelled, Failure},
    host::Host as HostCalls,
    http::Method,
    logger,
    model::{Adjustment, Application, Measurement, Metric},
    report::Report,
    request::{AdjustRequest, MeasureRequest},
    step::Interruption,
};

/// More steps than this in one call are taken for an endless loop.
const MOST_STEPS: usize = 100_000;

/// The largest state the real host keeps.
const STATE_BYTES: usize = 64 * 1024;

/// A scripted host. Everything a driver did can be looked at in the [`Run`].
#[derive(Debug, Default)]
pub struct Host {
    fake: Rc<Fake>,
}

/// How a call went.
#[derive(Debug)]
pub struct Run<T> {
    /// What the service is told.
    pub result: Result<T, Failure>,
    /// How many steps were taken, without those of an undo.
    pub steps: usize,
    /// How long the call waited between its steps.
    pub waited: Duration,
    /// How long it took in all.
    pub elapsed: Duration,
    /// The states between its steps, as JSON text.
    pub states: Vec<String>,
    /// How the undo of a cancelled call ended, if there was one: with the
    /// settings in force after it, none of a measurement.
    pub undone: Option<Result<Adjustment, Failure>>,
    /// The states between the steps of the undo, as JSON text.
    pub undo_states: Vec<String>,
    /// What was reported, including the progress of pauses.
    pub reports: Vec<Report>,
    /// What was sent.
    pub requests: Vec<Rc<Sent>>,
    /// What was written for the operator.
    pub logs: Vec<Line>,
}

impl<T> Run<T> {
    /// The percentages that were reported.
    pub fn percents(&self) -> Vec<f64> {
        self.reports
            .iter()
            .filter_map(|report| report.percent)
            .collect()
    }

    /// Whether the log has a line of this level that contains the text.
    pub fn logged(&self, level: log::Level, text: &str) -> bool {
        self.logs
            .iter()
            .any(|line| line.level == level && line.message.contains(text))
    }
}

impl Host {
    /// A host without configuration that answers no request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the driver's configuration section.
    #[must_use]
    pub fn config(self, config: serde_json::Value) -> Self {
        self.fake.config.replace(config.to_string());
        self
    }

    /// Answers one request for this address, or as many as the reply says.
    /// Several for the same address are given in the order they were scripted.
    ///
    /// An address without query matches any query.
    #[must_use]
    pub fn on(self, method: Method, url: &str, reply: Reply) -> Self {
        self.fake.server.borrow_mut().script(method, url, reply);
        self
    }

    /// Answers every request for this address that [`on`](Self::on) leaves.
    #[must_use]
    pub fn serve(
        self,
        method: Method,
        url: &str,
        handler: impl FnMut(&Sent) -> Reply + 'static,
    ) -> Self {
        self.fake
            .server
            .borrow_mut()
            .serve(method, url, Box::new(handler));
        self
    }

    /// Puts a value into the store.
    #[must_use]
    pub fn stored(self, key: &str, value: &str) -> Self {
        self.fake
            .store
            .borrow_mut()
            .insert(key.to_owned(), value.to_owned());
        self
    }

    /// Grants an action that leaves this output whenever it is run.
    #[must_use]
    pub fn action(self, name: &str, output: actions::Output) -> Self {
        self.fake
            .actions
            .borrow_mut()
            .insert(name.to_owned(), output);
        self
    }

    /// Grants a folder: what the driver finds under this name lies at `path`.
    #[must_use]
    pub fn folder(self, name: &str, path: impl Into<std::path::PathBuf>) -> Self {
        let folders = &self.fake.folders;
        folders.borrow_mut().insert(name.to_owned(), path.into());
        self
    }

    /// Cancels the call when it reports for the n-th time.
    #[must_use]
    pub fn cancel_after_reports(self, reports: usize) -> Self {
        self.fake.cancel_after.set(Some(reports));
        self
    }

    /// Cancels the call when this much time has passed.
    #[must_use]
    pub fn cancel_at(self, time: Duration) -> Self {
        self.fake.cancel_at.set(Some(time));
        self
    }

    /// A value of the store.
    pub fn value(&self, key: &str) -> Option<String> {
        self.fake.store.borrow().get(key).cloned()
    }

    /// A context, for testing a function that is not a whole step.
    pub fn context(&self, app: &str) -> Context {
        logger::install();
        Context::new(Rc::clone(&self.fake), app)
    }

    /// Asks a measure driver for its metrics.
    ///
    /// # Errors
    ///
    /// What the driver answers.
    pub fn describe_measure<D: Measure>(&self, app: &str) -> Result<Vec<Metric>, Failure> {
        driver::describe_measure::<D>(&self.context(app))
    }

    /// Asks an adjust driver for the application's settings.
    ///
    /// # Errors
    ///
    /// What the driver answers.
    pub fn describe_adjust<D: Adjust>(&self, app: &str) -> Result<Application, Failure> {
        driver::describe_adjust::<D>(&self.context(app))
    }

    /// Runs a whole measurement.
    pub fn measure<D: Measure>(&self, request: &MeasureRequest) -> Run<Measurement> {
        let cx = self.context(&request.app);
        self.run(
            |resume| driver::measure::<D>(&cx, request, resume),
            |state, resume| match driver::measure_cancelled::<D>(&cx, request, state, resume)? {
                RawStep::Done(()) => Ok(RawStep::Done(Adjustment::default())),
                RawStep::Wait(pause) => Ok(RawStep::Wait(pause)),
            },
        )
    }

    /// Runs a whole adjustment.
    pub fn adjust<D: Adjust>(&self, request: &AdjustRequest) -> Run<Adjustment> {
        let cx = self.context(&request.app);
        self.run(
            |resume| driver::adjust::<D>(&cx, request, resume),
            |state, resume| driver::adjust_cancelled::<D>(&cx, request, state, resume),
        )
    }

    /// Takes up an adjustment that was cut short, and runs it to its end.
    ///
    /// # Panics
    /// The state has no JSON form, so no driver could have left it.
    #[allow(clippy::expect_used)]
    pub fn recover<D: Adjust>(
        &self,
        request: &AdjustRequest,
        interruption: Interruption<D::State>,
    ) -> Run<Adjustment> {
        let cx = self.context(&request.app);
        let Interruption { state, in_step } = interruption;
        let state = state.map(|state| serde_json::to_string(&state).expect("a state is JSON"));
        self.run(
            |resume| match resume {
                None => driver::adjust_recover::<D>(&cx, request, state.as_deref(), in_step),
                Some(_) => driver::adjust::<D>(&cx, request, resume),
            },
            |state, resume| driver::adjust_cancelled::<D>(&cx, request, state, resume),
        )
    }

    fn run<T>(
        &self,
        step: impl Fn(Option<&str>) -> Result<RawStep<T>, Failure>,
        cancelled: impl Fn(&str, Option<&str>) -> Result<RawStep<Adjustment>, Failure>,
    ) -> Run<T> {
        let fake = &self.fake;
        fake.begin();
        let began = fake.clock.get();
        let (mut states, mut waited, mut undone) = (Vec::new(), Duration::ZERO, None);
        let mut undo_states = Vec::new();
        let mut steps = 0;
        let result = loop {
            steps += 1;
            assert!(steps < MOST_STEPS, "the driver never ends: {steps} steps");
            let pause = match step(states.last().map(String::as_str)) {
                Err(failure) => break Err(failure),
                Ok(RawStep::Done(done)) => break Ok(done),
                Ok(RawStep::Wait(pause)) => pause,
            };
            let before = fake.clock.get();
            let verdict = self
                .kept(pause, &mut states)
                .and_then(|wait| HostCalls::wait(fake.as_ref(), wait));
            waited += fake.clock.get() - before;
            if verdict.is_err() {
                undone = states
                    .last()
                    .map(|state| self.undo(|resume| cancelled(state, resume), &mut undo_states));
                break Err(Failure::cancelled("the call was cancelled while it waited"));
            }
        };
        Run {
            result,
            steps,
            waited,
            elapsed: fake.clock.get() - began,
            states,
            undone,
            undo_states,
            reports: fake.reports.take(),
            requests: fake.server.borrow_mut().take_requests(),
            logs: LINES.take(),
        }
    }

    /// All steps of an undo. Its waits are deaf to the cancel that began it.
    fn undo(
        &self,
        step: impl Fn(Option<&str>) -> Result<RawStep<Adjustment>, Failure>,
        states: &mut Vec<String>,
    ) -> Result<Adjustment, Failure> {
        loop {
            assert!(states.len() < MOST_STEPS, "the undo never ends");
            match step(states.last().map(String::as_str))? {
                RawStep::Done(done) => return Ok(done),
                RawStep::Wait(pause) => {
                    let wait = pause.wait;
                    let _ = self.kept(pause, states);
                    HostCalls::sleep(self.fake.as_ref(), wait);
                }
            }
        }
    }

    /// Keeps the state of a pause and reports its progress.
    fn kept(&self, pause: RawPause, states: &mut Vec<String>) -> Result<Duration, Cancelled> {
        let bytes = pause.state.len();
        assert!(
            bytes <= STATE_BYTES,
            "the state is too large: {bytes} of {STATE_BYTES} bytes"
        );
        states.push(pause.state);
        let report = Report {
            percent: pause.progress,
            message: pause.message,
            ..Report::default()
        };
        self.fake.report(report).map(|()| pause.wait)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let left = self.fake.server.borrow().left();
            assert!(
                left.is_empty(),
                "scripted and never asked for: {}",
                left.join(", ")
            );
        }
    }
}
