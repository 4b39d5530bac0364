//! A: computing time and waiting.

use std::time::Duration;

use serde_json::{Value, json};
use servo_sandbox::Limit;

use crate::support::{
    assert_limit, assert_ok, begin, beside_a_canary, bind, binding, canary, driver, gate, measure,
    notes, run,
};

/// Enough for the canary to be answered a few times on a busy machine.
const CPU: Duration = Duration::from_secs(1);

fn little_time() -> Value {
    json!({ "limits": { "cpu": "1s" } })
}

fn little_patience() -> Value {
    json!({ "limits": { "step_wall": "1s" } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_a_loop_in_describe_is_stopped() {
    let config = json!({ "at": "describe", "behaviour": { "do": "spin" } });
    let bound = driver()
        .await
        .bind(&gate().0, binding(config, little_time()))
        .unwrap();
    let again = bound.clone();
    let step = beside_a_canary(async move { begin(&bound).describe_metrics("shop").await }).await;
    assert_limit(&step, Limit::Cpu);
    assert!(step.report.cpu >= CPU, "it was stopped too early");
    assert_ok(&measure(&again).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_a_loop_in_measure_is_stopped() {
    let step = beside_a_canary(run(json!({ "do": "spin" }), little_time())).await;
    assert_limit(&step, Limit::Cpu);
    assert!(step.report.cpu >= CPU, "it was stopped too early");
}

#[tokio::test(flavor = "current_thread")]
async fn a1_a_loop_leaves_the_only_worker_to_others() {
    let step = beside_a_canary(run(json!({ "do": "spin" }), little_time())).await;
    assert_limit(&step, Limit::Cpu);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_polling_what_is_ready_is_charged() {
    let step = beside_a_canary(run(json!({ "do": "poll-ready" }), little_time())).await;
    assert_limit(&step, Limit::Cpu);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_an_endless_sleep_ends_with_the_step() {
    let sleep = json!({ "do": "sleep", "nanos": u64::MAX });
    let step = beside_a_canary(run(sleep, little_patience())).await;
    assert_limit(&step, Limit::Wall);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a5_an_endless_wait_ends_with_the_step() {
    // As seconds this is above what the host's clock can count.
    let wait = json!({ "do": "wait", "seconds": u64::MAX });
    let step = beside_a_canary(run(wait, little_patience())).await;
    assert_limit(&step, Limit::Wall);
}

#[tokio::test]
async fn a5_no_wait_at_all_is_answered() {
    for wait in [
        json!({ "do": "sleep", "nanos": 0 }),
        json!({ "do": "wait", "seconds": 0 }),
    ] {
        assert_eq!(notes(&run(wait, json!({})).await).len(), 1);
    }
}

#[tokio::test]
async fn a5_the_whole_call_is_limited_too() {
    let grants = json!({ "limits": { "wall": "300ms" } });
    let sleep = json!({ "do": "sleep", "nanos": u64::MAX });
    let call = begin(&bind(&driver().await, sleep, grants));
    let step = call.measure(&crate::support::request(), None).await;
    assert_limit(&step, Limit::Wall);
    // A later step of the same call has nothing left.
    let step = call.measure(&crate::support::request(), None).await;
    assert_limit(&step, Limit::Wall);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_a8_only_those_that_spin_are_stopped() {
    let driver = driver().await;
    let sleep = json!({ "do": "sleep", "nanos": 1_000_000 });
    let quiet = bind(&driver, sleep, json!({}));
    let spinning: Vec<_> = (0..8)
        .map(|_| {
            let grants = json!({ "limits": { "cpu": "300ms" } });
            tokio::spawn(run(json!({ "do": "spin" }), grants))
        })
        .collect();
    let others: Vec<_> = (0..20)
        .map(|_| {
            let quiet = quiet.clone();
            tokio::spawn(async move { measure(&quiet).await })
        })
        .collect();
    let canary = canary().await;
    while spinning.iter().any(|call| !call.is_finished()) {
        assert_ok(&measure(&canary).await);
    }
    for call in spinning {
        assert_limit(&call.await.unwrap(), Limit::Cpu);
    }
    for call in others {
        assert_ok(&call.await.unwrap());
    }
}
