//! Components built against `servo:driver@0.2.0`, as bytes.
//!
//! The bytes in `tests/frozen` were made once, from the text beside them, and
//! are never made again: they stand for the drivers that people have built. A
//! change under which one of them fails breaks all of those, and is to be made
//! in a new version of the contract.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{World, compiler};
use serde_json::{Value, json};
use servo_artifact::Artifact;
use servo_audit::Owner;
use servo_egress::{Gate, SystemResolver};
use servo_policy::GrantsSpec;
use servo_sandbox::{Binding, Call, End, MemoryState, Part, Silent, adjust, measure, model};
use tokio_util::sync::CancellationToken;

fn frozen(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/frozen");
    tests.join(format!("{name}-0.2.0.wasm"))
}

/// A call of the frozen driver of that name.
async fn call(name: &str, part: Part, config: &Value, grants: &Value) -> Call {
    let artifact = Artifact::read(frozen(name)).unwrap();
    let driver = World::new().sandbox(compiler()).load(&artifact).await;
    let spec: GrantsSpec = serde_json::from_value(grants.clone()).unwrap();
    let binding = Binding {
        owner: Owner::default(),
        grants: spec.resolve(config, Path::new("/")).unwrap(),
        config: config.clone(),
        state: Arc::new(MemoryState::default()),
    };
    let gate = Gate::new(Arc::new(SystemResolver)).unwrap();
    let bound = driver.unwrap().bind(&gate, binding).unwrap();
    let cancel = CancellationToken::new();
    bound.begin_as(part, "frozen".to_owned(), Arc::new(Silent), cancel)
}

fn control() -> model::Control {
    model::Control {
        warmup: None,
        duration: None,
        delay: None,
        past: None,
        settlement: None,
        load: None,
        userdata: None,
    }
}

fn ended<T: std::fmt::Debug>(end: End<T>) -> T {
    match end {
        End::Ok(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// Answers one request with a text; the address, and the request's head.
fn server() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/value", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            head.push(byte[0]);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n42";
        stream.write_all(answer).unwrap();
        String::from_utf8(head).unwrap()
    });
    (url, served)
}

fn measuring() -> measure::MeasureRequest {
    measure::MeasureRequest {
        app: "shop".to_owned(),
        metrics: vec![],
        control: control(),
    }
}

const STATE: &str = r#"{"step":1}"#;

#[tokio::test]
async fn a_measure_driver_of_0_2_0_describes_waits_and_undoes() {
    let config = json!({ "url": "http://127.0.0.1:9/value" });
    let call = call("measure", Part::Act, &config, &json!({})).await;
    let metrics = ended(call.describe_metrics("shop").await.end);
    assert_eq!(metrics[0].name, "value");
    let request = measuring();
    let measure::MeasureStep::Wait(pause) = ended(call.measure(&request, None).await.end) else {
        panic!("it waits first");
    };
    assert_eq!((pause.wait, pause.state.as_str()), (30.0, STATE));
    let undone = call.measure_cancelled(&request, STATE, None).await;
    assert!(matches!(ended(undone.end), measure::UndoStep::Done));
}

#[tokio::test]
async fn a_measure_driver_of_0_2_0_asks_in_one_call() {
    let (url, served) = server();
    let config = json!({ "url": url });
    let grants = json!({ "http": [{ "rule": format!("GET {url}"), "private": true }] });
    let call = call("measure", Part::Act, &config, &grants).await;
    let step = call.measure(&measuring(), Some(STATE)).await;
    let measure::MeasureStep::Done(done) = ended(step.end) else {
        panic!("it is done then");
    };
    assert_eq!(
        (done.notes[0].name.as_str(), done.notes[0].text.as_str()),
        ("answer", "42")
    );
    assert!(
        served
            .join()
            .unwrap()
            .starts_with("GET /value HTTP/1.1\r\n")
    );
}

fn workers(settings: &[model::SettingValue]) -> i64 {
    match settings {
        [one] if one.component == "app" && one.setting == "workers" => match one.value {
            model::Scalar::Integer(value) => value,
            _ => panic!("{one:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_adjust_driver_of_0_2_0_waits_recovers_and_undoes() {
    let call = call("adjust", Part::Act, &json!({}), &json!({})).await;
    let application = ended(call.describe_application("shop").await.end);
    assert_eq!(application.components[0].settings[0].name, "workers");
    let request = adjust::AdjustRequest {
        app: "shop".to_owned(),
        settings: vec![],
        control: control(),
        dry_run: false,
    };
    let adjust::AdjustStep::Wait(pause) = ended(call.adjust(&request, None).await.end) else {
        panic!("it waits first");
    };
    assert_eq!(pause.wait, 30.0);
    let done = ended(call.adjust(&request, Some(&pause.state)).await.end);
    let adjust::AdjustStep::Done(done) = done else {
        panic!("{done:?}");
    };
    assert_eq!(workers(&done.settings), 6);

    let mut interruption = adjust::Interruption {
        state: Some(pause.state.clone()),
        in_step: true,
    };
    let taken_up = ended(call.recover(&request, &interruption).await.end);
    assert!(matches!(taken_up, adjust::AdjustStep::Done(done) if workers(&done.settings) == 6));
    interruption.state = None;
    let End::Failure(failed) = call.recover(&request, &interruption).await.end else {
        panic!("it cannot");
    };
    assert_eq!(failed.failure.message, "not taken up");
    assert_eq!(workers(&failed.in_force.unwrap()), 4);

    let state = pause.state.as_str();
    let undo = ended(call.adjust_cancelled(&request, state, None).await.end);
    let adjust::UndoStep::Wait(pause) = undo else {
        panic!("{undo:?}");
    };
    let undo = call
        .adjust_cancelled(&request, state, Some(&pause.state))
        .await;
    let undo = ended(undo.end);
    assert!(matches!(undo, adjust::UndoStep::Done(done) if workers(&done.settings) == 4));
}

/// The contract before is not served, and the operator is told what to do.
#[test]
fn a_driver_of_0_1_0_is_refused_with_the_remedy() {
    let bytes = std::fs::read(frozen("adjust")).unwrap();
    let replaced = |bytes: &[u8], from: &[u8], to: &[u8]| {
        let mut bytes = bytes.to_vec();
        for at in 0..bytes.len().saturating_sub(from.len()) {
            if bytes[at..].starts_with(from) {
                bytes[at..at + to.len()].copy_from_slice(to);
            }
        }
        bytes
    };
    let world = replaced(&bytes, b"servo:driver@0.2.0", b"servo:driver@0.1.0");
    let interface = replaced(&bytes, b"adjust@0.2.0", b"adjust@0.1.0");
    for (what, bytes) in [("world", world), ("interface", interface)] {
        let refused = Artifact::from_bytes(bytes).unwrap_err().to_string();
        assert!(refused.contains("servo:driver@0.2.0"), "{what}: {refused}");
        assert!(refused.contains("build the driver"), "{what}: {refused}");
    }
}
