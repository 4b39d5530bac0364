//! The beginning and the end: greeting, pace, stops.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use servo_tests::process::Process;
use servo_tests::service::{Event, Scene, Service};

use super::world::{Metrics, finish, names, prom_folder, seconds, soon, start, waiting};

fn heard(name: &'static str, times: usize) -> impl Fn(&[Event]) -> bool {
    move |events| events.iter().filter(|event| event.name == name).count() >= times
}

#[tokio::test(flavor = "multi_thread")]
async fn beginnings_of_options_will_do_and_the_agent_is_named() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let service = Service::start(vec![Scene::describe()], None).await.unwrap();
    let url = service.url();
    let arguments = [
        "run", "--ag", "me/1", "--noau", "--ur", &url, "--verb", "shop",
    ];
    let servo = Process::start(folder.servo(arguments).unwrap()).unwrap();
    finish(&service, servo).await;
    assert_eq!(service.events()[0].param["agent"], "me/1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_comes_before_the_greeting() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let service = Service::start(vec![], None).await.unwrap();
    let begun = Instant::now();
    let servo = start(&folder, &service, &["--delay", "0.5"]);
    soon(&service, &servo, service.until(heard("HELLO", 1))).await;
    assert!(begun.elapsed() >= Duration::from_millis(500));
    finish(&service, servo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_each_step_waits_for_a_line_and_none_sleeps() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    // An hour: it must not be slept.
    let scenes = vec![Scene::sleep(3600.0), Scene::describe()];
    let service = Service::start(scenes, None).await.unwrap();
    let url = service.url();
    let mut command = folder
        .servo(["run", "shop", "-i", "--no-auth", "--url", &url])
        .unwrap();
    command.stdin(Stdio::piped());
    let mut servo = Process::start(command).unwrap();
    servo.says("press Enter").await.unwrap();
    assert_eq!(service.events(), []);
    servo.write("\n").await.unwrap();
    soon(&service, &servo, service.until(heard("HELLO", 1))).await;
    // After the sleep, and before the description.
    servo.write("\n").await.unwrap();
    assert_eq!(names(&service), ["HELLO"]);
    servo.write("\n").await.unwrap();
    soon(&service, &servo, service.until(heard("DESCRIPTION", 1))).await;
    // At the end of the input nothing waits any more.
    servo.close();
    finish(&service, servo).await;
    assert_eq!(names(&service), ["HELLO", "DESCRIPTION", "GOODBYE SIGTERM"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigusr1_says_exit_and_ends_with_0() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let service = Service::start(vec![], None).await.unwrap();
    let servo = start(&folder, &service, &[]);
    soon(&service, &servo, service.played()).await;
    servo.signal(Signal::USR1).unwrap();
    let ran = servo.end().await.unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(names(&service), ["HELLO", "GOODBYE exit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
        let service = Service::start(vec![], None).await.unwrap();
        let servo = start(&folder, &service, &[]);
        soon(&service, &servo, service.played()).await;
        // All four attempts.
        service.fail("GOODBYE", 4);
        servo.signal(first).unwrap();
        soon(&service, &servo, service.until(heard("GOODBYE", 1))).await;
        servo.signal(second).unwrap();
        let ran = servo.end().await.unwrap();
        assert_eq!(ran.code, None, "it died of the signal: {}", ran.stderr);
        assert!(!ran.stderr.contains("stopped"), "{}", ran.stderr);
    }
}

/// A log that nobody reads must not end the agent.
#[tokio::test(flavor = "multi_thread")]
async fn it_runs_on_when_nobody_reads_its_log() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let service = Service::start(vec![Scene::describe()], None).await.unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let url = service.url();
    let mut command = folder
        .servo(["run", "shop", "-v", "--no-auth", "--url", &url])
        .unwrap();
    let mut servo = command.stderr(writer).spawn().unwrap();
    service.played().await;
    servo.kill().unwrap();
    servo.wait().unwrap();
    assert_eq!(names(&service), ["HELLO", "DESCRIPTION"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_servo_for_an_application() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let service = Service::start(vec![Scene::measure(seconds(3600))], None)
        .await
        .unwrap();
    let servo = start(&folder, &service, &[]);
    waiting(&service, &servo).await;
    let second = Service::start(vec![], None).await.unwrap();
    let refused = start(&folder, &second, &[]).end().await.unwrap();
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    for part in [".servo/journal/shop", "in use by another servo"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert_eq!(second.events(), []);
    // Nor is the first one disturbed.
    servo.signal(Signal::TERM).unwrap();
    let ran = servo.end().await.unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(service.breaches(), Vec::<String>::new());
}
