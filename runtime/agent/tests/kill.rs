//! A real process, a real socket, a real SIGKILL.
//!
//! The test starts itself as the servo: the child runs [`the_child`] alone and
//! says on standard output what it is about to do. At the chosen point it says
//! so and stands still, and only then is it killed, so nothing depends on how
//! fast anything is. The wall clock of the child stands where the parent says.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a panic is the report"
)]

#[path = "agent/support/mod.rs"]
mod support;
#[path = "agent/crashes/world.rs"]
#[allow(dead_code, reason = "the service is what is used here")]
mod world;

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use crate::support::{application, measurement, metrics};
use async_trait::async_trait;
use axum::extract::State;
use axum::{Json, Router};
use serde_json::{Value, json};
use servo_agent::{
    Accepted, AdjustDriver, AdjustRequest, Began, CallContext, CallId, CancelSupport, Clock,
    DriverFacts, DriverFailure, DriverId, Drivers, FileJournal, HttpConfig, HttpTransport, Journal,
    JournalError, MeasureDriver, MeasureRequest, Notice, Observer, Pause, Servo, ServoConfig,
    ServoHandle, Step, StopReason, Transport, UndoRecord, parse_url,
};
use servo_egress::{Gate, Owner, SystemResolver};
use servo_protocol::{Application, AppliedApplication, Envelope, Measurement, Metrics};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use world::{Points, Service};

const URL: &str = "SERVO_TEST_URL";
const FOLDER: &str = "SERVO_TEST_FOLDER";
const POINT: &str = "SERVO_TEST_POINT";
const NOW: &str = "SERVO_TEST_NOW";
const WAIT: &str = "SERVO_TEST_WAIT";

/// Begins every line of the child that is meant for the parent.
const MARK: &str = "=== ";

fn number(name: &str) -> Duration {
    Duration::from_secs(env::var(name).unwrap().parse().unwrap())
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{MARK}{line}").unwrap();
    out.flush().unwrap();
}

/// Says where the child is, and stays there if it is to be killed there.
fn point(name: &str) {
    say(name);
    if env::var(POINT).is_ok_and(|point| point == name) {
        loop {
            std::thread::park();
        }
    }
}

struct Pointed(FileJournal);

#[async_trait]
impl Journal for Pointed {
    async fn accepted(&self, accepted: &Accepted) -> Result<(), JournalError> {
        point("before accepted");
        self.0.accepted(accepted).await?;
        point("after accepted");
        Ok(())
    }
    async fn began(&self, began: &Began) -> Result<(), JournalError> {
        point("before began");
        self.0.began(began).await?;
        point("after began");
        Ok(())
    }
    async fn paused(&self, call: &CallId, pause: &Pause) -> Result<(), JournalError> {
        point("before paused");
        self.0.paused(call, pause).await?;
        point("after paused");
        Ok(())
    }
    async fn resumed(&self, call: &CallId) -> Result<(), JournalError> {
        point("before resumed");
        self.0.resumed(call).await?;
        point("after resumed");
        Ok(())
    }
    async fn recovering(&self, call: &CallId, driver: &DriverId) -> Result<(), JournalError> {
        point("before recovering");
        self.0.recovering(call, driver).await?;
        point("after recovering");
        Ok(())
    }
    async fn undo(&self, call: &CallId, record: &UndoRecord) -> Result<(), JournalError> {
        point("before undo");
        self.0.undo(call, record).await?;
        point("after undo");
        Ok(())
    }
    async fn ended(&self, call: &CallId, report: &Envelope) -> Result<(), JournalError> {
        point("before ended");
        self.0.ended(call, report).await?;
        point("after ended");
        Ok(())
    }
    async fn delivered(&self, call: &CallId) -> Result<(), JournalError> {
        point("before delivered");
        self.0.delivered(call).await?;
        point("after delivered");
        Ok(())
    }
}

struct Driver(DriverFacts);

impl Driver {
    fn act<T>(resume: Option<&str>, done: T) -> Step<T> {
        match resume {
            None => {
                point("first step");
                Step::Wait(Pause {
                    wait: number(WAIT),
                    state: "\"left\"".to_owned(),
                    progress: Some(40.0),
                    message: None,
                })
            }
            Some(state) => {
                point(&format!("second step with {state}"));
                Step::Done(done)
            }
        }
    }
}

