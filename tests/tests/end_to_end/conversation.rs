//! The binary `servo run` with sandboxed drivers against a scripted service:
//! every command of the protocol over the real wire, from HELLO to GOODBYE.

use rustix::process::Signal;
use serde_json::{Value, json};
use servo_demo::app::SampleApp;
use servo_tests::process::Process;
use servo_tests::service::{Event, Scene, Service};
use servo_tests::workspace::{Ran, Workspace};

use crate::support::{app, client, servo_yaml};

const TOKEN: &str = "a-token-of-this-test";

fn measuring(seconds: u32) -> Value {
    json!({ "control": {
        "duration": seconds, "warmup": 0, "load": { "n_threads": 4 },
    }})
}

fn adjusting(workers: u32) -> Value {
    json!({
        "state": { "application": { "components": { "app": { "settings": {
            "workers": { "value": workers },
        }}}}},
        "control": {},
    })
}

/// Plays the scenes to their end and stops the servo.
async fn play(app: &SampleApp, scenes: Vec<Scene>) -> (Vec<Event>, Ran) {
    let workspace = Workspace::new().unwrap();
    workspace
        .write("servo.yaml", servo_yaml(app.local_addr()))
        .unwrap();
    workspace.write("token", format!("{TOKEN}\n")).unwrap();
    let service = Service::start(scenes, Some(TOKEN)).await.unwrap();
    let url = service.url();
    let arguments = ["run", "shop", "--url", &url, "--auth-token", "token"];
    let servo = Process::start(workspace.servo(arguments).unwrap()).unwrap();
    tokio::select! {
        () = service.played() => servo.signal(Signal::TERM).unwrap(),
        () = tokio::time::sleep(std::time::Duration::from_secs(120)) => {
            panic!("stuck after {:?}", service.events());
        }
    }
    let ran = servo.end().await.unwrap();
    assert_eq!(service.breaches(), Vec::<String>::new());
    let events = service.events();
    assert_eq!(events.first().unwrap().name, "HELLO");
    let goodbye = events.last().unwrap();
    assert_eq!(
        (goodbye.name.as_str(), &goodbye.param),
        ("GOODBYE", &json!({ "reason": "SIGTERM" }))
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    (events, ran)
}

/// The final reports, and how many progress reports came before each.
fn reports(events: &[Event]) -> Vec<(&str, usize, &Value)> {
    let mut progress = 0;
    let mut reports = Vec::new();
    for event in events {
        match event.name.as_str() {
            "HELLO" | "GOODBYE" => {}
            _ if event.is_progress() => progress += 1,
            name => {
                reports.push((name, progress, &event.param));
                progress = 0;
            }
        }
    }
    assert_eq!(progress, 0, "progress without a final report");
    reports
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_done_and_reported_once() {
    let app = app().await;
    let (events, _) = play(
        &app,
        vec![
            Scene::describe(),
            Scene::measure(measuring(1)),
            Scene::sleep(1.0),
            Scene::adjust(adjusting(6)),
            Scene::adjust(adjusting(99)),
            Scene::describe(),
        ],
    )
    .await;
    assert_eq!(events[0].param["agent"], "github.com/opsani/servo");
    let reports = reports(&events);
    let names: Vec<&str> = reports.iter().map(|report| report.0).collect();
    assert_eq!(
        names,
        [
            "DESCRIPTION",
            "MEASUREMENT",
            "ADJUSTMENT",
            "ADJUSTMENT",
            "DESCRIPTION"
        ]
    );

    let workers = |at: usize| {
        let (_, progress, param) = &reports[at];
        assert_eq!(*progress, 0, "a description has no progress");
        param["descriptor"]["application"]["components"]["app"]["settings"]["workers"].clone()
    };
    assert_eq!(workers(0)["value"], 2);
    assert_eq!(workers(4)["value"], 6);
    let metrics = &reports[0].2["descriptor"]["measurement"]["metrics"];
    assert_eq!(metrics["requests throughput"]["unit"], "requests/second");

    let (_, progress, measured) = &reports[1];
    assert!(*progress >= 1, "the start of a measurement is told");
    assert_eq!(measured["status"], "ok");
    assert!(measured["metrics"]["throughput"]["value"].as_f64().unwrap() > 0.0);
    let command = measured["annotations"]["command"].as_str().unwrap();
    assert!(command.starts_with("ab -l -c 4 "), "{command}");

    let (_, progress, adjusted) = &reports[2];
    assert!(*progress >= 1, "the start of an adjustment is told");
    let value = &adjusted["state"]["application"]["components"]["app"]["settings"]["workers"];
    assert_eq!(value["value"], 6);
    assert_eq!(json!(app.settings())["workers"], 6);

    // A value outside of what was described never reaches the driver.
    let (_, _, refused) = &reports[3];
    assert_eq!(refused["status"], "rejected", "{refused}");
    assert_eq!(refused["reason"], "invalid-setting", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_brings_one_final_report_and_the_next_command_is_done() {
    let app = app().await;
    // An hour: nothing but the cancel can end it.
    let (events, ran) = play(
        &app,
        vec![
            Scene::describe(),
            Scene::measure(measuring(3600)).cancelled(3, "operator pressed stop"),
            Scene::adjust(adjusting(7)).cancelled(1, "not now"),
            Scene::measure(measuring(1)),
        ],
    )
    .await;
    let reports = reports(&events);
    assert_eq!(reports.len(), 4, "{reports:?}");
    for (at, progress) in [(1, 3), (2, 1)] {
        let (_, seen, param) = &reports[at];
        assert!(*seen >= progress, "{seen} progress reports");
        assert_eq!(param["status"], "cancelled", "{param}");
        assert_eq!(param["reason"], "cancelled", "{param}");
        assert!(param["message"].as_str().is_some(), "{param}");
        assert!(param.get("metrics").is_none() && param.get("state").is_none());
    }
    // Cancelled with its first report, the driver was never started.
    let message = reports[2].2["message"].as_str().unwrap();
    assert!(message.contains("not now"), "{message}");
    assert_eq!(reports[2].1, 1);
    assert_eq!(json!(app.settings())["workers"], 2);
    assert_eq!(reports[3].2["status"], "ok", "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_ends_the_driver_and_says_goodbye() {
    let app = app().await;
    let workspace = Workspace::new().unwrap();
    workspace
        .write("servo.yaml", servo_yaml(app.local_addr()))
        .unwrap();
    let scenes = vec![Scene::describe(), Scene::measure(measuring(3600))];
    let service = Service::start(scenes, None).await.unwrap();
    let arguments = ["run", "shop", "--no-auth", "--url", &service.url()];
    let servo = Process::start(workspace.servo(arguments).unwrap()).unwrap();
    service.reported(2).await;
    servo.signal(Signal::TERM).unwrap();
    let ran = servo.end().await.unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(service.breaches(), Vec::<String>::new());
    let events = service.events();
    assert_eq!(events.last().unwrap().name, "GOODBYE");
    let reports = reports(&events);
    let (name, _, param) = reports.last().unwrap();
    assert_eq!(
        (*name, &param["status"]),
        ("MEASUREMENT", &json!("cancelled"))
    );
}

/// The stub is a judge, so it is judged first.
#[tokio::test(flavor = "multi_thread")]
async fn the_stub_refuses_what_is_out_of_order() {
    let service = Service::start(vec![Scene::adjust(json!({}))], None)
        .await
        .unwrap();
    let client = client();
    let state = json!({ "status": "ok", "cmd_uid": "scene-0", "state": {} });
    let progress = json!({ "progress": 1, "cmd_uid": "scene-0" });
    let other = json!({ "status": "ok", "cmd_uid": "scene-1", "state": {} });
    for (event, param, in_order) in [
        ("WHATS_NEXT", Value::Null, false),
        ("ADJUSTMENT", state.clone(), false),
        ("HELLO", json!({}), true),
        ("HELLO", json!({}), false),
        ("ADJUSTMENT", state.clone(), false),
        ("WHATS_NEXT", Value::Null, true),
        ("MEASUREMENT", state.clone(), false),
        ("ADJUSTMENT", other, false),
        ("ADJUSTMENT", progress.clone(), true),
        ("ADJUSTMENT", state.clone(), true),
        ("ADJUSTMENT", progress, false),
        ("ADJUSTMENT", state, false),
        ("GOODBYE", json!({}), true),
        ("WHATS_NEXT", Value::Null, false),
    ] {
        let before = service.breaches().len();
        let body = json!({ "event": event, "param": param }).to_string();
        let request = client.post(service.url()).body(body);
        let answer = request
            .header("content-type", "application/json")
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        let refused = answer["status"] == "unexpected-event";
        assert_eq!(refused, !in_order, "{event} {param}: {answer}");
        assert_eq!(
            service.breaches().len() - before,
            usize::from(refused),
            "{event} {param}"
        );
    }
    // A token where none belongs, a wrong place, and no JSON.
    for request in [
        client.post(service.url()).bearer_auth("x"),
        client.get(service.url()),
        client
            .post(service.url())
            .header("content-type", "application/json")
            .body("{\"event\": NaN}"),
    ] {
        let before = service.breaches().len();
        let status = request.send().await.unwrap().status();
        assert!(status.is_client_error(), "{status}");
        assert_eq!(service.breaches().len(), before + 1);
    }
}
