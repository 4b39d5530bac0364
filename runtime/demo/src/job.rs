//! The main job: every part of the project joined once, from start to end.
//!
//! An application that can be tuned, the local service, and a servo with the
//! two drivers in the sandbox, all in this process but talking to each other
//! only over the wire, as they would between machines. Nothing is faked: what
//! the drivers may do stands in their grants, and what they did is counted at
//! the gate.

mod components;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use servo_agent::{
    CallLimits, Drivers, HttpConfig, Servo, ServoConfig, StopReason, TransportSetupError, parse_url,
};
use servo_host::{AssembleError, DriverHost, Sandboxed};
use servo_optune::{
    AppKey, Auth, NameError, Notice, ObjectiveSpec, Service, ServiceEvent, ServiceOptions,
    StartError, StudyOptions, StudySummary, TrialState,
};
use servo_policy::{GrantsSpec, PolicyError};
use servo_protocol::{Control, Seconds};
use servo_sandbox::MemoryState;
use thiserror::Error;
use tokio::sync::broadcast::error::RecvError;

pub use components::{Components, ComponentsError};

use crate::app::{AppError, SampleApp};
use crate::report::{JobReport, Outcome, Refusal, RuleUse, SettingsMap, Touched, Trial};

/// What is measured.
const METRIC: &str = "throughput";
/// Unit of every performance in the report.
pub const UNIT: &str = "requests/s";

/// Requests in flight during a measurement. The sample application is to be
/// tuned for more clients than it has workers at the start.
const CLIENTS: u32 = 10;

/// Seconds of load before each measurement, so that the cache is as full as
/// its size allows.
const WARMUP: u32 = 1;

/// How the main job is done.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// Settings to try after the baseline.
    pub trials: u32,
    /// Length of one measurement in seconds.
    pub seconds: u32,
    /// Seed of every random choice.
    pub seed: u64,
    /// The drivers' components.
    pub components: Components,
    /// Where compiled code is kept.
    pub code: Option<PathBuf>,
}

/// Something that happened, for whoever watches.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// Everything is running.
    Ready {
        /// Address of the sample application.
        app: SocketAddr,
        /// Address of the page with the plot.
        page: String,
        /// What the drivers are and may do, one line each.
        drivers: Vec<String>,
    },
    /// A trial has ended. Number 0 is the baseline.
    Trial(Trial),
    /// How far the operation in hand is.
    Progress {
        /// `measure`, `adjust` or `describe`.
        operation: String,
        /// Percent, where known.
        percent: Option<f64>,
    },
}

