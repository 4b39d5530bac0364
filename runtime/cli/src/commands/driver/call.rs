//! `servo driver run`: one call of one driver, with no service.
//!
//! It goes through the same step runner as the agent, so a driver waits, is
//! timed and is cancelled here as it will be in production. The result is JSON
//! on standard output; progress and logs go to standard error.

use std::io::IsTerminal;

use serde_json::{Map, Value, json};
use servo_agent::{
    AdjustDriver, AdjustRequest, Call, CallId, CallLimits, Ended, MeasureDriver, MeasureRequest,
    NoJournal, NoReporter, Notice, Observer, Pacing, Start,
};
use servo_artifact::DriverKind;
use servo_host::Sandboxed;
use servo_protocol::{AppliedApplication, Control, Failure, Scalar, Status};
use tokio_util::sync::CancellationToken;

use super::given;
use crate::args::{DriverCall, DriverRunArgs};
use crate::exit::{Failed, Outcome};

pub(crate) async fn run(args: DriverRunArgs) -> Outcome {
    let driver = given::driver(&args.artifact, &args.grants).await?;
    let kind = driver.bound().manifest().kind;
    let fits = match args.call {
        DriverCall::Describe => true,
        DriverCall::Measure => kind == DriverKind::Measure,
        DriverCall::Adjust => kind == DriverKind::Adjust,
    };
    if !fits {
        return Err(Failed::usage(format_args!(
            "{}: is a driver to {kind}; call `describe` or `{kind}`",
            args.artifact.display()
        )));
    }
    let stop = CancellationToken::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    let budget = &driver.bound().grants().budget;
    let call = Call {
        id: CallId::random(),
        app: &args.grants.app,
        cmd_uid: None,
        limits: CallLimits::from(budget),
        pacing: Pacing::default(),
        reporter: &NoReporter,
        journal: &NoJournal,
        observer: &Shown,
        stop: &stop,
        start: Start::Fresh,
    };
    let ended = match args.call {
        DriverCall::Describe => describe(&call, &driver).await,
        DriverCall::Measure => measure(&call, &driver, &args).await?,
        DriverCall::Adjust => adjust(&call, &driver, &args).await?,
    };
    let result = match ended {
        Ok(value) => {
            println!("{}", pretty(&value)?);
            Ok(())
        }
        Err(failure) => {
            println!("{}", pretty(&failure)?);
            Err(Failed::Ran(String::new()))
        }
    };
    let ledger = driver.bound().ledger();
    for denied in &ledger.denials {
        eprintln!("refused {} times: {}", denied.count, denied.request);
    }
    result
}

/// Indented for a person, one line for a program.
fn pretty(value: &impl serde::Serialize) -> Result<String, Failed> {
    if std::io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    }
    .map_err(Failed::ran)
}

type Answer = Result<Value, Failure>;

fn answer<T: serde::Serialize>(ended: Ended<T>) -> Answer {
    match ended {
        Ended::Done(value) => serde_json::to_value(value).map_err(|error| failed(&error)),
        Ended::Failed(failure) => Err(failure.into()),
        Ended::Abandoned(why) => Err(failed(&why)),
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure {
        status: Status::Failed,
        reason: None,
        message: Some(error.to_string()),
    }
}

async fn describe(call: &Call<'_>, driver: &Sandboxed) -> Answer {
    let described = match driver.bound().manifest().kind {
        DriverKind::Measure => call
            .describe(|cx| async move { MeasureDriver::describe(driver, &cx).await })
            .await
            .map(|metrics| json!({ "metrics": metrics })),
        DriverKind::Adjust => call
            .describe(|cx| async move { AdjustDriver::describe(driver, &cx).await })
            .await
            .map(|application| json!({ "application": application })),
    };
    described.map_err(Failure::from)
}

async fn measure(
    call: &Call<'_>,
    driver: &Sandboxed,
    args: &DriverRunArgs,
) -> Result<Answer, Failed> {
    let request = MeasureRequest {
        metrics: (!args.metrics.is_empty()).then(|| args.metrics.clone()),
        control: control(args)?,
    };
    Ok(answer(call.measure(driver, &request).await))
}

async fn adjust(
    call: &Call<'_>,
    driver: &Sandboxed,
    args: &DriverRunArgs,
) -> Result<Answer, Failed> {
    let values = args
        .settings
        .iter()
        .map(|text| setting(text))
        .collect::<Result<Vec<_>, _>>()?;
    if values.is_empty() {
        return Err(Failed::usage(
            "nothing to adjust; name settings as COMPONENT.SETTING=VALUE",
        ));
    }
    let request = AdjustRequest {
        application: AppliedApplication::from_values(values),
        control: control(args)?,
    };
    let ended = call.adjust(driver, &request).await;
    let ended = match ended {
        Ended::Done(applied) if applied.is_empty() => Ended::Done(request.application),
        other => other,
    };
    Ok(answer(ended).map(|application| json!({ "application": application })))
}

/// `web.cpu=1.5`: the component ends at the first dot, the setting at the first `=`.
fn setting(text: &str) -> Result<(String, String, Scalar), Failed> {
    let wrong = || Failed::usage(format_args!("{text:?}: write COMPONENT.SETTING=VALUE"));
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let (component, setting) = name.split_once('.').ok_or_else(wrong)?;
    let value =
        serde_json::from_str::<Scalar>(value).unwrap_or_else(|_| Scalar::Text(value.to_owned()));
    Ok((component.to_owned(), setting.to_owned(), value))
}

fn control(args: &DriverRunArgs) -> Result<Control, Failed> {
    let mut members: Map<String, Value> = match &args.control {
        None => Map::new(),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Failed::usage(format_args!("--control: {error}")))?,
    };
    for (name, seconds) in [("duration", args.duration), ("warmup", args.warmup)] {
        if let Some(seconds) = seconds {
            members.insert(name.to_owned(), json!(seconds));
        }
    }
    serde_json::from_value(Value::Object(members))
        .map_err(|error| Failed::usage(format_args!("--control: {error}")))
}

/// Shows progress on standard error, a line each time it changes.
struct Shown;

impl Observer for Shown {
    fn notice(&self, notice: Notice) {
        match notice {
            Notice::Progress {
                report, runtime, ..
            } => {
                let percent = report
                    .percent
                    .map_or_else(|| "  -".to_owned(), |percent| format!("{percent:3.0}"));
                let message = report.message.unwrap_or_default();
                eprintln!("{percent}% {:>4} s  {message}", runtime.as_secs());
            }
            Notice::Paused { wait, message, .. } => {
                eprintln!(
                    "waiting {} s  {}",
                    wait.as_secs_f64(),
                    message.unwrap_or_default()
                );
            }
            Notice::Odd { finding } => eprintln!("odd: {finding}"),
            _ => {}
        }
    }
}
