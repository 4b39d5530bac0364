//! Drivers written by hand: loops where no compiler puts them, memories and
//! tables beyond the usual, and a memory that is looked at before it is used.

use serde_json::{Value, json};
use servo_artifact::DriverKind;
use servo_sandbox::{
    BoundDriver, End, Limit, Sandbox, SandboxError, SandboxOptions, Step, adjust, model,
};

use crate::support::{
    assert_limit, assert_ok, begin, beside_a_canary, bind, measure, request, sandbox,
};
use crate::wat::{LOOP, Shape};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_a_loop_in_adjust_is_stopped() {
    let shape = Shape {
        kind: DriverKind::Adjust,
        act: LOOP,
        ..Shape::default()
    };
    let bound = bound(&shape, json!({ "limits": { "cpu": "1s" } })).await;
    let call = begin(&bound);
    let step = beside_a_canary(async move {
        let adjustment = adjust::AdjustRequest {
            app: "shop".to_owned(),
            settings: vec![],
            control: request().control,
        };
        call.adjust(&adjustment, None).await
    })
    .await;
    assert_limit(&step, Limit::Cpu);
    assert_ok(&begin(&bound).describe_application("shop").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_a_loop_before_any_export_is_stopped() {
    let shape = Shape {
        items: format!("(func $start {LOOP}) (start $start)"),
        ..Shape::default()
    };
    let bound = bound(&shape, json!({ "limits": { "cpu": "1s" } })).await;
    let step = beside_a_canary(async move { describe(&bound).await }).await;
    assert_limit(&step, Limit::Cpu);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_a_loop_where_the_host_asks_for_memory_is_stopped() {
    let shape = Shape {
        realloc: LOOP,
        ..Shape::default()
    };
    let bound = bound(&shape, json!({ "limits": { "cpu": "1s" } })).await;
    let step = beside_a_canary(async move { describe(&bound).await }).await;
    assert_limit(&step, Limit::Cpu);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a3_a_loop_after_the_answer_is_stopped() {
    let shape = Shape {
        items: format!(
            r#"(func (export "cabi_post_servo:driver/measure@0.1.0#describe") (param i32) {LOOP})"#
        ),
        ..Shape::default()
    };
    let bound = bound(&shape, json!({ "limits": { "cpu": "1s" } })).await;
    let step = beside_a_canary(async move { describe(&bound).await }).await;
    assert_limit(&step, Limit::Cpu);
}

#[tokio::test]
async fn b3_a_memory_that_begins_above_its_cap_is_not_made() {
    let shape = Shape {
        memory: "2000",
        ..Shape::default()
    };
    let step = describe(&bound(&shape, json!({ "limits": { "memory": "64MiB" } })).await).await;
    assert_limit(&step, Limit::Memory);
    assert_eq!(step.report.memory, 0);
    assert_ok(&describe(&bound(&shape, json!({ "limits": { "memory": "128MiB" } })).await).await);
}

/// Calls `describe` or says why the driver cannot be loaded.
async fn refused(shape: &Shape) -> String {
    let artifact = match shape.artifact() {
        Ok(artifact) => artifact,
        Err(problem) => return problem,
    };
    match sandbox().load(&artifact).await {
        Ok(_) => panic!("it was loaded"),
        Err(SandboxError::Refused { driver, problem }) => {
            assert_eq!(driver, "shape");
            problem
        }
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn b2_b13_b14_shapes_that_are_refused_when_loaded() {
    let memories = "(memory 1)".repeat(30);
    for (name, memory, items) in [
        ("larger than the host has", "9000", ""),
        ("thirty memories", "1", memories.as_str()),
        ("shared memory", "1", "(memory 1 1 shared)"),
        ("memory of 64 bits", "1", "(memory i64 1)"),
        ("exceptions", "1", "(tag (param i32))"),
        ("garbage collection", "1", "(type (struct (field i32)))"),
        ("tail calls", "1", "(func $tail (return_call $tail))"),
        ("a table too large", "1", "(table 1000000 funcref)"),
    ] {
        let shape = Shape {
            memory,
            items: items.to_owned(),
            ..Shape::default()
        };
        let problem = refused(&shape).await;
        assert!(!problem.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn b5_recursion_ends_at_the_stack_limit() {
    // Frames of the engine's stack only, and many of them.
    let shape = Shape {
        items: "(func $down (param i64) (result i64) (i64.mul (local.get 0)
            (call $down (i64.add (local.get 0) (i64.const 1)))))"
            .to_owned(),
        describe: "(drop (call $down (i64.const 1)))".to_owned(),
        ..Shape::default()
    };
    let bound = bound(&shape, json!({})).await;
    for _ in 0..3 {
        assert_limit(&describe(&bound).await, Limit::Stack);
        assert_ok(&measure(&bound).await);
    }
}

#[tokio::test]
async fn b4_tables_grow_up_to_their_cap() {
    let shape = Shape {
        items: "(table $t 1 funcref)".to_owned(),
        describe: "(if (i32.eq (i32.const -1)
            (table.grow $t (ref.null func) (i32.const 10000000))) (then unreachable))"
            .to_owned(),
        ..Shape::default()
    };
    assert_limit(
        &describe(&bound(&shape, json!({})).await).await,
        Limit::Tables,
    );
}

#[tokio::test]
async fn b8_a_list_as_long_as_the_memory_is_not_taken() {
    // The list at address 1024 begins at 64 KiB and has as many elements as
    // the memory has room for; all are zero.
    let shape = Shape {
        memory: "512",
        describe: "(i32.store (i32.const 1028) (i32.const 65536))
            (i32.store (i32.const 1032) (i32.const 400000))"
            .to_owned(),
        ..Shape::default()
    };
    let step = describe(&bound(&shape, json!({})).await).await;
    assert_limit(&step, Limit::HostcallBytes);
    // One that reaches beyond the memory.
    let shape = Shape {
        describe: "(i32.store (i32.const 1032) (i32.const 0x0fffffff))".to_owned(),
        ..Shape::default()
    };
    let step = describe(&bound(&shape, json!({})).await).await;
    assert!(matches!(step.end, End::Trap(_)), "{:?}", step.end);
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
