//! Cases 8 to 13, 16, 22, 23 and 40, 41: what drivers bring and how it is told.

use serde_json::{Value, json};

use crate::acting::{Act, Acting};
use crate::expect::{Seen, at, goodbye, hello, next, starting};
use crate::stage::{Scene, command, measure, ok, state};

fn value() -> Value {
    json!({"metrics": {"m": {"value": 412.7, "unit": "ms"}}})
}

/// HELLO and WHATS_NEXT before, WHATS_NEXT and GOODBYE after.
pub fn framed(end: f64, reports: Vec<Seen>) -> Vec<Seen> {
    let mut all = vec![hello(0.0), next(0.0)];
    all.extend(reports);
    all.extend([next(end), goodbye(end, "SIGTERM")]);
    all
}

/// A measurement that takes no time, and its final report in both manners.
async fn measured(name: &'static str, act: Act, ours: Value, original: Value) {
    for (compat, report) in [(false, ours), (true, original)] {
        let driver = Acting::new(false, vec![act.clone()]);
        let scene = Scene::new(name, vec![measure(json!({}))])
            .measure(&driver)
            .expect(framed(
                0.0,
                vec![starting(0.0, "MEASUREMENT"), at(0.0, "MEASUREMENT", report)],
            ));
        let scene = if compat { scene.compat() } else { scene };
        scene.play().await;
        assert_eq!(driver.started().len(), 1, "{name}");
    }
}

pub async fn case_08() {
    for compat in [false, true] {
        let driver = Acting::new(false, vec![]);
        let scene = Scene::new("OPTUNE_PERF=a/b", vec![command("DESCRIBE", json!({}))])
            .measure(&driver)
            .with(|config| config.perf = Some("a/b".to_owned()))
            .expect(framed(
                0.0,
                vec![at(
                    0.0,
                    "DESCRIPTION",
                    json!({"status": "ok", "descriptor": {
                        "application": {},
                        "measurement": {"metrics": {"m": {"unit": "ms"}}},
                        "optimization": {"perf": "a/b"},
                    }}),
                )],
            ));
        let scene = if compat { scene.compat() } else { scene };
        scene.play().await;
    }
}

pub async fn case_09() {
    let name = "requests throughput";
    let described = json!({"unit": "rps", "annotation": "all of them"});
    let sample = json!({"value": 4, "unit": "rps"});
    for (compat, names) in [(false, vec![name]), (true, vec![name, "perf"])] {
        let all = |one: &Value| -> Value {
            let members = names.iter().map(|name| (name.to_string(), one.clone()));
            Value::Object(members.collect())
        };
        let driver = Acting::describing(
            false,
            Ok(json!({ name: described })),
            vec![Act::Done(json!({"metrics": {name: sample}}))],
        );
        let mut report = json!({"metrics": all(&sample)});
        if !compat {
            report["status"] = json!("ok");
        }
        let answers = vec![command("DESCRIBE", json!({})), measure(json!({}))];
        let descriptor = json!({
            "application": {}, "measurement": {"metrics": all(&described)},
        });
        let mut expected = vec![hello(0.0), next(0.0)];
        expected.push(at(
            0.0,
            "DESCRIPTION",
            json!({"status": "ok", "descriptor": descriptor}),
        ));
        expected.extend([
            next(0.0),
            starting(0.0, "MEASUREMENT"),
            at(0.0, "MEASUREMENT", report),
            next(0.0),
            goodbye(0.0, "SIGTERM"),
        ]);
        let scene = Scene::new("the perf alias", answers)
            .measure(&driver)
            .expect(expected);
        let scene = if compat { scene.compat() } else { scene };
        scene.play().await;
    }
}

pub async fn case_10() {
    for compat in [false, true] {
        let adjust = Acting::describing(false, Err("x"), vec![]);
        let measure = Acting::new(false, vec![]);
        let scene = Scene::new("a failing query", vec![command("DESCRIBE", json!({}))])
            .measure(&measure)
            .adjust(&adjust)
            .expect(framed(
                0.0,
                vec![at(
                    0.0,
                    "DESCRIPTION",
                    json!({"status": "failed", "message": "~x"}),
                )],
            ));
        let scene = if compat { scene.compat() } else { scene };
        scene.play().await;
        assert_eq!((adjust.described(), measure.described()), (1, 0));
    }
}

