//! C, how much a guest asks for: requests of a call, at once, and again.

use serde_json::json;

use super::to;
use crate::expect::{Told, assert_denied, assert_told};
use crate::host::HostUnderTest;
use crate::server::Server;
use crate::stage::Stage;

/// The number of requests of a call.
pub async fn c18_requests_of_a_call_are_counted<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let server = Server::ok().await;
    let grants = json!({
        "http": server.grant(),
        "limits": { "requests": 10, "request_rate": 1_000_000 },
    });
    let storm = json!({ "do": "storm", "request": to(&server), "times": 50 });
    let step = stage.run(storm, grants).await;
    assert_eq!((step.note("answered"), step.note("refused")), ("10", "40"));
    assert_told(step.note("last"), Told::Exhausted);
    assert_eq!((step.used.requests, server.requests().len()), (10, 10));
    assert_denied(&stage, "http", "quota", 40);
}

/// Many at once, through the client of the SDK.
pub async fn c18_requests_at_once_are_limited<H: HostUnderTest>() {
    // Nobody answers, so each request that is let through keeps its place.
    let stage = Stage::<H>::new();
    let server = Server::silent().await;
    let grants = json!({
        "http": server.grant(),
        "limits": {
            "concurrent_requests": 4, "request_time": "500ms", "request_rate": 1_000_000,
            "handles": 4_096,
        },
    });
    let http = json!({ "do": "http", "url": server.url("/"), "count": 200, "at_once": 200 });
    let step = stage.run(http, grants).await;
    assert_eq!(step.note("answered"), "0");
    assert_eq!(server.opened(), 4);
    assert_eq!(step.used.denied, 196);
    assert_denied(&stage, "http", "quota", 196);
}

/// A guest that asks again whenever it is refused.
pub async fn c24_a_retry_storm_is_slowed<H: HostUnderTest>() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let stage = Stage::<H>::new();
    let mut grants = server.grant();
    grants[0]["limits"] = json!({ "rate": "4/h" });
    let grants = json!({ "http": grants });
    let storm = json!({ "do": "storm", "request": to(&server), "times": 100 });
    let bound = stage.behaving(storm, grants).await;
    let step = bound.measure().await;
    assert_eq!((step.note("answered"), step.note("refused")), ("4", "96"));
    assert_eq!(server.requests().len(), 4);
    assert_told(step.note("last"), Told::TooFast);
    assert_denied(&stage, "http", "rate", 96);
    // A call of the same driver begins where the last one ended.
    bound.measure().await;
    assert_eq!(server.requests().len(), 4);
}
