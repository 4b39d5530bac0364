//! Nothing is lost and nothing is done twice: SIGHUP and kill -9 in the middle
//! of a measurement that waits.

use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::Value;
use servo_agent::FileJournal;
use servo_tests::service::{Scene, Service};
use servo_tests::workspace::Workspace;

use super::world::{
    Metrics, PROM_GRANTS, finish, names, prom_folder, report, seconds, soon, start, waiting,
};

/// One check before the wait and one question after it, for the window that
/// began with the check: the driver was not begun again.
fn one_window(metrics: &Metrics, duration: f64) {
    let asked = metrics.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    let (checked, (from, to)) = (asked[0].1, asked[1]);
    assert!((0.0..10.0).contains(&(from - checked)), "{asked:?}");
    assert!((to - from - duration).abs() < 0.01, "{asked:?}");
}

/// How long the call has been going on, in each of its progress reports.
fn runtimes(service: &Service) -> Vec<u64> {
    let events = service.events().into_iter();
    let progress = events.filter(|event| event.is_progress());
    progress
        .filter_map(|event| event.param.get("runtime").and_then(Value::as_u64))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_in_the_middle_of_a_wait_greets_again_and_the_wait_goes_on() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let service = Service::start(vec![Scene::measure(seconds(3))], None)
        .await
        .unwrap();
    let servo = start(&folder, &service, &[]);
    waiting(&service, &servo).await;
    servo.signal(Signal::HUP).unwrap();
    let ran = finish(&service, servo).await;
    assert_eq!(
        names(&service),
        [
            "HELLO",
            "GOODBYE restart",
            "HELLO",
            "MEASUREMENT",
            "GOODBYE SIGTERM"
        ],
        "{}",
        ran.stderr
    );
    assert_eq!(report(&service, "MEASUREMENT")["status"], "ok");
    one_window(&metrics, 3.0);
    let runtimes = runtimes(&service);
    assert!(runtimes.is_sorted(), "time went on: {runtimes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_changes_nothing_and_the_next_one_counts() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let first = Service::start(vec![Scene::measure(seconds(3600))], None)
        .await
        .unwrap();
    let second = Service::start(vec![], None).await.unwrap();
    let with_url = |service: &Service| {
        let text = format!("optune: {{ url: \"{}\" }}\n{PROM_GRANTS}", service.url());
        folder.write("servo.yaml", text).unwrap();
    };
    with_url(&first);
    let command = folder.servo(["run", "shop", "--no-auth"]).unwrap();
    let servo = servo_tests::process::Process::start(command).unwrap();
    waiting(&first, &servo).await;

    folder
        .write("servo.yaml", "drivers: { measur: {} }\n")
        .unwrap();
    servo.signal(Signal::HUP).unwrap();
    servo.says("the reload failed").await.unwrap();
    servo.says("servo.yaml:1:12: drivers.measur").await.unwrap();
    assert_eq!(names(&first), ["HELLO"]);

    // What is said now is said to another service: the files were read again.
    with_url(&second);
    servo.signal(Signal::HUP).unwrap();
    soon(&second, &servo, second.until(|events| !events.is_empty())).await;
    assert_eq!(names(&first), ["HELLO", "GOODBYE restart"]);
    servo.signal(Signal::TERM).unwrap();
    let ran = servo.end().await.unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(first.breaches(), Vec::<String>::new());
}

/// Makes the journal older, as if the machine had been off for so long: a
/// clock that is behind counts as having stood still, so what stands in the
/// journal moves into the past.
fn age(folder: &Workspace, by: Duration) {
    let journal = folder.path().join(".servo/journal/shop");
    let clock = move || SystemTime::now() - by;
    let (journal, in_hand) =
        FileJournal::open_with_clock(&journal, "shop", std::sync::Arc::new(clock)).unwrap();
    assert_ne!(in_hand, servo_agent::Recovered::Nothing);
    drop(journal);
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_of_a_wait_loses_nothing_and_begins_nothing_again() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let service = Service::start(vec![Scene::measure(seconds(3600))], None)
        .await
        .unwrap();
    let servo = start(&folder, &service, &[]);
    waiting(&service, &servo).await;
    servo.kill().await.unwrap();
    service.killed();
    // A second time, while it goes on.
    let servo = start(&folder, &service, &[]);
    servo.says("going on: MEASURE").await.unwrap();
    servo.kill().await.unwrap();
    service.killed();
    age(&folder, Duration::from_secs(3600));
    // The hour is over. A wait that began again would take another one.
    let servo = start(&folder, &service, &[]);
    let ran = finish(&service, servo).await;
    assert!(ran.stderr.contains("going on: MEASURE"), "{}", ran.stderr);
    let report = report(&service, "MEASUREMENT");
    assert_eq!(report["status"], "ok", "{report}");
    assert_eq!(report["cmd_uid"], "scene-0");
    one_window(&metrics, 3600.0);
    assert_eq!(service.breaches(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_was_not_delivered_is_sent_by_the_next_process() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let service = Service::start(vec![Scene::measure(seconds(0))], None)
        .await
        .unwrap();
    // Progress included: whatever comes of this measurement, it fails to arrive.
    service.fail("MEASUREMENT", 100);
    let servo = start(&folder, &service, &[]);
    let is_final =
        |event: &servo_tests::service::Event| event.name == "MEASUREMENT" && !event.is_progress();
    soon(
        &service,
        &servo,
        service.until(|events| events.iter().any(is_final)),
    )
    .await;
    servo.kill().await.unwrap();
    service.killed();
    service.fail_no_more();
    let before = service.events().len();

    let servo = start(&folder, &service, &[]);
    finish(&service, servo).await;
    let after: Vec<String> = service.events()[before..]
        .iter()
        .map(|event| event.name.clone())
        .collect();
    assert_eq!(after, ["HELLO", "MEASUREMENT", "GOODBYE"]);
    assert_eq!(metrics.asked().len(), 2, "it was measured once");
}