/// Why the main job was not done.
#[derive(Debug, Error)]
pub enum JobError {
    /// The sample application cannot be started.
    #[error(transparent)]
    App(#[from] AppError),
    /// The local service cannot be started.
    #[error(transparent)]
    Service(#[from] StartError),
    /// A driver cannot be loaded or granted what it needs.
    #[error(transparent)]
    Driver(Box<AssembleError>),
    /// Our own grants are wrong.
    #[error(transparent)]
    Grants(#[from] PolicyError),
    /// Our own grants are not even grants.
    #[error("the demo's own configuration: {0}")]
    Settings(String),
    /// Our own names are wrong.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The way to the service cannot be set up.
    #[error(transparent)]
    Transport(#[from] TransportSetupError),
    /// The service ended before the study.
    #[error("the local service ended before the study did")]
    ServiceEnded,
    /// The study failed.
    #[error("the study ended as {state}: {reason}")]
    Study {
        /// How it ended.
        state: String,
        /// Why.
        reason: String,
    },
}

impl From<AssembleError> for JobError {
    fn from(error: AssembleError) -> Self {
        Self::Driver(Box::new(error))
    }
}

/// A main job that is done. The application and the page stay until it is
/// closed.
pub struct Finished {
    /// What came of it.
    pub report: JobReport,
    /// Address of the page.
    pub page: String,
    service: Service,
    app: SampleApp,
}

impl Finished {
    /// Ends the service and the application.
    pub async fn close(self) {
        self.service.shutdown().await;
        self.app.shutdown().await;
    }
}

/// Does the main job; `watch` is told what happens.
///
/// # Errors
/// A part cannot be started, or the study fails.
pub async fn run(
    options: &JobOptions,
    watch: &(dyn Fn(News) + Send + Sync),
) -> Result<Finished, JobError> {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let app = SampleApp::start(loopback).await?;
    let address = app.local_addr();

    let host = DriverHost::new(options.code.as_deref())?;
    let measure = Arc::new(measure_driver(&host, options, address).await?);
    let adjust = Arc::new(adjust_driver(&host, options, address).await?);

    let key = AppKey::new("local", "sample")?;
    let service = Service::start(ServiceOptions {
        listen: loopback,
        data: None,
        auth: Auth::None,
        study: study(options)?,
        ..ServiceOptions::default()
    })
    .await?;
    watch(News::Ready {
        app: address,
        page: service.page_url(),
        drivers: vec![granted("measure", &measure), granted("adjust", &adjust)],
    });

    let servo = servo(&host, &service, &key, &measure, &adjust)?;
    let handle = servo.handle();
    let mut events = service.events();
    let finished = service.finished();
    let running = tokio::spawn(servo.run());

    let mut trials = Trials::default();
    tokio::pin!(finished);
    let summary = loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(event) => trials.see(event, watch),
                // What was missed is in the summary at the end.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break finished.await,
            },
            summary = &mut finished => break summary,
        }
    };
    while let Ok(event) = events.try_recv() {
        trials.see(event, watch);
    }
    handle.stop_now(StopReason::Shutdown);
    // The servo's own panic would have been a failed study above.
    let _ = running.await;

    let summary = summary.ok_or(JobError::ServiceEnded)?;
    if summary.state != "done" {
        return Err(JobError::Study {
            state: summary.state,
            reason: summary.reason.unwrap_or_default(),
        });
    }
    let touched = vec![touched("measure", &measure), touched("adjust", &adjust)];
    Ok(Finished {
        report: JobReport::new(UNIT, trials.0, touched),
        page: service.page_url(),
        service,
        app,
    })
}

/// The trials as they end. The baseline is told with the first event that has
/// one, since it is no trial of the service.
#[derive(Default)]
struct Trials(Vec<Trial>);

impl Trials {
    fn see(&mut self, event: ServiceEvent, watch: &(dyn Fn(News) + Send + Sync)) {
        self.baseline(&event.summary, watch);
        match event.notice {
            Notice::Trial(trial) => {
                let outcome = match (trial.state, trial.score) {
                    (TrialState::Scored, Some(score)) => Outcome::Performance(score),
                    (TrialState::Running, _) => return,
                    _ => Outcome::Failed(
                        trial
                            .message
                            .or(trial.reason)
                            .or(trial.status)
                            .unwrap_or_else(|| "without a reason".to_owned()),
                    ),
                };
                self.add(
                    Trial {
                        number: trial.number,
                        settings: settings(&trial.settings),
                        outcome,
                    },
                    watch,
                );
            }
            Notice::Progress(progress) => watch(News::Progress {
                operation: progress.operation.to_string(),
                percent: progress.percent,
            }),
            Notice::Servo(_) | Notice::Phase(_) | Notice::Paused(_) | Notice::Renewed(_) => {}
        }
    }

    fn baseline(&mut self, summary: &StudySummary, watch: &(dyn Fn(News) + Send + Sync)) {
        if let (true, Some(baseline)) = (self.0.is_empty(), &summary.baseline) {
            let trial = Trial {
                number: 0,
                settings: settings(&baseline.settings),
                outcome: Outcome::Performance(baseline.score),
            };
            self.add(trial, watch);
        }
    }

