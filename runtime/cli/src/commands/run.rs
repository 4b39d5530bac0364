//! `servo run`: the agent for one application, until it is told to stop.

use std::path::Path;
use std::sync::Arc;

use servo_agent::{
    CallLimits, ConfigFile, DriverRole, Drivers, HttpConfig, HttpTransport, Notice, Observer,
    RetryPolicy, Servo, ServoConfig, ServoHandle, StopReason, Token, parse_url, service_url,
};
use servo_host::{DriverHost, Sandboxed, default_code_folder};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::RunArgs;
use crate::exit::{Failed, Outcome};

/// Where the hosted service was. It is gone; the default stays, because the
/// original's users may have put something in its place.
const HOSTED: &str = "https://api.opsani.com";

/// Where the token is when nothing else is said (protocol section 2.3).
const TOKEN_FILE: &str = "/run/secrets/optune_auth_token";

pub(crate) async fn run(args: RunArgs) -> Outcome {
    let file = ConfigFile::read(&args.config).map_err(Failed::usage)?;
    let transport = transport(&args, &file)?;
    let host = DriverHost::new(default_code_folder().as_deref()).map_err(Failed::ran)?;
    let state = file.base().join(".servo").join("state").join(&args.app_id);
    let measure = driver(&host, &file, DriverRole::Measure, &args.app_id, &state).await?;
    let adjust = driver(&host, &file, DriverRole::Adjust, &args.app_id, &state).await?;

    let mut config = ServoConfig::new(&args.app_id);
    config.agent.clone_from(&args.agent);
    config.perf = std::env::var("OPTUNE_PERF").ok();
    if let Ok(text) = std::env::var("SERVO_RETRY_DELAY_SEC") {
        config.retry = RetryPolicy::parse(&text).map_err(Failed::usage)?;
    }
    if let Some(measure) = &measure {
        config.measure_limits = CallLimits::from(&measure.bound().grants().budget);
    }
    if let Some(adjust) = &adjust {
        config.adjust_limits = CallLimits::from(&adjust.bound().grants().budget);
    }
    let drivers = Drivers {
        measure: measure.map(|driver| driver as _),
        adjust: adjust.map(|driver| driver as _),
    };
    let servo = Servo::new(config, drivers, Arc::new(transport)).with_observer(Arc::new(Log));
    stop_on_signals(servo.handle())?;
    let reason = servo.run().await;
    tracing::info!(target: "servo", %reason, "stopped");
    Ok(())
}

fn transport(args: &RunArgs, file: &ConfigFile) -> Result<HttpTransport, Failed> {
    let section = &file.optune;
    let url = match args.url.as_ref().or(section.url.as_ref()) {
        Some(url) => parse_url(url).map_err(Failed::usage)?,
        None => {
            let account = args.account.as_ref().or(section.account.as_ref());
            let account = account.ok_or_else(|| {
                Failed::usage(format_args!(
                    "where is the service? Give --url, or --account, or `optune.url` in {}",
                    args.config.display()
                ))
            })?;
            service_url(HOSTED, account, &args.app_id).map_err(Failed::usage)?
        }
    };
    let token = if args.no_auth {
        None
    } else {
        let in_file = section
            .token_file
            .as_ref()
            .map(|path| file.base().join(path));
        let path = args.auth_token.clone().or(in_file);
        let path = path.unwrap_or_else(|| Path::new(TOKEN_FILE).to_owned());
        // The original ends with 1 here, and so do we (section 11).
        Some(Token::read(&path).map_err(Failed::ran)?)
    };
    HttpTransport::new(HttpConfig {
        url,
        token,
        allow_plaintext: false,
    })
    .map_err(Failed::usage)
}

async fn driver(
    host: &DriverHost,
    file: &ConfigFile,
    role: DriverRole,
    app: &str,
    state: &Path,
) -> Result<Option<Arc<Sandboxed>>, Failed> {
    let driver = host
        .from_config(file, role, app, state)
        .await
        .map_err(Failed::usage)?;
    match &driver {
        Some(driver) => {
            let manifest = driver.bound().manifest();
            tracing::info!(
                target: "servo",
                "{role}: {} {} {}", manifest.name, manifest.version, driver.bound().digest()
            );
        }
        None => tracing::warn!(target: "servo", "no driver to {role}"),
    }
    Ok(driver.map(Arc::new))
}

/// SIGTERM and SIGINT stop at once, SIGUSR1 after the command in hand
/// (protocol section 11).
fn stop_on_signals(handle: ServoHandle) -> Result<(), Failed> {
    let table = [
        (SignalKind::terminate(), StopReason::Sigterm),
        (SignalKind::interrupt(), StopReason::Sigint),
        (SignalKind::user_defined1(), StopReason::Exit),
    ];
    for (kind, reason) in table {
        let mut signals = signal(kind).map_err(Failed::ran)?;
        let handle = handle.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                match reason {
                    StopReason::Exit => handle.stop_after_turn(reason.clone()),
                    _ => handle.stop_now(reason.clone()),
                }
            }
        });
    }
    Ok(())
}

/// What a servo does, as lines of its log.
struct Log;

impl Observer for Log {
    fn notice(&self, notice: Notice) {
        match notice {
            Notice::Greeted => tracing::info!(target: "servo", "the service took the greeting"),
            Notice::Command { name, .. } => tracing::info!(target: "servo", "command {name}"),
            Notice::Progress { report, .. } => {
                let message = report.message.unwrap_or_default();
                match report.percent {
                    Some(percent) => tracing::info!(target: "servo", "{percent:.0}% {message}"),
                    None => tracing::info!(target: "servo", "{message}"),
                }
            }
            Notice::Malformed { problem, wait } => {
                tracing::warn!(target: "servo", ?wait, "not understood: {problem}");
            }
            Notice::Odd { finding } => tracing::warn!(target: "servo", "{finding}"),
            other => tracing::debug!(target: "servo", "{other:?}"),
        }
    }
}
