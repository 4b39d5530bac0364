//! F4, F5: what a guest may leave on the host's disk.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use servo_sandbox::{End, measure};

use crate::support::{begin, bind, driver, notes, request, run};

const QUOTA: u64 = 256 << 10;

/// One block: what a name is charged.
const BLOCK: u64 = 4096;

/// Files and folders below a folder, and the lengths of all files. Goes down
/// one folder at a time, since a deep tree has paths longer than the system's.
fn weigh(folder: &Path) -> (u64, u64) {
    let (mut entries, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let about = std::fs::symlink_metadata(entry.path()).unwrap();
        entries += 1;
        if about.is_dir() {
            let (inner_entries, inner_bytes) = weigh(&entry.path());
            entries += inner_entries;
            bytes += inner_bytes;
        } else {
            bytes += about.len();
        }
    }
    (entries, bytes)
}

fn fill(folder: &str, with: &str) -> Value {
    json!({ "do": "fill", "folder": folder, "with": with })
}

fn writable(folder: &Path, entries: u32) -> Value {
    json!({
        "folders": [{ "name": "data", "path": folder, "access": "write" }],
        "limits": { "disk_bytes": "256KiB", "disk_entries": entries, "cpu": "60s" },
    })
}

#[tokio::test]
async fn f4_a_folder_takes_no_more_than_its_quota() {
    let blocks = QUOTA / BLOCK;
    for (with, entries, bytes) in [
        // One byte each, and the block it takes.
        ("small-files", 63, 63),
        ("empty-files", blocks, 0),
        ("write", 1, QUOTA - BLOCK),
        ("stream", 1, QUOTA - BLOCK),
        ("append", 1, QUOTA - BLOCK),
        // The file is made, and stays empty.
        ("sparse", 1, 0),
        ("deep", blocks, 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let step = run(fill("data", with), writable(folder.path(), 10_000)).await;
        let told = notes(&step);
        assert!(told["error"].contains("quota"), "{with}: {told:?}");
        assert_eq!(weigh(folder.path()), (entries, bytes), "{with}");
    }
}

#[tokio::test]
async fn f4_a_folder_takes_no_more_than_so_many_names() {
    for with in ["small-files", "empty-files", "deep"] {
        let folder = tempfile::tempdir().unwrap();
        let step = run(fill("data", with), writable(folder.path(), 7)).await;
        assert_eq!(notes(&step)["rounds"], "7", "{with}");
        assert_eq!(weigh(folder.path()).0, 7, "{with}");
    }
}

#[tokio::test]
async fn f4_the_quota_is_one_of_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let bound = bind(
        &driver().await,
        fill("data", "append"),
        writable(folder.path(), 10_000),
    );
    let call = begin(&bound);
    for _ in 0..3 {
        let step = call.measure(&request(), None).await;
        assert!(notes(&step)["error"].contains("quota"));
        // A file that is there already and is cut first pays for its bytes
        // anew, and there are none left.
        let (entries, bytes) = weigh(folder.path());
        assert_eq!(entries, 1);
        assert!(bytes <= QUOTA - BLOCK, "{bytes}");
    }
}

#[tokio::test]
async fn f4_the_operator_is_told_which_limit_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let write = json!({ "do": "write", "path": ["data", "a"] });
    let once = json!({ "do": "files", "actions": [write] });
    let mut grants = writable(folder.path(), 1);
    grants["limits"]["disk_bytes"] = json!("4KiB");
    let step = run(once, grants).await;
    assert!(notes(&step)["0"].contains("quota"), "{:?}", step.end);

    let mut grants = writable(folder.path(), 1);
    grants["limits"]["disk_bytes"] = json!("1KiB");
    // This guest gives up when it gets no file at all.
    let full = fill("data", "write");
    std::fs::remove_file(folder.path().join("a")).unwrap();
    match run(full, grants).await.end {
        End::Denied { denial, .. } => {
            assert!(denial.contains("grants.limits.disk_bytes"), "{denial}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn f4_a_file_that_was_there_pays_only_for_its_growth() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
    let resize =
        |size: u64| json!({ "do": "resize", "path": ["data", "file"], "flags": "w", "size": size });
    let actions = json!({ "do": "files", "actions": [
        { "do": "open", "path": ["data", "file"], "flags": "wc" },
        resize((1 << 20) + QUOTA),
        resize((1 << 20) + QUOTA + 1),
        resize(1 << 10),
        resize((1 << 10) + 1),
    ] });
    let told = notes(&run(actions, writable(folder.path(), 1)).await);
    let told: Vec<_> = told.values().map(|text| text.contains("ok")).collect();
    assert_eq!(told, [true, true, false, true, false]);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 1 << 10);
}

/// Runs in a process of its own, with a folder for temporary files of its own.
#[tokio::test]
async fn f4_scratch_child() {
    let temporary = std::env::temp_dir();
    for (with, rounds) in [
        ("small-files", 63),
        ("stream", 63),
        ("sparse", 0),
        ("deep", 64),
    ] {
        let grants = json!({ "scratch": "256KiB", "limits": { "cpu": "60s" } });
        let step = run(fill("scratch", with), grants).await;
        assert_eq!(notes(&step)["rounds"], rounds.to_string(), "{with}");
    }
    // A tree deeper than a process has descriptors.
    let grants = json!({
        "scratch": "64MiB",
        "limits": { "disk_entries": 5000, "handles": 100_000, "cpu": "60s" },
    });
    let step = run(fill("scratch", "deep"), grants).await;
    assert!(!matches!(step.end, End::Ok(measure::MeasureStep::Wait(_))));
    if std::env::var_os("SERVO_OWN_TMPDIR").is_some() {
        assert_eq!(weigh(&temporary), (0, 0));
    }
}

#[tokio::test]
async fn f4_scratch_is_capped_and_gone_after_the_step() {
    let temporary = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "disk::f4_scratch_child", "--test-threads=1"])
        .env("TMPDIR", temporary.path())
        .env("SERVO_OWN_TMPDIR", "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{printed}");
    assert!(printed.contains("1 passed"), "{printed}");
    assert_eq!(weigh(temporary.path()), (0, 0));
}

#[tokio::test]
async fn f4_there_is_no_scratch_that_was_not_granted() {
    let step = run(fill("scratch", "small-files"), json!({})).await;
    assert!(matches!(step.end, End::Failure(_)), "{:?}", step.end);
}
