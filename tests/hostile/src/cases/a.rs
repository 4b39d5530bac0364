//! A: computing time and waiting.
//!
//! A limit on time is shown three times over: the guest would have gone on for
//! ever, it ended not before its time, and another driver was answered while it
//! ran.

use std::time::Duration;

use serde_json::{Value, json};
use servo_artifact::DriverKind;

use crate::expect::{assert_killed, beside_a_canary, canary};
use crate::host::{Function, HostUnderTest};
use crate::shapes::{LOOP, Shape};
use crate::stage::{Bound, Stage};

/// Enough for the canary to be answered a few times on a busy machine.
const CPU: Duration = Duration::from_millis(500);

fn little_time() -> Value {
    json!({ "limits": { "cpu": "500ms" } })
}

fn little_patience() -> Value {
    json!({ "limits": { "step_wall": "500ms" } })
}

/// Calls a driver that never ends beside a canary; it is stopped at its
/// computing time and not before, and what it can still do works.
async fn spins<H: HostUnderTest>(stage: &Stage<H>, bound: Bound<H>, function: Function) {
    let step = beside_a_canary(stage, async move { bound.call(function).await }).await;
    assert_killed(stage, &step, "cpu");
    assert!(step.used.cpu >= CPU, "it was stopped too early");
}

/// A loop in `describe`.
pub async fn a1_a_loop_in_describe_is_stopped<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let config = json!({ "at": "describe", "behaviour": { "do": "spin" } });
    let bound = stage.bind(&stage.driver().await, config, little_time());
    spins(&stage, bound.clone(), Function::DescribeMetrics).await;
    bound.measure().await.assert_answered();
}

/// A loop in `measure`.
pub async fn a1_a_loop_in_measure_is_stopped<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let bound = stage.behaving(json!({ "do": "spin" }), little_time()).await;
    spins(&stage, bound.clone(), Function::Measure).await;
    bound.describe().await.assert_answered();
}

/// A loop in `adjust`.
pub async fn a1_a_loop_in_adjust_is_stopped<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let shape = Shape {
        kind: DriverKind::Adjust,
        act: LOOP,
        ..Shape::default()
    };
    let bound = stage.shaped(&shape, little_time()).await;
    spins(&stage, bound.clone(), Function::Adjust).await;
    let described = bound.call(Function::DescribeApplication).await;
    described.assert_answered();
}

/// On a runtime with one worker the canary needs the very thread that the
/// guest computes on. Started by the suite with one.
pub async fn a1_a_loop_leaves_the_only_worker_to_others<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let bound = stage.behaving(json!({ "do": "spin" }), little_time()).await;
    spins(&stage, bound, Function::Measure).await;
}

/// A loop in the start function of the module.
pub async fn a2_a_loop_before_any_export_is_stopped<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let shape = Shape {
        items: format!("(func $start {LOOP}) (start $start)"),
        ..Shape::default()
    };
    let bound = stage.shaped(&shape, little_time()).await;
    spins(&stage, bound, Function::DescribeMetrics).await;
}

/// The host asks the guest for memory, and it never answers.
pub async fn a3_a_loop_where_the_host_asks_for_memory_is_stopped<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let shape = Shape {
        realloc: LOOP,
        ..Shape::default()
    };
    let bound = stage.shaped(&shape, little_time()).await;
    spins(&stage, bound, Function::DescribeMetrics).await;
}

/// The guest has answered, and the clean-up after it never ends.
pub async fn a3_a_loop_after_the_answer_is_stopped<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let shape = Shape {
        items: format!(
            r#"(func (export "cabi_post_servo:driver/measure@0.2.0#describe") (param i32) {LOOP})"#
        ),
        ..Shape::default()
    };
    let bound = stage.shaped(&shape, little_time()).await;
    spins(&stage, bound, Function::DescribeMetrics).await;
}

/// A guest that lives in host calls is charged like one that computes.
pub async fn a4_polling_what_is_ready_is_charged<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let poll = json!({ "do": "poll-ready" });
    let bound = stage.behaving(poll, little_time()).await;
    spins(&stage, bound, Function::Measure).await;
}

/// Sleeps of WASI, of the contract, and to a moment far away.
pub async fn a5_an_endless_wait_ends_with_the_step<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for wait in [
        json!({ "do": "sleep", "nanos": u64::MAX }),
        // As seconds this is above what the host's clock can count.
        json!({ "do": "wait", "seconds": u64::MAX }),
    ] {
        let bound = stage.behaving(wait, little_patience()).await;
        let step = beside_a_canary(&stage, async move { bound.measure().await }).await;
        assert_killed(&stage, &step, "step_wall");
        // It waited and did not compute.
        assert!(step.used.cpu < CPU, "{:?}", step.used.cpu);
    }
}

