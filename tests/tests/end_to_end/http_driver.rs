//! The driver `http` as a component on the sample application; what happened
//! is judged by the application itself.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{Answer, NoReporter, ProgressReport, Reporter, Undelivered};
use servo_demo::app::{SampleApp, Settings};
use servo_host::Sandboxed;
use servo_tests::components::component;

use crate::support::{adjust, app, describe, driver, get};

fn settings(app: SocketAddr) -> Value {
    json!({
        "endpoint": format!("http://{app}/settings"),
        "settings": {
            "workers": { "min": 1, "max": 1000, "step": 1, "unit": "threads" },
            "batch": { "min": 1, "max": 16, "step": 1 },
        },
        "ready": { "interval": 0.1 },
    })
}

async fn http(app: SocketAddr, config: Value) -> Sandboxed {
    let grants = json!({ "http": [
        { "rule": format!("GET,PUT http://{app}/settings"), "private": true },
        { "rule": format!("GET http://{app}/healthz"), "private": true },
    ]});
    driver("http", config, grants).await
}

async fn outside(app: SocketAddr) -> Value {
    get(&format!("http://{app}/settings")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_describes_what_the_application_says() {
    let app = app().await;
    let address = app.local_addr();
    let driver = http(address, settings(address)).await;
    let described = serde_json::to_value(describe(&driver).await.unwrap()).unwrap();
    let now = outside(address).await;
    let workers = &described["components"]["app"]["settings"]["workers"];
    assert_eq!(workers["type"], "range");
    assert_eq!(workers["unit"], "threads");
    assert_eq!(
        (&workers["min"], &workers["max"], &workers["step"]),
        (&json!(1), &json!(1000), &json!(1))
    );
    assert_eq!(workers["value"], now["workers"]);
    let settings = described["components"]["app"]["settings"]
        .as_object()
        .unwrap();
    assert_eq!(
        settings.len(),
        2,
        "the cache was not asked for: {described}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn new_values_are_in_force_when_it_says_so_and_the_others_stay() {
    let app = app().await;
    let address = app.local_addr();
    let driver = http(address, settings(address)).await;
    let before = outside(address).await;
    let wanted = [("app", "workers", 5.0), ("app", "batch", 3.0)];
    let applied = adjust(&driver, &NoReporter, &wanted).await.unwrap();
    let after = outside(address).await;
    assert_eq!(after["workers"], 5);
    assert_eq!(after["batch"], 3);
    assert_eq!(after["cache"], before["cache"]);
    let applied = serde_json::to_value(applied).unwrap();
    let applied = &applied["components"]["app"]["settings"];
    assert_eq!(applied["workers"]["value"], 5);
    assert_eq!(applied["batch"]["value"], 3);

    // Nothing to change is nothing to write: one more look, no second PUT.
    let sent = driver.bound().ledger().rules[0].bytes_out;
    adjust(&driver, &NoReporter, &wanted).await.unwrap();
    assert_eq!(driver.bound().ledger().rules[0].bytes_out, sent);
}

/// Cancels as soon as the new values are in force.
struct CancelWhen<'a> {
    app: &'a SampleApp,
    before: Settings,
    seen: Mutex<Option<Settings>>,
}

#[async_trait]
impl Reporter for CancelWhen<'_> {
    async fn report(&self, _: &ProgressReport, _: Duration) -> Result<Answer, Undelivered> {
        let now = self.app.settings();
        if now == self.before {
            return Ok(Answer::Proceed);
        }
        *self.seen.lock().unwrap() = Some(now);
        Ok(Answer::Cancel("enough".to_owned()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_between_two_steps_brings_the_former_values_back() {
    let app = app().await;
    let address = app.local_addr();
    let mut config = settings(address);
    // Never ready, so that it waits for as long as it is let.
    config["ready"] = json!({
        "url": format!("http://{address}/healthz"), "status": 204, "interval": 0.1,
    });
    let driver = http(address, config).await;
    let before = outside(address).await;
    let reporter = CancelWhen {
        app: &app,
        before: app.settings(),
        seen: Mutex::default(),
    };
    let wanted = [("app", "workers", 7.0)];
    let failure = adjust(&driver, &reporter, &wanted).await.unwrap_err();
    assert_eq!(failure.status.as_str(), "cancelled", "{failure}");
    assert!(reporter.seen.into_inner().unwrap().is_some());
    assert_eq!(outside(address).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_application_refuses_is_rejected() {
    let app = app().await;
    let address = app.local_addr();
    let driver = http(address, settings(address)).await;
    let before = outside(address).await;
    let wanted = [("app", "workers", 1000.0)];
    let failure = adjust(&driver, &NoReporter, &wanted).await.unwrap_err();
    assert_eq!(failure.status.as_str(), "rejected", "{failure}");
    assert_eq!(failure.reason.as_ref().unwrap().as_str(), "invalid-setting");
    assert!(failure.message.contains("422"), "{failure}");
    assert_eq!(outside(address).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_never_gets_ready_is_rejected_in_its_time() {
    let app = app().await;
    let address = app.local_addr();
    let mut config = settings(address);
    config["ready"] = json!({
        "url": format!("http://{address}/healthz"), "status": 204,
        "interval": 0.1, "timeout": 0.5,
    });
    let driver = http(address, config).await;
    let wanted = [("app", "workers", 3.0)];
    let failure = adjust(&driver, &NoReporter, &wanted).await.unwrap_err();
    assert_eq!(failure.status.as_str(), "rejected", "{failure}");
    assert_eq!(failure.reason.as_ref().unwrap().as_str(), "start-failed");
    assert_eq!(outside(address).await["workers"], 3, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_is_down_is_a_failure() {
    let app = app().await;
    let address = app.local_addr();
    let driver = http(address, settings(address)).await;
    app.shutdown().await;
    let wanted = [("app", "workers", 3.0)];
    for failure in [
        describe(&driver).await.unwrap_err(),
        adjust(&driver, &NoReporter, &wanted).await.unwrap_err(),
    ] {
        assert_eq!(failure.status.as_str(), "failed", "{failure}");
        assert!(failure.message.contains("no connection"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_is_granted_and_writing_is_not() {
    let app = app().await;
    let address = app.local_addr();
    let grants = json!({ "http": [
        { "rule": format!("GET http://{address}/settings"), "private": true },
    ]});
    let driver = driver("http", settings(address), grants).await;
    describe(&driver).await.unwrap();
    let before = outside(address).await;
    let wanted = [("app", "workers", 3.0)];
    let failure = adjust(&driver, &NoReporter, &wanted).await.unwrap_err();
    assert_eq!(
        failure.reason.as_ref().unwrap().as_str(),
        "denied",
        "{failure}"
    );
    let line = format!("- {{ rule: \"PUT http://{address}/settings\", private: true }}");
    assert!(failure.message.contains(&line), "{failure}");
    assert_eq!(outside(address).await, before);
}

/// A request is one call of the host. What a driver does not use it does not
/// import, and only a load generator sends many at once.
#[test]
fn only_batches_import_the_streams_of_wasi() {
    for (name, streams, fetches) in [
        ("http", false, true),
        ("prom", false, true),
        ("ab", true, false),
    ] {
        let artifact = servo_artifact::Artifact::read(component(name)).unwrap();
        assert_eq!(artifact.imports_package("wasi:http"), streams, "{name}");
        let imports = artifact.imports();
        let fetch = imports
            .iter()
            .any(|one| one.to_string().starts_with("servo:driver/fetch@"));
        assert_eq!(fetch, fetches, "{name}");
    }
}