#[async_trait]
impl MeasureDriver for Driver {
    fn facts(&self) -> &DriverFacts {
        &self.0
    }
    async fn describe(&self, _: &CallContext) -> Result<Metrics, DriverFailure> {
        Ok(serde_json::from_value(metrics()).unwrap())
    }
    async fn step(
        &self,
        _: &CallContext,
        _: &MeasureRequest,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        Ok(Self::act(resume, measurement()))
    }
}

#[async_trait]
impl AdjustDriver for Driver {
    fn facts(&self) -> &DriverFacts {
        &self.0
    }
    async fn describe(&self, _: &CallContext) -> Result<Application, DriverFailure> {
        Ok(serde_json::from_value(application()).unwrap())
    }
    async fn step(
        &self,
        _: &CallContext,
        _: &AdjustRequest,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        Ok(Self::act(resume, AppliedApplication::default()))
    }
}

/// Stops the servo when the service has nothing more to do.
struct Watch(Mutex<Option<ServoHandle>>);

impl Observer for Watch {
    fn notice(&self, notice: Notice) {
        match notice {
            Notice::Paused { .. } => say("waiting"),
            Notice::Recovered { .. } => say("going on"),
            Notice::Sleeping { .. } => {
                let handle = self.0.lock().unwrap();
                handle.as_ref().unwrap().stop_now(StopReason::Exit);
            }
            _ => {}
        }
    }
}

/// The servo that is killed. Does nothing unless it was started by the parent.
#[tokio::test]
async fn the_child() {
    let Ok(url) = env::var(URL) else { return };
    let now = UNIX_EPOCH + number(NOW);
    let clock: Clock = Arc::new(move || now);
    let folder = env::var(FOLDER).unwrap();
    let (journal, recovered) =
        FileJournal::open_with_clock(Path::new(&folder), "shop", clock).unwrap();
    say(&recovered.to_string());
    let gate = Gate::new(Arc::new(SystemResolver)).unwrap();
    let config = HttpConfig {
        url: parse_url(&url).unwrap(),
        token: None,
        allow_plaintext: false,
    };
    let transport = HttpTransport::new(&gate, Owner::default(), config);
    let driver = Arc::new(Driver(DriverFacts {
        name: "fake".to_owned(),
        version: "1.0.0".to_owned(),
        digest: Some("sha256:01".to_owned()),
        cancel: CancelSupport::None,
        recover: false,
    }));
    let drivers = Drivers {
        measure: Some(driver.clone()),
        adjust: Some(driver),
    };
    let watch = Arc::new(Watch(Mutex::default()));
    let mut config = ServoConfig::new("shop");
    config.measure_limits.wall = Duration::from_secs(100_000);
    config.adjust_limits.wall = config.measure_limits.wall;
    let servo = Servo::new(config, drivers, Arc::new(transport.unwrap()))
        .with_observer(watch.clone())
        .with_journal(Arc::new(Pointed(journal)))
        .with_recovered(recovered);
    *watch.0.lock().unwrap() = Some(servo.handle());
    servo.run().await;
    say("the end");
}

/// The child as its parent sees it.
struct Servant {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Servant {
    fn start(url: &str, folder: &Path, point: &str, now: u64, wait: u64) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_child", "--nocapture"])
            .env(URL, url)
            .env(FOLDER, folder)
            .env(POINT, point)
            .env(NOW, (1_700_000_000 + now).to_string())
            .env(WAIT, wait.to_string())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// Listens until this is said. Panics when the child ends before.
    async fn until(&mut self, said: &str) {
        loop {
            let line = self.lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("no `{said}` in {:?}", self.said));
            if let Some(line) = line.strip_prefix(MARK) {
                self.said.push(line.to_owned());
                if line == said {
                    return;
                }
            }
        }
    }

    /// SIGKILL, and waits until it is dead.
    async fn kill(mut self) -> Vec<String> {
        self.child.kill().await.unwrap();
        self.said
    }

    async fn finish(mut self) -> Vec<String> {
        self.until("the end").await;
        assert!(self.child.wait().await.unwrap().success());
        self.said
    }
}

async fn serve(service: Arc<Service>) -> String {
    async fn post(State(service): State<Arc<Service>>, body: String) -> Json<Value> {
        let envelope: Envelope = serde_json::from_str(&body).unwrap();
        let answer = service.post(&envelope).await.unwrap();
        Json(serde_json::from_slice(&answer.body).unwrap())
    }
    let app = Router::new()
        .route("/servo", axum::routing::post(post))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/servo")
}

