//! A service, drivers and a journal that can end the servo at any point.
//!
//! Every point reports itself with [`Points::reach`]; the one that is chosen
//! never returns, and the servo is dropped with everything it holds. What
//! survives is what survives a crash: the folder, the service, the drivers'
//! notes. Wall clock and paused clock are one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{
    Accepted, AdjustDriver, AdjustRequest, Began, CallContext, CallId, CancelSupport, Clock,
    DriverFacts, DriverFailure, DriverId, Drivers, FileJournal, HttpAnswer, Interruption, Journal,
    JournalError, MeasureDriver, MeasureRequest, Pause, Servo, ServoConfig, ServoHandle, Step,
    StopReason, Transport, TransportError, UndoRecord,
};
use servo_protocol::{Application, AppliedApplication, Envelope, Measurement, Metrics};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use crate::support::{application, applied, measurement, metrics};

/// Length of the measurement's wait and of the adjustment's, in seconds.
pub const MEASURE_WAIT: u64 = 100;
pub const ADJUST_WAIT: u64 = 50;

/// What the drivers leave in their pauses.
pub const MEASURE_STATE: &str = r#"{"window":[1,2]}"#;
pub const UNDO_STATE: &str = r#"{"back":1}"#;
pub const ADJUST_STATE: &str = r#"{"rollout":7}"#;

/// Where the servo crashes next.
#[derive(Debug, Clone)]
pub enum Crash {
    /// At this point of those reached since the start, from 0.
    Nth(usize),
    /// At the first point of this name.
    At(&'static str),
}

/// The points that were reached since the last start.
#[derive(Default)]
pub struct Points {
    crash: Mutex<Option<Crash>>,
    seen: Mutex<Vec<String>>,
    crashed: Notify,
    timers: Mutex<Vec<AbortHandle>>,
}

impl Points {
    fn tick(&self, name: &str) -> bool {
        let mut seen = self.seen.lock().unwrap();
        let number = seen.len();
        seen.push(name.to_owned());
        let chosen = match &*self.crash.lock().unwrap() {
            None => false,
            Some(Crash::Nth(nth)) => *nth == number,
            Some(Crash::At(at)) => *at == name && !seen[..number].contains(&name.to_owned()),
        };
        if chosen {
            self.crashed.notify_one();
        }
        chosen
    }

    async fn reach(&self, name: &str) {
        if self.tick(name) {
            std::future::pending().await
        }
    }

    fn start(&self, crash: Option<Crash>) {
        *self.crash.lock().unwrap() = crash;
        self.seen.lock().unwrap().clear();
        for timer in self.timers.lock().unwrap().drain(..) {
            timer.abort();
        }
    }
}

/// The journal, with a point before and after each record.
struct Pointed {
    journal: FileJournal,
    points: Arc<Points>,
    operation: Mutex<String>,
}

impl Pointed {
    async fn around(
        &self,
        what: &str,
        write: impl Future<Output = Result<(), JournalError>>,
    ) -> Result<(), JournalError> {
        let operation = self.operation.lock().unwrap().clone();
        self.points
            .reach(&format!("{operation}: before {what}"))
            .await;
        write.await.unwrap();
        self.points
            .reach(&format!("{operation}: after {what}"))
            .await;
        Ok(())
    }
}

#[async_trait]
impl Journal for Pointed {
    async fn accepted(&self, accepted: &Accepted) -> Result<(), JournalError> {
        let operation = accepted.command["cmd"].as_str().unwrap().to_owned();
        *self.operation.lock().unwrap() = operation;
        self.around("accepted", self.journal.accepted(accepted))
            .await
    }
    async fn began(&self, began: &Began) -> Result<(), JournalError> {
        self.around("began", self.journal.began(began)).await
    }
    async fn paused(&self, call: &CallId, pause: &Pause) -> Result<(), JournalError> {
        let result = self
            .around("paused", self.journal.paused(call, pause))
            .await;
        let (points, wait) = (Arc::clone(&self.points), pause.wait);
        let timer = tokio::spawn(async move {
            sleep(wait / 2).await;
            points.tick("in the middle of a wait");
        });
        self.points
            .timers
            .lock()
            .unwrap()
            .push(timer.abort_handle());
        result
    }
    async fn resumed(&self, call: &CallId) -> Result<(), JournalError> {
        self.around("resumed", self.journal.resumed(call)).await
    }
    async fn recovering(&self, call: &CallId, driver: &DriverId) -> Result<(), JournalError> {
        self.around("recovering", self.journal.recovering(call, driver))
            .await
    }
    async fn undo(&self, call: &CallId, record: &UndoRecord) -> Result<(), JournalError> {
        let what = match record {
            UndoRecord::Begins(_) => "undoing",
            UndoRecord::Waits(_) => "undo paused",
            UndoRecord::GoesOn => "undo resumed",
        };
        self.around(what, self.journal.undo(call, record)).await
    }
    async fn ended(&self, call: &CallId, report: &Envelope) -> Result<(), JournalError> {
        self.around("ended", self.journal.ended(call, report)).await
    }
    async fn delivered(&self, call: &CallId) -> Result<(), JournalError> {
        self.around("delivered", self.journal.delivered(call)).await
    }
}

/// The service of protocol section 24: one command at a time, handed out until
/// it is answered.
pub struct Service {
    points: Arc<Points>,
    pub commands: Vec<Value>,
    /// Whether it gives its commands ids.
    ids: bool,
    /// (command, report) of each report it took.
    pub accepted: Mutex<Vec<(usize, Value)>>,
    /// Reports of commands that were answered before, by their ids.
    pub repeated: Mutex<Vec<Value>>,
    /// Reports it was not waiting for.
    pub unexpected: Mutex<Vec<Value>>,
    /// Percentages of the progress of each command.
    pub progress: Mutex<Vec<(usize, f64)>>,
    handle: Mutex<ServoHandle>,
    /// Whether it cancels what pauses.
    cancels: AtomicBool,
}

impl Service {
    pub fn new(points: &Arc<Points>, commands: &[Value], ids: bool) -> Self {
        Self {
            points: Arc::clone(points),
            commands: commands.to_vec(),
            ids,
            accepted: Mutex::default(),
            repeated: Mutex::default(),
            unexpected: Mutex::default(),
            progress: Mutex::default(),
            handle: Mutex::default(),
            cancels: AtomicBool::new(false),
        }
    }

