//! What a tenant feels of others that compute without end.
//!
//! The canary calls as a tenant does that measures: now and then, and for a
//! fraction of a millisecond. Were it to call without a pause, it would want
//! more than its share of two workers among sixty-five, and wait for that.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use servo_artifact::{Artifact, CodeCache, DEFAULT_CACHE_LIMIT};
use servo_egress::{Gate, Owner, SystemResolver};
use servo_policy::GrantsSpec;
use servo_sandbox::{
    Binding, BoundDriver, Driver, End, MemoryState, Sandbox, SandboxOptions, Silent,
};
use servo_tests::components;
use tokio_util::sync::CancellationToken;

use crate::samples::Samples;
use crate::table::{Bar, Table};

const SPINNERS: usize = 64;
const WORKERS: usize = 2;
const EVERY: Duration = Duration::from_millis(20);
const TICK: Duration = Duration::from_millis(5);

/// Rounds, each with some calls in quiet and as many beside the spinners.
const ROUNDS: usize = 4;
const CALLS: usize = 250;

fn bind(driver: &Driver, tenant: &str, behaviour: &str) -> BoundDriver {
    let config = json!({ "at": "describe", "behaviour": { "do": behaviour } });
    let limits = json!({ "limits": { "cpu": "1h", "step_wall": "1h", "wall": "1h" } });
    let spec: GrantsSpec = serde_json::from_value(limits).unwrap();
    let binding = Binding {
        owner: Owner {
            tenant: tenant.to_owned(),
            ..Owner::default()
        },
        grants: spec.resolve(&config, Path::new("/")).unwrap(),
        config,
        state: Arc::new(MemoryState::default()),
    };
    let gate = Gate::new(Arc::new(SystemResolver)).unwrap();
    driver.bind(&gate, binding).unwrap()
}

async fn describe(bound: &BoundDriver) -> End<()> {
    let call = bound.begin(Arc::new(Silent), CancellationToken::new());
    call.describe_metrics("app").await.end.map(|_| ())
}

/// Some calls of the canary, each timed from the moment it is made.
async fn calls(canary: BoundDriver) -> Vec<Duration> {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        tokio::time::sleep(EVERY).await;
        let begun = Instant::now();
        let end = describe(&canary).await;
        times.push(begun.elapsed());
        assert!(matches!(end, End::Ok(())), "{end:?}");
    }
    times
}

pub(crate) fn figures(table: &mut Table) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .event_interval(2)
        .enable_all()
        .build()
        .unwrap();
    let (quiet, beside) = runtime.block_on(async {
        let cache = CodeCache::open(components::code_folder(), DEFAULT_CACHE_LIMIT).unwrap();
        let sandbox = Sandbox::new(SandboxOptions {
            concurrent_steps: 128,
            cache: Some(cache),
            turns: WORKERS,
            ..SandboxOptions::default()
        })
        .unwrap();
        let artifact = Artifact::read(components::component("hostile")).unwrap();
        let driver = sandbox.load(&artifact).await.unwrap();
        let canary = bind(&driver, "canary", "nothing");
        let (mut quiet, mut beside) = (Samples::default(), Samples::default());
        for _ in 0..ROUNDS {
            quiet.extend(tokio::spawn(calls(canary.clone())).await.unwrap());
            let spinning: Vec<_> = (0..SPINNERS)
                .map(|number| {
                    let bound = bind(&driver, &format!("tenant {number}"), "spin");
                    tokio::spawn(async move { describe(&bound).await })
                })
                .collect();
            while sandbox.busy().seats < SPINNERS {
                tokio::time::sleep(TICK).await;
            }
            beside.extend(tokio::spawn(calls(canary.clone())).await.unwrap());
            for one in &spinning {
                assert!(!one.is_finished(), "it was to spin for an hour");
                one.abort();
            }
            for one in spinning {
                assert!(one.await.unwrap_err().is_cancelled());
            }
        }
        (quiet, beside)
    });
    table.times(
        format!(
            "a call every {} ms beside {SPINNERS} tenants that spin on {WORKERS} workers",
            EVERY.as_millis()
        ),
        &beside,
        "the same in quiet",
        &quiet,
        Bar::P99(2 * quiet.quantile(0.99) + TICK),
    );
}
