//! I: what is left after a step, whatever ended it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use servo_artifact::CancelSupport;
use servo_sandbox::{CallObserver, End, LogLevel, Progress, Step, measure};
use tokio_util::sync::CancellationToken;

use crate::support::{
    Measured, Recorder, Server, assert_ok, bind, canary, driver, driver_with, measure, measurement,
    notes, run,
};

#[tokio::test]
async fn i1_nothing_is_left_for_the_next_call() {
    let grants = || json!({ "scratch": "1MiB" });
    let one = bind(&driver().await, json!({ "do": "remember" }), grants());
    let other = bind(&driver().await, json!({ "do": "remember" }), grants());
    for bound in [&one, &one, &other, &one] {
        let found = notes(&measure(bound).await);
        assert_eq!(found["global"], "0");
        assert_eq!(found["file"], "false");
        assert_eq!(found["written"], "true");
    }
}

#[tokio::test]
async fn i3_after_a_crash_the_next_call_works() {
    let driver = driver().await;
    let crash = bind(&driver, json!({ "do": "crash" }), json!({}));
    let quiet = bind(&driver, json!({ "do": "nothing" }), json!({}));
    for _ in 0..3 {
        let step = measure(&crash).await;
        assert!(matches!(step.end, End::Trap(_)), "{:?}", step.end);
        assert_ok(&measure(&quiet).await);
    }
}

/// Begins a measurement, waits until the guest is in the middle, and cancels.
async fn cancelled_in_the_middle(cancel: CancelSupport, behaviour: Value) -> Measured {
    let grants = json!({ "limits": { "cancel_grace": "200ms", "step_wall": "1h", "wall": "1h" } });
    let bound = bind(&driver_with(cancel).await, behaviour, grants);
    let (recorder, token) = (Arc::new(Recorder::default()), CancellationToken::new());
    let call = bound.begin(Arc::clone(&recorder) as _, token.clone());
    let request = measurement();
    let (step, ()) = tokio::join!(call.measure(&request, None), async {
        recorder.began().await;
        token.cancel();
    });
    step
}

#[tokio::test]
async fn i4_a_driver_told_to_cancel_may_stop_by_itself() {
    let wait = json!({ "do": "wait", "seconds": 3600 });
    let step = cancelled_in_the_middle(CancelSupport::Report, wait).await;
    match step.end {
        End::Failure(failed) => assert_eq!(failed.failure.reason.as_deref(), Some("cancelled")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn i4_a_driver_deaf_to_a_cancel_is_dropped() {
    for support in [
        CancelSupport::None,
        CancelSupport::Report,
        CancelSupport::Step,
    ] {
        let canary = canary().await;
        let step = cancelled_in_the_middle(support, json!({ "do": "deaf" })).await;
        assert!(matches!(step.end, End::Cancelled), "{:?}", step.end);
        assert_ok(&measure(&canary).await);
    }
}

struct Panics(AtomicUsize);

impl CallObserver for Panics {
    fn progress(&self, _: Progress) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a fault of the host");
    }
    fn log(&self, _: LogLevel, _: &str, _: &str) {}
}

#[tokio::test]
async fn i3_a_panic_of_the_host_ends_one_step_only() {
    let canary = canary().await;
    let bound = bind(&driver().await, json!({ "do": "progress" }), json!({}));
    let observer = Arc::new(Panics(AtomicUsize::new(0)));
    let call = bound.begin(Arc::clone(&observer) as _, CancellationToken::new());
    for _ in 0..3 {
        let step: Step<measure::MeasureStep> = call.measure(&measurement(), None).await;
        match &step.end {
            End::Trap(text) => assert!(text.contains("internal error"), "{text}"),
            other => panic!("{other:?}"),
        }
        assert_ok(&measure(&canary).await);
    }
    assert_eq!(observer.0.load(Ordering::SeqCst), 3);
    assert_ok(&run(json!({ "do": "progress" }), json!({})).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i4_a_dropped_call_leaves_no_connection() {
    const CALLS: usize = 100;
    let server = Server::silent().await;
    let grants = json!({ "http": server.grant(), "limits": { "concurrent_requests": 1 } });
    let http = json!({ "do": "http", "url": server.url("/"), "count": 1, "at_once": 1 });
    let bound = bind(&driver().await, http, grants);
    for number in 1..=CALLS {
        let bound = bound.clone();
        let call = tokio::spawn(async move { measure(&bound).await });
        // The request has arrived: the guest waits for its answer.
        server.until(|(opened, _)| *opened == number).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        server.until(|(_, closed)| *closed == number).await;
    }
    assert_eq!(server.opened(), CALLS);
}

#[tokio::test]
async fn i4_a_step_that_ends_leaves_no_connection() {
    // The step ends at its time limit with its only place taken; the next step
    // of the same call finds the place free.
    let server = Server::silent().await;
    let grants = json!({
        "http": server.grant(),
        "limits": { "concurrent_requests": 1, "step_wall": "300ms" },
    });
    let http = json!({ "do": "http", "url": server.url("/"), "count": 1, "at_once": 1 });
    let call = crate::support::begin(&bind(&driver().await, http, grants));
    for number in 1..=3 {
        let step = call.measure(&measurement(), None).await;
        crate::support::assert_limit(&step, servo_sandbox::Limit::StepWall);
        server.until(|(_, closed)| *closed == number).await;
    }
    assert_eq!(server.opened(), 3);
}

#[tokio::test]
async fn an_action_is_refused_when_bound_since_nothing_runs_it() {
    let grants = json!({ "actions": { "restart": { "run": ["/bin/true"] } } });
    let refused = crate::support::try_bind(&driver().await, json!({ "do": "nothing" }), grants);
    let text = refused.unwrap_err().to_string();
    let said = "grants.actions: this version of servo does not run actions; remove the key";
    assert!(text.contains(said), "{text}");
}
