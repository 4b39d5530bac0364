//! Cases 24 to 28: cancel, and progress that is lost.

use serde_json::{Value, json};

use crate::acting::{Act, Acting};
use crate::cases::drivers::framed;
use crate::expect::{Seen, at, starting};
use crate::stage::{Reply, Scene, To, cancel, measure, ok};

const EVENT: &str = "MEASUREMENT";

/// The scene in which a progress report (from 0) is answered with a cancel.
fn cancelled(
    name: &'static str,
    number: usize,
    support: bool,
    acts: Vec<Act>,
) -> (Scene, std::sync::Arc<Acting>) {
    let driver = Acting::new(support, acts);
    let mut answers = vec![measure(json!({}))];
    answers.extend((0..number).map(|_| (To::Progress, ok())));
    answers.push((To::Progress, cancel("operator pressed stop")));
    (Scene::new(name, answers).measure(&driver), driver)
}

pub async fn case_24() {
    for (compat, report) in [
        (
            false,
            json!({"status": "cancelled", "reason": "cancelled", "message": "~operator pressed stop"}),
        ),
        (
            true,
            json!({"status": "failed", "message": "~operator pressed stop"}),
        ),
    ] {
        let (scene, driver) = cancelled("before the start", 0, true, vec![]);
        let scene = scene.expect(framed(
            0.0,
            vec![starting(0.0, EVENT), at(0.0, EVENT, report)],
        ));
        let scene = if compat { scene.compat() } else { scene };
        scene.play().await;
        assert!(driver.started().is_empty(), "the driver was started");
    }
}

/// The second report is cancelled at a second; the final one comes at another.
async fn in_a_step(
    name: &'static str,
    support: bool,
    compat: bool,
    then: Vec<Act>,
    end: f64,
    report: Value,
) {
    let mut acts = vec![Act::Report(10.0, "busy")];
    acts.extend(then);
    let (scene, driver) = cancelled(name, 1, support, acts);
    let second = if compat {
        at(
            0.0,
            EVENT,
            json!({"progress": 10, "runtime": 0, "message": "busy"}),
        )
    } else {
        let param = json!({"progress": 10, "runtime": 1, "message": "busy", "stage": "load"});
        at(1.0, EVENT, param)
    };
    let scene = scene.expect(framed(
        end,
        vec![starting(0.0, EVENT), second, at(end, EVENT, report)],
    ));
    let scene = if compat { scene.compat() } else { scene };
    scene.play().await;
    assert_eq!(driver.started().len(), 1, "{name}");
}

pub async fn case_25() {
    let stops = || {
        let own = Act::Fail("aborted", Some("slo-violation"), "own words");
        vec![Act::UntilCancelled, Act::Work(2.0), own]
    };
    // Both reasons are in the report: the driver's and the service's.
    let words = json!({"status": "aborted", "reason": "slo-violation", "message": "~own words"});
    in_a_step("stops", true, false, stops(), 3.0, words.clone()).await;
    in_a_step("stops", true, true, stops(), 2.0, words).await;
    let both = json!({
        "status": "aborted", "reason": "slo-violation", "message": "~operator pressed stop",
    });
    in_a_step("keeps both reasons", true, false, stops(), 3.0, both).await;

    let finishes = || {
        let result = json!({"metrics": {"m": {"value": 1}}});
        vec![Act::UntilCancelled, Act::Work(60.0), Act::Done(result)]
    };
    // After ten seconds of grace ours is done with it; the original waits.
    let ours = json!({"status": "cancelled", "reason": "cancelled", "message": "*"});
    in_a_step("goes on", true, false, finishes(), 11.0, ours).await;
    let original = json!({"metrics": {"m": {"value": 1}}});
    in_a_step("goes on", true, true, finishes(), 60.0, original).await;
}

pub async fn case_26() {
    let ours = json!({
        "status": "cancelled", "reason": "cancelled", "message": "~operator pressed stop",
    });
    in_a_step("no support", false, false, vec![Act::Forever], 1.0, ours).await;
    let original = json!({"status": "nodata", "reason": "undefined", "message": "*"});
    in_a_step("no support", false, true, vec![Act::Forever], 0.0, original).await;
}

/// A minute of work with one progress report that is lost so many times.
async fn lost(compat: bool, times: usize, end: f64, reports: Vec<Seen>) {
    let driver = Acting::new(
        false,
        vec![
            Act::Report(10.0, "busy"),
            Act::Work(60.0),
            Act::Done(json!({"metrics": {"m": {"value": 1}}})),
        ],
    );
    let mut answers = vec![measure(json!({})), (To::Progress, ok())];
    answers.extend((0..times).map(|_| (To::Progress, Reply::Status(500))));
    let mut expected = vec![starting(0.0, EVENT)];
    expected.extend(reports);
    let scene = Scene::new("lost progress", answers)
        .measure(&driver)
        .expect(framed(end, expected));
    let scene = if compat { scene.compat() } else { scene };
    scene.play().await;
}

fn progress(seconds: f64, compat: bool) -> Seen {
    let mut param = json!({"progress": 10, "runtime": "*", "message": "busy"});
    if !compat {
        param["stage"] = json!("load");
    }
    at(seconds, EVENT, param)
}

pub async fn case_27() {
    let result = json!({"metrics": {"m": {"value": 1}}});
    let mut ours = result.clone();
    ours["status"] = json!("ok");
    // Ours says at least every half minute how far it is.
    let reports = vec![
        progress(1.0, false),
        progress(21.0, false),
        progress(51.0, false),
        at(60.0, EVENT, ours),
    ];
    lost(false, 1, 60.0, reports).await;
    let reports = vec![
        progress(0.0, true),
        progress(20.0, true),
        at(60.0, EVENT, result),
    ];
    lost(true, 1, 60.0, reports).await;
}

pub async fn case_28() {
    let ours = json!({"status": "ok", "metrics": {"m": {"value": 1}}});
    let reports = vec![
        progress(1.0, false),
        progress(21.0, false),
        progress(51.0, false),
        at(60.0, EVENT, ours),
    ];
    lost(false, 2, 60.0, reports).await;
    let original = json!({"status": "failed", "message": "*"});
    let reports = vec![
        progress(0.0, true),
        progress(20.0, true),
        at(20.0, EVENT, original),
    ];
    lost(true, 2, 20.0, reports).await;
    // The first report of all: the driver is not even started.
    let driver = Acting::new(false, vec![]);
    let answers = vec![
        measure(json!({})),
        (To::Progress, Reply::Status(500)),
        (To::Progress, Reply::Status(500)),
    ];
    let failed = json!({"status": "failed", "message": "*"});
    Scene::new("the first report is lost", answers)
        .measure(&driver)
        .compat()
        .expect(framed(
            20.0,
            vec![
                starting(0.0, EVENT),
                at(
                    20.0,
                    EVENT,
                    json!({"progress": 0, "runtime": "*", "message": "*"}),
                ),
                at(20.0, EVENT, failed),
            ],
        ))
        .play()
        .await;
    assert!(driver.started().is_empty(), "the driver was started");
}
