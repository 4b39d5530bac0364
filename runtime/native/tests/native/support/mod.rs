//! Drivers from a few lines of shell, and a look at processes from outside.
#![allow(dead_code, unreachable_pub, reason = "each suite uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use servo_agent::{
    AdjustDriver, AdjustRequest, CallContext, CallId, DriverFailure, MeasureDriver, MeasureRequest,
    ProgressReport, ProgressSink, Step,
};
use servo_native::{NativeDriver, NativeLimits, NativeOptions};
use servo_protocol::{Application, AppliedApplication, Measurement, Metrics};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub const OK: &str = r#"echo '{"status":"ok","metrics":{"tps":{"value":1}}}'"#;

/// The working folder of a servo.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// With the drivers `measure` and `adjust`, which run `call`.
    pub fn with(call: &str) -> Self {
        let folder = Self::new();
        for name in ["measure", "adjust"] {
            folder.program(name);
            folder.write(&format!("{name}.call"), call);
        }
        folder
    }

    /// What both drivers do for `--info`.
    pub fn info(self, info: &str) -> Self {
        for name in ["measure", "adjust"] {
            self.write(&format!("{name}.info"), info);
        }
        self
    }

    pub fn program(&self, name: &str) {
        let driver = programs().join("driver");
        std::os::unix::fs::symlink(driver, self.path(name)).unwrap();
    }

    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A process id that a driver wrote.
    pub fn pid(&self, name: &str) -> u32 {
        self.read(name).trim().parse().unwrap()
    }

    pub fn options(&self) -> NativeOptions {
        NativeOptions::new("shop", self.0.path())
    }

    pub fn driver(&self, change: impl FnOnce(&mut NativeOptions)) -> NativeDriver {
        let mut options = self.options();
        change(&mut options);
        NativeDriver::new(Path::new("./measure"), &options)
            .unwrap()
            .with_limits(limits())
    }

    pub async fn measure(&self) -> Result<Measurement, DriverFailure> {
        measure(&self.driver(|_| {}), &context().0).await
    }
}

/// Limits that no test has to wait for. Nothing asserts how long they are.
pub fn limits() -> NativeLimits {
    NativeLimits {
        ending: Duration::from_millis(200),
        ..NativeLimits::default()
    }
}

pub fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

pub fn context() -> (CallContext, watch::Receiver<ProgressReport>) {
    let cancel = CancellationToken::new();
    let (progress, watched) = ProgressSink::new(cancel.clone());
    let context = CallContext {
        app: "shop".to_owned(),
        call: CallId::new("c-1"),
        param: None,
        progress,
        cancel,
        deadline: Instant::now() + Duration::from_secs(3600),
    };
    (context, watched)
}

/// The first percentage that a driver reports: a sign that it got so far.
pub async fn reported(watched: &mut watch::Receiver<ProgressReport>) -> f64 {
    watched
        .wait_for(|report| report.percent.is_some())
        .await
        .unwrap()
        .percent
        .unwrap()
}

pub async fn measure(
    driver: &NativeDriver,
    cx: &CallContext,
) -> Result<Measurement, DriverFailure> {
    let request = MeasureRequest::default();
    match ends(MeasureDriver::step(driver, cx, &request, None)).await? {
        Step::Done(measurement) => Ok(measurement),
        Step::Wait(pause) => panic!("a program cannot pause: {pause:?}"),
    }
}

pub async fn adjust(
    driver: &NativeDriver,
    request: &AdjustRequest,
) -> Result<AppliedApplication, DriverFailure> {
    match AdjustDriver::step(driver, &context().0, request, None).await? {
        Step::Done(applied) => Ok(applied),
        Step::Wait(pause) => panic!("a program cannot pause: {pause:?}"),
    }
}

pub async fn describe(driver: &NativeDriver) -> Result<Metrics, DriverFailure> {
    MeasureDriver::describe(driver, &context().0).await
}

pub async fn query(driver: &NativeDriver) -> Result<Application, DriverFailure> {
    AdjustDriver::describe(driver, &context().0).await
}

/// Whether a process still runs: one that is dead and waits to be reaped does not.
pub fn runs(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => {
            let state = stat.rsplit(") ").next().unwrap();
            !state.starts_with(['Z', 'X'])
        }
        Err(_) => false,
    }
}

/// Whether there is anything left of a process.
pub fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// What must end. A test in which it does not fails, instead of standing still.
pub async fn ends<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), call)
        .await
        .expect("the call ends")
}

/// Waits until something is so. A test in which it never is fails.
pub async fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Reason and status as words.
pub fn words(failure: &DriverFailure) -> (&str, Option<&str>) {
    let reason = failure.reason.as_ref().map(|reason| reason.as_str());
    (failure.status.as_str(), reason)
}
