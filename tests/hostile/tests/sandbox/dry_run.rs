//! A dry run, whatever the driver does: a listener, a tree of files and a state
//! store show that nothing was changed, and the list says what was attempted.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use servo_audit::{AttemptList, Capability};
use servo_hostile::witness::file_tree;
use servo_sandbox::{BoundDriver, End, Silent};
use tokio_util::sync::CancellationToken;

use crate::support::{Measured, Server, bind, binding, driver, gate, measure, measurement, notes};

/// One dry step, and what it attempted.
async fn dry(bound: &BoundDriver) -> (Measured, AttemptList) {
    let dry = bound.as_dry_run();
    let call = dry.begin(Arc::new(Silent), CancellationToken::new());
    let step = call.measure(&measurement(), None).await;
    (step, call.attempts())
}

fn whats(list: &AttemptList, capability: Capability) -> Vec<&str> {
    let listed = list.listed.iter();
    let of = listed.filter(|attempt| attempt.capability == capability);
    of.map(|attempt| attempt.what.as_str()).collect()
}

#[tokio::test]
async fn nothing_but_reads_leaves_through_either_interface() {
    let server = Server::ok().await;
    let ask = |method: &str, body: Option<&str>| {
        json!({ "method": method, "scheme": "http", "path": "/x?y=1", "body": body,
            "authority": server.address.to_string() })
    };
    let writes = ["POST", "PUT", "PATCH", "DELETE"].map(|method| ask(method, Some("12345")));
    let reads = ["GET", "HEAD", "OPTIONS"].map(|method| ask(method, None));
    let rule = format!("GET,HEAD,OPTIONS,POST,PUT,PATCH,DELETE {}", server.url("/"));
    let grants = json!({ "http": [{ "rule": rule, "private": true }] });
    for (through, told) in [("wasi-http", "HttpRequestDenied"), ("fetch", "DryRun")] {
        let config = |requests: &[Value]| json!({ "through": through, "behaviour": { "do": "raw", "requests": requests } });
        let bound = |requests: &[Value]| {
            let binding = binding(config(requests), grants.clone());
            async { driver().await.bind(&gate(), binding).unwrap() }
        };
        let before = (server.opened(), server.requests().len());
        let (step, list) = dry(&bound(&writes).await).await;
        assert_eq!(
            (server.opened(), server.requests().len()),
            before,
            "{through}"
        );
        for note in notes(&step).values() {
            assert!(note.contains(told), "{through}: {note}");
        }
        let at = server.address;
        assert_eq!(
            whats(&list, Capability::Http),
            ["POST", "PUT", "PATCH", "DELETE"].map(|method| format!("{method} http://{at}/x?y=1")),
        );
        assert!(
            list.listed.iter().all(|attempt| attempt.bytes == 5),
            "{list:?}"
        );
        assert_eq!(step.report.network.bytes_out, 0);
        let (step, list) = dry(&bound(&reads).await).await;
        assert!(list.is_empty(), "{list:?}");
        for note in notes(&step).values() {
            assert!(note.starts_with("status 200"), "{through}: {note}");
        }
        // The twin: in earnest they are sent.
        let heard = server.requests().len();
        measure(&bound(&writes).await).await;
        assert_eq!(server.requests().len(), heard + 4, "{through}");
    }
}

/// The folder `data` with a file in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "content").unwrap();
    folder
}

fn written(folder: &Path) -> Value {
    json!({ "folders": [{ "name": "data", "path": folder, "access": "write" }] })
}

#[tokio::test]
async fn a_granted_folder_is_for_reading_alone() {
    let folder = folder();
    let actions = json!([
        { "do": "write", "path": ["data", "file"] },
        { "do": "write", "path": ["data", "new"] },
        { "do": "resize", "path": ["data", "file"], "flags": "w", "size": 0 },
        { "do": "touch", "path": ["data", "file"] },
        { "do": "remove", "path": ["data", "file"] },
        { "do": "make-folder", "path": ["data", "made"] },
        { "do": "rename", "path": ["data", "file"], "to": ["data", "moved"] },
        { "do": "read", "path": ["data", "file"] },
    ]);
    let files = json!({ "do": "files", "actions": actions });
    let bound = bind(&driver().await, files, written(folder.path()));
    let before = file_tree(folder.path());
    let (step, list) = dry(&bound).await;
    assert_eq!(file_tree(folder.path()), before);
    let notes = notes(&step);
    assert_eq!(notes["7"], "ok content");
    let files = whats(&list, Capability::Files);
    for expected in [
        "/data/file",
        "/data/new",
        "remove /data/file",
        "/data/made",
        "rename",
    ] {
        assert!(
            files.iter().any(|what| what.contains(expected)),
            "{expected}: {files:?}"
        );
    }
    assert!(
        !files.iter().any(|what| what.contains("to read")),
        "{files:?}"
    );
    // The twin.
    measure(&bound).await;
    assert_ne!(file_tree(folder.path()), before);
}

#[tokio::test]
async fn the_state_store_is_written_to_a_copy() {
    let driver = driver().await;
    let state = binding(json!({}), json!({})).state;
    state.set("kept", "1").unwrap();
    let behaviour = json!({ "do": "store", "key": "new", "bytes": 7 });
    let mut binding = binding(json!({ "behaviour": behaviour }), json!({}));
    binding.state = Arc::clone(&state);
    let bound = driver.bind(&gate(), binding).unwrap();
    let (step, list) = dry(&bound).await;
    // The driver sees what it set; nobody else does.
    assert_eq!(notes(&step)["keys"], "kept,new");
    assert_eq!(state.keys().unwrap(), ["kept"]);
    assert_eq!(whats(&list, Capability::State), ["set new"]);
    assert_eq!(list.listed[0].bytes, 7);
    measure(&bound).await;
    assert_eq!(state.keys().unwrap(), ["kept", "new"]);
}

#[tokio::test]
async fn an_action_is_refused_and_listed() {
    let act = json!({ "do": "act", "name": "restart" });
    let bound = bind(&driver().await, act, json!({}));
    let (step, list) = dry(&bound).await;
    assert!(notes(&step)["act"].contains("dry run"), "{step:?}");
    assert_eq!(whats(&list, Capability::Action), ["restart"]);
}

#[tokio::test]
async fn a_driver_that_gives_up_is_told_apart_from_one_that_fails() {
    let server = Server::ok().await;
    let rule = format!("GET,POST {}", server.url("/"));
    let grants = json!({ "http": [{ "rule": rule, "private": true }] });
    let post = json!({ "do": "raw", "requests": [{ "method": "POST", "scheme": "http",
        "authority": server.address.to_string(), "path": "/" }] });
    // It crashes after nothing else than that its write was held back.
    let crash =
        json!({ "behaviour": { "do": "crash-after", "behaviour": post }, "through": "fetch" });
    let bound = driver()
        .await
        .bind(&gate(), binding(crash, grants))
        .unwrap();
    let (step, _) = dry(&bound).await;
    assert!(
        matches!(
            step.end,
            End::Denied {
                held_back: true,
                ..
            }
        ),
        "{step:?}"
    );
    let real = measure(&bound).await;
    assert!(matches!(real.end, End::Trap(_)), "{real:?}");
}