/// Nothing to wait for is no fault.
pub async fn a5_no_wait_at_all_is_answered<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for wait in [
        json!({ "do": "sleep", "nanos": 0 }),
        json!({ "do": "wait", "seconds": 0 }),
        json!({ "do": "sleep-until", "instant": 0 }),
    ] {
        assert_eq!(stage.run(wait, json!({})).await.notes().len(), 1);
    }
}

/// The steps of a call share its time.
pub async fn a5_the_whole_call_is_limited_too<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let grants = json!({ "limits": { "wall": "300ms" } });
    let sleep = json!({ "do": "sleep", "nanos": u64::MAX });
    let call = stage
        .behaving(sleep, grants)
        .await
        .begin(&std::sync::Arc::default());
    call.measure().await.assert_limit("wall");
    // A later step of the same call has nothing left.
    call.measure().await.assert_limit("wall");
}

/// What the host reads of a guest's JSON text is bounded before it is read, and
/// the state of a pause is not parsed at all: the worst text costs no more than
/// the same bytes of another.
pub async fn a6_text_of_the_guest_is_not_parsed_by_anything_slow<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let canary = canary(&stage).await;
    for text in ["[", "{\"a\":", "((((a+)+)+)+)", "\\u0000", "\"\\"] {
        let pause = json!({ "do": "pause-with", "text": text, "times": 8_000 });
        let step = stage
            .run(pause, json!({ "limits": { "cpu": "60s" } }))
            .await;
        assert!(step.used.cpu < Duration::from_secs(60));
        assert!(
            matches!(
                step.end,
                crate::host::Ended::Answered(_) | crate::host::Ended::Limit { .. }
            ),
            "{:?}",
            step.end
        );
        canary.measure().await.assert_answered();
    }
}

/// Many tenants compute for ever on two workers, and a canary is answered.
pub async fn a7_sixty_four_tenants_that_spin_leave_the_canary_its_share<H: HostUnderTest>() {
    let stage = Stage::<H>::with_places(66);
    let driver = stage.driver().await;
    let canary = canary(&stage).await;
    let config = json!({ "behaviour": { "do": "spin" } });
    let spinning: Vec<_> = (0..64)
        .map(|number| {
            let tenant = format!("spinner-{number}");
            let grants = json!({ "limits": { "cpu": "60ms" } });
            let bound = stage.bind_for(&tenant, &driver, config.clone(), grants);
            tokio::spawn(async move { bound.measure().await })
        })
        .collect();
    // It is answered in its turns, of which it needs few.
    let mut answered = 0;
    while spinning.iter().filter(|call| call.is_finished()).count() < 32 {
        canary.measure().await.assert_answered();
        answered += 1;
    }
    assert!(answered >= 3, "the canary was answered {answered} times");
    for call in spinning {
        assert_killed(&stage, &call.await.unwrap(), "cpu");
    }
}

/// One deadline passes among many calls on one engine.
pub async fn a8_only_the_one_whose_time_is_over_is_stopped<H: HostUnderTest>() {
    let stage = Stage::<H>::with_places(64);
    let driver = stage.driver().await;
    let waits = |nanos: u64| json!({ "behaviour": { "do": "sleep", "nanos": nanos } });
    let long = json!({ "limits": { "step_wall": "60s" } });
    let others: Vec<_> = (0..50)
        .map(|_| {
            let bound = stage.bind(&driver, waits(600_000_000), long.clone());
            tokio::spawn(async move { bound.measure().await })
        })
        .collect();
    let short = json!({ "limits": { "step_wall": "100ms" } });
    let step = stage.bind(&driver, waits(u64::MAX), short).measure().await;
    assert_killed(&stage, &step, "step_wall");
    let cpu = json!({ "behaviour": { "do": "spin" } });
    let little = json!({ "limits": { "cpu": "50ms" } });
    let step = stage.bind(&driver, cpu, little).measure().await;
    assert_killed(&stage, &step, "cpu");
    for call in others {
        call.await.unwrap().assert_answered();
    }
}

/// A limit of one driver holds where every other one is as wide as it can be.
pub async fn a10_a_limit_of_one_driver_holds_where_the_others_are_wide_open<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let wide = json!({ "wall": "168h", "step_wall": "24h", "cpu": "1h" });
    let spin = json!({ "do": "spin" });
    let mut limits = wide.clone();
    limits["cpu"] = json!("200ms");
    let step = stage.run(spin, json!({ "limits": limits })).await;
    assert_killed(&stage, &step, "cpu");
    let sleep = json!({ "do": "sleep", "nanos": u64::MAX });
    let mut limits = wide;
    limits["step_wall"] = json!("200ms");
    let step = stage.run(sleep, json!({ "limits": limits })).await;
    assert_killed(&stage, &step, "step_wall");
}
