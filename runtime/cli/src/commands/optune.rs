//! `servo optune`: the local service.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::SocketAddr;

use serde_json::{Map, Value};
use servo_optune::{
    Auth, InForce, Notice, ObjectiveSpec, Service, ServiceEvent, ServiceOptions, Settings,
    StudyOptions, StudySummary, Tokens, TrialState,
};
use servo_protocol::{Control, Seconds};
use servo_text::{shown, shown_within};
use tokio::sync::broadcast::error::RecvError;

use crate::args::OptuneArgs;
use crate::exit::{Failed, Outcome};
use crate::output;

/// Largest file of a token, in bytes.
const MAX_TOKEN: u64 = 4096;

pub(crate) async fn run(args: OptuneArgs) -> Outcome {
    let service = Service::start(ServiceOptions {
        listen: args.listen,
        data: args.data.clone(),
        auth: auth(&args)?,
        study: study(&args)?,
        new_study: args.new_study,
        ..ServiceOptions::default()
    })
    .await
    .map_err(Failed::usage)?;
    let address = service.local_addr();
    output::line(format_args!("page  {}", service.page_url()))?;
    output::line(format_args!("servo http://{address}/servo"))?;
    output::line(format_args!(
        "or    http://{address}/accounts/{}/applications/APP_ID/servo, for several applications",
        args.account
    ))?;

    let mut events = service.events();
    let mut printer = Printer {
        address,
        seen: HashMap::new(),
    };
    let finished = service.finished();
    tokio::pin!(finished);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(Failed::ran)?;
    let outcome = loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => if let Err(failed) = printer.show(&event) {
                    break Err(failed);
                },
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break Ok(()),
            },
            summary = &mut finished, if args.exit_when_done => {
                break match summary {
                    // Its end can be known before the event that tells of it.
                    Some(summary) => printer
                        .phase(&summary.app, &summary)
                        .and_then(|()| last(&summary)),
                    None => Ok(()),
                };
            }
            _ = tokio::signal::ctrl_c() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
        }
    };
    service.shutdown().await;
    outcome
}

/// The whole study in one line. One that failed ends the command with a failure.
fn last(summary: &StudySummary) -> Outcome {
    output::json(summary, false)?;
    if summary.state == "failed" {
        let reason = summary.reason.as_deref().unwrap_or("no reason is known");
        return Err(Failed::ran(format_args!(
            "the study of {} failed: {}",
            summary.app,
            shown(reason)
        )));
    }
    Ok(())
}

fn auth(args: &OptuneArgs) -> Result<Auth, Failed> {
    let Some(path) = &args.token_file else {
        return Ok(Auth::None);
    };
    let mut token = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_TOKEN + 1).read_to_string(&mut token))
        .map_err(|error| Failed::usage(format_args!("{}: {error}", path.display())))?;
    if token.len() as u64 > MAX_TOKEN {
        return Err(Failed::usage(format_args!(
            "{}: more than {MAX_TOKEN} bytes are too many for a token",
            path.display()
        )));
    }
    let token = token.trim();
    if token.len() < 16 {
        return Err(Failed::usage(format_args!(
            "{}: a token needs at least 16 characters; make one with `openssl rand -hex 32`",
            path.display()
        )));
    }
    Ok(Auth::Tokens(Tokens::new().allow(
        token,
        &args.account,
        None,
    )))
}

/// An option that is one JSON object.
fn object(name: &str, text: Option<&str>) -> Result<Option<Map<String, Value>>, Failed> {
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|error| Failed::usage(format_args!("--{name}: {error}")))
}

