//! One call of one driver, from the command line.
//!
//! It goes through the same step runner as the agent's, so a driver waits, is
//! limited and is cancelled here as it will be in production. The result is
//! JSON on standard output; progress and logs go to standard error.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value, json};
use servo_agent::{
    Call, CallId, CallLimits, Ended, NoJournal, NoReporter, Notice, Observer, Pacing, Start,
};
use servo_host::{Hosted, Sandboxed};
use servo_protocol::{Control, Event, Failure, Scalar, Status, Success};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::MeasureOptions;
use crate::exit::{Failed, Message, Outcome};
use crate::output;

/// What calls from the command line need of their surroundings.
pub(crate) struct Operation {
    app: String,
    limits: CallLimits,
    screen: Screen,
    stop: CancellationToken,
}

impl Operation {
    /// One whose progress is shown.
    pub(crate) fn begin(app: &str, limits: CallLimits) -> Result<Self, Failed> {
        Self::new(app, limits, Screen::new())
    }

    /// One of which only the result is shown.
    pub(crate) fn quiet(app: &str, limits: CallLimits) -> Result<Self, Failed> {
        Self::new(app, limits, Screen::Nothing)
    }

    /// Takes the signals: the first one cancels, with the grace that a driver
    /// has for it; the second one ends the process.
    fn new(app: &str, limits: CallLimits, screen: Screen) -> Result<Self, Failed> {
        let stop = CancellationToken::new();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut signals = signal(kind).map_err(Failed::ran)?;
            let stop = stop.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if stop.is_cancelled() {
                        let number = kind.as_raw_value();
                        let _ = signal_hook::low_level::emulate_default_handler(number);
                    }
                    output::note("cancelling; the same again ends it at once");
                    stop.cancel();
                }
            });
        }
        Ok(Self {
            app: app.to_owned(),
            limits: CallLimits {
                stop_grace: limits.cancel_grace,
                ..limits
            },
            screen,
            stop,
        })
    }

    /// A call of its own: one budget, one id.
    pub(crate) fn call(&self) -> Call<'_> {
        Call {
            id: CallId::random(),
            app: &self.app,
            cmd_uid: None,
            limits: self.limits,
            pacing: Pacing::default(),
            reporter: &NoReporter,
            journal: &NoJournal,
            observer: &self.screen,
            stop: &self.stop,
            start: Start::Fresh,
        }
    }

    /// Prints what an operation brought, and gives the command's outcome.
    pub(crate) fn finish(self, outcome: Result<Value, Failure>) -> Outcome {
        self.screen.end();
        match outcome {
            Ok(value) => print(&value),
            Err(failure) => {
                // It has failed, whether anybody reads how or not.
                let _ = print(&capped(failure));
                Err(Failed::Ran(Message::Said))
            }
        }
    }
}

/// What the service would be sent about an operation.
pub(crate) fn wire(event: &Event) -> Result<Value, Failure> {
    event
        .to_envelope(Success::WithStatus, None)
        .map(|envelope| envelope.param)
        .map_err(|error| failed(&error))
}

/// What a call brought, or how it failed.
pub(crate) fn brought<T>(ended: Ended<T>) -> Result<T, Failure> {
    match ended {
        Ended::Done(value) => Ok(value),
        Ended::Failed(failure) => Err(failure.into()),
        Ended::Abandoned(why) => Err(failed(&why)),
    }
}

/// A failure with no reason that the vocabulary knows.
pub(crate) fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure {
        status: Status::Failed,
        reason: None,
        message: Some(error.to_string()),
        state: None,
    }
}

/// Indented for a person, one line for a program.
fn print(value: &impl Serialize) -> Outcome {
    output::json(value, std::io::stdout().is_terminal())
}

/// A failure whose text is no longer than a person reads.
fn capped(mut failure: Failure) -> Failure {
    if let Some(message) = &mut failure.message
        && message.len() > servo_text::MAX_SHOWN
    {
        *message = output::shown(message).to_string();
    }
    failure
}

/// Tells which requests of a driver were refused.
pub(crate) fn tell_refusals(driver: &Sandboxed) {
    for denied in &driver.bound().ledger().denials {
        output::note(format_args!(
            "refused {} times: {}",
            denied.count,
            output::shown(&denied.request)
        ));
    }
}

/// The same for a driver that may be a program, of which nobody knows.
pub(crate) fn tell_refusals_of(driver: &Hosted) {
    if let Hosted::Sandboxed(driver) = driver {
        tell_refusals(driver);
    }
}