fn command(name: &str) -> Value {
    let state =
        json!({"application": {"components": {"web": {"settings": {"cpu": {"value": 1.5}}}}}});
    let param = match name {
        "ADJUST" => json!({"state": state, "control": {}}),
        _ => json!({"metrics": ["throughput"], "control": {}}),
    };
    json!({"cmd": name, "param": param})
}

/// What a second servo finds after the first was killed at a point; steps that
/// both begin, for MEASURE and ADJUST; how the adjustment ends.
#[tokio::test]
async fn killed_at_each_point() {
    let cases = [
        ("before accepted", "nothing was in hand", [2, 2], "ok"),
        ("after accepted", "had not begun", [2, 2], "ok"),
        ("before began", "had not begun", [2, 2], "ok"),
        ("after began", "was in its first step", [2, 0], "failed"),
        ("first step", "was in its first step", [3, 1], "failed"),
        ("before paused", "was in its first step", [3, 1], "failed"),
        ("after paused", "was waiting, 0ns are left", [2, 2], "ok"),
        ("before resumed", "was waiting, 0ns are left", [2, 2], "ok"),
        ("after resumed", "was in a later step", [2, 1], "failed"),
        (
            "second step with \"left\"",
            "was in a later step",
            [3, 2],
            "failed",
        ),
        ("before ended", "was in a later step", [3, 2], "failed"),
        ("after ended", "was not delivered", [2, 2], "ok"),
        ("before delivered", "was not delivered", [2, 2], "ok"),
        ("after delivered", "nothing was in hand", [2, 2], "ok"),
    ];
    for (operation, column) in [("MEASURE", 0), ("ADJUST", 1)] {
        for (point, found, steps, adjustment) in cases {
            let case = format!("{operation} {point}");
            let tree = tempfile::tempdir().unwrap();
            let folder = tree.path().join("journal");
            let points = Arc::new(Points::default());
            let service = Arc::new(Service::new(&points, &[command(operation)], true));
            let url = serve(service.clone()).await;

            let mut first = Servant::start(&url, &folder, point, 0, 0);
            first.until(point).await;
            let mut said = first.kill().await;
            let second = Servant::start(&url, &folder, "", 0, 0).finish().await;
            assert!(second[0].ends_with(found), "{case}: {}", second[0]);
            said.extend(second);

            let begun = said.iter().filter(|line| line.contains(" step")).count();
            // The words about what was in hand may speak of a step too.
            let begun = begun - usize::from(found.contains(" step"));
            assert_eq!(begun, steps[column], "{case}: {said:?}");
            let accepted = service.accepted.lock().unwrap();
            let [(_, report)] = accepted.as_slice() else {
                panic!("{case}: one report, not {accepted:?}")
            };
            let status = if column == 1 { adjustment } else { "ok" };
            assert_eq!(report["status"], status, "{case}: {report}");
            let repeated = service.repeated.lock().unwrap().len();
            assert_eq!(repeated, usize::from(point == "before delivered"), "{case}");
            assert!(service.unexpected.lock().unwrap().is_empty(), "{case}");
        }
    }
}

/// Killed twice in one wait of an hour.
#[tokio::test]
async fn killed_in_the_middle_of_a_wait() {
    for operation in ["MEASURE", "ADJUST"] {
        let tree = tempfile::tempdir().unwrap();
        let folder = tree.path().join("journal");
        let points = Arc::new(Points::default());
        let service = Arc::new(Service::new(&points, &[command(operation)], true));
        let url = serve(service.clone()).await;

        let mut servant = Servant::start(&url, &folder, "", 0, 3600);
        servant.until("waiting").await;
        servant.kill().await;
        let mut servant = Servant::start(&url, &folder, "", 1000, 3600);
        servant.until("going on").await;
        let said = servant.kill().await;
        assert!(said[0].ends_with("was waiting, 2600s are left"), "{said:?}");
        let said = Servant::start(&url, &folder, "", 3600, 3600).finish().await;
        assert!(said[0].ends_with("was waiting, 0ns are left"), "{said:?}");
        assert_eq!(
            said[2..5],
            [
                "before resumed",
                "after resumed",
                "second step with \"left\""
            ]
        );
        let accepted = service.accepted.lock().unwrap();
        assert_eq!(accepted.len(), 1);
        assert_eq!(accepted[0].1["status"], "ok");
    }
}
