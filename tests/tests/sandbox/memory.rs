//! B: memory of the guest, and of the host on its behalf.

use serde_json::json;
use servo_sandbox::{End, Limit};

use crate::support::{
    assert_limit, assert_ok, begin, bind, binding, driver, gate, measure, notes, run,
};

#[tokio::test]
async fn b1_growth_is_refused_at_the_cap() {
    let grants = || json!({ "limits": { "memory": "8MiB" } });
    let step = run(json!({ "do": "grow", "crash": false }), grants()).await;
    assert_eq!(notes(&step)["memory"], (8 << 20).to_string());
    assert_eq!(step.report.memory, 8 << 20);

    let step = run(json!({ "do": "grow", "crash": true }), grants()).await;
    assert_limit(&step, Limit::Memory);
    assert_eq!(step.report.memory, 8 << 20);
}

#[tokio::test]
async fn b3_a_memory_that_begins_above_the_cap_is_not_made() {
    let grants = json!({ "limits": { "memory": "64KiB" } });
    let step = run(json!({ "do": "nothing" }), grants).await;
    assert_limit(&step, Limit::Memory);
    assert_eq!(step.report.memory, 0);
}

#[tokio::test]
async fn b3_a_memory_above_what_the_host_has_is_refused_when_bound() {
    let grants = json!({ "limits": { "memory": "4GiB" } });
    let refused = crate::support::try_bind(&driver().await, json!({ "do": "nothing" }), grants);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("grants.limits.memory"), "{text}");
}

#[tokio::test]
async fn b5_recursion_ends() {
    // A compiler's frames lie in the guest's own memory, so this one leaves the
    // memory before it leaves the stack.
    let bound = bind(&driver().await, json!({ "do": "recurse" }), json!({}));
    for _ in 0..3 {
        let step = measure(&bound).await;
        assert!(matches!(step.end, End::Trap(_)), "{:?}", step.end);
    }
}

#[tokio::test]
async fn b6_handles_are_limited_whatever_they_are() {
    for handle in ["pollable", "fields", "stream", "folder"] {
        let folder = tempfile::tempdir().unwrap();
        let grants = json!({
            "folders": [{ "name": "data", "path": folder.path() }],
            "limits": { "handles": 64 },
        });
        let step = run(json!({ "do": "hold", "handle": handle }), grants).await;
        assert_limit(&step, Limit::Handles);
    }
}

#[tokio::test]
async fn b7_header_fields_are_limited() {
    let run_with = async |count: u32, bytes: usize| {
        let fields = json!({ "do": "fields", "count": count, "bytes": bytes });
        run(fields, json!({ "limits": { "cpu": "60s" } })).await
    };
    assert_eq!(notes(&run_with(16, 1 << 10).await)["taken"], "16");
    // Together above the limit of one set, and one value above what is copied
    // at all.
    for (count, bytes) in [(64, 1 << 10), (1_000_000, 1), (1, 64 << 10), (1, 3 << 20)] {
        let step = run_with(count, bytes).await;
        assert!(
            matches!(step.end, End::Trap(_)),
            "{count} of {bytes}: {:?}",
            step.end
        );
    }
    assert_limit(&run_with(1, 8 << 20).await, Limit::HostcallBytes);
}

#[tokio::test]
async fn b8_a_large_result_is_not_taken() {
    let large = |bytes: usize| json!({ "do": "result", "bytes": bytes });
    let step = run(large(1 << 10), json!({})).await;
    assert_ok(&step);
    // Above what a result may have, and above what is copied at all.
    assert_limit(&run(large(2 << 20), json!({})).await, Limit::ResultBytes);
    assert_limit(&run(large(8 << 20), json!({})).await, Limit::HostcallBytes);
}

#[tokio::test]
async fn b8_a_large_state_is_not_kept() {
    let pause = |state_bytes: usize| json!({ "do": "pause", "state_bytes": state_bytes });
    assert_ok(&run(pause(1 << 10), json!({})).await);
    assert_limit(&run(pause(65 << 10), json!({})).await, Limit::StateBytes);
}

#[tokio::test]
async fn b10_random_bytes_come_in_small_portions() {
    let random = |bytes: u64| json!({ "do": "random", "bytes": bytes });
    let step = run(random(64 << 10), json!({})).await;
    assert_eq!(notes(&step)["random"], (64 << 10).to_string());
    for bytes in [(64 << 10) + 1, 1 << 30, u64::MAX] {
        let step = run(random(bytes), json!({})).await;
        assert!(matches!(step.end, End::Trap(_)), "{:?}", step.end);
    }
}

#[tokio::test]
async fn b15_metric_names_are_unique_and_few() {
    let driver = driver().await;
    for (count, alike, taken) in [
        (1_000, false, true),
        (1_001, false, false),
        (10_000, false, false),
        (2, true, false),
    ] {
        let behaviour = json!({ "do": "metrics", "count": count, "alike": alike });
        let config = json!({ "at": "describe", "behaviour": behaviour });
        let bound = driver.bind(&gate().0, binding(config, json!({}))).unwrap();
        let step = begin(&bound).describe_metrics("shop").await;
        match step.end {
            End::Ok(metrics) => assert!(taken && metrics.len() == 1_000),
            End::Trap(text) => assert!(!taken && text.contains("contract"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}
