//! Each difference from the original alone: what is on the wire with the switch
//! and without it. The conformance cases play all of them together; here stand
//! those that no case is about.

use std::time::Duration;

use crate::support::*;
use serde_json::{Value, json};
use servo_agent::{CancelSupport, Compat, ProgressReport, StopReason};
use servo_protocol::{Measurement, Reason, Status};

fn fine() -> Reply {
    ok(json!({"status": "ok"}))
}

/// Instances without order, times in milliseconds.
#[tokio::test(start_paused = true)]
async fn unchecked_lets_measurements_through_that_break_our_rules() {
    let metrics = json!({"throughput": {"values": [
        {"id": "b", "data": [[1_700_000_000_000_i64, 1.0]]},
        {"id": "a", "data": []},
    ]}});
    for (unchecked, expected) in [
        (
            false,
            json!({"status": "failed", "reason": "invalid-measurement"}),
        ),
        (true, json!({"status": "ok", "metrics": metrics})),
    ] {
        let result: Measurement = serde_json::from_value(json!({ "metrics": metrics })).unwrap();
        let driver = measures(CancelSupport::None, vec![Act::done(result)]);
        let run = Run::new(vec![measure()]).measure(&driver);
        let (_, log) = run.with(|it| it.compat.unchecked = unchecked).go().await;
        let mut report = log.report("MEASUREMENT");
        report.as_object_mut().unwrap().shift_remove("message");
        assert_eq!(report, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn unchecked_lets_values_through_that_were_never_described() {
    for (unchecked, status, steps, described) in [(false, "rejected", 0, 1), (true, "ok", 1, 0)] {
        let driver = adjusts(vec![Act::done(applied(99.0))]);
        let run = Run::new(vec![adjust(json!(99))]).adjust(&driver);
        let (_, log) = run.with(|it| it.compat.unchecked = unchecked).go().await;
        assert_eq!(log.report("ADJUSTMENT")["status"], status);
        assert_eq!(driver.steps.lock().unwrap().len(), steps);
        let asked = driver.described.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(asked, described, "nor is the driver asked");
    }
}

/// A ceiling is the operator's, and no habit of the original: it holds in both
/// ways, and the driver is never asked for a value above it.
#[tokio::test(start_paused = true)]
async fn k5_a_value_above_the_ceiling_is_refused_before_the_driver_sees_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ceiling.yaml");
    std::fs::write(&path, "ceiling: { settings: { web.cpu: { max: 3 } } }\n").unwrap();
    let ceilings = servo_config::Ceilings::read(&path).unwrap();
    for (unchecked, cpu, steps) in [(false, 3, 1), (false, 4, 0), (true, 3, 1), (true, 4, 0)] {
        let driver = adjusts(vec![Act::done(applied(f64::from(cpu)))]);
        let run = Run::new(vec![adjust(json!(cpu))]).adjust(&driver);
        let run = run.with(|it| {
            it.compat.unchecked = unchecked;
            it.ceilings = ceilings.clone();
        });
        let (_, log) = run.go().await;
        assert_eq!(
            driver.steps.lock().unwrap().len(),
            steps,
            "{unchecked} {cpu}"
        );
        let report = log.report("ADJUSTMENT");
        if steps == 0 {
            assert_eq!(report["status"], "rejected");
            assert_eq!(report["reason"], "invalid-setting");
        } else {
            assert_eq!(report["status"], "ok", "{report}");
        }
    }
    // What the driver describes is told as it is.
    let driver = adjusts(vec![]);
    let run = Run::new(vec![cmd("DESCRIBE", json!({}))]).adjust(&driver);
    let (_, log) = run.with(|it| it.ceilings = ceilings).go().await;
    let described = log.report("DESCRIPTION")["descriptor"].to_string();
    let known = application()["components"]["web"]["settings"]["cpu"]["max"].to_string();
    assert!(
        described.contains(&format!("\"max\":{known}")),
        "{described}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_answer_to_a_final_report() {
    for (repeat, times) in [(false, 1), (true, 2)] {
        let script = vec![measure(), (To::Final, Reply::Http(200, "oops".to_owned()))];
        let run = Run::new(script).with(|it| it.compat.repeat_unreadable = repeat);
        let (_, log) = run.go().await;
        assert_eq!(log.params("MEASUREMENT").len(), times, "{:?}", log.lines());
    }
}

#[tokio::test(start_paused = true)]
async fn only_cancel_is_heard() {
    let unexpected = || ok(json!({"status": "unexpected-event"}));
    let scripts = || {
        [
            vec![(To::Command, unexpected())],
            vec![measure(), (To::Progress, unexpected())],
            vec![measure(), (To::Final, unexpected())],
        ]
    };
    for (only, greetings) in [(false, 2), (true, 1)] {
        for script in scripts() {
            let driver = measures(CancelSupport::None, vec![Act::done(measurement())]);
            let run = Run::new(script).measure(&driver);
            let (_, log) = run.with(|it| it.compat.only_cancel = only).go().await;
            assert_eq!(log.params("HELLO").len(), greetings, "{:?}", log.lines());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_an_operation_unreported() {
    for (silent, reports) in [(false, 1), (true, 0)] {
        let driver = measures(CancelSupport::None, vec![Act::Forever]);
        let stop = Reply::Stop(StopReason::Sigterm, Box::new(fine()));
        let script = vec![measure(), (To::Progress, fine()), (To::Progress, stop)];
        let run = Run::new(script).measure(&driver);
        let (_, log) = run.with(|it| it.compat.silent_stops = silent).go().await;
        assert_eq!(
            log.params("MEASUREMENT").len(),
            reports,
            "{:?}",
            log.lines()
        );
        assert_eq!(log.params("GOODBYE"), [json!({"reason": "SIGTERM"})]);
        assert_eq!(driver.running.load(std::sync::atomic::Ordering::SeqCst), 0);
    }
}

/// What a driver stated, and what is reported where `undefined` is said.
#[tokio::test(start_paused = true)]
async fn undefined_is_said_for_what_a_driver_left_out() {
    for (status, reason, original) in [
        (
            "aborted",
            Some("slo-violation"),
            json!(["aborted", "slo-violation"]),
        ),
        ("aborted", None, json!(["aborted", "undefined"])),
        (
            "failed",
            Some("no-status"),
            json!(["undefined", "undefined"]),
        ),
        // An adapter says this too, of a driver that never answered.
        ("failed", None, json!(["failed", null])),
    ] {
        for undefined in [false, true] {
            let act = Act::fail(failure(status, reason, "m"));
            let driver = measures(CancelSupport::None, vec![act]);
            let run = Run::new(vec![measure()]).measure(&driver);
            let (_, log) = run.with(|it| it.compat.undefined = undefined).go().await;
            let report = log.report("MEASUREMENT");
            let said = json!([report["status"], report["reason"]]);
            let expected = if undefined {
                original.clone()
            } else {
                json!([status, reason])
            };
            assert_eq!(said, expected);
        }
    }
}

/// Every switch is on: one that is added must be thought of there.
#[test]
fn the_original_differs_in_everything() {
    let Compat {
        perf_alias,
        bare_success,
        undefined,
        bare_failures,
        requested_state,
        unchecked,
        cancel_words,
        plain_progress,
        fatal_progress,
        plain_retries,
        repeat_unreadable,
        only_cancel,
        patient_stops,
        silent_stops,
    } = Compat::original();
    let all = [
        perf_alias,
        bare_success,
        undefined,
        bare_failures,
        requested_state,
        unchecked,
        cancel_words,
        plain_progress,
        fatal_progress,
        plain_retries,
        repeat_unreadable,
        only_cancel,
        patient_stops,
        silent_stops,
    ];
    assert_eq!(all, [true; 14]);
}

/// Items worth keeping travel with the next report, also those of reports that
/// were replaced before they could be sent.
#[tokio::test(start_paused = true)]
async fn log_items_are_sent_once_and_none_is_lost() {
    let mut act = Act::report(90.0, "done soon", 2.0, Act::done(measurement()));
    for number in (0..5).rev() {
        let report = ProgressReport {
            percent: Some(f64::from(number)),
            log: vec![format!("item {number}")],
            ..ProgressReport::default()
        };
        act = Act::Report(report, Duration::from_millis(400), Box::new(act));
    }
    let driver = measures(CancelSupport::None, vec![act]);
    let (_, log) = Run::new(vec![measure()]).measure(&driver).go().await;
    let sent: Vec<Value> = log
        .params("MEASUREMENT%")
        .iter()
        .flat_map(|report| report["log"].as_array().cloned().unwrap_or_default())
        .collect();
    let all: Vec<Value> = (0..5)
        .map(|number| json!(format!("item {number}")))
        .collect();
    assert_eq!(sent, all);
}

/// A failure keeps head and tail within two mebibytes, as they travel.
#[tokio::test(start_paused = true)]
async fn a_long_message_keeps_both_ends() {
    let message = format!("first {} last", "\"\\\n".repeat(1 << 20));
    let act = Act::fail(failure("failed", Some("unknown"), &message));
    let driver = measures(CancelSupport::None, vec![act]);
    let (_, log) = Run::new(vec![measure()]).measure(&driver).go().await;
    let report = log.report("MEASUREMENT");
    let kept = report["message"].as_str().unwrap();
    assert!(kept.starts_with("first ") && kept.ends_with(" last"));
    let size = report["message"].to_string().len();
    assert!(size <= (2 << 20) + 2, "{size}");
}

/// Without a driver for it an operation fails, and the original gave its own
/// failures no reason.
#[tokio::test(start_paused = true)]
async fn failures_of_the_servo_itself() {
    for (bare, reason) in [(false, Some(Reason::NoDrivers)), (true, None)] {
        let run = Run::new(vec![measure(), cmd("DESCRIBE", json!({}))]);
        let (_, log) = run.with(|it| it.compat.bare_failures = bare).go().await;
        for event in ["MEASUREMENT", "DESCRIPTION"] {
            let report = log.report(event);
            assert_eq!(report["status"], json!(Status::Failed));
            assert_eq!(
                report.get("reason").cloned(),
                reason.as_ref().map(|it| json!(it))
            );
        }
    }
}
