//! The servo as a process that can die: started, ended and started again, with
//! its journal on a real folder and a disk that can be full.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use servo_agent::{
    Accepted, Began, CallId, DriverId, Drivers, FileJournal, HttpAnswer, Journal, JournalError,
    JournalOpenError, Notice, Observer, Pause, Recovered, RetryPolicy, Servo, ServoConfig,
    ServoHandle, StopReason, Transport, TransportError, UndoRecord,
};
use servo_protocol::Envelope;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::clock::Wall;
use crate::crash::Crash;
use crate::drivers::Effects;
use crate::log::Log;
use crate::net::{Came, Net};
use crate::office::Office;

/// Longest wait for an answer of the service, as the servo's client has it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a crash leaves in the folder of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wreck {
    /// Nothing special.
    Clean,
    /// Half of a record that was being added.
    TornTail,
    /// A new file that was written and did not take the place of the old one.
    NewFile,
}

/// What comes with a death.
#[derive(Debug, Clone, Copy)]
pub struct Death {
    /// How long the servo is gone.
    pub downtime: Duration,
    /// What it leaves.
    pub wreck: Wreck,
    /// By how many milliseconds its wall clock is wrong afterwards.
    pub jump: i64,
}

/// A final report on its way to the service.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Id of its command.
    pub uid: String,
    /// What it says.
    pub status: String,
    /// Whether its journal kept it.
    pub kept: bool,
    /// Whether the servo got an answer that takes it.
    pub answered: bool,
    /// Upsets until the end of the attempt; see [`Servant::upsets`].
    pub upsets: u64,
}

/// One life of the servo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Life {
    /// When it began, in seconds.
    pub began: f64,
    /// When the service had taken its greeting.
    pub greeted: Option<f64>,
    /// When it ended.
    pub ended: Option<f64>,
}

/// What is known about the servo from outside.
#[derive(Default)]
pub struct Book {
    lives: Mutex<Vec<Life>>,
    sent: Mutex<Vec<Sent>>,
    /// Things after which a report may rightly be sent a second time.
    upsets: AtomicU64,
    /// When its wall clock jumped, and by how many milliseconds.
    jumps: Mutex<Vec<(f64, i64)>>,
    /// The command in hand, and those before it with their calls.
    command: Mutex<Option<String>>,
    calls: Mutex<Vec<(String, String)>>,
    idle: AtomicBool,
    /// The report that is about to be sent is not in the journal.
    unkept: AtomicBool,
}

impl Book {
    /// Its lives so far.
    #[must_use]
    pub fn lives(&self) -> Vec<Life> {
        self.lives
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Every final report it sent, each attempt.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// When its wall clock jumped, and by how many milliseconds.
    #[must_use]
    pub fn jumps(&self) -> Vec<(f64, i64)> {
        self.jumps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Commands, and the calls that were begun to carry them out.
    #[must_use]
    pub fn calls(&self) -> Vec<(String, String)> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes down which command is in hand.
    fn command(&self, uid: Option<String>) -> Option<String> {
        let mut command = self.command.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut command, uid)
    }

    /// Whether the service told it to sleep, and nothing else since.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst)
    }

    fn upset(&self) {
        self.upsets.fetch_add(1, Ordering::SeqCst);
    }