    fn command(&self) -> Option<(usize, &Value)> {
        let answered = self.accepted.lock().unwrap().len();
        Some((answered, self.commands.get(answered)?))
    }

    fn id(command: usize) -> String {
        format!("uid-{command}")
    }

    fn next(&self) -> Value {
        let Some((number, command)) = self.command() else {
            self.handle.lock().unwrap().stop_now(StopReason::Sigterm);
            return json!({"cmd": "SLEEP", "param": {}});
        };
        let mut command = command.clone();
        if self.ids {
            command["cmd_uid"] = json!(Self::id(number));
        }
        command
    }

    fn due(&self, event: &Envelope) -> Option<usize> {
        let (number, command) = self.command()?;
        let due = match command["cmd"].as_str().unwrap() {
            "DESCRIBE" => "DESCRIPTION",
            "MEASURE" => "MEASUREMENT",
            _ => "ADJUSTMENT",
        };
        let uid = self.ids.then(|| json!(Self::id(number)));
        let fits = event.event.as_str() == due && event.param.get("cmd_uid") == uid.as_ref();
        fits.then_some(number)
    }

    fn report(&self, event: &Envelope) -> Value {
        let ok = json!({"status": "ok"});
        let unexpected = json!({"status": "unexpected-event", "reason": "another was due"});
        let due = self.due(event);
        if let Some(percent) = event.param.get("progress") {
            let Some(number) = due else { return unexpected };
            let percent = percent.as_f64().unwrap();
            self.progress.lock().unwrap().push((number, percent));
            if percent >= 40.0 && self.cancels.load(Ordering::SeqCst) {
                return json!({"status": "cancel", "reason": "enough"});
            }
            return ok;
        }
        if let Some(number) = due {
            self.accepted
                .lock()
                .unwrap()
                .push((number, event.param.clone()));
            return ok;
        }
        let uid = event.param.get("cmd_uid").cloned();
        let answered = self.accepted.lock().unwrap().len();
        if (0..answered).any(|number| uid == Some(json!(Self::id(number)))) {
            self.repeated.lock().unwrap().push(event.param.clone());
            return ok;
        }
        self.unexpected.lock().unwrap().push(event.param.clone());
        unexpected
    }
}

#[async_trait]
impl Transport for Service {
    async fn post(&self, event: &Envelope) -> Result<HttpAnswer, TransportError> {
        let kind = match event.event.as_str() {
            "HELLO" | "WHATS_NEXT" | "GOODBYE" => event.event.to_string(),
            name if event.param.get("progress").is_some() => format!("{name} progress"),
            name => format!("{name} report"),
        };
        self.points.reach(&format!("{kind}: on its way")).await;
        let answer = match event.event.as_str() {
            "HELLO" | "GOODBYE" => json!({"status": "ok"}),
            "WHATS_NEXT" => self.next(),
            _ => self.report(event),
        };
        self.points
            .reach(&format!("{kind}: answer on its way"))
            .await;
        Ok(HttpAnswer {
            status: 200,
            body: answer.to_string().into(),
            retry_after: None,
        })
    }
}

/// A driver of two steps with a wait between them.
pub struct Driver {
    points: Arc<Points>,
    began: Instant,
    pub facts: DriverFacts,
    /// (second, state) of every step.
    pub steps: Mutex<Vec<(f64, Option<String>)>>,
    /// (state, state of the undo's own pause) of every step of an undo.
    pub undone: Mutex<Vec<(String, Option<String>)>>,
    /// What it was asked to take up.
    pub taken_up: Mutex<Vec<Interruption>>,
}

impl Driver {
    fn new(points: &Arc<Points>, began: Instant, name: &str) -> Self {
        Self {
            points: Arc::clone(points),
            began,
            facts: DriverFacts {
                name: name.to_owned(),
                version: "1.0.0".to_owned(),
                digest: Some("sha256:01".to_owned()),
                cancel: CancelSupport::None,
                recover: false,
            },
            steps: Mutex::default(),
            undone: Mutex::default(),
            taken_up: Mutex::default(),
        }
    }

