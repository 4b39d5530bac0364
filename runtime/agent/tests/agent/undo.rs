//! Undoing in steps, and what is in force after a failure, on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use crate::support::*;
use serde_json::{Value, json};
use servo_agent::{CancelSupport, Pause, Step};
use servo_protocol::AppliedApplication;

fn wait(seconds: u64, state: &str) -> Step<AppliedApplication> {
    Step::Wait(Pause {
        wait: Duration::from_secs(seconds),
        state: state.to_owned(),
        message: Some("rolling back".to_owned()),
        ..Pause::default()
    })
}

/// An adjustment that is cancelled one second into its wait.
async fn cancelled(undo: Vec<Step<AppliedApplication>>) -> (Arc<FakeAdjust>, Log) {
    let acts = vec![Act::wait(600, "s", 5.0)];
    let driver = FakeAdjust::new(CancelSupport::Step, application(), acts)
        .undoing_in(undo.into_iter().map(Ok).collect());
    let driver = Arc::new(driver);
    let ok = ok(json!({"status": "ok"}));
    let script = vec![
        adjust(json!(1.5)),
        (To::Progress, ok),
        (To::Progress, cancel("r")),
    ];
    let (_, log) = Run::new(script).adjust(&driver).go().await;
    (driver, log)
}

fn cpu(report: &Value) -> &Value {
    &report["state"]["application"]["components"]["web"]["settings"]["cpu"]["value"]
}

#[tokio::test(start_paused = true)]
async fn an_undo_waits_between_its_steps_and_the_service_hears_of_it() {
    let undo = vec![wait(120, "u1"), wait(60, "u2"), Step::Done(applied(1.0))];
    let (driver, log) = cancelled(undo).await;
    assert_eq!(*driver.undone.lock().unwrap(), ["s", "s, u1", "s, u2"]);
    let lines = log.lines();
    assert!(lines.contains(&"181 ADJUSTMENT".to_owned()), "{lines:?}");
    let report = log.report("ADJUSTMENT");
    assert_eq!(report["status"], "cancelled");
    assert_eq!(*cpu(&report), 1.0, "what is in force after the undo");
    let heard: Vec<f64> = log
        .0
        .iter()
        .filter(|(_, event)| event["param"].get("progress").is_some())
        .map(|(at, _)| *at)
        .collect();
    assert!(
        heard.windows(2).all(|pair| pair[1] - pair[0] <= 30.0),
        "{heard:?}"
    );
    let rolling = log.params("ADJUSTMENT%");
    let rolling = rolling
        .iter()
        .filter(|param| param["message"] == "rolling back");
    assert!(rolling.count() >= 5);
}

#[tokio::test(start_paused = true)]
async fn an_undo_ends_at_a_limit_of_its_own() {
    // 200 s and 150 s are more than its five minutes, of which it is told
    // before it waits in vain.
    let (driver, log) = cancelled(vec![wait(200, "u1"), wait(150, "u2")]).await;
    assert_eq!(*driver.undone.lock().unwrap(), ["s", "s, u1"]);
    let report = log.report("ADJUSTMENT");
    assert_eq!(report["status"], "cancelled");
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("raise `grants.limits.undo_wall`"),
        "{message}"
    );
    assert!(
        report.get("state").is_none(),
        "nobody knows what is in force"
    );
    assert!(
        log.lines().contains(&"201 ADJUSTMENT".to_owned()),
        "{:?}",
        log.lines()
    );
}

/// Whether the original's reports are wanted, and whether the state is told.
#[tokio::test(start_paused = true)]
async fn a_failure_says_what_is_in_force() {
    for (original, told) in [(false, true), (true, false)] {
        let failure =
            failure("rejected", Some("unstable"), "went back").with_in_force(applied(1.0));
        let driver = adjusts(vec![Act::End(Err(failure))]);
        let run = Run::new(vec![adjust(json!(1.5))]).adjust(&driver);
        let run = run.with(|config| config.compat.requested_state = original);
        let (_, log) = run.go().await;
        let report = log.report("ADJUSTMENT");
        assert_eq!(report["status"], "rejected");
        assert_eq!(report.get("state").is_some(), told, "{report}");
        if told {
            assert_eq!(*cpu(&report), 1.0);
        }
    }
}
