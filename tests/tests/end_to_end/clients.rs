//! The service against servos that are not ours: the original, as it was
//! recorded, and servox as its users install it. Each plays a whole study
//! against the built `servo optune`, and what counts is what the service says
//! at the end and what the application runs with.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use servo_tests::clients::original::{Answer, Drivers, Ended, Original, python};
use servo_tests::clients::python::present;
use servo_tests::clients::servox::{Servox, environment};
use servo_tests::process::Process;
use servo_tests::workspace::Workspace;

const TOKEN: &str = "0123456789abcdef-of-a-test";
const PATH: &str = "/accounts/acme.com/applications/shop/servo";
/// Stands for the 20 s before the original repeats a request.
const WAIT: Duration = Duration::from_millis(100);

/// `servo optune` on an address, with its data in the workspace.
async fn optune(workspace: &Workspace, listen: &str, more: &[&str]) -> (Process, SocketAddr) {
    workspace.write("token", TOKEN).unwrap();
    let arguments = [
        "optune",
        "--listen",
        listen,
        "--data",
        "data",
        "--token-file",
        "token",
    ];
    let arguments = arguments
        .iter()
        .chain(&["--account", "acme.com"])
        .chain(more);
    let mut process = Process::start(workspace.servo(arguments).unwrap()).unwrap();
    let page = process.line("page  http://").await.unwrap();
    let address = page.trim_end_matches('/').parse().unwrap();
    (process, address)
}

/// Runs blocking code of a test beside the processes.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn view(address: SocketAddr) -> Value {
    let url = format!("http://{address}/api/v1/accounts/acme.com/applications/shop/trials");
    let answer = crate::support::client()
        .get(url)
        .bearer_auth(TOKEN)
        .send()
        .await
        .unwrap();
    answer.error_for_status().unwrap().json().await.unwrap()
}

/// An application that computes its throughput, behind two drivers of which
/// one fails in the ways that only the original's can.
#[derive(Debug, Clone)]
struct Application {
    cpu: f64,
    gc: String,
    /// Measurements with other settings than those found.
    trials: u32,
}

impl Application {
    fn found() -> Self {
        Self {
            cpu: 1.0,
            gc: "serial".to_owned(),
            trials: 0,
        }
    }

    fn settings(&self) -> Value {
        json!({"web": {"cpu": self.cpu, "gc": self.gc}})
    }

    fn throughput(&self) -> f64 {
        let bonus = match self.gc.as_str() {
            "g1" => 80.0,
            "parallel" => 30.0,
            _ => 0.0,
        };
        100.0 * self.cpu + bonus
    }
}

impl Drivers for Application {
    fn describe(&mut self) -> Value {
        json!({
            "application": {"components": {"web": {"settings": {
                "cpu": {"type": "range", "min": 0.5, "max": 4, "step": 0.5, "value": self.cpu, "unit": "cores"},
                "gc": {"type": "enum", "values": ["serial", "parallel", "g1"], "value": self.gc},
            }}}},
            "measurement": {"metrics": {"requests throughput": {"unit": "rps"}, "p95": {"unit": "ms"}}},
            "optimization": {"perf": "m['requests throughput'] / p95"},
        })
    }

    fn measure(&mut self, param: &Value) -> Ended {
        assert_eq!(param["metrics"], json!(["requests throughput", "p95"]));
        assert_eq!(param["control"]["userdata"], json!({"k": "\u{e4}"}));
        let number = self.trials;
        self.trials += 1;
        match number {
            // The library refuses NaN: nothing is sent, three times over.
            1..=3 => Ended::Nothing,
            4 => Ended::Report(json!({
                "status": "failed",
                "message": format!("DriverError: {}", "\u{fc}".repeat(600_000)),
                "reason": "no-data",
            })),
            _ => Ended::Report(json!({
                "metrics": {
                    "requests throughput": {"value": self.throughput(), "unit": "rps"},
                    "p95": {"values": [{"id": "web-1", "data": [[1_700_000_040, 19.5], [1_700_000_100, 20.5]]}]},
                    // As the script does where there is no metric `perf`.
                    "perf": {"value": self.throughput(), "unit": "rps"},
                },
                "annotations": {"note": "\u{1f600}"},
            })),
        }
    }

    fn adjust(&mut self, param: &Value) -> Ended {
        let settings = &param["state"]["application"]["components"]["web"]["settings"];
        self.cpu = settings["cpu"]["value"].as_f64().unwrap();
        self.gc = settings["gc"]["value"].as_str().unwrap().to_owned();
        Ended::Report(json!({ "state": param["state"] }))
    }
}

