//! Drivers written by hand, for what is left in a place after a step, and for
//! what one driver leaves to the others.

use serde_json::{Value, json};
use servo_hostile::host::Compiling;
use servo_hostile::shapes::{LOOP, Shape};
use servo_sandbox::{BoundDriver, Sandbox, SandboxOptions, Step, model};

use crate::servo::compiler;
use crate::support::{assert_ok, begin, bind, measure, sandbox};

async fn bound_in(sandbox: &Sandbox, shape: &Shape, grants: Value) -> BoundDriver {
    let driver = sandbox.load(&shape.artifact().unwrap()).await.unwrap();
    bind(&driver, json!({ "do": "nothing" }), grants)
}

async fn bound(shape: &Shape, grants: Value) -> BoundDriver {
    bound_in(sandbox(), shape, grants).await
}

async fn describe(bound: &BoundDriver) -> Step<Vec<model::Metric>> {
    begin(bound).describe_metrics("shop").await
}

#[tokio::test]
async fn a_shape_without_harm_is_a_driver() {
    let bound = bound(&Shape::default(), json!({})).await;
    assert_ok(&describe(&bound).await);
    assert_ok(&measure(&bound).await);
}

#[tokio::test]
async fn i2_a_memory_is_zero_when_it_is_handed_out() {
    // Looks for a byte that is not zero, then leaves none that is.
    let shape = Shape {
        memory: "16",
        describe: "(local.set $i (i32.const 65536))
            (loop $look
              (if (i64.ne (i64.const 0) (i64.load (local.get $i))) (then unreachable))
              (local.set $i (i32.add (local.get $i) (i32.const 8)))
              (br_if $look (i32.lt_u (local.get $i) (i32.const 1048576))))
            (memory.fill (i32.const 65536) (i32.const 255) (i32.const 983040))"
            .to_owned(),
        ..Shape::default()
    };
    // One place: the second call gets what the first had.
    let sandbox = Sandbox::new(SandboxOptions {
        concurrent_steps: 1,
        compiler: compiler(&Compiling::default()),
        ..SandboxOptions::default()
    })
    .unwrap();
    let (one, other) = (
        bound_in(&sandbox, &shape, json!({})).await,
        bound_in(&sandbox, &shape, json!({})).await,
    );
    for bound in [&one, &other, &one, &other] {
        assert_ok(&describe(bound).await);
    }
}

#[tokio::test]
async fn i6_a_driver_takes_nothing_from_the_places_of_others() {
    // As many tables and memories as a driver may have, in all places but one.
    let greedy = Shape {
        items: "(table 100 funcref)".repeat(4),
        act: LOOP,
        ..Shape::default()
    };
    let sandbox = Sandbox::new(SandboxOptions {
        concurrent_steps: 4,
        compiler: compiler(&Compiling::default()),
        ..SandboxOptions::default()
    })
    .unwrap();
    let long = json!({ "limits": { "cpu": "1h" } });
    let greedy = bound_in(&sandbox, &greedy, long).await;
    let quiet = bound_in(
        &sandbox,
        &Shape {
            items: "(table 100 funcref)".repeat(4),
            ..Shape::default()
        },
        json!({}),
    )
    .await;
    let held: Vec<_> = (0..3)
        .map(|_| {
            let greedy = greedy.clone();
            tokio::spawn(async move { measure(&greedy).await })
        })
        .collect();
    for _ in 0..20 {
        assert_ok(&describe(&quiet).await);
        tokio::task::yield_now().await;
    }
    for call in held {
        assert!(!call.is_finished(), "{:?}", call.await);
        call.abort();
    }
}
