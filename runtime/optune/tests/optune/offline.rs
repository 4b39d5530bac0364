//! The service without a socket, in a world with a clock of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::Request;
use serde_json::{Value, json};
use servo_optune::{AppKey, Clock, Service, ServiceOptions, StudyOptions};

#[derive(Debug, Default)]
struct Hands(AtomicU64);

impl Hands {
    fn turn(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn options(data: Option<&Path>, clock: &Arc<Hands>) -> ServiceOptions {
    ServiceOptions {
        data: data.map(Path::to_owned),
        clock: clock.clone(),
        study: StudyOptions {
            trials: 3,
            ..StudyOptions::default()
        },
        ..ServiceOptions::default()
    }
}

fn request(event: &str, param: &Value) -> Request<Body> {
    Request::post("http://localhost/accounts/acme/applications/shop/servo")
        .body(Body::from(
            json!({"event": event, "param": param}).to_string(),
        ))
        .unwrap()
}

async fn post(service: &Service, event: &str, param: Value) -> (u16, Value) {
    let answer = service.handle(request(event, &param)).await;
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
        .await
        .unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn ok(service: &Service, event: &str, param: Value) -> Value {
    let (status, answer) = post(service, event, param).await;
    assert_eq!(status, 200, "{event}: {answer}");
    answer
}

async fn next(service: &Service) -> Value {
    ok(service, "WHATS_NEXT", Value::Null).await
}

/// Up to the measurement of the first trial; its command.
async fn measuring(service: &Service) -> Value {
    ok(service, "HELLO", json!({"agent": "x"})).await;
    let descriptor = json!({
        "application": {"components": {"web": {"settings": {"cpu": {"min": 1, "max": 9, "step": 1, "value": 1}}}}},
        "measurement": {"metrics": {"perf": {}}},
    });
    for report in [
        (
            "DESCRIPTION",
            json!({"status": "ok", "descriptor": descriptor}),
        ),
        ("MEASUREMENT", json!({"metrics": {"perf": {"value": 1}}})),
        ("ADJUSTMENT", json!({"state": {}})),
    ] {
        next(service).await;
        ok(service, report.0, report.1).await;
    }
    let measure = next(service).await;
    assert_eq!(measure["cmd"], "MEASURE");
    measure
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hands::default());
    let service = Service::offline(&options(Some(folder.path()), &clock)).unwrap();
    let measure = measuring(&service).await;
    let late = service.handle(request("MEASUREMENT", &json!({"status": "failed"})));
    drop(service);
    // The folder is free at once, and who comes late is not heard.
    let service = Service::offline(&options(Some(folder.path()), &clock)).unwrap();
    assert_eq!(late.await.status(), 503);
    assert_eq!(next(&service).await, measure);
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_breaks_no_measurement() {
    let clock = Arc::new(Hands::default());
    let service = Service::offline(&options(None, &clock)).unwrap();
    measuring(&service).await;
    service.refuse_writes(true).unwrap();
    let report = json!({"metrics": {"perf": {"value": 2}}});
    assert_eq!(post(&service, "MEASUREMENT", report.clone()).await.0, 503);
    // A second refusal would end the measurement of the original. It is not
    // refused either when there would be something to store: the servo was
    // lost, and is there again.
    let progress = json!({"progress": 10, "runtime": 1});
    assert_eq!(
        ok(&service, "MEASUREMENT", progress.clone()).await["status"],
        "ok"
    );
    clock.turn(10_000);
    assert_eq!(ok(&service, "MEASUREMENT", progress).await["status"], "ok");
    service.refuse_writes(false).unwrap();
    ok(&service, "MEASUREMENT", report).await;
    let app = AppKey::new("acme", "shop").unwrap();
    assert_eq!(service.summary(&app).unwrap().trials.scored, 1);
}

#[tokio::test]
async fn a_silent_servo_is_lost_by_the_given_clock() {
    let clock = Arc::new(Hands::default());
    let service = Service::offline(&options(None, &clock)).unwrap();
    measuring(&service).await;
    let app = AppKey::new("acme", "shop").unwrap();
    let lost = || service.summary(&app).unwrap().trials.lost;
    clock.turn(179);
    service.tick();
    assert_eq!(lost(), 0);
    clock.turn(1);
    service.tick();
    assert_eq!(lost(), 1);
    // The page sees it also without a tick of its own.
    let other = Service::offline(&options(None, &clock)).unwrap();
    measuring(&other).await;
    clock.turn(181);
    let page = Request::get("http://localhost/api/v1/trials")
        .body(Body::empty())
        .unwrap();
    let answer = other.handle(page).await;
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
        .await
        .unwrap();
    let view: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(view["trials"][0]["state"], "lost");
    assert_eq!(view["servo"]["lost"], true);
}
