//! A restart in the middle of a wait, and a kill: the wait belongs to the
//! journal, not to the servo that began it.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use crate::support::*;
use async_trait::async_trait;
use serde_json::json;
use servo_agent::{
    CallContext, CancelSupport, Clock, Compat, DriverFacts, DriverFailure, FileJournal,
    MeasureDriver, MeasureRequest, Pause, Recovered, Step, StopReason,
};
use servo_protocol::{Measurement, Metrics};
use tokio::time::{Instant, sleep};

/// A journal by the paused clock.
fn open(folder: &Path, began: Instant) -> (Arc<FileJournal>, Recovered) {
    let epoch = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let clock: Clock = Arc::new(move || epoch + began.elapsed());
    let (journal, recovered) = FileJournal::open_with_clock(folder, "shop", clock).unwrap();
    (Arc::new(journal), recovered)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The third progress report, in the middle of a wait, is when the restart is
/// asked for.
fn restarted_at_31() -> Vec<(To, Reply)> {
    let ok = || ok(json!({"status": "ok"}));
    let restart = Reply::StopAfterTurn(StopReason::Restart, Box::new(ok()));
    vec![
        (To::Progress, ok()),
        (To::Progress, ok()),
        (To::Progress, restart),
    ]
}

fn percents(log: &Log, event: &str) -> Vec<f64> {
    let percent = |param: &serde_json::Value| param["progress"].as_f64().unwrap();
    log.params(event).iter().map(percent).collect()
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_left_to_the_next_servo() {
    for (command, event) in [
        (measure(), "MEASUREMENT"),
        (adjust(json!(1.5)), "ADJUSTMENT"),
    ] {
        let began = Instant::now();
        let tree = tempfile::tempdir().unwrap();
        let folder = tree.path().join("journal");
        let measurer = measures(
            CancelSupport::None,
            vec![Act::wait(100, "s", 40.0), Act::done(measurement())],
        );
        let adjuster = adjusts(vec![Act::wait(100, "s", 40.0), Act::done(applied(1.5))]);
        let run = |script| Run::new(script).measure(&measurer).adjust(&adjuster);

        let (journal, recovered) = open(&folder, began);
        assert_eq!(recovered, Recovered::Nothing);
        let mut script = vec![command];
        script.extend(restarted_at_31());
        let (reason, first) = run(script).journal(&journal).go().await;
        assert_eq!(reason, StopReason::Restart);
        let progress = format!("{event}%");
        assert_eq!(
            first.lines(),
            [
                "0 HELLO".to_owned(),
                "0 WHATS_NEXT".to_owned(),
                format!("0 {progress}"),
                format!("1 {progress}"),
                format!("31 {progress}"),
                "31 GOODBYE".to_owned(),
            ]
        );
        drop(journal);

        sleep(seconds(19)).await;
        let (journal, recovered) = open(&folder, began);
        assert!(
            recovered.to_string().contains("was waiting, 50s are left"),
            "{recovered}"
        );
        let second = run(vec![]).journal(&journal).recovered(recovered);
        let (_, second) = second.go().await;
        let lines = second.lines();
        assert_eq!(lines[..2], ["0 HELLO".to_owned(), format!("0 {progress}")]);
        assert!(lines.contains(&format!("50 {event}")), "{lines:?}");
        assert_eq!(second.report(event)["status"], "ok");
        assert_eq!(second.params("DESCRIPTION"), [json!(null); 0]);

        // Neither the wait nor what was said of it began anew.
        let steps: Vec<(f64, Option<String>)> = if event == "MEASUREMENT" {
            let steps = measurer.steps.lock().unwrap();
            steps.iter().map(|step| (step.0, step.2.clone())).collect()
        } else {
            let steps = adjuster.steps.lock().unwrap();
            steps.iter().map(|step| (step.0, step.2.clone())).collect()
        };
        assert_eq!(steps, [(0.0, None), (100.0, Some("s".to_owned()))]);
        let told = [percents(&first, &progress), percents(&second, &progress)].concat();
        assert!(told.is_sorted(), "{told:?}");
        assert!(told[2] > 40.0, "a wait is counted: {told:?}");

        drop(journal);
        assert_eq!(open(&folder, began).1, Recovered::Nothing);
    }
}

/// When the servo says farewell that is told to stop at second 31 of a wait of
/// 100 seconds, or in a step.
#[tokio::test(start_paused = true)]
async fn only_a_restart_with_a_journal_leaves_a_wait() {
    let whole = || vec![Act::wait(100, "s", 40.0), Act::done(measurement())];
    let busy = |then| vec![Act::report(10.0, "busy", 50.0, then)];
    let original = Compat {
        patient_stops: true,
        ..Compat::default()
    };
    let cases = [
        (
            "a restart",
            StopReason::Restart,
            true,
            Compat::default(),
            whole(),
            "31",
            0,
        ),
        (
            "SIGUSR1",
            StopReason::Exit,
            true,
            Compat::default(),
            whole(),
            "100",
            1,
        ),
        (
            "no journal",
            StopReason::Restart,
            false,
            Compat::default(),
            whole(),
            "100",
            1,
        ),
        (
            "as the original",
            StopReason::Restart,
            true,
            original,
            whole(),
            "100",
            1,
        ),
        (
            "a step that ends with a wait",
            StopReason::Restart,
            true,
            Compat::default(),
            busy(Act::wait(100, "s", 40.0)),
            "50",
            0,
        ),
        (
            "a step that ends with a result",
            StopReason::Restart,
            true,
            Compat::default(),
            busy(Act::done(measurement())),
            "50",
            1,
        ),
    ];
    for (name, reason, kept, compat, acts, end, finals) in cases {
        let tree = tempfile::tempdir().unwrap();
        let (journal, _) = open(&tree.path().join("journal"), Instant::now());
        let ok = || ok(json!({"status": "ok"}));
        let stop = Reply::StopAfterTurn(reason.clone(), Box::new(ok()));
        let driver = measures(CancelSupport::None, acts);
        let script = vec![
            measure(),
            (To::Progress, ok()),
            (To::Progress, ok()),
            (To::Progress, stop),
        ];
        let mut run = Run::new(script).measure(&driver);
        if kept {
            run = run.journal(&journal);
        }
        let (stopped, log) = run.with(|config| config.compat = compat).go().await;
        assert_eq!(stopped, reason, "{name}");
        let last = log.lines().last().cloned().unwrap();
        assert_eq!(last, format!("{end} GOODBYE"), "{name}: {:?}", log.lines());
        assert_eq!(log.params("MEASUREMENT").len(), finals, "{name}");
        assert_eq!(driver.running.load(Ordering::SeqCst), 0, "{name}");
    }
}

/// Futures of steps that are held by anybody, run or not.
#[derive(Default)]
struct Live {
    now: AtomicUsize,
    ever: AtomicUsize,
}

struct Alive(Arc<Live>);

impl Alive {
    fn new(live: &Arc<Live>) -> Self {
        live.now.fetch_add(1, Ordering::SeqCst);
        live.ever.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(live))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Works for a second, waits for 99, works for a second.
struct Counted {
    facts: DriverFacts,
    live: Arc<Live>,
}

/// A future and the mark that it exists.
struct Marked<F> {
    future: F,
    _alive: Alive,
}

impl<F: Future + Unpin> Future for Marked<F> {
    type Output = F::Output;
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<F::Output> {
        Pin::new(&mut self.future).poll(cx)
    }
}

async fn one_step(first: bool) -> Result<Step<Measurement>, DriverFailure> {
    sleep(seconds(1)).await;
    if first {
        return Ok(Step::Wait(Pause {
            wait: seconds(99),
            state: "\"begun\"".to_owned(),
            progress: Some(1.0),
            message: None,
        }));
    }
    Ok(Step::Done(measurement()))
}

#[async_trait]
impl MeasureDriver for Counted {
    fn facts(&self) -> &DriverFacts {
        &self.facts
    }
    async fn describe(&self, _: &CallContext) -> Result<Metrics, DriverFailure> {
        Ok(serde_json::from_value(metrics()).unwrap())
    }
    // As `async_trait` would write it, but so that the mark lives as long as
    // the future, and not only until it is done.
    fn step<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        _: &'life1 CallContext,
        _: &'life2 MeasureRequest,
        resume: Option<&'life3 str>,
    ) -> Pin<Box<dyn Future<Output = Result<Step<Measurement>, DriverFailure>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(Marked {
            future: Box::pin(one_step(resume.is_none())),
            _alive: Alive::new(&self.live),
        })
    }
}

/// While a call waits nothing of its steps exists, and the servo can be killed
/// in the middle without the wait beginning anew.
#[tokio::test(start_paused = true)]
async fn a_wait_holds_no_instance() {
    let began = Instant::now();
    let tree = tempfile::tempdir().unwrap();
    let folder = tree.path().join("journal");
    let live = Arc::new(Live::default());
    let run = |script| {
        let mut run = Run::new(script);
        run.drivers.measure = Some(Arc::new(Counted {
            facts: DriverFacts {
                name: "counted".to_owned(),
                version: "1.0.0".to_owned(),
                digest: None,
                cancel: CancelSupport::None,
                recover: false,
            },
            live: Arc::clone(&live),
        }));
        run
    };
    let at = |second: f64| tokio::time::sleep_until(began + Duration::from_secs_f64(second));
    let counts = || {
        (
            live.now.load(Ordering::SeqCst),
            live.ever.load(Ordering::SeqCst),
        )
    };

    let (journal, _) = open(&folder, began);
    let (_, servo) = run(vec![measure()]).journal(&journal).start();
    at(0.5).await;
    assert_eq!(counts(), (1, 1), "the first step");
    for second in [1.5, 20.0, 40.0] {
        at(second).await;
        assert_eq!(counts(), (0, 1), "second {second} of the wait");
    }
    servo.abort();
    assert!(servo.await.unwrap_err().is_cancelled());
    drop(journal);

    at(60.0).await;
    let (journal, recovered) = open(&folder, began);
    let (service, servo) = run(vec![]).journal(&journal).recovered(recovered).start();
    for second in [61.0, 80.0, 99.5] {
        at(second).await;
        assert_eq!(counts(), (0, 1), "second {second} of the wait");
    }
    at(100.5).await;
    assert_eq!(counts(), (1, 2), "the second step, when its time has come");
    servo.await.unwrap();
    assert_eq!(counts(), (0, 2));
    let log = service.log();
    assert_eq!(log.report("MEASUREMENT")["status"], "ok");
    assert!(
        log.lines().contains(&"41 MEASUREMENT".to_owned()),
        "{:?}",
        log.lines()
    );
}