/// The best of the scored trials, or what was found.
fn best(view: &Value) -> Value {
    let baseline = &view["summary"]["baseline"];
    let trials = view["trials"].as_array().unwrap().iter();
    let scored = trials.filter(|trial| trial["score"].is_number());
    let score = |scored: &Value| scored["score"].as_f64().unwrap();
    let best = scored
        .chain([baseline])
        .max_by(|a, b| score(a).total_cmp(&score(b)));
    best.unwrap()["settings"].clone()
}

/// Equal, whole numbers and others alike.
fn assert_same(found: &Value, expected: &Value) {
    for setting in ["cpu", "gc"] {
        let (found, expected) = (&found["web"][setting], &expected["web"][setting]);
        let same = found == expected || found.is_number() && found.as_f64() == expected.as_f64();
        assert!(same, "{setting} is {found}, not {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_plays_a_whole_study_through_a_kill_of_the_service() {
    let workspace = Workspace::new().unwrap();
    let more = [
        "--trials",
        "6",
        "--duration",
        "1",
        "--userdata",
        "{\"k\": \"\u{e4}\"}",
    ];
    let (service, address) = optune(&workspace, "127.0.0.1:0", &more).await;
    let (kill, killed) = std::sync::mpsc::channel();
    let (restarted, up) = std::sync::mpsc::channel::<()>();
    let servo = std::thread::spawn(move || {
        let mut servo = Original::new(address, PATH, Some(TOKEN), WAIT);
        let mut application = Application::found();
        servo.hello().unwrap();
        let mut kill = Some(kill);
        let sleep = loop {
            let command = servo.turn(&mut application).unwrap();
            // In the middle of the study the service is killed, and the servo
            // goes on asking.
            if command["cmd"] == "ADJUST"
                && application.trials == 5
                && let Some(kill) = kill.take()
            {
                kill.send(()).unwrap();
                up.recv().unwrap();
            }
            if command["cmd"] == "SLEEP" {
                break command;
            }
        };
        servo
            .send("GOODBYE", &json!({"reason": "SIGTERM"}))
            .unwrap();
        (application, sleep)
    });
    aside(move || killed.recv().unwrap()).await;
    service.signal(Signal::KILL).unwrap();
    service.end().await.unwrap();
    let (_service, again) = optune(&workspace, &address.to_string(), &more).await;
    assert_eq!(again, address);
    restarted.send(()).unwrap();
    let (application, sleep) = aside(move || servo.join().unwrap()).await;

    assert_eq!(sleep["param"]["duration"], 60);
    let view = view(address).await;
    let summary = &view["summary"];
    assert_eq!(
        (&summary["state"], &summary["trials"]["planned"]),
        (&json!("done"), &json!(6)),
        "{view}"
    );
    assert_eq!(summary["baseline"]["score"], 5.0);
    let told: Vec<Value> = view["trials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trial| json!([trial["state"], trial["reason"]]))
        .collect();
    assert_eq!(
        told[..2],
        [json!(["failed", "no-report"]), json!(["failed", "no-data"])],
        "{view}"
    );
    assert!(
        told[2..]
            .iter()
            .all(|each| *each == json!(["scored", null])),
        "{told:?}"
    );
    let message = view["trials"][1]["message"].as_str().unwrap();
    assert!(message.starts_with("DriverError: \u{fc}") && message.len() < 20_000);
    assert_eq!(view["servo"]["connected"], false);
    // No point was tried twice.
    let points: BTreeSet<String> = view["trials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trial| trial["settings"].to_string())
        .collect();
    assert_eq!(points.len(), 6);
    assert_same(&summary["settings"], &best(&view));
    assert_same(&application.settings(), &best(&view));
}

/// Requests as they were recorded, and what only a broken sender sends: each is
/// answered so that the original, which repeats on any error, goes on.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_known_client_sends_is_answered_200() {
    let workspace = Workspace::new().unwrap();
    let (_service, address) = optune(&workspace, "127.0.0.1:0", &["--trials", "2"]).await;
    aside(move || {
        let mut servo = Original::new(address, PATH, Some(TOKEN), WAIT);
        let mut application = Application::found();
        servo.hello().unwrap();
        let describe = servo.turn(&mut application).unwrap();
        assert_eq!(describe["cmd"], "DESCRIBE");
        let huge = "x".repeat(3_000_000);
        let failed = json!({"event": "MEASUREMENT", "param": {"status": "failed", "message": huge, "reason": "no-data"}});
        let table: [(String, &str); 9] = [
            (r#"{"event": "MEASUREMENT", "param": {"metrics": {"p95": {"value": NaN}}}}"#.into(), "unexpected-event"),
            (python(&failed), "unexpected-event"),
            (r#"{"event": "DESCRIPTION", "param": {"status": "environment-mismatch", "message": "FileNotFoundError"}}"#.into(), "ok"),
            (r#"{"event": "ADJUSTMENT", "param": {"progress": 0, "runtime": 0, "message": "starting driver"}}"#.into(), "unexpected-event"),
            (r#"{"event": "GOODBYE", "param": {"reason": "restart"}}"#.into(), "ok"),
            (r#"{"event": "HELLO", "param": null}"#.into(), "ok"),
            (r#"{"event": "DANCE", "param": null}"#.into(), "invalid"),
            ("oops".into(), "invalid"),
            (String::new(), "invalid"),
        ];
        for (body, expected) in table {
            let Answer { status, body: answer } = servo.post(&body).unwrap();
            let body = body.get(..120).unwrap_or(&body);
            assert_eq!(status, 200, "{body}: {answer}");
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["status"], expected, "{body}: {answer}");
        }
        // While it is due, each is a failed measurement and no more.
        for body in [
            r#"{"event": "MEASUREMENT", "param": {"metrics": {"requests throughput": {"value": NaN}, "p95": {"value": -Infinity}}}}"#.to_owned(),
            python(&failed),
        ] {
            let command = loop {
                let command = servo.send("WHATS_NEXT", &Value::Null).unwrap();
                // It may be asked what is in force, since it has greeted.
                match command["cmd"].as_str().unwrap() {
                    "SLEEP" => {}
                    "DESCRIBE" => drop(servo.send("DESCRIPTION", &json!({"descriptor": application.describe(), "status": "ok"})).unwrap()),
                    _ => break command,
                }
            };
            assert_eq!(command["cmd"], "MEASURE");
            let answer = servo.post(&body).unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#));
        }
        // Only a bad token or path is an error, and one that the original can
        // print.
        let mut stranger = Original::new(address, PATH, None, WAIT);
        let mut elsewhere = Original::new(address, "/accounts/other/applications/shop/servo", Some(TOKEN), WAIT);
        for (servo, expected) in [(&mut stranger, 401), (&mut elsewhere, 404)] {
            let answer = servo.post(r#"{"event": "WHATS_NEXT", "param": null}"#).unwrap();
            assert_eq!(answer.status, expected);
            let answer: Value = serde_json::from_str(&answer.body).unwrap();
            assert!(answer["message"].is_string());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servox_plays_a_whole_study() {
    let found = aside(environment).await;
    let Some(environment) = present("servox_plays_a_whole_study", found) else {
        return;
    };
    let workspace = Workspace::new().unwrap();
    let more = [
        "--trials",
        "4",
        "--duration",
        "1",
        "--objective",
        "throughput / p95",
        "--settlement",
        "1",
    ];
    let (mut service, address) = optune(&workspace, "127.0.0.1:0", &more).await;
    let folder = workspace.path().join("servox");
    let base = format!("http://{address}");
    let servox = Servox::new(environment, &folder, &base, "acme.com", "shop", TOKEN).unwrap();
    let servo = Process::start(servox.command()).unwrap();
    service.line("acme.com/shop: done").await.unwrap();
    // In the middle of a request it would end without a word.
    servo.says("Sleeping for").await.unwrap();
    servo.signal(Signal::TERM).unwrap();
    let ran = servo.end().await.unwrap();

    let view = view(address).await;
    let summary = &view["summary"];
    assert_eq!(summary["state"], "done", "{view}\n{}", ran.stderr);
    assert_eq!(summary["baseline"]["score"], 5.0);
    assert_eq!(summary["trials"]["scored"], 4, "{view}");
    for trial in view["trials"].as_array().unwrap() {
        let settings = &trial["settings"]["web"];
        let bonus = match settings["gc"].as_str().unwrap() {
            "g1" => 80.0,
            "parallel" => 30.0,
            _ => 0.0,
        };
        let throughput = 100.0 * settings["cpu"].as_f64().unwrap() + bonus;
        assert_eq!(trial["score"].as_f64(), Some(throughput / 20.0), "{trial}");
    }
    let agent = view["servo"]["agent"].as_str().unwrap();
    assert!(agent.contains("servox v25.3.0"), "{agent}");
    assert_eq!(view["servo"]["connected"], false, "it said goodbye");
    assert_same(&summary["settings"], &best(&view));
    assert_same(
        &json!({ "web": servox.application().unwrap() }),
        &best(&view),
    );
}