    async fn step<T>(
        &self,
        resume: Option<&str>,
        pause: (u64, &str),
        done: T,
    ) -> Result<Step<T>, DriverFailure> {
        let at = self.began.elapsed().as_secs_f64();
        let seen = (at, resume.map(str::to_owned));
        self.steps.lock().unwrap().push(seen);
        let name = &self.facts.name;
        let step = if resume.is_none() { "first" } else { "second" };
        self.points
            .reach(&format!("{name}: in its {step} step"))
            .await;
        if resume.is_some() {
            return Ok(Step::Done(done));
        }
        Ok(Step::Wait(Pause {
            wait: Duration::from_secs(pause.0),
            state: pause.1.to_owned(),
            progress: Some(40.0),
            message: None,
        }))
    }
}

#[async_trait]
impl MeasureDriver for Driver {
    fn facts(&self) -> &DriverFacts {
        &self.facts
    }
    async fn describe(&self, _: &CallContext) -> Result<Metrics, DriverFailure> {
        self.points.reach("measure: describing").await;
        Ok(serde_json::from_value(metrics()).unwrap())
    }
    async fn step(
        &self,
        _: &CallContext,
        _: &MeasureRequest,
        resume: Option<&str>,
    ) -> Result<Step<Measurement>, DriverFailure> {
        self.step(resume, (MEASURE_WAIT, MEASURE_STATE), measurement())
            .await
    }
}

#[async_trait]
impl AdjustDriver for Driver {
    fn facts(&self) -> &DriverFacts {
        &self.facts
    }
    async fn describe(&self, _: &CallContext) -> Result<Application, DriverFailure> {
        self.points.reach("adjust: describing").await;
        Ok(serde_json::from_value(application()).unwrap())
    }
    async fn step(
        &self,
        _: &CallContext,
        request: &AdjustRequest,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        assert_eq!(request.application, applied(1.5));
        self.step(
            resume,
            (ADJUST_WAIT, ADJUST_STATE),
            AppliedApplication::default(),
        )
        .await
    }
    /// Waits once, and goes back to one cpu.
    async fn cancelled(
        &self,
        _: &CallContext,
        _: &AdjustRequest,
        state: &str,
        resume: Option<&str>,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        let seen = (state.to_owned(), resume.map(str::to_owned));
        self.undone.lock().unwrap().push(seen);
        self.points.reach("adjust: undoing").await;
        Ok(match resume {
            Some(_) => Step::Done(applied(1.0)),
            None => Step::Wait(Pause {
                wait: Duration::from_secs(ADJUST_WAIT),
                state: UNDO_STATE.to_owned(),
                ..Pause::default()
            }),
        })
    }
    /// Waits once more where it had not, and is done otherwise.
    async fn recover(
        &self,
        _: &CallContext,
        request: &AdjustRequest,
        interruption: &Interruption,
    ) -> Result<Step<AppliedApplication>, DriverFailure> {
        assert_eq!(request.application, applied(1.5));
        self.taken_up.lock().unwrap().push(interruption.clone());
        self.points.reach("adjust: taking it up").await;
        Ok(match interruption.state {
            Some(_) => Step::Done(AppliedApplication::default()),
            None => Step::Wait(Pause {
                wait: Duration::from_secs(ADJUST_WAIT),
                state: ADJUST_STATE.to_owned(),
                progress: Some(40.0),
                message: None,
            }),
        })
    }
}

/// All that survives a crash.
pub struct World {
    _tree: TempDir,
    folder: PathBuf,
    began: Instant,
    points: Arc<Points>,
    pub service: Arc<Service>,
    pub measure: Arc<Driver>,
    pub adjust: Arc<Driver>,
    /// How long the servo is gone after a crash.
    pub downtime: Duration,
    /// How far the wall clock jumps with each crash; negative: back.
    pub jump: i64,
    pub limit: Duration,
    wall: Arc<AtomicU64>,
    /// Second at which the servo was started, each time.
    pub starts: Vec<f64>,
}

impl World {
    pub fn new(commands: &[Value], ids: bool) -> Self {
        // In memory where there is such a folder: thousands of syncs to a disk
        // take minutes and show nothing here.
        let tree = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let tree = tree.unwrap();
        let points = Arc::new(Points::default());
        let began = Instant::now();
        Self {
            folder: tree.path().join("journal"),
            _tree: tree,
            began,
            service: Arc::new(Service::new(&points, commands, ids)),
            measure: Arc::new(Driver::new(&points, began, "measure")),
            adjust: Arc::new(Driver::new(&points, began, "adjust")),
            points,
            downtime: Duration::from_secs(30),
            jump: 0,
            limit: Duration::from_secs(3600),
            wall: Arc::new(AtomicU64::new(1_700_000_000)),
            starts: Vec::new(),
        }
    }

