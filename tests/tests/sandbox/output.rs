//! G: output and logs; and the store that outlives a call.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use servo_sandbox::{End, MAX_STORE_BYTES};
use tokio_util::sync::CancellationToken;

use crate::support::{Recorder, bind, driver, measure, notes, request, run};

#[tokio::test]
async fn g1_output_is_kept_up_to_its_cap() {
    let print = json!({ "do": "print", "bytes": 20 << 20, "text": "first" });
    let grants = json!({ "limits": { "output_bytes": "4KiB", "cpu": "60s" } });
    let step = run(print, grants).await;
    assert_eq!(notes(&step)["failed"], "0");
    let output = &step.report.output;
    assert_eq!(output.kept.len(), 4 << 10);
    assert!(output.text().starts_with("first\n"));
    assert_eq!(
        output.kept.len() as u64 + output.dropped,
        2 * ((20 << 20) + "first\n".len() as u64)
    );
}

#[tokio::test]
async fn g2_log_lines_are_passed_on_up_to_their_cap() {
    for (lines, bytes, limits, passed) in [
        (10_000, 1, json!({ "log_lines": 7 }), 7),
        (10, 1 << 10, json!({ "log_bytes": "4KiB" }), 3),
        (3, 1, json!({}), 3),
    ] {
        let log = json!({ "do": "log", "lines": lines, "bytes": bytes });
        let bound = bind(&driver().await, log, json!({ "limits": limits }));
        let recorder = Arc::new(Recorder::default());
        let call = bound.begin(Arc::clone(&recorder) as _, CancellationToken::new());
        let step = call.measure(&request(), None).await;
        assert_eq!(notes(&step)["logged"], lines.to_string());
        assert_eq!(recorder.lines.load(Ordering::SeqCst), passed);
        assert_eq!(step.report.log_lines_dropped, (lines - passed) as u64);

        // The cap is one of the call and not of the step.
        call.measure(&request(), None).await;
        let total = recorder.lines.load(Ordering::SeqCst);
        assert!(total == passed || lines == 3, "{total}");
    }
}

const WIRE: &str = r#"{"cmd":"hostile wire message"}"#;

/// Runs in a process of its own, whose output the test below looks at.
#[tokio::test]
async fn g3_printing_child() {
    let print = json!({ "do": "print", "bytes": 10, "text": WIRE });
    let step = run(print, json!({})).await;
    assert_eq!(step.report.output.text().matches(WIRE).count(), 2);
}

#[tokio::test]
async fn g3_what_a_guest_prints_is_not_our_output() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "output::g3_printing_child",
            "--nocapture",
            "--test-threads=1",
        ])
        .output()
        .unwrap();
    let printed = [child.stdout, child.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(child.status.success(), "{printed:?}");
    assert!(printed[0].contains("1 passed"), "{printed:?}");
    for text in printed {
        assert!(!text.contains("hostile wire"), "{text}");
    }
}

fn store(key: &str, bytes: usize) -> Value {
    json!({ "do": "store", "key": key, "bytes": bytes })
}

#[tokio::test]
async fn the_store_outlives_a_call_and_is_capped() {
    use crate::support::{binding, gate};

    let driver = driver().await;
    let state = binding(json!({}), json!({})).state;
    let bound = |behaviour: Value| {
        let mut binding = binding(json!({ "behaviour": behaviour }), json!({}));
        binding.state = Arc::clone(&state);
        driver.bind(&gate().0, binding).unwrap()
    };
    assert_eq!(notes(&measure(&bound(store("a", 10))).await)["keys"], "a");
    assert_eq!(notes(&measure(&bound(store("b", 10))).await)["keys"], "a,b");
    for (key, bytes) in [("c", MAX_STORE_BYTES), ("", 1), (&*"k".repeat(129), 1)] {
        let step = measure(&bound(store(key, bytes))).await;
        assert!(matches!(step.end, End::Failure(_)), "{:?}", step.end);
    }
    assert_eq!(state.keys().unwrap(), ["a", "b"]);
    assert_eq!(state.get("a").unwrap().unwrap(), "v".repeat(10));

    // Another binding has another store.
    let other = bind(&driver, store("z", 1), json!({}));
    assert_eq!(notes(&measure(&other).await)["keys"], "z");
}