    fn add(&mut self, trial: Trial, watch: &(dyn Fn(News) + Send + Sync)) {
        self.0.push(trial.clone());
        watch(News::Trial(trial));
    }
}

/// The settings of the one component there is, without its name.
fn settings(settings: &servo_optune::Settings) -> SettingsMap {
    settings
        .0
        .values()
        .flat_map(|component| component.iter())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn study(options: &JobOptions) -> Result<StudyOptions, JobError> {
    let seconds = |seconds: u32| Some(Seconds::from(Duration::from_secs(u64::from(seconds))));
    let load = json!({ "n_threads": CLIENTS, "t_limit": options.seconds, "t_warmup": WARMUP });
    Ok(StudyOptions {
        trials: options.trials,
        seed: options.seed,
        objective: ObjectiveSpec::Metric(METRIC.to_owned()),
        control: Control {
            duration: seconds(options.seconds),
            warmup: seconds(WARMUP),
            load: Some(members(load)?),
            ..Control::default()
        },
        idle_sleep: 1,
        ..StudyOptions::default()
    })
}

fn members(value: Value) -> Result<Map<String, Value>, JobError> {
    match value {
        Value::Object(members) => Ok(members),
        other => Err(JobError::Settings(format!("{other} is no object"))),
    }
}

async fn measure_driver(
    host: &DriverHost,
    options: &JobOptions,
    app: SocketAddr,
) -> Result<Sandboxed, JobError> {
    let config = json!({ "test_url": format!("http://{app}/quote") });
    let grants = json!({
        "http": [{ "rule": "GET,HEAD ${config.test_url}", "private": true }],
        "limits": {
            "requests": 20_000_000, "request_rate": 1_000_000, "concurrent_requests": 64,
            "cpu": "10m", "wall": "30m", "step_wall": "30m",
        },
    });
    driver(host, &options.components.measure, config, grants).await
}

async fn adjust_driver(
    host: &DriverHost,
    options: &JobOptions,
    app: SocketAddr,
) -> Result<Sandboxed, JobError> {
    use crate::app::{BATCH, CACHE, WORKERS};

    let range = |member: crate::app::Member| json!({ "type": "range", "min": member.min, "max": member.max, "step": member.step });
    let config = json!({
        "endpoint": format!("http://{app}/settings"),
        "component": "app",
        "settings": {
            "workers": range(WORKERS), "batch": range(BATCH), "cache": range(CACHE),
        },
    });
    let grants = json!({
        "http": [{ "rule": "GET,PUT ${config.endpoint}", "private": true }],
    });
    driver(host, &options.components.adjust, config, grants).await
}

async fn driver(
    host: &DriverHost,
    component: &std::path::Path,
    config: Value,
    grants: Value,
) -> Result<Sandboxed, JobError> {
    let grants: GrantsSpec =
        serde_json::from_value(grants).map_err(|error| JobError::Settings(error.to_string()))?;
    let grants = grants.resolve(&config, std::path::Path::new("."))?;
    let driver = host.load(component).await?;
    let state = Arc::new(MemoryState::default());
    Ok(host.bind(&driver, "sample", members(config)?, grants, state)?)
}

fn servo(
    host: &DriverHost,
    service: &Service,
    key: &AppKey,
    measure: &Arc<Sandboxed>,
    adjust: &Arc<Sandboxed>,
) -> Result<Servo, JobError> {
    let way = HttpConfig {
        url: parse_url(&service.servo_url(key))?,
        token: None,
        allow_plaintext: false,
    };
    let transport = host.transport(key.application(), way)?;
    let mut config = ServoConfig::new(key.application());
    config.measure_limits = CallLimits::from(&measure.bound().grants().budget);
    config.adjust_limits = CallLimits::from(&adjust.bound().grants().budget);
    let drivers = Drivers {
        measure: Some(Arc::clone(measure) as _),
        adjust: Some(Arc::clone(adjust) as _),
    };
    Ok(Servo::new(config, drivers, Arc::new(transport)))
}

fn title(role: &str, driver: &Sandboxed) -> String {
    let manifest = driver.bound().manifest();
    format!("{role} {} {}", manifest.name, manifest.version)
}

fn granted(role: &str, driver: &Sandboxed) -> String {
    let rules: Vec<String> = driver
        .bound()
        .grants()
        .http
        .iter()
        .map(|grant| grant.rule.to_string())
        .collect();
    format!("{}: {}", title(role, driver), rules.join(", "))
}

fn touched(role: &str, driver: &Sandboxed) -> Touched {
    let ledger = driver.bound().ledger();
    let rules = ledger.rules.into_iter().map(|used| RuleUse {
        rule: used.rule,
        requests: used.requests,
        sent: used.bytes_out,
        received: used.bytes_in,
    });
    let refused = ledger.denials.into_iter().map(|denied| Refusal {
        what: denied.request,
        count: denied.count,
    });
    Touched {
        driver: title(role, driver),
        rules: rules.collect(),
        refused: refused.collect(),
    }
}
