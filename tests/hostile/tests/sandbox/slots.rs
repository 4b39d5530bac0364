//! I6, I7: more calls than the sandbox has places for.

use std::sync::Arc;

use serde_json::json;
use servo_sandbox::{End, Limit, Silent};
use tokio_util::sync::CancellationToken;

use crate::support::{
    Recorder, artifact, assert_limit, assert_ok, begin, bind, measure, measurement, sandbox_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_calls_wait_for_a_place() {
    let driver = sandbox_of(3).load(artifact()).await.unwrap();
    let quiet = bind(&driver, json!({ "do": "sleep", "nanos": 1000 }), json!({}));
    let crash = bind(&driver, json!({ "do": "crash" }), json!({}));
    let calls: Vec<_> = (0..200)
        .map(|number| {
            let bound = if number % 4 == 0 { &crash } else { &quiet }.clone();
            tokio::spawn(async move { (number, measure(&bound).await) })
        })
        .collect();
    for call in calls {
        let (number, step) = call.await.unwrap();
        match step.end {
            End::Ok(_) => assert_ne!(number % 4, 0),
            End::Trap(text) => assert!(number % 4 == 0 && text.contains("unreachable"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

/// A sandbox with one place, which a guest holds that never ends.
async fn full(test: impl AsyncFnOnce(&servo_sandbox::Driver)) {
    let driver = sandbox_of(1).load(artifact()).await.unwrap();
    let deaf = bind(&driver, json!({ "do": "deaf" }), json!({}));
    let recorder = Arc::new(Recorder::default());
    let call = deaf.begin(Arc::clone(&recorder) as _, CancellationToken::new());
    let holder = tokio::spawn(async move { call.measure(&measurement(), None).await });
    recorder.began().await;
    test(&driver).await;
    assert!(!holder.is_finished());
    // Dropping the call gives the place back.
    holder.abort();
    assert!(holder.await.unwrap_err().is_cancelled());
    assert_ok(&measure(&bind(&driver, json!({ "do": "nothing" }), json!({}))).await);
}

#[tokio::test]
async fn i7_a_call_that_waits_for_a_place_can_be_cancelled() {
    full(async |driver| {
        let grants = json!({ "limits": { "wall": "20s" } });
        let bound = bind(driver, json!({ "do": "nothing" }), grants);
        let token = CancellationToken::new();
        let call = bound.begin(Arc::new(Silent), token.clone());
        let request = measurement();
        let (step, ()) = tokio::join!(call.measure(&request, None), async { token.cancel() });
        assert!(matches!(step.end, End::Cancelled), "{:?}", step.end);
    })
    .await;
}

#[tokio::test]
async fn i7_a_call_does_not_wait_longer_than_its_time() {
    full(async |driver| {
        let grants = json!({ "limits": { "wall": "100ms" } });
        let step = measure(&bind(driver, json!({ "do": "nothing" }), grants)).await;
        assert_limit(&step, Limit::CallWall);
    })
    .await;
}

#[tokio::test]
async fn i6_places_of_dropped_calls_are_free_at_once() {
    let driver = sandbox_of(1).load(artifact()).await.unwrap();
    for _ in 0..50 {
        let call = begin(&bind(&driver, json!({ "do": "deaf" }), json!({})));
        let request = measurement();
        let mut step = Box::pin(call.measure(&request, None));
        // Polled once, which is enough to have taken the place.
        let polled = poll_once(step.as_mut()).await;
        assert!(polled.is_none());
    }
    assert_ok(&measure(&bind(&driver, json!({ "do": "nothing" }), json!({}))).await);
}

async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
