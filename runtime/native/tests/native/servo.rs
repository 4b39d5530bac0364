//! A whole servo with drivers as the original's base classes made them
//! (protocol section 14): what the service gets to see.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::support::{Folder, programs};
use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{
    Compat, Drivers, HttpAnswer, Pacing, Servo, ServoConfig, ServoHandle, StopReason, Transport,
    TransportError,
};
use servo_native::{NativeDriver, NativeOptions};
use servo_protocol::Envelope;

/// Hands out its commands, and cancels at the driver's first own progress where
/// it is told to.
struct Service {
    commands: Mutex<VecDeque<Value>>,
    cancel: bool,
    seen: Mutex<Vec<Value>>,
    handle: OnceLock<ServoHandle>,
}

#[async_trait]
impl Transport for Service {
    async fn post(&self, event: &Envelope) -> Result<HttpAnswer, TransportError> {
        let name = event.event.as_str();
        let answer = match (name, event.param.get("progress")) {
            ("WHATS_NEXT", _) => self
                .commands
                .lock()
                .unwrap()
                .pop_front()
                .unwrap_or_else(|| {
                    self.handle.get().unwrap().stop_now(StopReason::Sigterm);
                    json!({"cmd": "SLEEP", "param": {}})
                }),
            (_, Some(percent)) if self.cancel && percent.as_f64() > Some(0.0) => {
                json!({"status": "cancel", "reason": "operator pressed stop"})
            }
            _ => json!({"status": "ok"}),
        };
        self.seen
            .lock()
            .unwrap()
            .push(serde_json::to_value(event).unwrap());
        Ok(HttpAnswer {
            status: 200,
            body: answer.to_string().into(),
            retry_after: None,
        })
    }
}