    /// Lets the adjust driver say that it recovers.
    pub fn recovering(mut self) -> Self {
        let mut new = Driver::new(&self.points, self.began, "adjust");
        new.facts.recover = true;
        self.adjust = Arc::new(new);
        self
    }

    /// Lets the service cancel what pauses, and the adjust driver undo it.
    pub fn cancelling(mut self) -> Self {
        let mut new = Driver::new(&self.points, self.began, "adjust");
        new.facts.cancel = CancelSupport::Step;
        self.adjust = Arc::new(new);
        self.service.cancels.store(true, Ordering::SeqCst);
        self
    }

    /// Replaces the drivers by others that differ in their bytes.
    pub fn exchange_drivers(&mut self) {
        for (name, driver) in [("measure", &mut self.measure), ("adjust", &mut self.adjust)] {
            let mut new = Driver::new(&self.points, self.began, name);
            new.facts.digest = Some("sha256:02".to_owned());
            new.facts.recover = driver.facts.recover;
            *driver = Arc::new(new);
        }
    }

    /// Runs, crashing at each of the places, until the service has no more
    /// commands. Returns the points of the last start, and how many of the
    /// crashes happened.
    pub async fn run(&mut self, crashes: Vec<Crash>) -> (Vec<String>, usize) {
        let mut crashes = VecDeque::from(crashes);
        let mut happened = 0;
        loop {
            let crash = crashes.pop_front();
            self.points.start(crash);
            if self.go().await {
                return (self.points.seen.lock().unwrap().clone(), happened);
            }
            happened += 1;
            let wall = self.wall.load(Ordering::SeqCst);
            self.wall
                .store(wall.saturating_add_signed(self.jump), Ordering::SeqCst);
            sleep(self.downtime).await;
        }
    }

    /// Runs to one crash and leaves it there.
    pub async fn crash_once(&mut self, crash: Crash) {
        self.points.start(Some(crash));
        assert!(!self.go().await, "it was to crash");
    }

    /// Runs until the end or a crash. Whether it was the end.
    async fn go(&mut self) -> bool {
        self.starts.push(self.began.elapsed().as_secs_f64());
        let (wall, began) = (Arc::clone(&self.wall), self.began);
        let clock: Clock = Arc::new(move || {
            let wall = Duration::from_secs(wall.load(Ordering::SeqCst));
            UNIX_EPOCH + wall + began.elapsed()
        });
        let (journal, recovered) =
            FileJournal::open_with_clock(&self.folder, "shop", clock).unwrap();
        let mut config = ServoConfig::new("shop");
        config.retry = config.retry.without_jitter();
        config.measure_limits.wall = self.limit;
        config.adjust_limits.wall = self.limit;
        let drivers = Drivers {
            measure: Some(self.measure.clone()),
            adjust: Some(self.adjust.clone()),
        };
        let servo = Servo::new(config, drivers, self.service.clone())
            .with_journal(Arc::new(Pointed {
                journal,
                points: Arc::clone(&self.points),
                operation: Mutex::new("again".to_owned()),
            }))
            .with_recovered(recovered);
        *self.service.handle.lock().unwrap() = servo.handle();
        tokio::select! {
            biased;
            () = self.points.crashed.notified() => false,
            reason = servo.run() => {
                assert_eq!(reason, StopReason::Sigterm);
                true
            }
        }
    }
}
