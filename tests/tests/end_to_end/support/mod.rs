//! Drivers in the sandbox, called as the agent calls them but without a
//! service: what a suite says of a driver is then true of the component.
#![allow(dead_code, unreachable_pub, reason = "each suite uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic in a test is the report"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use servo_agent::{
    AdjustDriver, AdjustRequest, Answer, Call, CallId, CallLimits, DriverFailure, Ended,
    MeasureRequest, NoJournal, NoObserver, NoReporter, Pacing, ProgressReport, Reporter, Start,
    Undelivered,
};
use servo_demo::app::SampleApp;
use servo_host::{DriverHost, Sandboxed};
use servo_policy::GrantsSpec;
use servo_protocol::{Application, AppliedApplication, Measurement, Scalar};
use servo_sandbox::MemoryState;
use servo_tests::components::{code_folder, component};
use tokio_util::sync::CancellationToken;

/// The sample application on a free port of loopback.
pub async fn app() -> SampleApp {
    SampleApp::start(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap()
}

pub fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other}"),
    }
}

/// The driver `name` with configuration and grants as in `servo.yaml`.
pub async fn driver(name: &str, config: Value, grants: Value) -> Sandboxed {
    let grants: GrantsSpec = serde_json::from_value(grants).unwrap();
    let grants = grants.resolve(&config, Path::new(".")).unwrap();
    let host = DriverHost::new(Some(&code_folder())).unwrap();
    let driver = host.load(&component(name)).await.unwrap();
    let state = Arc::new(MemoryState::default());
    host.bind(&driver, "test", members(config), grants, state)
        .unwrap()
}

/// Cancels with the progress report of that number; the first is 1.
pub struct CancelAt {
    report: usize,
    seen: AtomicUsize,
}

impl CancelAt {
    pub fn report(report: usize) -> Self {
        Self {
            report,
            seen: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Reporter for CancelAt {
    async fn report(&self, _: &ProgressReport, _: Duration) -> Result<Answer, Undelivered> {
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 >= self.report {
            return Ok(Answer::Cancel("enough".to_owned()));
        }
        Ok(Answer::Proceed)
    }
}

fn done<T: std::fmt::Debug>(ended: Ended<T>) -> Result<T, DriverFailure> {
    match ended {
        Ended::Done(output) => Ok(output),
        Ended::Failed(failure) => Err(failure),
        Ended::Abandoned(why) => panic!("abandoned: {why}"),
    }
}

macro_rules! call {
    ($driver:expr, $reporter:expr, $stop:expr) => {
        Call {
            id: CallId::random(),
            app: "test",
            cmd_uid: None,
            limits: CallLimits::from(&$driver.bound().grants().budget),
            pacing: Pacing::default(),
            reporter: $reporter,
            journal: &NoJournal,
            observer: &NoObserver,
            stop: $stop,
            start: Start::Fresh,
        }
    };
}

/// Measures with a `control` object.
pub async fn measure(driver: &Sandboxed, control: Value) -> Result<Measurement, DriverFailure> {
    let stop = CancellationToken::new();
    let request = MeasureRequest {
        metrics: None,
        control: serde_json::from_value(control).unwrap(),
    };
    let call = call!(driver, &NoReporter, &stop);
    done(call.measure(driver, &request).await)
}

/// Describes an application.
pub async fn describe(driver: &Sandboxed) -> Result<Application, DriverFailure> {
    let stop = CancellationToken::new();
    let call = call!(driver, &NoReporter, &stop);
    call.describe(|cx| async move { AdjustDriver::describe(driver, &cx).await })
        .await
}

/// Adjusts settings of one component, reporting to `reporter`.
pub async fn adjust(
    driver: &Sandboxed,
    reporter: &dyn Reporter,
    settings: &[(&str, &str, f64)],
) -> Result<AppliedApplication, DriverFailure> {
    let stop = CancellationToken::new();
    let values = settings
        .iter()
        .map(|(component, setting, value)| (*component, *setting, number(*value)));
    let request = AdjustRequest {
        application: AppliedApplication::from_values(values),
        ..AdjustRequest::default()
    };
    let call = call!(driver, reporter, &stop);
    done(call.adjust(driver, &request).await)
}

fn number(value: f64) -> Scalar {
    serde_json::from_value(json!(value)).unwrap()
}

/// The one number that a metric holds.
pub fn figure(measurement: &Measurement, metric: &str) -> f64 {
    let sample = serde_json::to_value(&measurement.metrics[metric]).unwrap();
    sample["value"].as_f64().expect(metric)
}

/// A note of a measurement.
pub fn note(measurement: &Measurement, name: &str) -> String {
    let note = serde_json::to_value(&measurement.annotations[name]).unwrap();
    note.as_str().expect(name).to_owned()
}

/// A socket that nobody is to connect to.
pub struct Listener {
    pub address: std::net::SocketAddr,
    socket: std::net::TcpListener,
}

pub fn listener() -> Listener {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    Listener {
        address: socket.local_addr().unwrap(),
        socket,
    }
}

impl Listener {
    /// How many connections were made since the last look. The system takes
    /// them by itself, so none that was made before can be missed.
    pub fn heard(&self) -> usize {
        std::iter::from_fn(|| self.socket.accept().ok()).count()
    }
}

/// `servo.yaml` for the sample application.
pub fn servo_yaml(app: std::net::SocketAddr) -> String {
    let (ab, http) = (component("ab"), component("http"));
    format!(
        "\
drivers:
  measure:
    source: {ab}
    config:
      test_url: http://{app}/quote
    grants:
      http:
        - {{ rule: \"GET,HEAD ${{config.test_url}}\", private: true }}
      limits: {{ cpu: 10m, wall: 2h, step_wall: 2h, requests: 20000000, request_rate: 1000000, concurrent_requests: 64 }}
  adjust:
    source: {http}
    config:
      endpoint: http://{app}/settings
      settings:
        workers: {{ min: 1, max: 16, step: 1 }}
        batch: {{ min: 1, max: 16, step: 1 }}
      ready: {{ interval: 0.1 }}
    grants:
      http:
        - {{ rule: \"GET,PUT ${{config.endpoint}}\", private: true }}
",
        ab = ab.display(),
        http = http.display()
    )
}

/// A client for asking from outside.
pub fn client() -> reqwest::Client {
    // The first one wins, and all would install the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// What is at an address: a JSON document.
pub async fn get(url: &str) -> Value {
    let answer = client().get(url).send().await.unwrap();
    answer.json().await.unwrap()
}