fn folder() -> Folder {
    let folder = Folder::new();
    for name in ["measure", "adjust"] {
        let program = programs().join(format!("{name}.py"));
        std::os::unix::fs::symlink(program, folder.path(name)).unwrap();
    }
    folder.write("settings.json", r#"{"cpu": 1, "gc": "g1"}"#);
    folder
}

fn driver(options: &NativeOptions, name: &str) -> Arc<NativeDriver> {
    Arc::new(NativeDriver::new(Path::new(name), options).unwrap())
}

/// Lets a servo carry out commands, and returns every report about them.
async fn run(folder: &Folder, commands: Vec<Value>, cancel: bool) -> Vec<Value> {
    run_as(folder, commands, cancel, false).await
}

/// The same, with the original's manners where `compat` says so.
async fn run_as(folder: &Folder, commands: Vec<Value>, cancel: bool, compat: bool) -> Vec<Value> {
    let mut options = folder.options();
    options.compat = compat;
    let drivers = Drivers {
        measure: Some(driver(&options, "./measure")),
        adjust: Some(driver(&options, "./adjust")),
    };
    let service = Arc::new(Service {
        commands: Mutex::new(commands.into()),
        cancel,
        seen: Mutex::default(),
        handle: OnceLock::new(),
    });
    let mut config = ServoConfig::new("shop");
    if compat {
        config.compat = Compat::original();
    }
    config.pacing = Pacing {
        gap: Duration::from_millis(10),
        ..Pacing::default()
    };
    let transport: Arc<dyn Transport> = service.clone();
    let servo = Servo::new(config, drivers, transport);
    service.handle.set(servo.handle()).unwrap();
    servo.run().await;
    let seen = service.seen.lock().unwrap().clone();
    let about = ["DESCRIPTION", "MEASUREMENT", "ADJUSTMENT"];
    seen.into_iter()
        .filter(|event| about.contains(&event["event"].as_str().unwrap()))
        .collect()
}

fn finals(reports: &[Value]) -> Vec<Value> {
    let last = |event: &&Value| event["param"].get("progress").is_none();
    reports
        .iter()
        .filter(last)
        .map(|event| event["param"].clone())
        .collect()
}

fn measure(mode: &str) -> Value {
    json!({"cmd": "MEASURE", "param": {
        "metrics": ["p95"],
        "control": {"duration": 2, "load": {"mode": mode}},
    }})
}

fn adjust(cpu: f64, mode: &str) -> Value {
    json!({"cmd": "ADJUST", "param": {
        "state": {"application": {"components": {"web": {"settings": {"cpu": {"value": cpu}}}}}},
        "control": {"settlement": 0, "userdata": {"mode": mode}},
    }})
}

#[tokio::test]
async fn describe_measure_and_adjust() {
    let folder = folder();
    let describe = json!({"cmd": "DESCRIBE", "param": {}});
    let commands = vec![
        describe.clone(),
        measure("annotate"),
        measure("late"),
        adjust(1.5, "go"),
        describe,
    ];
    let reports = run(&folder, commands, false).await;
    let finals = finals(&reports);
    assert_eq!(finals.len(), 5, "{reports:#?}");

    let described = |cpu: f64| {
        json!({"status": "ok", "descriptor": {
            "application": {"components": {"web": {"settings": {
                "cpu": {"type": "range", "min": 0.5, "max": 4, "step": 0.25, "value": cpu, "unit": "cores"},
                "gc": {"type": "enum", "values": ["serial", "g1"], "value": "g1"},
            }}}},
            "measurement": {"metrics": {
                "requests throughput": {"unit": "rps", "weight": 2},
                "p95": {"unit": "ms", "min": 0},
            }},
        }})
    };
    let mut first = described(1.0);
    first["descriptor"]["application"]["components"]["web"]["settings"]["cpu"]["value"] = json!(1);
    assert_eq!(finals[0], first);
    let metrics = json!({
        "requests throughput": {"unit": "rps", "value": 104.5},
        "p95": {"unit": "ms", "values": [
            {"id": "pod-7", "data": [[1_700_000_040, 81.5], [1_700_000_100, 79.0]]},
            {"id": "pod-9", "data": [[1_700_000_040, 90.25], [1_700_000_100, null]]},
        ]},
    });
    assert_eq!(
        finals[1],
        json!({"status": "ok", "metrics": metrics, "annotations": {"duration": "2"}})
    );
    assert_eq!(finals[2], json!({"status": "ok", "metrics": metrics}));
    let state =
        json!({"application": {"components": {"web": {"settings": {"cpu": {"value": 1.5}}}}}});
    assert_eq!(finals[3], json!({"status": "ok", "state": state}));
    assert_eq!(finals[4], described(1.5));
    assert_eq!(folder.read("settings.json"), r#"{"cpu": 1.5, "gc": "g1"}"#);
}

/// Status, reason and the end of the message, by driver and mode.
#[tokio::test]
async fn failures_of_the_base_classes() {
    let commands = vec![
        measure("fail"),
        adjust(1.5, "reject"),
        adjust(1.5, "fail"),
        // Nobody described that, so the driver is not asked.
        adjust(17.0, "go"),
    ];
    let folder = folder();
    let finals = finals(&run(&folder, commands, false).await);
    let seen: Vec<(&str, &str)> = finals
        .iter()
        .map(|param| {
            let text = |name: &str| param[name].as_str().unwrap();
            (text("status"), text("reason"))
        })
        .collect();
    let wanted = [
        ("failed", "unknown"),
        ("rejected", "unstable"),
        ("failed", "unknown"),
        ("rejected", "invalid-setting"),
    ];
    assert_eq!(seen, wanted);
    let messages: Vec<&str> = finals
        .iter()
        .map(|it| it["message"].as_str().unwrap())
        .collect();
    for (message, start) in messages.iter().zip([
        "the load generator is not there\nstderr:\nTraceback",
        "pod restarted twice\nstderr:\nTraceback",
        "'backend'\nstderr:\nTraceback",
    ]) {
        assert!(message.starts_with(start), "{message}");
    }
    assert_eq!(folder.read("settings.json"), r#"{"cpu": 1, "gc": "g1"}"#);
}

#[tokio::test]
async fn cancels_of_the_base_classes() {
    // The measure driver ends by itself and says so in its own way.
    let reports = run(&folder(), vec![measure("wait")], true).await;
    let progress = &reports[1]["param"];
    assert_eq!(progress["progress"], 10);
    assert_eq!(progress["message"], "measuring p95");
    assert_eq!(
        (&progress["stage"], &progress["stageprogress"]),
        (&json!("load"), &json!(10))
    );
    let finals_of_measure = finals(&reports);
    assert_eq!(finals_of_measure.len(), 1);
    let param = &finals_of_measure[0];
    assert_eq!(
        (&param["status"], &param["reason"]),
        (&json!("failed"), &json!("unknown"))
    );
    let message = param["message"].as_str().unwrap();
    assert!(
        message.starts_with("cancelled in the middle\nstderr:\n"),
        "{message}"
    );

    // The adjust driver promises it and has no handler: the signal kills it.
    let finals_of_adjust = finals(&run(&folder(), vec![adjust(1.5, "hang")], true).await);
    assert_eq!(finals_of_adjust.len(), 1);
    let param = &finals_of_adjust[0];
    assert_eq!(
        (&param["status"], &param["reason"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
}

/// Final reports without their messages: ours and the original's, by what the
/// driver did (sections 4.4, 4.5, 8 and 22).
#[tokio::test]
async fn what_the_service_sees_in_either_manner() {
    let metrics = json!({"a": {"value": 1}});
    let failed = |status: &str, reason: Option<&str>| {
        let mut param = json!({"status": status});
        if let Some(reason) = reason {
            param["reason"] = json!(reason);
        }
        param
    };
    let success = json!({"status": "ok", "metrics": metrics});
    let bare = json!({"metrics": metrics});
    let ok = r#"echo '{"status":"ok","metrics":{"a":{"value":1}}}'"#;
    let stays = "echo '{\"progress\":1}'; sleep 100000";
    for (call, cancel, ours, original) in [
        (ok.to_owned(), false, success, bare.clone()),
        (
            format!("{ok}; exit 3"),
            false,
            failed("failed", Some("exit-code")),
            bare,
        ),
        (
            "exit 0".to_owned(),
            false,
            failed("nodata", None),
            failed("nodata", Some("undefined")),
        ),
        (
            r#"echo '{"metrics":{"a":{"value":1}}}'"#.to_owned(),
            false,
            failed("failed", Some("no-status")),
            failed("undefined", Some("undefined")),
        ),
        (
            r#"echo '{"status":"aborted","reason":"slo-violation"}'; exit 1"#.to_owned(),
            false,
            failed("aborted", Some("slo-violation")),
            failed("aborted", Some("slo-violation")),
        ),
        (
            r#"echo '{"status":"ok"}'"#.to_owned(),
            false,
            failed("failed", Some("invalid-measurement")),
            failed("failed", None),
        ),
        (
            stays.to_owned(),
            true,
            failed("cancelled", Some("cancelled")),
            failed("nodata", Some("undefined")),
        ),
    ] {
        for (compat, wanted) in [(false, &ours), (true, &original)] {
            let folder = Folder::with(&call);
            let commands = vec![json!({"cmd": "MEASURE", "param": {"control": {}}})];
            let mut finals = finals(&run_as(&folder, commands, cancel, compat).await);
            assert_eq!(finals.len(), 1, "{call} compat={compat}");
            let mut seen = finals.remove(0);
            seen.as_object_mut().unwrap().remove("message");
            assert_eq!(&seen, wanted, "{call} compat={compat}");
        }
    }
}
