//! One run: a world is made, a storm passes over it, it settles, and it is
//! looked at.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use servo_agent::{CancelSupport, Drivers, ServoHandle, StopReason};
use servo_optune::{StudyOptions, StudySummary};
use servo_protocol::Control;
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle};
use tokio::time::sleep;

use crate::application::Application;
use crate::chance::{Chance, Stream};
use crate::check::{self, After};
use crate::clock::Wall;
use crate::crash::Crash;
use crate::drivers::{Adjusts, Driver, Effects, Measures};
use crate::log::Log;
use crate::net::{Net, Weather};
use crate::office::Office;
use crate::servant::{Book, Death, Servant, Wreck};
use crate::storm::{PLENTY, Storm};

/// Longest time, by the paused clock, that a world may take to settle: many
/// times what its study takes without faults.
const SETTLES: Duration = Duration::from_secs(100_000);

/// How often the service looks at its clock.
const TICK: Duration = Duration::from_secs(20);

/// How long a world must have been settled, so that everything that is late has
/// arrived.
const QUIET: Duration = Duration::from_secs(1000);

/// What became of a seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How the study ended.
    pub summary: StudySummary,
    /// Messages that something happened to.
    pub faults: u64,
    /// Lives of the servo.
    pub lives: usize,
    /// Commands of the service.
    pub commands: usize,
    /// What was wrong; empty when all was well.
    pub wrong: Vec<String>,
    /// What happened.
    pub log: String,
}

/// Plays a seed, in a runtime of its own.
///
/// # Panics
/// When something of the world's own breaks.
#[must_use]
pub fn play(seed: u64) -> Outcome {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(run(seed))
}

/// Counts those who hold something.
type Holders = Box<dyn Fn() -> usize>;

