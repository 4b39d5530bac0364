//! Guests written by hand against the budget: what compilers do not emit, and
//! what needs a clock or a host of its own.

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::common::{World, acting, compiler, driver};
use serde_json::{Value, json};
use servo_artifact::Artifact;
use servo_audit::{Capability, Owner, Reason};
use servo_egress::{Gate, SystemResolver};
use servo_policy::GrantsSpec;
use servo_sandbox::{
    Binding, BoundDriver, Call, Driver, End, Limit, Load, MemoryState, Sandbox, SandboxOptions,
    Silent, Step, model,
};
use tokio_util::sync::CancellationToken;

type Described = Step<Vec<model::Metric>>;

const LOOP: &str = "(loop $for_ever (br $for_ever))";

fn bind(driver: &Driver, tenant: &str, grants: &Value) -> BoundDriver {
    let config = json!({});
    let spec: GrantsSpec = serde_json::from_value(grants.clone()).unwrap();
    let binding = Binding {
        owner: Owner {
            tenant: tenant.to_owned(),
            ..Owner::default()
        },
        grants: spec.resolve(&config, Path::new("/")).unwrap(),
        config,
        state: Arc::new(MemoryState::default()),
    };
    driver
        .bind(&Gate::new(Arc::new(SystemResolver)).unwrap(), binding)
        .unwrap()
}

fn begin(bound: &BoundDriver) -> Call {
    bound.begin(Arc::new(Silent), CancellationToken::new())
}

async fn describe(bound: &BoundDriver) -> Described {
    begin(bound).describe_metrics("shop").await
}

/// One `describe` of a driver with a sandbox of its own.
async fn run(artifact: Artifact, grants: &Value) -> (World, Described) {
    let world = World::new();
    let loaded = world.sandbox(compiler()).load(&artifact).await.unwrap();
    let step = describe(&bind(&loaded, "acme", grants)).await;
    (world, step)
}

fn hits(world: &World, key: &str) -> u64 {
    let hits = world.audit.counters().limit_hits();
    hits.get(key).copied().unwrap_or(0)
}

#[tokio::test]
async fn b4_table_elements_are_counted_and_recorded() {
    let grow = "(drop (table.grow $t (ref.null func) (i32.const 5000)))
                (drop (table.grow $t (ref.null func) (i32.const 6000)))";
    let grants = json!({ "limits": { "table_elements": 10_000 } });
    let (world, step) = run(acting("(table $t 0 funcref)", grow), &grants).await;
    assert!(matches!(step.end, End::Ok(_)), "{:?}", step.end);
    assert_eq!(hits(&world, "table_elements"), 1);
}

#[tokio::test]
async fn b5_recursion_is_counted_and_recorded() {
    let recursion = "(func $deeper (param i64) (result i64)
        (i64.add (local.get 0) (call $deeper (i64.add (local.get 0) (i64.const 1)))))";
    let (world, step) = run(
        acting(recursion, "(drop (call $deeper (i64.const 0)))"),
        &json!({}),
    )
    .await;
    let Step {
        end: End::Limit { limit, .. },
        ..
    } = step
    else {
        panic!("{:?}", step.end);
    };
    assert_eq!(limit, Limit::Stack);
    assert_eq!(hits(&world, "stack"), 1);
    let records = world.records.take();
    let record = records.last().unwrap();
    assert_eq!(
        (record.capability, record.reason, record.what.as_str()),
        (Capability::Budget, Reason::Limit, "describe")
    );
}

