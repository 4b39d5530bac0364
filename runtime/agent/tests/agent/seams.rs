//! What the journal is told and what an observer sees.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;
use async_trait::async_trait;
use serde_json::json;
use servo_agent::{
    Accepted, Began, Call, CallId, CallLimits, CancelSupport, DriverId, Ended, Journal,
    JournalError, MeasureRequest, NoJournal, NoObserver, NoReporter, Notice, Pacing, Pause, Start,
    UndoRecord,
};
use servo_protocol::Envelope;
use tokio_util::sync::CancellationToken;

/// Remembers what it was told, and refuses where told to.
#[derive(Default)]
struct Diary {
    lines: Mutex<Vec<String>>,
    full: Option<&'static str>,
}

impl Diary {
    fn write(&self, word: &str, rest: &str) -> Result<(), JournalError> {
        self.lines.lock().unwrap().push(format!("{word} {rest}"));
        match self.full {
            Some(full) if full == word => Err(JournalError("disk full".to_owned())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Journal for Diary {
    async fn accepted(&self, accepted: &Accepted) -> Result<(), JournalError> {
        let param = &accepted.command["param"];
        self.write(
            "accepted",
            &format!("{} {}", accepted.command["cmd"], param["metrics"]),
        )
    }
    async fn began(&self, began: &Began) -> Result<(), JournalError> {
        let driver = &began.driver;
        self.write("began", &format!("{driver} {}", began.request["metrics"]))
    }
    async fn paused(&self, _: &CallId, pause: &Pause) -> Result<(), JournalError> {
        self.write("paused", &pause.state)
    }
    async fn resumed(&self, _: &CallId) -> Result<(), JournalError> {
        self.write("resumed", "")
    }
    async fn recovering(&self, _: &CallId, driver: &DriverId) -> Result<(), JournalError> {
        self.write("recovering", &driver.to_string())
    }
    async fn undo(&self, _: &CallId, record: &UndoRecord) -> Result<(), JournalError> {
        match record {
            UndoRecord::Begins(undo) => self.write("undoing", &undo.state),
            UndoRecord::Waits(pause) => self.write("undo paused", &pause.state),
            UndoRecord::GoesOn => self.write("undo resumed", ""),
        }
    }
    async fn ended(&self, _: &CallId, report: &Envelope) -> Result<(), JournalError> {
        self.write("ended", report.param["status"].as_str().unwrap())
    }
    async fn delivered(&self, _: &CallId) -> Result<(), JournalError> {
        self.write("delivered", "")
    }
}

#[tokio::test(start_paused = true)]
async fn the_journal_is_told_before_anything_is_done() {
    let whole = vec![
        r#"accepted "MEASURE" ["throughput"]"#,
        r#"began fake 1.0.0 ["throughput"]"#,
        "paused s",
        "resumed ",
        "ended ok",
        "delivered ",
    ];
    let cases = [
        (None, whole.clone(), "ok", 2),
        (
            Some("accepted"),
            vec![whole[0], "ended failed", "delivered "],
            "failed",
            0,
        ),
        (
            Some("began"),
            vec![whole[0], whole[1], "ended failed", "delivered "],
            "failed",
            0,
        ),
        (
            Some("paused"),
            vec![whole[0], whole[1], "paused s", "ended failed", "delivered "],
            "failed",
            1,
        ),
        (
            Some("resumed"),
            vec![
                whole[0],
                whole[1],
                "paused s",
                "resumed ",
                "ended failed",
                "delivered ",
            ],
            "failed",
            1,
        ),
        (Some("ended"), whole.clone(), "ok", 2),
        (Some("delivered"), whole, "ok", 2),
    ];
    for (full, lines, status, starts) in cases {
        let driver = measures(
            CancelSupport::None,
            vec![Act::wait(1, "s", 1.0), Act::done(measurement())],
        );
        let diary = Arc::new(Diary {
            full,
            ..Diary::default()
        });
        let (_, log) = Run::new(vec![measure()])
            .measure(&driver)
            .journal(&diary)
            .go()
            .await;
        assert_eq!(*diary.lines.lock().unwrap(), lines, "{full:?}");
        assert_eq!(log.report("MEASUREMENT")["status"], status, "{full:?}");
        assert_eq!(driver.steps.lock().unwrap().len(), starts, "{full:?}");
    }
}

/// What the service does not want is not in hand any more.
#[tokio::test(start_paused = true)]
async fn an_abandoned_call_is_closed() {
    let driver = measures(CancelSupport::None, vec![Act::Forever]);
    let diary = Arc::new(Diary::default());
    let unexpected = ok(json!({"status": "unexpected-event", "reason": "who are you"}));
    let script = vec![measure(), (To::Progress, unexpected)];
    let run = Run::new(script).measure(&driver).journal(&diary);
    run.go().await;
    let lines = diary.lines.lock().unwrap();
    assert_eq!(
        *lines,
        [r#"accepted "MEASURE" ["throughput"]"#, "delivered "]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_paused_goes_on_with_what_is_left() {
    let driver = measures(CancelSupport::None, vec![Act::done(measurement())]);
    let stop = CancellationToken::new();
    let mut call = Call {
        id: CallId::new("c"),
        app: "shop",
        cmd_uid: None,
        limits: CallLimits::default(),
        pacing: Pacing::default(),
        reporter: &NoReporter,
        journal: &NoJournal,
        observer: &NoObserver,
        stop: &stop,
        start: Start::Paused {
            state: "s".to_owned(),
            wait: Duration::from_secs(7),
            waited: Duration::from_secs(3),
            elapsed: Duration::from_secs(100),
            progress: None,
        },
    };
    let request = MeasureRequest {
        metrics: Some(vec!["throughput".to_owned()]),
        ..MeasureRequest::default()
    };
    assert_eq!(
        call.measure(driver.as_ref(), &request).await,
        Ended::Done(measurement())
    );
    {
        let steps = driver.steps.lock().unwrap();
        assert_eq!((steps[0].0, steps[0].2.as_deref()), (7.0, Some("s")));
    }
    // What has passed counts against the limit.
    call.limits.wall = Duration::from_secs(105);
    let Ended::Failed(failure) = call.measure(driver.as_ref(), &request).await else {
        panic!("five seconds are not enough to wait seven")
    };
    assert_eq!(failure.reason, Some(servo_protocol::Reason::Timeout));
}

#[tokio::test(start_paused = true)]
async fn an_observer_sees_what_happens() {
    let driver = measures(
        CancelSupport::None,
        vec![Act::wait(2, "s", 1.0), Act::done(measurement())],
    );
    let (sender, mut notices) = tokio::sync::mpsc::unbounded_channel();
    let mut script = vec![(To::Hello, status(503)), measure()];
    script.push(cmd("DANCE", json!({})));
    Run::new(script)
        .measure(&driver)
        .observer(sender)
        .go()
        .await;
    let mut seen = Vec::new();
    while let Some(notice) = notices.recv().await {
        seen.push(match notice {
            Notice::Retrying { failures, wait, .. } => format!("retry {failures} {wait:?}"),
            Notice::Greeted => "greeted".to_owned(),
            Notice::Command { name, .. } => format!("command {name}"),
            Notice::Started {
                operation, driver, ..
            } => format!("started {operation} {driver}"),
            Notice::Progress { report, .. } => format!("progress {:?}", report.percent),
            Notice::Paused { wait, .. } => format!("paused {wait:?}"),
            Notice::Ended { outcome, .. } => format!("ended {}", outcome.is_ok()),
            Notice::Delivered { operation } => format!("delivered {operation}"),
            Notice::Malformed { wait, .. } => format!("malformed {wait:?}"),
            Notice::Goodbye { delivered, .. } => format!("goodbye {delivered}"),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(
        seen,
        [
            "retry 1 Some(20s)",
            "greeted",
            "command MEASURE",
            "started MEASURE fake 1.0.0",
            "progress Some(0.0)",
            "paused 2s",
            "progress Some(1.0)",
            "ended true",
            "delivered MEASURE",
            "malformed 1s",
            "command SLEEP",
            "Sleeping { wait: 120s, reason: None }",
            "goodbye true",
        ]
    );
}