/// The metrics wanted; none named means all.
pub(crate) fn metrics(how: &MeasureOptions) -> Option<Vec<String>> {
    (!how.metrics.is_empty()).then(|| how.metrics.clone())
}

/// The `control` object of a measurement.
pub(crate) fn measure_control(how: &MeasureOptions) -> Result<Control, Failed> {
    let seconds = [("duration", how.duration), ("warmup", how.warmup)];
    let laid_over = seconds
        .into_iter()
        .filter_map(|(name, seconds)| seconds.map(|seconds| (name, json!(seconds))));
    control(how.control.as_deref(), laid_over)
}

/// A `control` object from its text, with members laid over it.
pub(crate) fn control(
    text: Option<&str>,
    over: impl IntoIterator<Item = (&'static str, Value)>,
) -> Result<Control, Failed> {
    let wrong = |error: serde_json::Error| {
        Failed::usage(format_args!(
            "--control: {error}; write one JSON object, such as '{{\"duration\": 10}}'"
        ))
    };
    let mut members: Map<String, Value> = match text {
        None => Map::new(),
        Some(text) => serde_json::from_str(text).map_err(wrong)?,
    };
    members.extend(
        over.into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    serde_json::from_value(Value::Object(members)).map_err(wrong)
}

/// `COMPONENT.SETTING=VALUE`, its name not yet understood.
#[derive(Debug, PartialEq)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) value: Scalar,
}

impl Assignment {
    /// The name ends at the first `=`. The value is a number where it is one.
    pub(crate) fn parse(text: &str) -> Result<Self, Failed> {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| {
                Failed::usage(format_args!("{text:?}: write COMPONENT.SETTING=VALUE"))
            })?;
        let value = serde_json::from_str::<Scalar>(value)
            .unwrap_or_else(|_| Scalar::Text(value.to_owned()));
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }
}

/// Refuses what only a servo with a service can answer.
pub(crate) fn without_environment(control: &Control) -> Outcome {
    if control.environment.is_none() {
        return Ok(());
    }
    Err(Failed::usage(
        "--control: `environment` is a question of the service whether this is the right place; \
         there is no service here, so leave it out",
    ))
}

/// Where progress is shown.
enum Screen {
    /// A terminal.
    Bar(ProgressBar),
    /// A file or a pipe.
    Lines,
    /// Nowhere.
    Nothing,
}

impl Screen {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::new(100);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}%  {elapsed}  {msg}")
        {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    fn line(&self, text: impl std::fmt::Display) {
        match self {
            Self::Bar(bar) => bar.suspend(|| output::note(text)),
            Self::Lines => output::note(text),
            Self::Nothing => {}
        }
    }

    fn progress(&self, percent: Option<f64>, seconds: u64, message: String) {
        match self {
            Self::Bar(bar) => {
                if let Some(percent) = percent {
                    bar.set_position(whole(percent));
                }
                bar.set_message(message);
            }
            _ => {
                let percent =
                    percent.map_or_else(|| "  -".to_owned(), |percent| format!("{percent:3.0}"));
                self.line(format_args!("{percent}% {seconds:>4} s  {message}"));
            }
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Parts of a percent are not shown.
fn whole(percent: f64) -> u64 {
    (0_u32..100)
        .take_while(|whole| f64::from(*whole) < percent.floor())
        .count() as u64
}

/// What a driver says, for a line or a bar.
fn said(message: Option<String>) -> String {
    message.map_or_else(String::new, |text| output::shown(&text).to_string())
}

impl Observer for Screen {
    fn notice(&self, notice: Notice) {
        match notice {
            Notice::Progress {
                report, runtime, ..
            } => {
                let message = said(report.message);
                self.progress(report.percent, runtime.as_secs(), message);
            }
            Notice::Paused { wait, message, .. } => {
                let (seconds, message) = (wait.as_secs_f64(), said(message));
                let text = format!("waiting {seconds} s  {message}");
                match self {
                    Self::Bar(bar) => bar.set_message(text),
                    _ => self.line(text),
                }
            }
            Notice::UndoFailed { problem, .. } => {
                self.line(format_args!(
                    "undoing it failed: {}",
                    output::shown(&problem)
                ));
            }
            Notice::Odd { finding } => {
                self.line(format_args!("odd: {}", output::shown(&finding)));
            }
            _ => {}
        }
    }
}