/// A sandbox whose ticks a test lets pass one by one.
async fn slow_clock(artifact: &Artifact) -> (mpsc::Sender<()>, Sandbox, Driver) {
    let (tick, ticks) = mpsc::channel::<()>();
    let ticks = Mutex::new(ticks);
    let options = SandboxOptions {
        concurrent_steps: 8,
        compiler: compiler(),
        turns: 4,
        ..SandboxOptions::default()
    };
    let pause = Box::new(move || {
        // Nobody ticks any more: the end of the test.
        let _ = ticks.lock().unwrap().recv();
    });
    let sandbox = Sandbox::with_pause(options, pause).unwrap();
    let loaded = sandbox.load(artifact).await.unwrap();
    (tick, sandbox, loaded)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a9_when_ticks_are_late_only_those_over_their_budget_are_stopped() {
    let (tick, sandbox, spinner) = slow_clock(&acting("", LOOP)).await;
    let greedy = bind(&spinner, "greedy", &json!({ "limits": { "cpu": "1ms" } }));
    let patient = bind(&spinner, "patient", &json!({ "limits": { "cpu": "1h" } }));
    let greedy = tokio::spawn(async move { describe(&greedy).await });
    let patients: Vec<_> = (0..2)
        .map(|_| {
            let patient = patient.clone();
            tokio::spawn(async move { describe(&patient).await })
        })
        .collect();
    while sandbox.busy().free > 1 {
        tokio::task::yield_now().await;
    }
    // The clock stands still, and a hundred ticks are missed: nobody is
    // stopped, and nobody gives way.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!greedy.is_finished(), "no tick, no end");
    // One tick comes, late. It is one, whatever was missed.
    tick.send(()).unwrap();
    let step = greedy.await.unwrap();
    let End::Limit { limit, .. } = step.end else {
        panic!("{:?}", step.end);
    };
    assert_eq!(limit, Limit::Cpu);
    for _ in 0..20 {
        tick.send(()).unwrap();
        tokio::task::yield_now().await;
    }
    assert!(patients.iter().all(|one| !one.is_finished()));
    for one in &patients {
        one.abort();
    }
    // An aborted guest ends where it next gives way.
    for one in patients {
        tick.send(()).unwrap();
        tick.send(()).unwrap();
        assert!(one.await.unwrap_err().is_cancelled());
    }
    assert_eq!(sandbox.busy(), idle(4));
    drop(tick);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a9_without_a_clock_no_guest_begins() {
    let world = World::new();
    let (tick, ticks) = mpsc::channel::<()>();
    let ticks = Mutex::new(ticks);
    let pause = Box::new(move || ticks.lock().unwrap().recv().unwrap());
    let options = SandboxOptions {
        concurrent_steps: 2,
        compiler: compiler(),
        audit: world.audit.clone(),
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::with_pause(options, pause).unwrap();
    let loaded = sandbox.load(&driver("")).await.unwrap();
    let bound = bind(&loaded, "acme", &json!({}));
    assert!(matches!(describe(&bound).await.end, End::Ok(_)));
    // The thread ends, as it would by a fault.
    drop(tick);
    let ended = loop {
        match describe(&bound).await.end {
            End::Ok(_) => tokio::task::yield_now().await,
            ended => break ended,
        }
    };
    let End::Trap(text) = ended else {
        panic!("{ended:?}");
    };
    assert!(text.contains("restart servo"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a10_a_limit_of_one_driver_holds_where_the_default_is_out_of_reach() {
    let world = World::new();
    let loaded = world
        .sandbox(compiler())
        .load(&acting("", LOOP))
        .await
        .unwrap();
    let limits = json!({ "limits": { "cpu": "50ms", "wall": "168h", "step_wall": "24h" } });
    let step = describe(&bind(&loaded, "acme", &limits)).await;
    let End::Limit { limit, .. } = step.end else {
        panic!("{:?}", step.end);
    };
    assert_eq!(limit, Limit::Cpu);
    assert_eq!(hits(&world, "cpu"), 1);
}

fn idle(turns: usize) -> Load {
    Load {
        free: turns,
        waiting: 0,
        seats: 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_a_thousand_steps_at_once_wait_for_their_places() {
    let options = SandboxOptions {
        concurrent_steps: 64,
        compiler: compiler(),
        turns: 2,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::new(options).unwrap();
    let loaded = sandbox.load(&driver("")).await.unwrap();
    let steps: Vec<_> = (0..1_000)
        .map(|number| {
            let bound = bind(&loaded, &format!("tenant {}", number % 10), &json!({}));
            tokio::spawn(async move { describe(&bound).await })
        })
        .collect();
    for step in steps {
        let end = step.await.unwrap().end;
        assert!(matches!(end, End::Ok(_)), "{end:?}");
    }
    assert_eq!(sandbox.busy(), idle(2));
}

/// Small and seeded.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i4_steps_dropped_at_a_thousand_random_moments_leave_nothing() {
    let options = SandboxOptions {
        concurrent_steps: 16,
        compiler: compiler(),
        turns: 2,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::new(options).unwrap();
    let spinner = sandbox.load(&acting("", LOOP)).await.unwrap();
    let quick = sandbox.load(&driver("")).await.unwrap();
    let mut dice = Dice(7);
    let mut tasks = Vec::new();
    for number in 0..1_000 {
        let loaded = if dice.below(4) == 0 { &spinner } else { &quick };
        let bound = bind(loaded, &format!("tenant {}", number % 7), &json!({}));
        let polls = dice.below(6);
        tasks.push(tokio::spawn(async move {
            let call = begin(&bound);
            let mut step = Box::pin(call.describe_metrics("shop"));
            for _ in 0..polls {
                let polled = std::future::poll_fn(|context| {
                    std::task::Poll::Ready(step.as_mut().poll(context))
                });
                if polled.await.is_ready() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(sandbox.busy(), idle(2));
    // All places are free: as many as there are can be had at once.
    for _ in 0..32 {
        let end = describe(&bind(&quick, "acme", &json!({}))).await.end;
        assert!(matches!(end, End::Ok(_)), "{end:?}");
    }
}