/// What nothing of may be left, by name.
struct Left(Vec<(&'static str, Holders)>);

impl Left {
    fn watch<T: 'static>(&mut self, name: &'static str, what: &Arc<T>) {
        let weak: Weak<T> = Arc::downgrade(what);
        self.0.push((name, Box::new(move || weak.strong_count())));
    }
}

async fn run(seed: u64) -> Outcome {
    let mut plan = Chance::new(seed, Stream::Plan);
    let tasks = Handle::current().metrics().num_alive_tasks();
    // In memory where there is such a folder: thousands of syncs to a disk
    // take minutes and show nothing here.
    let tree = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let tree = tree.unwrap_or_else(|error| panic!("{error}"));
    let log = Arc::new(Log::new());
    let net = |name, stream, plan: &mut Chance| {
        let weather = Weather::draw(plan);
        log.note(format!("{name}: {weather:?}"));
        Net::new(name, weather, Chance::new(seed, stream), Arc::clone(&log))
    };
    let line = net("line", Stream::Line, &mut plan);
    let field = net("field", Stream::Field, &mut plan);
    let storm = Storm::draw(&mut Chance::new(seed, Stream::Storm));

    let application = Arc::new(Application::new(Arc::clone(&log)));
    let office = Arc::new(Office::new(
        tree.path().join("optune"),
        study(&mut plan),
        Arc::new(Wall::new()),
        Arc::clone(&log),
    ));
    let servant = servant(
        seed,
        &mut plan,
        &tree,
        &line,
        &field,
        &office,
        &application,
        &log,
    );
    let mut left = Left(Vec::new());
    left.watch("application", &application);
    left.watch("way to the service", &line);
    left.watch("way to the application", &field);
    left.watch("service", &office);
    left.watch("servo", &servant);

    office.start();
    let life = tokio::spawn({
        let servant = Arc::clone(&servant);
        async move { servant.live().await }
    });
    let ticks = tokio::spawn({
        let office = Arc::clone(&office);
        async move {
            loop {
                sleep(TICK).await;
                office.tick();
            }
        }
    });
    storm.pass(&servant, &office, &field).await;
    let mut wrong = Vec::new();
    let summary = settle(&servant, &office, &mut wrong).await;
    servant.last.store(true, Ordering::SeqCst);
    servant.handle().stop_now(StopReason::Sigterm);
    ticks.abort();
    // It was told to.
    let _ = ticks.await;
    if let Err(error) = life.await {
        wrong.push(format!("the servo: {error}"));
    }
    line.settled().await;
    field.settled().await;
    office.kill();
    let after = After {
        data: tree.path().join("optune"),
        journal: tree.path().join("journal"),
        summary: summary.clone(),
        values: application.values(),
        effects: servant.effects.all(),
        alive: servant.effects.alive(),
        lives: servant.book.lives(),
        jumps: servant.book.jumps(),
        sent: servant.book.sent(),
        calls: servant.book.calls(),
    };
    wrong.extend(check::all(&after));
    let outcome = Outcome {
        summary,
        faults: line.faults() + field.faults(),
        lives: after.lives.len(),
        commands: after.commands(),
        wrong,
        log: log.text(),
    };
    drop((servant, office, application, line, field));
    look_back(outcome, tasks, &left)
}

/// Whether all is gone that the run began.
fn look_back(mut outcome: Outcome, tasks: usize, left: &Left) -> Outcome {
    let now = Handle::current().metrics().num_alive_tasks();
    if now != tasks {
        outcome
            .wrong
            .push(format!("{now} tasks are left, {tasks} before"));
    }
    for (name, count) in &left.0 {
        if count() > 0 {
            outcome
                .wrong
                .push(format!("{name}: {} holders are left", count()));
        }
    }
    outcome
}

fn study(plan: &mut Chance) -> StudyOptions {
    let control = Control {
        duration: Some(Duration::from_secs(60).into()),
        ..Control::default()
    };
    StudyOptions {
        trials: u32::try_from(plan.between(3, 6)).unwrap_or(3),
        seed: plan.between(0, 1000),
        control,
        baseline_repeats: u32::try_from(plan.between(1, 2)).unwrap_or(1),
        ..StudyOptions::default()
    }
}

#[expect(clippy::too_many_arguments, reason = "it is the list of what there is")]
fn servant(
    seed: u64,
    plan: &mut Chance,
    tree: &TempDir,
    line: &Arc<Net>,
    field: &Arc<Net>,
    office: &Arc<Office>,
    application: &Arc<Application>,
    log: &Arc<Log>,
) -> Arc<Servant> {
    let crash = Arc::new(Crash::new(Arc::clone(log)));
    let effects = Arc::new(Effects::default());
    let active = plan.happens(0.15);
    let driver = |name, cancel, takes, active| Driver {
        facts: Driver::facts(name, cancel),
        takes,
        active,
        net: Arc::clone(field),
        application: Arc::clone(application),
        crash: Arc::clone(&crash),
        effects: Arc::clone(&effects),
        log: Arc::clone(log),
    };
    let measures = if active {
        CancelSupport::Report
    } else {
        CancelSupport::None
    };
    let adjusts = plan
        .pick(&[CancelSupport::None, CancelSupport::Step])
        .unwrap_or_default();
    let window = plan.seconds(20, 200);
    let settling = plan.seconds(1, 60);
    let drivers = Drivers {
        measure: Some(Arc::new(Measures(driver(
            "measure", measures, window, active,
        )))),
        adjust: Some(Arc::new(Adjusts(driver(
            "adjust", adjusts, settling, false,
        )))),
    };
    Arc::new(Servant {
        folder: tree.path().join("journal"),
        drivers,
        net: Arc::clone(line),
        office: Arc::clone(office),
        crash,
        wall: Arc::new(Wall::new()),
        room: Arc::new(AtomicUsize::new(PLENTY)),
        effects,
        book: Arc::new(Book::default()),
        death: Mutex::new(Death {
            downtime: Duration::ZERO,
            wreck: Wreck::Clean,
            jump: 0,
        }),
        handle: Mutex::new(ServoHandle::default()),
        last: AtomicBool::new(false),
        chance: Mutex::new(Chance::new(seed, Stream::Wreck)),
        log: Arc::clone(log),
    })
}

/// Waits until the study has ended and the servo sleeps, and neither changes
/// while what is late arrives.
async fn settle(servant: &Servant, office: &Office, wrong: &mut Vec<String>) -> StudySummary {
    let mut waited = Duration::ZERO;
    let mut quiet = Duration::ZERO;
    loop {
        let Some(summary) = office.summary() else {
            panic!("the service knows of no study");
        };
        if !summary.ended() || !servant.book.idle() {
            quiet = Duration::ZERO;
        } else if quiet > QUIET {
            return summary;
        }
        if waited > SETTLES {
            wrong.push(format!("the study does not end: {summary:?}"));
            return summary;
        }
        // Not in step with the servo, which sleeps for a minute.
        let pause = Duration::from_secs(37);
        sleep(pause).await;
        waited += pause;
        quiet += pause;
    }
}
