//! The conformance cases of the protocol (section 23) that concern the loop,
//! numbered as there, and the recommendations beside them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::*;
use serde_json::{Value, json};
use servo_agent::CancelSupport;

#[tokio::test(start_paused = true)]
async fn case_1_hello_and_goodbye_say_who_and_why() {
    let run = Run::new(vec![]).with(|config| {
        config.agent = "me".to_owned();
        config
            .telemetry
            .insert("servo.version".to_owned(), "1".to_owned());
        config.servo_uid = Some("u1".to_owned());
    });
    let (_, log) = run.go().await;
    let events: Vec<_> = log.0.into_iter().map(|(_, event)| event).collect();
    assert_eq!(
        events,
        [
            json!({"event": "HELLO", "servo_uid": "u1",
                "param": {"agent": "me", "telemetry": {"servo.version": "1"}}}),
            json!({"event": "WHATS_NEXT", "param": null, "servo_uid": "u1"}),
            json!({"event": "GOODBYE", "param": {"reason": "SIGTERM"}, "servo_uid": "u1"}),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn cases_7_and_8_describe() {
    let measure = measures(CancelSupport::None, vec![]);
    let adjust = adjusts(vec![]);
    let script = vec![cmd("DESCRIBE", json!({}))];
    let run = Run::new(script).measure(&measure).adjust(&adjust);
    let run = run.with(|config| config.perf = Some("a/b".to_owned()));
    let (_, log) = run.go().await;
    assert_eq!(
        log.report("DESCRIPTION"),
        json!({"status": "ok", "descriptor": {
            "application": application(),
            "measurement": {"metrics": {"throughput": {"unit": "rps"}}},
            "optimization": {"perf": "a/b"},
        }})
    );
}

#[tokio::test(start_paused = true)]
async fn case_9_the_perf_alias_is_behind_a_switch() {
    let metrics = json!({"requests throughput": {"unit": "rps"}});
    let result = json!({"metrics": {"requests throughput": {"value": 4, "unit": "rps"}}});
    for (alias, names) in [
        (true, vec!["requests throughput", "perf"]),
        (false, vec!["requests throughput"]),
    ] {
        let acts = vec![Act::done(serde_json::from_value(result.clone()).unwrap())];
        let driver = FakeMeasure::new(CancelSupport::None, metrics.clone(), acts).into();
        let script = vec![cmd("DESCRIBE", json!({})), measure()];
        let run = Run::new(script).measure(&driver);
        let (_, log) = run
            .with(|config| config.compat.perf_alias = alias)
            .go()
            .await;
        let described = &log.report("DESCRIPTION")["descriptor"]["measurement"]["metrics"];
        let measured = &log.report("MEASUREMENT")["metrics"];
        for metrics in [described, measured] {
            let metrics = metrics.as_object().unwrap();
            assert_eq!(metrics.keys().collect::<Vec<_>>(), names);
            assert!(
                metrics
                    .values()
                    .all(|metric| *metric == metrics["requests throughput"])
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_10_the_first_failing_description_ends_it() {
    let measure = measures(CancelSupport::None, vec![]);
    let adjust = FakeAdjust::new(CancelSupport::None, application(), vec![])
        .describing(Err(failure("failed", None, "x")))
        .into();
    let run = Run::new(vec![cmd("DESCRIBE", json!({}))]);
    let (_, log) = run.measure(&measure).adjust(&adjust).go().await;
    let report = log.report("DESCRIPTION");
    assert_eq!(report, json!({"status": "failed", "message": "x"}));
    assert_eq!(measure.described.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn descriptions_that_contradict_themselves_fail() {
    let broken =
        json!({"components": {"web": {"settings": {"cpu": {"min": 4, "max": 1, "value": 2}}}}});
    let adjust = FakeAdjust::new(CancelSupport::None, broken, vec![]).into();
    let run = Run::new(vec![cmd("DESCRIBE", json!({}))]).adjust(&adjust);
    let (_, log) = run.go().await;
    let report = log.report("DESCRIPTION");
    assert_eq!(report["status"], "failed");
    assert_eq!(report["reason"], "invalid-setting");
    assert!(
        report["message"]
            .as_str()
            .unwrap()
            .contains("min 4 is above max 1")
    );
}

#[tokio::test(start_paused = true)]
async fn cases_11_and_40_progress_and_result() {
    let mut result = measurement();
    let notes = json!({"note": "from a test", "warnings": ["one"]});
    result.annotations = serde_json::from_value(notes.clone()).unwrap();
    let act = Act::report(10.0, "m", 5.0, Act::done(result));
    let driver = measures(CancelSupport::None, vec![act]);
    let command = json!({"cmd": "MEASURE", "cmd_uid": "c-71",
        "param": {"metrics": {"throughput": {"unit": "rps"}}, "control": {"duration": "2m", "load": {"n": 1}}}});
    let run = Run::new(vec![(To::Command, ok(command))]).measure(&driver);
    let (_, log) = run.go().await;
    let progress = log.params("MEASUREMENT%");
    assert_eq!(
        progress,
        [
            json!({"progress": 0, "runtime": 0, "message": "starting the driver", "cmd_uid": "c-71"}),
            json!({"progress": 10, "runtime": 1, "message": "m", "stage": "load", "cmd_uid": "c-71"}),
        ]
    );
    assert_eq!(
        log.report("MEASUREMENT"),
        json!({"status": "ok", "metrics": {"throughput": {"value": 104.5, "unit": "rps"}},
            "annotations": notes, "cmd_uid": "c-71"})
    );
    let steps = driver.steps.lock().unwrap();
    let (_, request, resume) = &steps[0];
    assert_eq!(request.metrics, Some(vec!["throughput".to_owned()]));
    assert_eq!(
        request.control.duration.unwrap().get(),
        Duration::from_secs(120)
    );
    assert_eq!(*resume, None);
}

/// What the driver ended with, and the report, its message apart.
#[tokio::test(start_paused = true)]
async fn cases_12_to_16_41_and_42_results_of_measure() {
    let series = json!({"metrics": {"latency": {"unit": "ms", "values": [
        {"id": "pod-7f", "data": [[1_700_000_040, 81.5], [1_700_000_100, null]]},
        {"id": "pod-9c", "data": []}]}}});
    let read = |value: &Value| serde_json::from_value(value.clone()).unwrap();
    let mut nan = measurement();
    let Some(sample) = nan.metrics.get_mut("throughput") else {
        panic!("there is a sample")
    };
    sample.reading = servo_protocol::Reading::Single(Some(f64::NAN.into()));
    let cases = [
        (
            "12",
            Act::done(measurement()),
            json!({"status": "ok", "metrics": {"throughput": {"value": 104.5, "unit": "rps"}}}),
        ),
        (
            "13",
            Act::fail(failure("aborted", Some("slo-violation"), "m")),
            json!({"status": "aborted", "reason": "slo-violation"}),
        ),
        (
            "14",
            Act::fail(failure("nodata", None, "")),
            json!({"status": "nodata"}),
        ),
        (
            "15",
            Act::fail(failure("failed", Some("no-status"), "")),
            json!({"status": "failed", "reason": "no-status"}),
        ),
        (
            "a failure is never ok",
            Act::fail(failure("ok", None, "")),
            json!({"status": "failed"}),
        ),
        (
            "16",
            Act::done(read(&json!({"metrics": {}}))),
            json!({"status": "failed", "reason": "invalid-measurement"}),
        ),
        (
            "41",
            Act::done(read(&series)),
            json!({"status": "ok", "metrics": series["metrics"]}),
        ),
        (
            "42",
            Act::done(nan),
            json!({"status": "failed", "reason": "invalid-measurement"}),
        ),
    ];
    for (case, act, expected) in cases {
        let driver = measures(CancelSupport::None, vec![act]);
        let (_, log) = Run::new(vec![measure()]).measure(&driver).go().await;
        let mut report = log.report("MEASUREMENT");
        report.as_object_mut().unwrap().shift_remove("message");
        assert_eq!(report, expected, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_measurement_is_fine_when_no_metrics_were_asked_for() {
    for param in [
        json!({"metrics": [], "control": {}}),
        json!({"metrics": ["a"], "control": {"userdata": {"slo_check": true}}}),
    ] {
        let driver = measures(CancelSupport::None, vec![Act::done(Default::default())]);
        let run = Run::new(vec![cmd("MEASURE", param)]).measure(&driver);
        let (_, log) = run.go().await;
        assert_eq!(
            log.report("MEASUREMENT"),
            json!({"status": "ok", "metrics": {}})
        );
    }
}

/// ADJUST: what is asked for, what the driver ends with, what is reported, how
/// often the driver is started.
#[tokio::test(start_paused = true)]
async fn cases_20_to_23_adjust() {
    let state = |cpu: Value| json!({"application": {"components": {"web": {"settings": {"cpu": {"value": cpu}}}}}});
    let done = |cpu: Value| json!({"status": "ok", "state": state(cpu)});
    let invalid = json!({"status": "rejected", "reason": "invalid-setting"});
    let nothing = || Act::done(Default::default());
    let cases = vec![
        (
            "20: the requested state",
            adjust(json!(1.5)),
            nothing(),
            done(json!(1.5)),
            1,
        ),
        (
            "21: without control",
            cmd("ADJUST", json!({"state": state(json!(2))})),
            nothing(),
            done(json!(2)),
            1,
        ),
        (
            "22: without state",
            cmd("ADJUST", json!({"control": {}})),
            nothing(),
            json!({"status": "failed", "reason": "invalid-input"}),
            0,
        ),
        (
            "23: the driver's state",
            adjust(json!(1.5)),
            Act::done(applied(1.25)),
            done(json!(1.25)),
            1,
        ),
        (
            "13 for adjust",
            adjust(json!(1.5)),
            Act::fail(failure("rejected", Some("unstable"), "m")),
            json!({"status": "rejected", "reason": "unstable"}),
            1,
        ),
        (
            "outside the range",
            adjust(json!(4.25)),
            nothing(),
            invalid.clone(),
            0,
        ),
        (
            "between two steps",
            adjust(json!(1.1)),
            nothing(),
            invalid.clone(),
            0,
        ),
        (
            "text for a number",
            adjust(json!("1")),
            nothing(),
            invalid.clone(),
            0,
        ),
        (
            "no value",
            adjust(Value::Null),
            nothing(),
            invalid.clone(),
            0,
        ),
        (
            "an unknown component",
            cmd(
                "ADJUST",
                json!({"control": {}, "state": {"application": {"components":
                {"db": {"settings": {"cpu": {"value": 1}}}}}}}),
            ),
            nothing(),
            invalid,
            0,
        ),
        (
            "a control that cannot be read",
            cmd(
                "ADJUST",
                json!({"state": state(json!(1)), "control": {"settlement": "soon"}}),
            ),
            nothing(),
            json!({"status": "failed", "reason": "invalid-input"}),
            0,
        ),
    ];
    for (case, command, act, expected, starts) in cases {
        let driver = adjusts(vec![act]);
        let (_, log) = Run::new(vec![command]).adjust(&driver).go().await;
        let mut report = log.report("ADJUSTMENT");
        report.as_object_mut().unwrap().shift_remove("message");
        assert_eq!(report, expected, "{case}");
        assert_eq!(driver.steps.lock().unwrap().len(), starts, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_within_the_tolerance_reaches_the_driver_as_a_grid_point() {
    let driver = adjusts(vec![Act::done(Default::default())]);
    let run = Run::new(vec![adjust(json!(1.50001))]).adjust(&driver);
    let (_, log) = run.go().await;
    assert_eq!(driver.steps.lock().unwrap()[0].1.application, applied(1.5));
    let state = &log.report("ADJUSTMENT")["state"]["application"]["components"]["web"];
    assert_eq!(
        state["settings"]["cpu"]["value"],
        json!(1.50001),
        "what was asked for"
    );
}

#[tokio::test(start_paused = true)]
async fn the_original_leaves_status_out_of_successes() {
    let measure_driver = measures(CancelSupport::None, vec![Act::done(measurement())]);
    let adjust_driver = adjusts(vec![Act::done(Default::default())]);
    let script = vec![cmd("DESCRIBE", json!({})), measure(), adjust(json!(1))];
    let run = Run::new(script)
        .measure(&measure_driver)
        .adjust(&adjust_driver);
    let (_, log) = run
        .with(|config| config.compat.bare_success = true)
        .go()
        .await;
    assert_eq!(log.report("DESCRIPTION")["status"], "ok");
    assert_eq!(log.report("MEASUREMENT").get("status"), None);
    assert_eq!(log.report("ADJUSTMENT").get("status"), None);
}

#[tokio::test(start_paused = true)]
async fn cases_29_and_31_environments_never_match() {
    for (command, event) in [
        ("DESCRIBE", "DESCRIPTION"),
        ("MEASURE", "MEASUREMENT"),
        ("ADJUST", "ADJUSTMENT"),
    ] {
        let measure = measures(CancelSupport::None, vec![]);
        let adjust = adjusts(vec![]);
        let param = json!({"control": {"environment": {"mode": "canary"}}, "state": {}});
        let run = Run::new(vec![cmd(command, param)]);
        let (_, log) = run.measure(&measure).adjust(&adjust).go().await;
        let report = log.report(event);
        assert_eq!(report["status"], "environment-mismatch", "{command}");
        assert_eq!(report["reason"], "no-plugin", "{command}");
        assert_eq!(
            log.params(&format!("{event}%")),
            [json!(null); 0],
            "{command}"
        );
        assert_eq!(adjust.described.load(Ordering::SeqCst), 0, "{command}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_45_the_delay_comes_before_hello_and_before_each_report() {
    let script = vec![measure(), cmd("SLEEP", json!({"duration": 3}))];
    let run = Run::new(script)
        .with(|config| config.pace = servo_agent::Pace::Delay(Duration::from_secs(2)));
    let (_, log) = run.go().await;
    assert_eq!(
        log.lines(),
        [
            "2 HELLO",
            "2 WHATS_NEXT",
            "4 MEASUREMENT",
            "4 WHATS_NEXT",
            "9 WHATS_NEXT",
            "9 GOODBYE"
        ]
    );
}