pub async fn case_11() {
    let notes = json!({"command": "load, 8 workers", "warnings": ["one"]});
    let mut result = value();
    result["annotations"] = notes;
    for compat in [false, true] {
        let driver = Acting::new(
            false,
            vec![
                Act::Report(10.0, "m"),
                Act::Work(5.0),
                Act::Done(result.clone()),
            ],
        );
        let mut report = result.clone();
        let progress = if compat {
            // At once, and with what the original passes on.
            let param = json!({"progress": 10, "runtime": 0, "message": "m"});
            at(0.0, "MEASUREMENT", param)
        } else {
            report["status"] = json!("ok");
            let param = json!({"progress": 10, "runtime": 1, "message": "m", "stage": "load"});
            at(1.0, "MEASUREMENT", param)
        };
        let scene = Scene::new("progress and result", vec![measure(json!({"duration": 5}))])
            .measure(&driver)
            .expect(framed(
                5.0,
                vec![
                    starting(0.0, "MEASUREMENT"),
                    progress,
                    at(5.0, "MEASUREMENT", report),
                ],
            ));
        let scene = if compat { scene.compat() } else { scene };
        scene.play().await;
        let started = driver.started();
        assert_eq!(
            started,
            [json!({"metrics": ["m"], "control": {"duration": 5}})]
        );
    }
}

pub async fn case_12() {
    for annotations in [Value::Null, json!({})] {
        let mut result = value();
        if !annotations.is_null() {
            result["annotations"] = annotations;
        }
        let mut ours = value();
        ours["status"] = json!("ok");
        measured("no annotations", Act::Done(result), ours, value()).await;
    }
}

pub async fn case_13() {
    let report = json!({"status": "aborted", "reason": "slo-violation", "message": "~m"});
    let act = Act::Fail("aborted", Some("slo-violation"), "m");
    measured("aborted", act, report.clone(), report).await;
    // Without a reason the original says `undefined`.
    measured(
        "aborted without reason",
        Act::Fail("aborted", None, "m"),
        json!({"status": "aborted", "message": "~m"}),
        json!({"status": "aborted", "reason": "undefined", "message": "~m"}),
    )
    .await;
}

pub async fn case_16() {
    measured(
        "no metrics",
        Act::Done(json!({"metrics": {}})),
        json!({"status": "failed", "reason": "invalid-measurement", "message": "*"}),
        json!({"status": "failed", "message": "*"}),
    )
    .await;
}

/// An adjustment that takes no time.
async fn adjusted(
    name: &'static str,
    compat: bool,
    param: Value,
    acts: Vec<Act>,
    reports: Vec<Seen>,
) {
    let driver = Acting::new(false, acts);
    let scene = Scene::new(name, vec![command("ADJUST", param)])
        .adjust(&driver)
        .expect(framed(0.0, reports));
    let scene = if compat { scene.compat() } else { scene };
    scene.play().await;
}

pub async fn case_22() {
    for (compat, report) in [
        (
            false,
            json!({"status": "failed", "reason": "invalid-input", "message": "*"}),
        ),
        (true, json!({"status": "failed", "message": "*"})),
    ] {
        let report = at(0.0, "ADJUSTMENT", report);
        let param = json!({"control": {}});
        adjusted("no state", compat, param, vec![], vec![report]).await;
    }
}

pub async fn case_23() {
    let own = state(1.25)["application"].clone();
    for (compat, report) in [
        (false, json!({"status": "ok", "state": state(1.25)})),
        (true, json!({"state": state(1.5)})),
    ] {
        adjusted(
            "the driver's own state",
            compat,
            json!({"state": state(1.5), "control": {}}),
            vec![Act::Done(own.clone())],
            vec![starting(0.0, "ADJUSTMENT"), at(0.0, "ADJUSTMENT", report)],
        )
        .await;
    }
}

pub async fn case_40() {
    let driver = Acting::new(
        false,
        vec![Act::Report(10.0, "m"), Act::Work(2.0), Act::Done(value())],
    );
    let mut answer = measure(json!({}));
    if let crate::stage::Reply::Json(command) = &mut answer.1 {
        command["cmd_uid"] = json!("c-71");
    }
    let uid = |mut param: Value| {
        param["cmd_uid"] = json!("c-71");
        param
    };
    let mut report = value();
    report["status"] = json!("ok");
    let starting = json!({"progress": 0, "runtime": 0, "message": "*"});
    let progress = json!({"progress": 10, "runtime": 1, "message": "m", "stage": "load"});
    Scene::new(
        "a command with an id",
        vec![answer, (crate::stage::To::Progress, ok())],
    )
    .measure(&driver)
    .expect(framed(
        2.0,
        vec![
            at(0.0, "MEASUREMENT", uid(starting)),
            at(1.0, "MEASUREMENT", uid(progress)),
            at(2.0, "MEASUREMENT", uid(report)),
        ],
    ))
    .play()
    .await;
}

pub async fn case_41() {
    let series = json!({"metrics": {"m": {
        "unit": "ms", "annotation": "avg over shop pods", "values": [
            {"id": "pod-7f", "data": [[1_700_000_040, 81.5], [1_700_000_100.5, null]]},
            {"id": "pod-9c", "data": []},
        ],
    }}});
    let mut ours = series.clone();
    ours["status"] = json!("ok");
    measured("two instances", Act::Done(series.clone()), ours, series).await;
}
