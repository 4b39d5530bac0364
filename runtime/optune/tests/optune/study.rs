//! A whole study over real HTTP, with everything going wrong that goes wrong
//! in the field.

use crate::support::*;
use serde_json::{Value, json};
use servo_optune::{AppKey, Service, ServiceOptions, StudyOptions, StudySummary};

fn options(trials: u32) -> ServiceOptions {
    let study = StudyOptions {
        trials,
        seed: 5,
        baseline_repeats: 2,
        ..StudyOptions::default()
    };
    ServiceOptions {
        study,
        ..ServiceOptions::default()
    }
}

fn trials(address: std::net::SocketAddr) -> Value {
    get(address, "/api/v1/accounts/acme/applications/shop/trials").json()
}

/// Runs blocking code of a test beside the service.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn a_study_with_faults_ends_on_the_best_settings() {
    let service = Service::start(options(6)).await.unwrap();
    let address = service.local_addr();
    let finished = service.finished();
    aside(move || {
        let mut in_force = found();
        let ok = json!({"status": "ok"});
        assert_eq!(event(address, "HELLO", json!({"agent": "github.com/opsani/servo"})), ok);

        // The answer to WHATS_NEXT is lost: the same command again.
        let describe = next(address);
        assert_eq!(describe["cmd"], "DESCRIBE");
        assert_eq!(next(address), describe);
        let (name, param) = report(&describe, &mut in_force);
        assert_eq!(event(address, name, param.clone()), ok);
        // The answer to the report is lost: sent again, answered, not counted.
        assert_eq!(event(address, name, param), ok);

        // The baseline is measured twice, nothing is adjusted before.
        for _ in 0..2 {
            let measure = next(address);
            assert_eq!(measure["cmd"], "MEASURE");
            assert_eq!(measure["param"]["metrics"], json!(["requests throughput", "p95"]));
            assert!(measure["param"]["control"].is_object());
            assert_eq!(event(address, "MEASUREMENT", json!({"progress": 0, "runtime": 0, "message": "starting driver"})), ok);
            // An event that was not due.
            let wrong = event(address, "ADJUSTMENT", json!({"state": in_force}));
            assert_eq!(wrong["status"], "unexpected-event");
            let (name, param) = report(&measure, &mut in_force);
            assert_eq!(event(address, name, param.clone()), ok);
            assert_eq!(event(address, name, param), ok);
        }

        // Trial 1: the adjustment fails, and the way back is taken.
        let adjust = next(address);
        assert_eq!(adjust["cmd"], "ADJUST");
        let failure = json!({"status": "rejected", "reason": "unstable", "message": "pod restarted twice"});
        assert_eq!(event(address, "ADJUSTMENT", failure), ok);
        let back = next(address);
        assert_eq!(back["param"]["state"], found());
        let (name, param) = report(&back, &mut in_force);
        event(address, name, param);

        // Trial 2: NaN, which Python writes as a bare word.
        let (name, param) = report(&next(address), &mut in_force);
        event(address, name, param);
        assert_eq!(next(address)["cmd"], "MEASURE");
        let nan = r#"{"event": "MEASUREMENT", "param": {"metrics": {"requests throughput": {"value": NaN}, "p95": {"value": 1}}}}"#;
        assert_eq!(request(address, "POST", PATH, &[], nan).json(), ok);
        let (name, param) = report(&next(address), &mut in_force);
        assert_eq!(in_force, found());
        event(address, name, param);

        // Trial 3: the servo starts again in the middle; the command waits.
        let (name, param) = report(&next(address), &mut in_force);
        event(address, name, param);
        let measure = next(address);
        event(address, "GOODBYE", json!({"reason": "restart"}));
        assert_eq!(trials(address)["servo"]["connected"], false);
        event(address, "HELLO", json!({"agent": "github.com/opsani/servo"}));
        assert_eq!(next(address), measure);
        let (name, mut param) = report(&measure, &mut in_force);
        // As newer servos report it.
        param["status"] = json!("ok");
        param["reason"] = json!("success");
        param["cmd_uid"] = measure["cmd_uid"].clone();
        assert_eq!(event(address, name, param), ok);

        // It was away, so it is asked what is in force.
        assert_eq!(next(address)["cmd"], "DESCRIBE");
        event_of(address, &mut in_force);

        // Trial 4: a failure message of 3 MB is taken and cut.
        event_of(address, &mut in_force);
        assert_eq!(next(address)["cmd"], "MEASURE");
        let huge = "x".repeat(3_000_000);
        assert_eq!(event(address, "MEASUREMENT", json!({"status": "failed", "message": huge, "reason": "no-data"})), ok);
        event_of(address, &mut in_force);

        // Trials 5 and 6 and the restoring go as they should.
        for _ in 0..5 {
            event_of(address, &mut in_force);
        }
        let sleep = next(address);
        assert_eq!(sleep["cmd"], "SLEEP");
        assert_eq!(sleep["param"]["duration"], 60);

        let view = trials(address);
        let states: Vec<&str> = view["trials"].as_array().unwrap().iter().map(|trial| trial["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["failed", "failed", "scored", "failed", "scored", "scored"]);
        let reasons: Vec<&Value> = view["trials"].as_array().unwrap().iter().map(|trial| &trial["reason"]).collect();
        assert_eq!(reasons[..4], [&json!("unstable"), &json!("invalid-measurement"), &Value::Null, &json!("no-data")]);
        assert!(view["trials"][3]["message"].as_str().unwrap().len() < 20_000);
        let best = view["trials"].as_array().unwrap().iter().filter_map(|trial| trial["score"].as_f64()).fold(0.0, f64::max);
        let expected = if best > 5.0 { view["summary"]["best"]["settings"].clone() } else { json!({"web": {"cpu": 1, "gc": "serial"}}) };
        assert_eq!(view["summary"]["settings"], expected);
        assert_eq!(view["summary"]["baseline"]["score"], 5.0);
        // What the application itself runs with.
        assert_eq!(in_force["application"]["components"]["web"]["settings"]["cpu"]["value"], expected["web"]["cpu"]);
    })
    .await;
    let summary: StudySummary = finished.await.unwrap();
    assert_eq!(summary.state, "done");
    assert_eq!((summary.trials.scored, summary.trials.failed), (3, 3));
    service.shutdown().await;
}

fn event_of(address: std::net::SocketAddr, in_force: &mut Value) {
    let (name, param) = report(&next(address), in_force);
    assert_eq!(event(address, name, param), json!({"status": "ok"}));
}

#[tokio::test]
async fn a_stop_cancels_the_running_measurement_and_restores() {
    let service = Service::start(options(6)).await.unwrap();
    let address = service.local_addr();
    let app = AppKey::new("acme", "shop").unwrap();
    assert!(service.stop(&app, "x").is_err(), "no servo has spoken yet");
    let mut news = service.events();
    aside(move || {
        let mut in_force = found();
        for _ in 0..4 {
            event_of(address, &mut in_force);
        }
        assert_eq!(next(address)["cmd"], "MEASURE");
        assert_eq!(
            event(address, "MEASUREMENT", json!({"progress": 10}))["status"],
            "ok"
        );
    })
    .await;
    service.stop(&app, "operator pressed stop").unwrap();
    let finished = service.finished();
    aside(move || {
        let cancel = event(address, "MEASUREMENT", json!({"progress": 20}));
        assert_eq!(
            cancel,
            json!({"status": "cancel", "reason": "operator pressed stop"})
        );
        event(
            address,
            "MEASUREMENT",
            json!({"status": "nodata", "message": "", "reason": "undefined"}),
        );
        let restore = next(address);
        assert_eq!(restore["param"]["state"], found());
        event(address, "ADJUSTMENT", json!({"state": found()}));
        assert_eq!(next(address)["cmd"], "SLEEP");
    })
    .await;
    assert_eq!(finished.await.unwrap().state, "stopped");
    let mut kinds = Vec::new();
    while let Ok(event) = news.try_recv() {
        kinds.push(
            serde_json::to_value(&event).unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    for kind in ["phase", "trial", "progress"] {
        assert!(
            kinds.iter().any(|each| each == kind),
            "no news of {kind}: {kinds:?}"
        );
    }
}

#[tokio::test]
async fn newer_servos_and_single_mode_are_served() {
    let service = Service::start(options(2)).await.unwrap();
    let address = service.local_addr();
    aside(move || {
        let post = |body: Value| request(address, "POST", "/servo", &[], &body.to_string());
        let hello = json!({"event": "HELLO", "param": {"agent": "servox", "telemetry": {}}, "servo_uid": "s-1"});
        assert_eq!(post(hello).status, 200);
        let command = post(json!({"event": "WHATS_NEXT", "param": null, "servo_uid": "s-1"})).json();
        assert_eq!(command["cmd"], "DESCRIBE");
        // A deployment that was replaced is told so; nobody else ever is.
        let other = post(json!({"event": "WHATS_NEXT", "param": null, "servo_uid": "s-2"}));
        assert_eq!((other.status, other.json()), (410, json!({"detail": "unexpected servo_uid"})));
        let null = post(json!({"event": "WHATS_NEXT", "param": null, "servo_uid": null}));
        assert_eq!(null.json(), command);
        let wrong = json!({"event": "DESCRIPTION", "param": {"status": "ok", "descriptor": {}, "cmd_uid": "c-0"}});
        assert_eq!(post(wrong).json(), json!({"status": "invalid", "reason": "unexpected cmd_uid"}));
        assert_eq!(get(address, "/api/v1/trials").json()["summary"]["state"], "describing");
    })
    .await;
}

#[tokio::test]
async fn a_known_client_is_always_answered_200() {
    let service = Service::start(options(2)).await.unwrap();
    let address = service.local_addr();
    aside(move || {
        let deep = format!("{{\"event\": {}", "[".repeat(50_000));
        for body in [
            "",
            "oops",
            "[]",
            "{}",
            "{\"event\": \"DANCE\"}",
            "{\"event\": 4}",
            deep.as_str(),
            "\u{0}\u{1}",
        ] {
            let answer = request(address, "POST", PATH, &[], body);
            assert_eq!(answer.status, 200);
            assert_eq!(answer.json()["status"], "invalid");
        }
        // Only what is above every measure is cut off.
        let mut huge =
            format!("POST {PATH} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 17000000\r\n\r\n")
                .into_bytes();
        huge.resize(huge.len() + 17_000_000, b' ');
        let answer = String::from_utf8(raw(address, &huge)).unwrap();
        assert!(
            !answer.contains("413") && !answer.contains("\"status\""),
            "{answer}"
        );
        assert_eq!(get(address, "/healthz").json(), json!({"status": "ok"}));
    })
    .await;
}

#[tokio::test]
async fn drift_is_told_and_the_operator_decides() {
    let service = Service::start(options(3)).await.unwrap();
    let address = service.local_addr();
    let mut news = service.events();
    aside(move || {
        let mut in_force = found();
        for _ in 0..4 {
            event_of(address, &mut in_force);
        }
        // Trial 1 is in force; somebody changes it while the servo is away.
        let applied = in_force.clone();
        event(address, "HELLO", json!({"agent": "x"}));
        in_force = found();
        in_force["application"]["components"]["web"]["settings"]["cpu"]["value"] = json!(4);
        event_of(address, &mut in_force);
        let rest = next(address);
        assert_eq!(rest["cmd"], "SLEEP");
        let reason = rest["param"]["data"]["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("web/cpu is 4 and was"), "{reason}");
        let summary = &trials(address)["summary"];
        assert_eq!(
            (&summary["state"], &summary["reason"]),
            (&json!("paused"), &json!(reason))
        );
        assert_eq!(summary["paused"]["drift"][0]["setting"], "cpu");
        assert_eq!(
            change(address, "studies").status,
            409,
            "the study has not ended"
        );
        let resumed = change(address, "resume");
        assert_eq!(
            (resumed.status, &resumed.json()["summary"]["state"]),
            (200, &json!("exploring"))
        );
        assert_eq!(change(address, "resume").status, 409, "it does not rest");
        let adjust = next(address);
        assert_eq!(adjust["param"]["state"], applied);
    })
    .await;
    let paused = std::iter::from_fn(|| news.try_recv().ok())
        .map(|event| serde_json::to_value(&event).unwrap())
        .find(|event| event["kind"] == "paused");
    assert_eq!(paused.unwrap()["data"]["drift"][0]["found"], 4);
}

#[tokio::test]
async fn another_study_follows_one_that_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let with = |new_study| ServiceOptions {
        data: Some(folder.path().to_owned()),
        new_study,
        ..options(1)
    };
    let service = Service::start(with(false)).await.unwrap();
    let address = service.local_addr();
    let finished = service.finished();
    let in_force = aside(move || {
        let mut in_force = found();
        while next(address)["cmd"] != "SLEEP" {
            event_of(address, &mut in_force);
        }
        in_force
    })
    .await;
    assert_eq!(finished.await.unwrap().study, 1);
    service.shutdown().await;
    // By the option at the start, and by the API.
    let mut in_force = in_force;
    for study in [2, 3] {
        let service = Service::start(with(study == 2)).await.unwrap();
        let address = service.local_addr();
        let finished = service.finished();
        let before = in_force.clone();
        in_force = aside(move || {
            if study == 3 {
                assert_eq!(change(address, "studies").json()["summary"]["study"], 3);
            }
            while next(address)["cmd"] != "SLEEP" {
                event_of(address, &mut in_force);
            }
            let view = trials(address);
            assert_eq!(
                (&view["summary"]["study"], &view["summary"]["state"]),
                (&json!(study), &json!("done"))
            );
            let path = "/api/v1/accounts/acme/applications/shop/";
            let all = get(address, &format!("{path}studies")).json();
            let numbers: Vec<u64> = all
                .as_array()
                .unwrap()
                .iter()
                .map(|each| each["study"].as_u64().unwrap())
                .collect();
            assert_eq!(numbers, (1..=study).collect::<Vec<_>>());
            let first = get(address, &format!("{path}trials?study=1")).json();
            assert_eq!(first["summary"]["state"], "done");
            assert_eq!(first["trials"].as_array().unwrap().len(), 1);
            assert_eq!(get(address, &format!("{path}trials?study=9")).status, 404);
            in_force
        })
        .await;
        // The baseline of the new study is what the last one left.
        let summary = service
            .summary(&AppKey::new("acme", "shop").unwrap())
            .unwrap();
        assert_eq!(summary.baseline.unwrap().settings.to_state(), before);
        if study == 2 {
            assert_eq!(
                finished.await.unwrap().study,
                2,
                "the ended one was replaced before"
            );
        }
        service.shutdown().await;
    }
}
