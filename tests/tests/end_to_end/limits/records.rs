//! One record for each decision about files, sockets, the store and the like.

use serde_json::{Value, json};
use servo_audit::Capability;

use super::House;

async fn recorded(behaviour: Value, grants: Value) -> (House, Vec<String>) {
    let house = House::open();
    house.run(&behaviour, &grants, false).await;
    let lines = house.book.lines();
    (house, lines)
}

#[tokio::test]
async fn d1_every_use_of_a_socket_is_recorded_and_counted() {
    let sockets = json!({ "do": "sockets", "ip": [127, 0, 0, 1], "port": 1 });
    let (house, lines) = recorded(sockets, json!({})).await;
    for socket in ["tcp", "udp"] {
        let line = format!("sockets denied not-granted {socket} socket");
        assert!(lines.contains(&line), "{lines:?}");
    }
    let counted = house.audit.counters().denied(Capability::Sockets);
    assert_eq!(counted, lines.len() as u64);
}

#[tokio::test]
async fn d3_a_name_that_is_looked_up_is_recorded_and_counted() {
    let lookup = json!({ "do": "lookup", "name": "secret\n.attacker.example" });
    let (house, lines) = recorded(lookup, json!({})).await;
    assert_eq!(
        lines,
        ["sockets denied not-granted look up secret\\n.attacker.example"]
    );
    assert_eq!(house.audit.counters().denied(Capability::Sockets), 1);
}

#[tokio::test]
async fn f1_f3_what_is_done_to_files_is_recorded() {
    let outer = tempfile::tempdir().unwrap();
    for folder in ["data", "out"] {
        std::fs::create_dir(outer.path().join(folder)).unwrap();
    }
    std::fs::write(outer.path().join("data/file"), "content").unwrap();
    let grants = json!({ "folders": [
        { "name": "data", "path": outer.path().join("data"), "access": "read" },
        { "name": "out", "path": outer.path().join("out"), "access": "write" },
    ] });
    let actions = json!([
        { "do": "read", "path": ["data", "file"] },
        { "do": "read", "path": ["data", "none"] },
        { "do": "read", "path": ["data", "../secret"] },
        { "do": "write", "path": ["data", "file"] },
        { "do": "write", "path": ["out", "new"] },
        { "do": "make-folder", "path": ["out", "inner"] },
        { "do": "rename", "path": ["out", "new"], "to": ["data", "new"] },
        { "do": "link", "path": ["out", "new"], "to": ["out", "again"] },
        { "do": "symlink", "path": ["out", "soft"], "target": "new" },
        { "do": "remove", "path": ["out", "new"] },
        { "do": "remove", "path": ["data", "file"] },
    ]);
    let (house, lines) = recorded(json!({ "do": "files", "actions": actions }), grants).await;
    let wanted = [
        "files allowed - open to read /data/file",
        "files allowed - open to read /data/none no-entry",
        "files denied not-granted open to read /data/../secret",
        "files denied read-only open to overwrite /data/file",
        "files allowed - open to overwrite /out/new",
        "files allowed - create folder /out/inner",
        "files denied not-granted rename /out/new",
        "files denied not-granted link /out/new",
        "files denied not-granted symbolic link /out/soft",
        "files allowed - remove /out/new",
        "files denied read-only remove /data/file",
    ];
    assert_eq!(lines, wanted);
    assert_eq!(house.audit.counters().denied(Capability::Files), 6);
}

#[tokio::test]
async fn f4_a_folder_that_is_full_is_recorded_and_counted() {
    for (with, key, act) in [
        ("empty-files", "disk_entries", "open to"),
        ("stream", "disk_bytes", "write"),
    ] {
        let outer = tempfile::tempdir().unwrap();
        let grants = json!({
            "folders": [{ "name": "out", "path": outer.path(), "access": "write" }],
            "limits": { "disk_bytes": "64KiB", "disk_entries": 3 },
        });
        let fill = json!({ "do": "fill", "folder": "out", "with": with });
        let (house, lines) = recorded(fill, grants).await;
        assert!(house.hits(key) > 0, "{key}");
        let denied = format!("files denied quota {act}");
        assert!(
            lines.iter().any(|line| line.starts_with(&denied)),
            "{lines:?}"
        );
    }
    let fill = json!({ "do": "fill", "folder": "scratch", "with": "write" });
    let (house, _) = recorded(fill, json!({ "scratch": "64KiB" })).await;
    assert!(house.hits("scratch") > 0);
}

#[tokio::test]
async fn what_a_driver_keeps_is_recorded() {
    let store = json!({ "do": "store", "key": "k", "bytes": 10 });
    let (_, lines) = recorded(store, json!({})).await;
    assert_eq!(
        lines,
        ["state allowed - set k", "state allowed - list keys"]
    );
    let store = json!({ "do": "store", "key": "k", "bytes": 100_000 });
    let (house, lines) = recorded(store, json!({})).await;
    assert_eq!(lines[0], "state denied quota set k");
    assert_eq!(house.hits("state_store"), 1);
}

#[tokio::test]
async fn g5_records_of_a_call_are_limited() {
    let grants = json!({ "limits": { "audit_records": 2, "cpu": "20s" } });
    let sockets = json!({ "do": "sockets", "ip": [127, 0, 0, 1], "port": 1 });
    let (house, _) = recorded(sockets, grants).await;
    let lines = house.book.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let counted = house.audit.counters().denied(Capability::Sockets);
    let further = format!(
        "budget denied summary {} further decisions of this call",
        counted - 2
    );
    assert_eq!(lines[2], further);
    assert_eq!(house.hits("audit_records"), 1);
}