    fn life(&self, change: impl FnOnce(&mut Vec<Life>)) {
        change(&mut self.lives.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Sees what the servo tells.
struct Watch {
    book: Arc<Book>,
    log: Arc<Log>,
}

impl Observer for Watch {
    fn notice(&self, notice: Notice) {
        let now = self.log.now();
        self.book
            .idle
            .store(matches!(notice, Notice::Sleeping { .. }), Ordering::SeqCst);
        match &notice {
            Notice::Greeted => self.book.life(|lives| {
                if let Some(life) = lives.last_mut() {
                    life.greeted.get_or_insert(now);
                }
            }),
            Notice::Unrecorded { .. } => {
                self.book.upset();
                self.book.unkept.store(true, Ordering::SeqCst);
            }
            Notice::Command { cmd_uid, .. } => {
                self.book.command(cmd_uid.clone());
            }
            Notice::Started { call, .. } => {
                // One that goes on after a restart is not told its command again.
                if let Some(uid) = self.book.command(None) {
                    let mut calls = self
                        .book
                        .calls
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    calls.push((uid, call.to_string()));
                }
            }
            Notice::Ended { .. } => self.book.unkept.store(false, Ordering::SeqCst),
            _ => {}
        }
        let text = match notice {
            Notice::Progress { .. } | Notice::Command { .. } => return,
            Notice::Ended { operation, outcome } => match outcome {
                Ok(_) => format!("{operation} ended well"),
                Err(failure) => format!(
                    "{operation} ended {}, {}: {}",
                    failure.status,
                    failure
                        .reason
                        .map(|reason| reason.to_string())
                        .unwrap_or_default(),
                    failure.message.unwrap_or_default()
                ),
            },
            other => format!("{other:?}"),
        };
        self.log.note(format!("servo: {text}"));
    }
}

/// The servo's way to the service.
struct Line {
    net: Arc<Net>,
    office: Arc<Office>,
    crash: Arc<Crash>,
    book: Arc<Book>,
    log: Arc<Log>,
}

impl Line {
    /// Where an attempt to send a final report stands in the book.
    fn enter(&self, event: &Envelope) -> Option<usize> {
        let text = |name: &str| event.param.get(name).and_then(Value::as_str);
        let reports = ["DESCRIPTION", "MEASUREMENT", "ADJUSTMENT"];
        let last = reports.contains(&event.event.as_str()) && event.param.get("progress").is_none();
        let uid = text("cmd_uid").filter(|_| last)?;
        let mut sent = self
            .book
            .sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        sent.push(Sent {
            uid: uid.to_owned(),
            status: text("status").unwrap_or("none").to_owned(),
            kept: !self.book.unkept.load(Ordering::SeqCst),
            answered: false,
            upsets: self.book.upsets.load(Ordering::SeqCst),
        });
        Some(sent.len() - 1)
    }

    fn answered(&self, place: usize) {
        let mut sent = self
            .book
            .sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(sent) = sent.get_mut(place) {
            sent.answered = true;
            sent.upsets = self.book.upsets.load(Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl Transport for Line {
    async fn post(&self, event: &Envelope) -> Result<HttpAnswer, TransportError> {
        let mut what = event.event.to_string();
        if let Some(uid) = event.param.get("cmd_uid").and_then(Value::as_str) {
            let uid = uid.rsplit('-').next().unwrap_or_default();
            let progress = event.param.get("progress").is_some();
            what = format!("{what}{} {uid}", if progress { " progress" } else { "" });
        }
        self.log.note(format!("servo: sends {what}"));
        let place = self.enter(event);
        self.crash.point(&format!("{what}: leaves")).await;
        let body = Bytes::from(serde_json::to_vec(event).unwrap_or_default());
        let (office, log, name) = (
            Arc::clone(&self.office),
            Arc::clone(&self.log),
            what.clone(),
        );
        let deliver = move |whole: bool| {
            let (office, body) = (Arc::clone(&office), body.clone());
            let (log, name) = (Arc::clone(&log), name.clone());
            async move {
                let answer = office.take(body, whole).await;
                let said = answer
                    .as_ref()
                    .map(|answer| String::from_utf8_lossy(&answer.body));
                log.note(format!("service: {name} -> {said:?}"));
                answer
            }
        };
        let came = self.net.send(&what, PATIENCE, deliver).await;
        self.crash.point(&format!("{what}: answered")).await;
        let (answer, whole) = match came {
            Ok(Came::Whole(answer)) => (answer, true),
            Ok(Came::Torn(answer)) => (answer, false),
            Err(lost) => return Err(TransportError(format!("{lost:?}"))),
        };
        if let Some(place) = place.filter(|_| answer.status == 200) {
            self.answered(place);
        }
        let half = answer.body.len() / 2;
        let body = if whole {
            answer.body
        } else {
            answer.body.slice(..half)
        };
        Ok(HttpAnswer {
            status: answer.status,
            body,
            retry_after: None,
        })
    }
}

/// The journal, with a point before and after each record.
struct Pointed {
    journal: FileJournal,
    crash: Arc<Crash>,
}

impl Pointed {
    async fn around(
        &self,
        what: &str,
        write: impl Future<Output = Result<(), JournalError>>,
    ) -> Result<(), JournalError> {
        self.crash.point(&format!("before `{what}`")).await;
        let written = write.await;
        self.crash.point(&format!("after `{what}`")).await;
        written
    }
}

#[async_trait]
impl Journal for Pointed {
    async fn accepted(&self, accepted: &Accepted) -> Result<(), JournalError> {
        self.around("accepted", self.journal.accepted(accepted))
            .await
    }
    async fn began(&self, began: &Began) -> Result<(), JournalError> {
        self.around("began", self.journal.began(began)).await
    }
    async fn paused(&self, call: &CallId, pause: &Pause) -> Result<(), JournalError> {
        self.around("paused", self.journal.paused(call, pause))
            .await
    }
    async fn resumed(&self, call: &CallId) -> Result<(), JournalError> {
        self.around("resumed", self.journal.resumed(call)).await
    }
    async fn recovering(&self, call: &CallId, driver: &DriverId) -> Result<(), JournalError> {
        self.around("recovering", self.journal.recovering(call, driver))
            .await
    }
    async fn undo(&self, call: &CallId, record: &UndoRecord) -> Result<(), JournalError> {
        self.around("undo", self.journal.undo(call, record)).await
    }
    async fn ended(&self, call: &CallId, report: &Envelope) -> Result<(), JournalError> {
        self.around("ended", self.journal.ended(call, report)).await
    }
    async fn delivered(&self, call: &CallId) -> Result<(), JournalError> {
        self.around("delivered", self.journal.delivered(call)).await
    }
    async fn idle(&self) -> Result<(), JournalError> {
        self.journal.idle().await
    }
}

/// The servo and all that it is given.
pub struct Servant {
    /// The folder of its journal.
    pub folder: PathBuf,
    /// Its drivers.
    pub drivers: Drivers,
    /// The way to the service.
    pub net: Arc<Net>,
    /// The service.
    pub office: Arc<Office>,
    /// Where it dies.
    pub crash: Arc<Crash>,
    /// Its wall clock.
    pub wall: Arc<Wall>,
    /// Bytes that its disk takes.
    pub room: Arc<AtomicUsize>,
    /// What its drivers did.
    pub effects: Arc<Effects>,
    /// What is known of it.
    pub book: Arc<Book>,
    /// What the next death brings.
    pub death: Mutex<Death>,
    /// How the one that runs is stopped.
    pub handle: Mutex<ServoHandle>,
    /// No start after this stop.
    pub last: AtomicBool,
    /// What crashes leave.
    pub chance: Mutex<Chance>,
    /// The record.
    pub log: Arc<Log>,
}

impl Servant {
    /// The folder's own journal, as soon as nobody else has it.
    async fn open(&self) -> (FileJournal, Recovered) {
        loop {
            let wall = Arc::clone(&self.wall);
            let clock = Arc::new(move || wall.time());
            match FileJournal::open_with_clock(&self.folder, "shop", clock) {
                Ok((journal, recovered)) => {
                    let room = Arc::clone(&self.room);
                    let room = Arc::new(move || room.load(Ordering::SeqCst));
                    return (journal.with_room(room), recovered);
                }
                // A write of the dead one that was already with the system.
                Err(JournalOpenError::InUse(_)) => sleep(Duration::from_millis(1)).await,
                Err(error) => panic!("the journal: {error}"),
            }
        }
    }

    fn servo(&self, journal: FileJournal, recovered: Recovered) -> Servo {
        let mut config = ServoConfig::new("shop");
        config.perf = Some("throughput".to_owned());
        // Chance comes from the seed alone.
        config.retry = RetryPolicy::default().without_jitter();
        let line = Line {
            net: Arc::clone(&self.net),
            office: Arc::clone(&self.office),
            crash: Arc::clone(&self.crash),
            book: Arc::clone(&self.book),
            log: Arc::clone(&self.log),
        };
        let watch = Watch {
            book: Arc::clone(&self.book),
            log: Arc::clone(&self.log),
        };
        let journal = Pointed {
            journal,
            crash: Arc::clone(&self.crash),
        };
        Servo::new(config, self.drivers.clone(), Arc::new(line))
            .with_observer(Arc::new(watch))
            .with_journal(Arc::new(journal))
            .with_recovered(recovered)
    }

    /// Lives, dies and is started again until its last stop.
    pub async fn live(&self) {
        loop {
            let (journal, recovered) = self.open().await;
            let servo = self.servo(journal, recovered);
            *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = servo.handle();
            if self.last.load(Ordering::SeqCst) {
                servo.handle().stop_now(StopReason::Sigterm);
            }
            let began = self.log.now();
            self.log.note("servo: starts");
            self.book.life(|lives| {
                lives.push(Life {
                    began,
                    greeted: None,
                    ended: None,
                });
            });
            let ended = {
                let run = std::pin::pin!(servo.run());
                tokio::select! {
                    biased;
                    () = self.crash.happens() => None,
                    reason = self.crash.polls(run) => Some(reason),
                }
            };
            let now = self.log.now();
            self.book.life(|lives| {
                if let Some(life) = lives.last_mut() {
                    life.ended = Some(now);
                }
            });
            assert_eq!(self.effects.alive(), 0, "a step outlives its servo");
            self.book.unkept.store(false, Ordering::SeqCst);
            self.book.command(None);
            self.book.idle.store(false, Ordering::SeqCst);
            let Death {
                downtime,
                wreck,
                jump,
            } = *self.death.lock().unwrap_or_else(PoisonError::into_inner);
            match ended {
                Some(reason) => {
                    self.log.note(format!("servo: ended, {reason}"));
                    if self.last.load(Ordering::SeqCst) {
                        return;
                    }
                    if reason != StopReason::Restart {
                        sleep(downtime).await;
                    }
                }
                None => {
                    self.book.upset();
                    // A write that was with the system when it died is through
                    // by then: the paused clock waits for it.
                    sleep(Duration::from_millis(1)).await;
                    self.wreck(wreck);
                    self.jump(jump);
                    sleep(downtime).await;
                }
            }
        }
    }

    /// Stops the one that runs.
    #[must_use]
    pub fn handle(&self) -> ServoHandle {
        self.handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Moves its wall clock.
    pub fn jump(&self, by: i64) {
        if by != 0 {
            let at = self.log.now();
            self.log.note(format!("servo: its clock jumps by {by} ms"));
            self.wall.jump(by);
            let mut jumps = self
                .book
                .jumps
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            jumps.push((at, by));
        }
    }

    /// Leaves in the folder what a crash in the middle of a write leaves.
    fn wreck(&self, wreck: Wreck) {
        let file = self.folder.join("journal.jsonl");
        let Ok(bytes) = std::fs::read(&file) else {
            return;
        };
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let most = u64::try_from(bytes.len()).unwrap_or_default();
        let length = usize::try_from(chance.between(0, most)).unwrap_or_default();
        let written = match wreck {
            Wreck::Clean => Ok(()),
            Wreck::TornTail => {
                let line = bytes
                    .split(|byte| *byte == b'\n')
                    .next()
                    .unwrap_or_default();
                let part = line.get(..length.min(line.len())).unwrap_or_default();
                std::fs::write(&file, [bytes.as_slice(), part].concat())
            }
            Wreck::NewFile => {
                let part = bytes.get(..length).unwrap_or_default();
                std::fs::write(new_file(&self.folder), part)
            }
        };
        if let Err(error) = written {
            panic!("the folder of the journal: {error}");
        }
    }
}

/// Where the journal writes what is to replace it.
fn new_file(folder: &Path) -> PathBuf {
    folder.join("journal.jsonl.new")
}