fn study(args: &OptuneArgs) -> Result<StudyOptions, Failed> {
    let seconds = |name: &str, value: f64| {
        Seconds::new(value)
            .map(Some)
            .map_err(|error| Failed::usage(format_args!("--{name}: {error}")))
    };
    let load = object("load", args.load.as_deref())?;
    let userdata = object("userdata", args.userdata.as_deref())?;
    let environment = object("environment", args.environment.as_deref())?.map(Value::Object);
    Ok(StudyOptions {
        trials: args.trials,
        seed: args.seed,
        objective: args
            .objective
            .clone()
            .map_or(ObjectiveSpec::Auto, ObjectiveSpec::Formula),
        maximize: !args.minimize,
        control: Control {
            duration: seconds("duration", args.duration)?,
            warmup: seconds("warmup", args.warmup)?,
            delay: seconds("delay", args.delay)?,
            load,
            userdata: userdata.clone(),
            environment: environment.clone(),
            ..Control::default()
        },
        adjust_control: Control {
            settlement: seconds("settlement", args.settlement)?,
            userdata,
            environment,
            ..Control::default()
        },
        baseline_repeats: args.baseline,
        verify: args.verify,
        ..StudyOptions::default()
    })
}

/// What has been said of each application, so that nothing is said twice.
struct Printer {
    address: SocketAddr,
    /// The state, and whether the baseline was said.
    seen: HashMap<String, (String, bool)>,
}

impl Printer {
    /// A score first, and then the phase that it led to.
    fn show(&mut self, event: &ServiceEvent) -> Outcome {
        let summary = &event.summary;
        let (_, baseline) = self.seen.entry(event.app.to_string()).or_default();
        let say =
            |name: &str, end: String| output::line(format_args!("{name} of {}  {end}", event.app));
        if let (false, Some(found)) = (*baseline, &summary.baseline) {
            *baseline = true;
            say("baseline", scored(found.score, &found.settings))?;
        }
        if let Notice::Trial(trial) = &event.notice
            && trial.state != TrialState::Running
        {
            let end = match trial.score {
                Some(score) => scored(score, &trial.settings),
                None => {
                    let message = trial.message.as_deref().unwrap_or("failed");
                    format!("{}  {}", one_line(message), settings(&trial.settings))
                }
            };
            say(&format!("trial {}", trial.number), end)?;
        }
        if let Notice::Renewed(number) = &event.notice {
            *baseline = false;
            output::line(format_args!("{}: study {number}", event.app))?;
        }
        self.phase(&event.app.to_string(), summary)
    }

    /// The phase that a study is in, where it is a new one.
    fn phase(&mut self, app: &str, summary: &StudySummary) -> Outcome {
        let (state, _) = self.seen.entry(app.to_owned()).or_default();
        if *state == summary.state {
            return Ok(());
        }
        state.clone_from(&summary.state);
        output::line(format_args!("{app}: {state}"))?;
        if let ("paused", Some(reason)) = (state.as_str(), &summary.reason) {
            output::line(format_args!("{app}: {}", shown(reason)))?;
            output::line(format_args!(
                "resume {app}: curl -X POST -H 'Content-Type: application/json' {}",
                resume_url(self.address, app)
            ))?;
        }
        if let ("failed" | "stopped", Some(reason)) = (state.as_str(), &summary.reason) {
            output::line(format_args!("{app}: {}", shown(reason)))?;
        }
        if summary.ended() {
            if let Some(best) = &summary.best {
                let best = scored(best.score, &best.settings);
                output::line(format_args!("best of {app}  {best}"))?;
            }
            output::line(format_args!("in force at {app}  {}", in_force(summary)))?;
        }
        Ok(())
    }
}

/// Both ends of a message that may have been megabytes of traceback.
fn one_line(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    shown_within(&words.join(" "), 240).to_string()
}

/// Which settings the application is left with.
fn in_force(summary: &StudySummary) -> String {
    let which = match summary.in_force {
        InForce::Unknown => return "not known; look at the application".to_owned(),
        InForce::Found => "as found".to_owned(),
        InForce::Trial(number) => format!("trial {number}"),
    };
    let settings = summary.settings.as_ref().map(settings);
    format!("{which}  {}", settings.unwrap_or_default())
}

fn resume_url(address: SocketAddr, app: &str) -> String {
    let (account, application) = app.split_once('/').unwrap_or(("local", app));
    format!("http://{address}/api/v1/accounts/{account}/applications/{application}/resume")
}

fn scored(score: f64, at: &Settings) -> String {
    format!("{score:.3}  {}", settings(at))
}

fn settings(settings: &Settings) -> String {
    serde_json::to_string(settings).unwrap_or_default()
}
