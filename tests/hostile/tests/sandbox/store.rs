//! The store that outlives a call.

use std::sync::Arc;

use serde_json::{Value, json};
use servo_sandbox::{End, MAX_STORE_BYTES};

use crate::support::{bind, binding, driver, gate, measure, notes};

fn store(key: &str, bytes: usize) -> Value {
    json!({ "do": "store", "key": key, "bytes": bytes })
}

#[tokio::test]
async fn the_store_outlives_a_call_and_is_capped() {
    let driver = driver().await;
    let state = binding(json!({}), json!({})).state;
    let bound = |behaviour: Value| {
        let mut binding = binding(json!({ "behaviour": behaviour }), json!({}));
        binding.state = Arc::clone(&state);
        driver.bind(&gate(), binding).unwrap()
    };
    assert_eq!(notes(&measure(&bound(store("a", 10))).await)["keys"], "a");
    assert_eq!(notes(&measure(&bound(store("b", 10))).await)["keys"], "a,b");
    for (key, bytes) in [("c", MAX_STORE_BYTES), ("", 1), (&*"k".repeat(129), 1)] {
        let step = measure(&bound(store(key, bytes))).await;
        assert!(matches!(step.end, End::Failure(_)), "{:?}", step.end);
    }
    assert_eq!(state.keys().unwrap(), ["a", "b"]);
    assert_eq!(state.get("a").unwrap().unwrap(), "v".repeat(10));

    // Another binding has another store.
    let other = bind(&driver, store("z", 1), json!({}));
    assert_eq!(notes(&measure(&other).await)["keys"], "z");
}
