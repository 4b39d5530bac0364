//! A9: the clock by which guests are stopped comes late.

use std::sync::mpsc;

use serde_json::json;
use servo_artifact::{CodeCache, DEFAULT_CACHE_LIMIT};
use servo_hostile::guest;
use servo_hostile::host::Compiling;
use servo_sandbox::{Limit, Sandbox, SandboxOptions};

use crate::servo::compiler;
use crate::support::{artifact, assert_limit, assert_ok, bind, measure};

/// No tick comes for longer than the guest may compute; then all that were
/// missed might come at once. The one that spins is stopped late, and nobody
/// else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a9_a_late_clock_stops_late_and_only_those_who_are_over() {
    let (tick, ticks) = mpsc::channel::<()>();
    let pause = Box::new(move || {
        // Without a sender there is no tick any more, and nothing to hold up.
        let _ = ticks.recv_timeout(std::time::Duration::from_secs(1));
    });
    let options = SandboxOptions {
        concurrent_steps: 8,
        cache: Some(CodeCache::open(guest::code_folder(), DEFAULT_CACHE_LIMIT).unwrap()),
        compiler: compiler(&Compiling::default()),
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::with_pause(options, pause).unwrap();
    let driver = sandbox.load(artifact()).await.unwrap();
    let little = || json!({ "limits": { "cpu": "100ms" } });
    let spin = bind(&driver, json!({ "do": "spin" }), little());
    let spinning = tokio::spawn(async move { measure(&spin).await });
    // Calls that end by themselves need no tick at all.
    let quiet = bind(
        &driver,
        json!({ "do": "sleep", "nanos": 1_000_000 }),
        little(),
    );
    for _ in 0..5 {
        assert_ok(&measure(&quiet).await);
    }
    // The clock is back, with many ticks at once.
    for _ in 0..100 {
        tick.send(()).unwrap();
    }
    let others: Vec<_> = (0..5)
        .map(|_| {
            let quiet = quiet.clone();
            tokio::spawn(async move { measure(&quiet).await })
        })
        .collect();
    for call in others {
        assert_ok(&call.await.unwrap());
    }
    let ticking = tokio::spawn(async move {
        while tick.send(()).is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    let step = spinning.await.unwrap();
    assert_limit(&step, Limit::Cpu);
    ticking.abort();
    assert_ok(&measure(&quiet).await);
}
