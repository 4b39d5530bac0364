//! Cases 29 to 31: the environment that a command asks for.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{CallContext, EnvironmentCheck};
use servo_native::{NativeEnvironment, NativeOptions};
use servo_protocol::{Failure, Operation, Reason, Status};

use crate::acting::{Act, Acting};
use crate::cases::drivers::framed;
use crate::cases::native::Folder;
use crate::expect::{Seen, at, some, starting};
use crate::stage::{Scene, command, state};

fn param() -> Value {
    json!({
        "metrics": ["m"],
        "state": state(1.5),
        "control": {"environment": {"mode": "canary"}, "duration": "2m"},
    })
}

fn mismatch(compat: bool, reason: &str) -> Value {
    let mut report = json!({"status": "environment-mismatch", "message": "*"});
    if !compat {
        report["reason"] = json!(reason);
    }
    report
}

/// Every command that runs drivers, and the event that answers it. No driver
/// runs, and nothing is reported meanwhile.
async fn refused(check: Option<&Arc<Recorder>>, reason: &str) {
    for compat in [false, true] {
        for (name, event) in [
            ("DESCRIBE", "DESCRIPTION"),
            ("MEASURE", "MEASUREMENT"),
            ("ADJUST", "ADJUSTMENT"),
        ] {
            let (measure, adjust) = (Acting::new(false, vec![]), Acting::new(false, vec![]));
            let report = at(0.0, event, mismatch(compat, reason));
            let mut scene = Scene::new(name, vec![command(name, param())])
                .measure(&measure)
                .adjust(&adjust)
                .expect(framed(0.0, vec![report]));
            if let Some(check) = check {
                scene = scene.environment(Arc::clone(check) as _);
            }
            let scene = if compat { scene.compat() } else { scene };
            scene.play().await;
            for driver in [measure, adjust] {
                assert_eq!(
                    (driver.described(), driver.started().len()),
                    (0, 0),
                    "{name}"
                );
            }
        }
    }
}

/// Says no, and remembers what it was asked.
#[derive(Default)]
struct Recorder(Mutex<Vec<(Operation, Value)>>);

#[async_trait]
impl EnvironmentCheck for Recorder {
    async fn check(
        &self,
        _: &CallContext,
        operation: Operation,
        param: &Value,
    ) -> Result<(), Failure> {
        self.0.lock().unwrap().push((operation, param.clone()));
        Err(Failure {
            // Whatever a check calls it, the service hears of a mismatch.
            status: Status::Failed,
            reason: Some(Reason::from("mismatch")),
            message: Some("another mode".to_owned()),
            state: None,
        })
    }
}

pub async fn case_29() {
    refused(None, "no-plugin").await;
}

/// With a real program, which writes down what it read.
pub async fn case_30() {
    let folder = Folder::new();
    folder.program(
        "environment",
        "cat > seen.json; printf '{\\n\"status\": \"ok\"\\n}\\n'",
    );
    let options = NativeOptions::new("shop", folder.path());
    let check = NativeEnvironment::new(Path::new("./environment"), &options).unwrap();
    let driver = Acting::new(
        false,
        vec![Act::Done(json!({"metrics": {"m": {"value": 1}}}))],
    );
    let report = json!({"status": "ok", "metrics": {"m": {"value": 1}}});
    let timeless = |seen: Seen| some(&seen.event, seen.param);
    Scene::new("a program that says ok", vec![command("MEASURE", param())])
        .measure(&driver)
        .environment(Arc::new(check))
        .expect(
            framed(
                0.0,
                vec![starting(0.0, "MEASUREMENT"), at(0.0, "MEASUREMENT", report)],
            )
            .into_iter()
            .map(timeless)
            .collect(),
        )
        .play()
        .await;
    assert_eq!(driver.started().len(), 1);
    assert_eq!(
        folder.json("seen.json"),
        param(),
        "the whole param, as it came"
    );
}

pub async fn case_31() {
    let recorder = Arc::new(Recorder::default());
    refused(Some(&recorder), "mismatch").await;
    let asked = recorder.0.lock().unwrap();
    let operations: Vec<Operation> = asked.iter().map(|(operation, _)| *operation).collect();
    let each = [Operation::Describe, Operation::Measure, Operation::Adjust];
    assert_eq!(operations, [each, each].concat());
    assert!(asked.iter().all(|(_, seen)| *seen == param()));
}
