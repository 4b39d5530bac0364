//! One case for each key of `grants.limits` that the sandbox enforces.

use std::sync::Arc;

use serde_json::{Value, json};
use servo_artifact::CancelSupport;
use servo_sandbox::{End, Limit, Part, Silent};
use tokio_util::sync::CancellationToken;

use servo_test_support::binding::measurement;

use super::House;

/// Runs the step, and asserts that the limit was counted and, unless the guest
/// may go on, that it ended the step and was recorded as that which did.
async fn bites(key: &str, behaviour: Value, grants: Value) {
    let house = House::open();
    let cancelled = key == "cancel_grace";
    let step = house.run(&behaviour, &grants, cancelled).await;
    assert_eq!(house.hits(key), 1, "{key}: {:?}", step.end);
    let recorded = house.book.lines();
    match &step.end {
        End::Limit { .. } => {
            let line = format!("budget denied limit measure {key}");
            assert_eq!(recorded, [line], "{key}");
        }
        End::Cancelled => assert_eq!(recorded, ["budget capped cancelled measure cancel_grace"]),
        End::Ok(_) => assert_eq!(recorded.len(), 1, "{key}: {recorded:?}"),
        other => panic!("{key}: {other:?}"),
    }
    let metric = format!("servo_limit_hits_total{{limit=\"{key}\"}} 1");
    let text = house.audit.counters().prometheus();
    assert!(text.lines().any(|line| line == metric), "{text}");
}

fn limits(limits: Value) -> Value {
    json!({ "limits": limits })
}

#[tokio::test]
async fn b1_memory_is_counted_and_recorded() {
    let grow = json!({ "do": "grow", "crash": true });
    bites("memory", grow, limits(json!({ "memory": "8MiB" }))).await;
}

#[tokio::test]
async fn a1_cpu_is_counted_and_recorded() {
    let spin = json!({ "do": "spin" });
    bites("cpu", spin, limits(json!({ "cpu": "50ms" }))).await;
}

#[tokio::test]
async fn a5_wall_is_counted_and_recorded() {
    let sleep = json!({ "do": "sleep", "nanos": u64::MAX });
    bites("wall", sleep, limits(json!({ "wall": "200ms" }))).await;
}

#[tokio::test]
async fn a5_step_wall_is_counted_and_recorded() {
    let sleep = json!({ "do": "sleep", "nanos": u64::MAX });
    bites("step_wall", sleep, limits(json!({ "step_wall": "200ms" }))).await;
}

/// The undo of a cancelled call has a time of its own, and no other is so short.
#[tokio::test]
async fn a5_undo_wall_is_counted_and_recorded() {
    let house = House::open();
    let driver = house.driver(CancelSupport::Step).await;
    let grants = limits(json!({ "undo_wall": "200ms" }));
    let config = json!({ "at": "cancelled", "behaviour": { "do": "sleep", "nanos": u64::MAX } });
    let bound = house.bind_with(&driver, config, &grants);
    let call = bound.begin_as(
        Part::Undo,
        "the call".to_owned(),
        Arc::new(Silent),
        CancellationToken::new(),
    );
    let step = call.measure_cancelled(&measurement(), "\"\"", None).await;
    let End::Limit { limit, .. } = step.end else {
        panic!("{:?}", step.end);
    };
    assert_eq!(limit, Limit::UndoWall);
    assert_eq!(house.hits("undo_wall"), 1);
    let line = "budget denied limit cancelled undo_wall";
    assert_eq!(house.book.lines(), [line]);
}

#[tokio::test]
async fn i4_cancel_grace_is_counted_and_recorded() {
    let deaf = json!({ "do": "deaf" });
    bites(
        "cancel_grace",
        deaf,
        limits(json!({ "cancel_grace": "50ms" })),
    )
    .await;
}

#[tokio::test]
async fn b6_handles_are_counted_and_recorded() {
    let hold = json!({ "do": "hold", "handle": "pollable" });
    bites("handles", hold, limits(json!({ "handles": 64 }))).await;
}

#[tokio::test]
async fn b8_hostcall_bytes_are_counted_and_recorded() {
    let store = json!({ "do": "store", "key": "k", "bytes": 100_000 });
    let grants = limits(json!({ "hostcall_bytes": "64KiB" }));
    bites("hostcall_bytes", store, grants).await;
}

#[tokio::test]
async fn b8_result_bytes_are_counted_and_recorded() {
    let result = json!({ "do": "result", "bytes": 10_000 });
    bites(
        "result_bytes",
        result,
        limits(json!({ "result_bytes": "4KiB" })),
    )
    .await;
}

#[tokio::test]
async fn b8_state_bytes_are_counted_and_recorded() {
    let pause = json!({ "do": "pause", "state_bytes": 10_000 });
    bites(
        "state_bytes",
        pause,
        limits(json!({ "state_bytes": "4KiB" })),
    )
    .await;
}

#[tokio::test]
async fn a4_steps_are_counted_and_recorded() {
    let pause = json!({ "do": "pause", "state_bytes": 1 });
    bites("steps", pause, limits(json!({ "steps": 1 }))).await;
}

#[tokio::test]
async fn g1_output_bytes_are_counted_and_recorded_once() {
    let print = json!({ "do": "print", "bytes": 10_000, "text": "" });
    bites(
        "output_bytes",
        print,
        limits(json!({ "output_bytes": "4KiB" })),
    )
    .await;
}

#[tokio::test]
async fn g2_log_lines_are_counted_and_recorded_once() {
    let log = json!({ "do": "log", "lines": 100, "bytes": 1 });
    bites("log_lines", log, limits(json!({ "log_lines": 7 }))).await;
}

#[tokio::test]
async fn g2_log_bytes_are_counted_and_recorded_once() {
    let log = json!({ "do": "log", "lines": 100, "bytes": 100 });
    bites("log_bytes", log, limits(json!({ "log_bytes": "4KiB" }))).await;
}
