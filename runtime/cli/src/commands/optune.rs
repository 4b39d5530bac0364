//! `servo optune`: the local service.

use std::collections::HashMap;

use serde_json::{Map, Value};
use servo_optune::{
    Auth, Notice, ObjectiveSpec, Service, ServiceEvent, ServiceOptions, Settings, StudyOptions,
    Tokens, TrialState,
};
use servo_protocol::{Control, Seconds};
use tokio::sync::broadcast::error::RecvError;

use crate::args::OptuneArgs;
use crate::exit::{Failed, Outcome};

pub(crate) async fn run(args: OptuneArgs) -> Outcome {
    let service = Service::start(ServiceOptions {
        listen: args.listen,
        data: args.data.clone(),
        auth: auth(&args)?,
        study: study(&args)?,
        ..ServiceOptions::default()
    })
    .await
    .map_err(Failed::usage)?;
    println!("page  {}", service.page_url());
    let address = service.local_addr();
    println!("servo http://{address}/servo");
    println!(
        "or    http://{address}/accounts/{}/applications/APP_ID/servo, for several applications",
        args.account
    );

    let mut events = service.events();
    let mut said = Said::default();
    let finished = service.finished();
    tokio::pin!(finished);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(Failed::ran)?;
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => said.show(&event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            summary = &mut finished, if args.exit_when_done => {
                if let Some(summary) = summary {
                    println!("{}", serde_json::to_string(&summary).map_err(Failed::ran)?);
                }
                break;
            }
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
        }
    }
    service.shutdown().await;
    Ok(())
}

fn auth(args: &OptuneArgs) -> Result<Auth, Failed> {
    let Some(path) = &args.token_file else {
        return Ok(Auth::None);
    };
    let token = std::fs::read_to_string(path)
        .map_err(|error| Failed::usage(format_args!("{}: {error}", path.display())))?;
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

fn study(args: &OptuneArgs) -> Result<StudyOptions, Failed> {
    let seconds = |name: &str, value: f64| {
        Seconds::new(value)
            .map(Some)
            .map_err(|error| Failed::usage(format_args!("--{name}: {error}")))
    };
    let load: Option<Map<String, Value>> = args
        .load
        .as_deref()
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| Failed::usage(format_args!("--load: {error}")))?;
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
            load,
            ..Control::default()
        },
        ..StudyOptions::default()
    })
}

/// What has been said of each application, so that nothing is said twice.
#[derive(Default)]
struct Said(HashMap<String, (String, bool)>);

impl Said {
    /// A score first, and then the phase that it led to.
    fn show(&mut self, event: &ServiceEvent) {
        let summary = &event.summary;
        let (state, baseline) = self.0.entry(event.app.to_string()).or_default();
        let say = |name: &str, end: String| println!("{name} of {}  {end}", event.app);
        if let (false, Some(found)) = (*baseline, &summary.baseline) {
            *baseline = true;
            say("baseline", scored(found.score, &found.settings));
        }
        if let Notice::Trial(trial) = &event.notice
            && trial.state != TrialState::Running
        {
            let end = match trial.score {
                Some(score) => scored(score, &trial.settings),
                None => {
                    let message = trial.message.as_deref().unwrap_or("failed");
                    format!("{message}  {}", settings(&trial.settings))
                }
            };
            say(&format!("trial {}", trial.number), end);
        }
        if *state != summary.state {
            state.clone_from(&summary.state);
            println!("{}: {state}", event.app);
            if let ("done", Some(best)) = (state.as_str(), &summary.best) {
                say("best", scored(best.score, &best.settings));
            }
        }
    }
}

fn scored(score: f64, at: &Settings) -> String {
    format!("{score:.3}  {}", settings(at))
}

fn settings(settings: &Settings) -> String {
    serde_json::to_string(settings).unwrap_or_default()
}
