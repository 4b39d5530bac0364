//! Progress, pauses, cancel and limits: protocol sections 7 and 8, on a paused
//! clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::*;
use async_trait::async_trait;
use serde_json::json;
use servo_agent::{CallLimits, CancelSupport, MeasureRequest, Pause, ServoConfig};

fn limits(change: impl FnOnce(&mut CallLimits)) -> impl FnOnce(&mut ServoConfig) {
    move |config| change(&mut config.measure_limits)
}

#[tokio::test(start_paused = true)]
async fn case_24_cancelled_before_the_start() {
    let driver = measures(CancelSupport::Step, vec![]);
    let script = vec![measure(), (To::Progress, cancel(&"r".repeat(5000)))];
    let (_, log) = Run::new(script).measure(&driver).go().await;
    let report = log.report("MEASUREMENT");
    assert_eq!(report["status"], "cancelled");
    assert_eq!(report["reason"], "cancelled");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains(&"r".repeat(500)) && message.len() < 700);
    assert!(driver.steps.lock().unwrap().is_empty(), "never started");
}

/// Cancel support, what the driver does, when the final report is sent, its
/// status and reason, and the states handed to the undo step. The second
/// report, which is the one cancelled, leaves after one second.
#[tokio::test(start_paused = true)]
async fn cases_25_and_26_cancelled_inside_a_step() {
    let talks = |then| Act::report(1.0, "busy", 0.0, then);
    let own = || failure("aborted", Some("slo-violation"), "own words");
    let second = Duration::from_secs(1);
    let done = || Ok(servo_agent::Step::Done(measurement()));
    let pause = || {
        Ok(servo_agent::Step::Wait(Pause {
            wait: Duration::from_secs(3),
            state: "later".to_owned(),
            ..Pause::default()
        }))
    };
    let paused_before = |then| vec![Act::wait(0, "begun", 0.5), talks(then)];
    type Case<'a> = (
        &'a str,
        CancelSupport,
        Vec<Act<servo_protocol::Measurement>>,
        &'a str,
        &'a str,
        &'a [&'a str],
    );
    let cases: Vec<Case> = vec![
        (
            "26: no support: dropped at once",
            CancelSupport::None,
            vec![talks(Act::Forever)],
            "1",
            "cancelled cancelled",
            &[],
        ),
        (
            "25: stops by itself with its own words",
            CancelSupport::Report,
            vec![talks(Act::UntilCancelled(second, Err(own())))],
            "2",
            "aborted slo-violation",
            &[],
        ),
        (
            "25: finishes although cancelled",
            CancelSupport::Report,
            vec![talks(Act::UntilCancelled(second, done()))],
            "2",
            "cancelled cancelled",
            &[],
        ),
        (
            "does not stop within its grace of ten seconds",
            CancelSupport::Report,
            vec![talks(Act::Forever)],
            "11",
            "cancelled cancelled",
            &[],
        ),
        (
            "pauses although cancelled, and undoes",
            CancelSupport::Step,
            vec![talks(Act::UntilCancelled(second, pause()))],
            "2",
            "cancelled cancelled",
            &["later"],
        ),
        (
            "dropped, and undoes what was begun before",
            CancelSupport::Step,
            paused_before(Act::Forever),
            "11",
            "cancelled cancelled",
            &["begun"],
        ),
        (
            "dropped in its first step: nothing to undo",
            CancelSupport::Step,
            vec![talks(Act::Forever)],
            "11",
            "cancelled cancelled",
            &[],
        ),
        (
            "fails by itself: it undid what it began",
            CancelSupport::Step,
            paused_before(Act::UntilCancelled(second, Err(own()))),
            "2",
            "aborted slo-violation",
            &[],
        ),
    ];
    for (case, support, acts, at, ends, undone) in cases {
        let driver = measures(support, acts);
        let ok = ok(json!({"status": "ok"}));
        let script = vec![measure(), (To::Progress, ok), (To::Progress, cancel("r"))];
        let (_, log) = Run::new(script).measure(&driver).go().await;
        let report = log.report("MEASUREMENT");
        let status = report["status"].as_str().unwrap();
        let reason = report["reason"].as_str().unwrap();
        assert_eq!(format!("{status} {reason}"), ends, "{case}");
        assert!(
            log.lines().contains(&format!("{at} MEASUREMENT")),
            "{case}: {:?}",
            log.lines()
        );
        assert_eq!(*driver.undone.lock().unwrap(), undone, "{case}");
        assert_eq!(driver.running.load(Ordering::SeqCst), 0, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_in_a_pause_costs_nothing_and_undoes() {
    let acts = vec![Act::wait(600, r#"{"began":1}"#, 5.0)];
    let driver = measures(CancelSupport::Step, acts);
    let script = vec![
        measure(),
        (To::Progress, ok(json!({"status": "ok"}))),
        (To::Progress, ok(json!({"status": "ok"}))),
        (To::Progress, cancel("operator pressed stop")),
    ];
    let (_, log) = Run::new(script).measure(&driver).go().await;
    assert_eq!(
        log.lines(),
        [
            "0 HELLO",
            "0 WHATS_NEXT",
            "0 MEASUREMENT%",
            "1 MEASUREMENT%",
            "31 MEASUREMENT%",
            "31 MEASUREMENT",
            "31 WHATS_NEXT",
            "31 GOODBYE",
        ]
    );
    assert_eq!(*driver.undone.lock().unwrap(), [r#"{"began":1}"#]);
    let message = log.report("MEASUREMENT")["message"].to_string();
    assert!(message.contains("operator pressed stop"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn an_undo_step_that_fails_is_told() {
    let driver = FakeMeasure::new(
        CancelSupport::Step,
        metrics(),
        vec![Act::wait(600, "s", 1.0)],
    )
    .undoing(Err(failure("failed", None, "cannot undo")))
    .into();
    let ok = ok(json!({"status": "ok"}));
    let script = vec![measure(), (To::Progress, ok), (To::Progress, cancel("r"))];
    let (_, log) = Run::new(script).measure(&driver).go().await;
    let report = log.report("MEASUREMENT");
    assert_eq!(report["status"], "cancelled");
    assert!(report["message"].as_str().unwrap().contains("cannot undo"));
}

#[tokio::test(start_paused = true)]
async fn pauses_hand_the_state_on_and_are_reported() {
    let acts = vec![
        Act::wait(10, "one", 10.0),
        Act::wait(45, "two", 40.0),
        Act::done(measurement()),
    ];
    let driver = measures(CancelSupport::None, acts);
    let (_, log) = Run::new(vec![measure()]).measure(&driver).go().await;
    let seen = driver
        .steps
        .lock()
        .unwrap()
        .iter()
        .map(|(at, _, state)| (*at, state.clone()))
        .collect::<Vec<_>>();
    let state = |text: &str| Some(text.to_owned());
    assert_eq!(
        seen,
        [(0.0, None), (10.0, state("one")), (55.0, state("two"))]
    );
    let progress: Vec<_> = log
        .params("MEASUREMENT%")
        .iter()
        .map(|report| format!("{} {}", report["runtime"], report["progress"]))
        .collect();
    // At least one every thirty seconds; meanwhile a long wait is counted.
    assert_eq!(progress, ["0 0", "1 10", "10 40", "40 80"]);
    assert_eq!(log.report("MEASUREMENT")["status"], "ok");
}

#[tokio::test(start_paused = true)]
async fn only_the_newest_report_is_sent_and_at_most_one_a_second() {
    let mut act = Act::done(measurement());
    for number in (1..=45_u32).rev() {
        act = Act::report(f64::from(number), "busy", 0.07, act);
    }
    let driver = measures(CancelSupport::None, vec![act]);
    let (_, log) = Run::new(vec![measure()]).measure(&driver).go().await;
    let sent: Vec<_> = log
        .0
        .iter()
        .filter_map(|(at, event)| Some(format!("{at} {}", event["param"].get("progress")?)))
        .collect();
    assert_eq!(sent, ["0 0", "1 15", "2 29", "3 43"]);
}

/// Case 27 and 28: what is lost is tried once more after the wait, then
/// dropped; the operation goes on.
#[tokio::test(start_paused = true)]
async fn cases_27_and_28_lost_progress() {
    let act = || Act::report(1.0, "busy", 75.0, Act::done(measurement()));
    let lost = |times: usize| (0..times).map(|_| (To::Progress, status(500)));
    let cases = [
        (0, vec!["0 0", "1 1", "31 1", "61 1"]),
        (1, vec!["0 0", "20 1", "50 1"]),
        (2, vec!["0 0", "20 1", "50 1"]),
        (3, vec!["0 0", "20 1", "50 1"]),
    ];
    for (times, expected) in cases {
        let driver = measures(CancelSupport::None, vec![act()]);
        let script = [measure()].into_iter().chain(lost(times)).collect();
        let (_, log) = Run::new(script).measure(&driver).go().await;
        let sent: Vec<_> = log
            .0
            .iter()
            .filter_map(|(at, event)| Some(format!("{at} {}", event["param"].get("progress")?)))
            .collect();
        assert_eq!(sent, expected, "{times} lost");
        assert_eq!(log.report("MEASUREMENT")["status"], "ok", "{times} lost");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_report_is_repeated_although_nothing_is_new() {
    let driver = measures(CancelSupport::None, vec![Act::Forever]);
    let script = vec![measure(), (To::Progress, status(500))];
    let run = Run::new(script).measure(&driver);
    let run = run.with(limits(|limits| limits.wall = Duration::from_secs(60)));
    let (_, log) = run.go().await;
    let lines: Vec<_> = log
        .lines()
        .into_iter()
        .filter(|line| line.contains('%'))
        .collect();
    assert_eq!(
        lines,
        ["0 MEASUREMENT%", "20 MEASUREMENT%", "50 MEASUREMENT%"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_report_under_way_ends_before_the_final_one_leaves() {
    let ok = || ok(json!({"status": "ok"}));
    for (slow, at) in [(3.0, "4"), (1000.0, "7")] {
        let script = vec![
            measure(),
            (To::Progress, ok()),
            (To::Progress, after(slow, ok())),
        ];
        let act = Act::report(1.0, "busy", 2.0, Act::done(measurement()));
        let driver = measures(CancelSupport::None, vec![act]);
        let (_, log) = Run::new(script).measure(&driver).go().await;
        assert!(
            log.lines().contains(&format!("{at} MEASUREMENT")),
            "{:?}",
            log.lines()
        );
    }
}

/// Limits of the call, and the moment of the final report.
#[tokio::test(start_paused = true)]
async fn limits_end_a_call() {
    let minute = Duration::from_secs(60);
    type Case<'a> = (
        &'a str,
        CancelSupport,
        Vec<Act<servo_protocol::Measurement>>,
        &'a str,
        &'a [&'a str],
    );
    let cases: Vec<Case> = vec![
        (
            "a step that never ends",
            CancelSupport::Report,
            vec![Act::Forever],
            "60",
            &[],
        ),
        (
            "a wait that cannot end in time is not begun",
            CancelSupport::Step,
            vec![Act::wait(50, "a", 1.0), Act::wait(10, "b", 2.0)],
            "50",
            &["b"],
        ),
        (
            "too many steps",
            CancelSupport::None,
            vec![
                Act::wait(1, "a", 1.0),
                Act::wait(1, "b", 1.0),
                Act::wait(1, "c", 1.0),
            ],
            "3",
            &[],
        ),
    ];
    for (case, support, acts, at, undone) in cases {
        let driver = measures(support, acts);
        let run = Run::new(vec![measure()]).measure(&driver);
        let run = run.with(limits(|limits| {
            limits.wall = minute;
            limits.steps = 3;
        }));
        let (_, log) = run.go().await;
        let report = log.report("MEASUREMENT");
        assert_eq!(
            (&report["status"], &report["reason"]),
            (&json!("failed"), &json!("timeout")),
            "{case}"
        );
        assert!(
            log.lines().contains(&format!("{at} MEASUREMENT")),
            "{case}: {:?}",
            log.lines()
        );
        assert_eq!(*driver.undone.lock().unwrap(), undone, "{case}");
        assert_eq!(driver.running.load(Ordering::SeqCst), 0, "{case}");
    }
}

/// The service does not know the command: no final report, a new greeting.
#[tokio::test(start_paused = true)]
async fn an_operation_the_service_forgot_is_abandoned() {
    for answer in [
        json!({"status": "unexpected-event"}),
        json!({"status": "invalid", "reason": "unexpected cmd_uid"}),
    ] {
        let driver = measures(CancelSupport::None, vec![Act::Forever]);
        let proceed = ok(json!({"status": "ok"}));
        let script = vec![
            measure(),
            (To::Progress, proceed),
            (To::Progress, ok(answer)),
        ];
        let (_, log) = Run::new(script).measure(&driver).go().await;
        assert_eq!(
            log.lines(),
            [
                "0 HELLO",
                "0 WHATS_NEXT",
                "0 MEASUREMENT%",
                "30 MEASUREMENT%",
                "31 HELLO",
                "31 WHATS_NEXT",
                "31 GOODBYE",
            ]
        );
        assert_eq!(driver.running.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_description_that_takes_too_long_fails() {
    struct Slow(servo_agent::DriverFacts);
    #[async_trait]
    impl servo_agent::MeasureDriver for Slow {
        fn facts(&self) -> &servo_agent::DriverFacts {
            &self.0
        }
        async fn describe(
            &self,
            _: &servo_agent::CallContext,
        ) -> Result<servo_protocol::Metrics, servo_agent::DriverFailure> {
            std::future::pending().await
        }
        async fn step(
            &self,
            _: &servo_agent::CallContext,
            _: &MeasureRequest,
            _: Option<&str>,
        ) -> Result<servo_agent::Step<servo_protocol::Measurement>, servo_agent::DriverFailure>
        {
            std::future::pending().await
        }
    }
    let facts = servo_agent::DriverFacts {
        name: "slow".to_owned(),
        version: "1.0.0".to_owned(),
        digest: None,
        cancel: CancelSupport::None,
        recover: false,
    };
    let mut run = Run::new(vec![cmd("DESCRIBE", json!({}))]);
    run.drivers.measure = Some(Arc::new(Slow(facts)));
    let (_, log) = run.go().await;
    assert_eq!(log.report("DESCRIPTION")["reason"], "timeout");
    assert!(log.lines().contains(&"60 DESCRIPTION".to_owned()));
}
