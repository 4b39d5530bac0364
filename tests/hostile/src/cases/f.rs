//! F: folders, quotas and surroundings.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::expect::{assert_killed, assert_text};
use crate::host::{Ended, HostUnderTest};
use crate::stage::Stage;
use crate::witness::{file_tree, weigh};

/// A folder `data` with a file and a folder in it, beside a file `secret`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let data = outer.path().join("data");
        std::fs::create_dir_all(data.join("inner")).unwrap();
        std::fs::create_dir(outer.path().join("second")).unwrap();
        std::fs::write(data.join("file"), "content").unwrap();
        std::fs::write(outer.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("../secret", data.join("out")).unwrap();
        std::os::unix::fs::symlink(outer.path().join("secret"), data.join("absolute")).unwrap();
        std::os::unix::fs::symlink("loop", data.join("loop")).unwrap();
        Self(outer)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn grants(&self, data: &str, second: &str) -> Value {
        json!({ "folders": [
            { "name": "data", "path": self.path("data"), "access": data },
            { "name": "second", "path": self.path("second"), "access": second },
        ] })
    }
}

/// Does one thing after the other; what the guest was told of each.
async fn act<H: HostUnderTest>(
    stage: &Stage<H>,
    actions: Vec<Value>,
    grants: Value,
) -> Vec<String> {
    let count = actions.len();
    let files = json!({ "do": "files", "actions": actions });
    let step = stage.run(files, grants).await;
    (0..count)
        .map(|index| step.note(&index.to_string()).to_owned())
        .collect()
}

/// Everything that changes a file or a folder.
fn changes() -> Vec<Value> {
    let open = |flags: &str| json!({ "do": "open", "path": ["data", "file"], "flags": flags });
    vec![
        json!({ "do": "write", "path": ["data", "file"] }),
        json!({ "do": "write", "path": ["data", "new"] }),
        json!({ "do": "write", "path": ["data", "inner/new"] }),
        open("w"),
        open("t"),
        open("wt"),
        open("c"),
        open("wc"),
        json!({ "do": "open", "path": ["data", "new"], "flags": "c" }),
        json!({ "do": "open", "path": ["data", "new"], "flags": "cx" }),
        json!({ "do": "open", "path": ["data", "new"], "flags": "cd" }),
        json!({ "do": "resize", "path": ["data", "file"], "size": 0 }),
        json!({ "do": "touch", "path": ["data", "file"] }),
        json!({ "do": "touch", "path": ["data", "inner"] }),
        json!({ "do": "remove", "path": ["data", "file"] }),
        json!({ "do": "remove", "path": ["data", "out"] }),
        json!({ "do": "make-folder", "path": ["data", "made"] }),
        json!({ "do": "remove-folder", "path": ["data", "inner"] }),
        json!({ "do": "rename", "path": ["data", "file"], "to": ["data", "renamed"] }),
        json!({ "do": "link", "path": ["data", "file"], "to": ["data", "linked"] }),
        json!({ "do": "symlink", "path": ["data", "linked"], "target": "file" }),
    ]
}

/// Every flag and every function that changes something, on a folder for reading.
pub async fn f3_a_read_only_folder_does_not_change<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let place = Place::new();
    let before = file_tree(place.0.path());
    let mut actions = changes();
    actions.push(json!({ "do": "read", "path": ["data", "file"] }));
    let told = act(&stage, actions, place.grants("read", "read")).await;
    assert_eq!(file_tree(place.0.path()), before);
    assert_eq!(told.last().unwrap(), "ok content");
    // To open what is there with `create`, or as a folder, changes nothing and
    // may be answered either way; of the others none may be said to be done.
    let done = told
        .iter()
        .filter(|answer| answer.starts_with("ok"))
        .count();
    assert!(done <= 2, "{told:?}");
}

/// The positive twin: a denial of everything would pass the others.
pub async fn f1_a_writable_folder_can_be_written<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let place = Place::new();
    let told = act(
        &stage,
        vec![
            json!({ "do": "write", "path": ["data", "new"] }),
            json!({ "do": "make-folder", "path": ["data", "made"] }),
            json!({ "do": "rename", "path": ["data", "new"], "to": ["data", "made/moved"] }),
            json!({ "do": "remove", "path": ["data", "file"] }),
        ],
        place.grants("write", "read"),
    )
    .await;
    assert!(
        told.iter().all(|answer| answer.starts_with("ok")),
        "{told:?}"
    );
    let moved = std::fs::read_to_string(place.path("data/made/moved")).unwrap();
    assert_eq!(moved, "hostile");
    assert!(!place.path("data/file").exists());
}

/// Paths up, absolute, endless, with a NUL, through links.
pub async fn f1_no_path_leads_out<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let place = Place::new();
    let secret = place.path("secret").display().to_string();
    let ways = [
        "../secret".to_owned(),
        "inner/../../secret".to_owned(),
        "./.././secret".to_owned(),
        "inner/../../secret/".to_owned(),
        "..".to_owned(),
        "../".to_owned(),
        "/".to_owned(),
        format!("/{secret}"),
        format!("//{secret}"),
        secret,
        "/etc/passwd".to_owned(),
        "out".to_owned(),
        "out/".to_owned(),
        "absolute".to_owned(),
        "loop".to_owned(),
        "file\0/../../secret".to_owned(),
        "../".repeat(4_000),
        "x".repeat(10_000),
        format!("inner/{}../secret", "../".repeat(40)),
        String::new(),
    ];
    let before = file_tree(&place.path("."));
    for way in ways {
        let told = act(
        &stage,
            vec![
                json!({ "do": "read", "path": ["data", way] }),
                json!({ "do": "write", "path": ["data", way] }),
                json!({ "do": "open", "path": ["data", way], "flags": "t" }),
                json!({ "do": "touch", "path": ["data", format!("{way}/../secret")] }),
                json!({ "do": "make-folder", "path": ["data", format!("{way}/made")] }),
                json!({ "do": "rename", "path": ["data", "file"], "to": ["data", format!("{way}/x")] }),
                json!({ "do": "remove-folder", "path": ["data", way] }),
            ],
            place.grants("write", "read"),
        )
        .await;
        assert!(
            told.iter().all(|answer| !answer.starts_with("ok")),
            "{way:?}: {told:?}"
        );
    }
    assert_eq!(file_tree(&place.path(".")), before);
}

/// Renames and hard links, in both directions.
pub async fn f2_nothing_moves_between_folders<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let place = Place::new();
    std::fs::write(place.path("second/other"), "other").unwrap();
    let before = file_tree(place.0.path());
    for (data, second) in [("read", "write"), ("write", "read"), ("write", "write")] {
        let mut actions = vec![];
        for how in ["rename", "link"] {
            actions.extend([
                json!({ "do": how, "path": ["data", "file"], "to": ["second", "moved"] }),
                json!({ "do": how, "path": ["second", "other"], "to": ["data", "moved"] }),
                json!({ "do": how, "path": ["second", "other"], "to": ["data", "file"] }),
            ]);
        }
        let told = act(&stage, actions, place.grants(data, second)).await;
        assert!(
            told.iter().all(|answer| !answer.starts_with("ok")),
            "{data} {second}: {told:?}"
        );
        assert_eq!(file_tree(place.0.path()), before);
    }
}

/// Links that a guest would make for itself.
pub async fn f1_a_guest_makes_no_links<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let place = Place::new();
    let before = file_tree(place.0.path());
    let told = act(
        &stage,
        vec![
            json!({ "do": "symlink", "path": ["data", "way"], "target": "../secret" }),
            json!({ "do": "symlink", "path": ["data", "way"], "target": "file" }),
            json!({ "do": "link", "path": ["data", "file"], "to": ["data", "way"] }),
        ],
        place.grants("write", "write"),
    )
    .await;
    assert!(
        told.iter().all(|answer| !answer.starts_with("ok")),
        "{told:?}"
    );
    assert_eq!(file_tree(place.0.path()), before);
}

/// Grants that name one folder twice.
pub async fn f1_folders_that_are_one_through_a_link_are_refused<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let place = Place::new();
    std::os::unix::fs::symlink(place.path("."), place.path("second/detour")).unwrap();
    // By its own name, through a link in the middle, and as a link itself.
    for path in [
        "second/detour/data",
        "second/detour/data/inner",
        "second/detour",
    ] {
        let grants = json!({ "folders": [
            { "name": "data", "path": place.path("data"), "access": "read" },
            { "name": "again", "path": place.path(path), "access": "write" },
        ] });
        let refused = stage.unbindable(grants).await;
        assert!(refused.contains("grants.folders[1]"), "{refused}");
    }
    for path in ["nowhere", "secret"] {
        let grants = json!({ "folders": [{ "name": "data", "path": place.path(path) }] });
        let refused = stage.unbindable(grants).await;
        assert!(refused.contains("grants.folders[0]"), "{path}: {refused}");
    }
}

/// Environment, arguments, folder and standard input.
pub async fn f6_there_is_no_environment<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let step = stage.run(json!({ "do": "environment" }), json!({})).await;
    let found = step.notes();
    let expected = [
        ("arguments", "[]"),
        ("folder", "None"),
        ("input", "Err(StreamError::Closed)"),
        ("variables", "[]"),
    ];
    let found: Vec<_> = found
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert_eq!(found, expected);
    // The test itself has one.
    assert!(std::env::vars().count() > 0);
}

const QUOTA: u64 = 256 << 10;

/// One block: what a name is charged.
const BLOCK: u64 = 4096;

fn fill(folder: &str, with: &str) -> Value {
    json!({ "do": "fill", "folder": folder, "with": with })
}

fn writable(folder: &Path, entries: u32) -> Value {
    json!({
        "folders": [{ "name": "data", "path": folder, "access": "write" }],
        "limits": { "disk_bytes": "256KiB", "disk_entries": entries, "cpu": "60s" },
    })
}

/// Small files, a large one, sparse ones, a deep tree.
pub async fn f4_a_folder_takes_no_more_than_its_quota<H: HostUnderTest>() {
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
        let stage = Stage::<H>::new();
        let grants = writable(folder.path(), 10_000);
        let step = stage.run(fill("data", with), grants).await;
        assert!(
            step.note("error").contains("quota"),
            "{with}: {:?}",
            step.end
        );
        assert_eq!(weigh(folder.path()), (entries, bytes), "{with}");
    }
}

/// A quota of names.
pub async fn f4_a_folder_takes_no_more_than_so_many_names<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for with in ["small-files", "empty-files", "deep"] {
        let folder = tempfile::tempdir().unwrap();
        let grants = writable(folder.path(), 7);
        let step = stage.run(fill("data", with), grants).await;
        assert_eq!(step.note("rounds"), "7", "{with}");
        assert_eq!(weigh(folder.path()).0, 7, "{with}");
    }
}

/// Steps of a call share a quota.
pub async fn f4_the_quota_is_one_of_the_call<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let folder = tempfile::tempdir().unwrap();
    let grants = writable(folder.path(), 10_000);
    let bound = stage.behaving(fill("data", "append"), grants).await;
    let call = bound.begin(&Arc::default());
    for _ in 0..3 {
        let step = call.measure().await;
        assert!(step.note("error").contains("quota"));
        // A file that is there already and is cut first pays for its bytes
        // anew, and there are none left.
        let (entries, bytes) = weigh(folder.path());
        assert_eq!(entries, 1);
        assert!(bytes <= QUOTA - BLOCK, "{bytes}");
    }
}

/// The text says what to raise.
pub async fn f4_the_operator_is_told_which_limit_it_was<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let folder = tempfile::tempdir().unwrap();
    let write = json!({ "do": "write", "path": ["data", "a"] });
    let once = json!({ "do": "files", "actions": [write] });
    let mut grants = writable(folder.path(), 1);
    grants["limits"]["disk_bytes"] = json!("4KiB");
    let step = stage.run(once, grants).await;
    assert!(step.note("0").contains("quota"), "{:?}", step.end);

    let mut grants = writable(folder.path(), 1);
    grants["limits"]["disk_bytes"] = json!("1KiB");
    // This guest gives up when it gets no file at all.
    let full = fill("data", "write");
    std::fs::remove_file(folder.path().join("a")).unwrap();
    let step = stage.run(full, grants).await;
    assert!(
        step.denial().contains("grants.limits.disk_bytes"),
        "{:?}",
        step.end
    );
    assert_text("f4", step.denial());
}

/// What was there is not charged.
pub async fn f4_a_file_that_was_there_pays_only_for_its_growth<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
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
    let step = stage.run(actions, writable(folder.path(), 1)).await;
    let told: Vec<_> = step
        .notes()
        .values()
        .map(|text| text.contains("ok"))
        .collect();
    assert_eq!(told, [true, true, false, true, false]);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 1 << 10);
}

/// Scratch of a step: capped, and gone after it. The suite runs this in a
/// process with a folder for temporary files of its own.
pub async fn f4_scratch_is_capped_and_gone_after_the_step<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let temporary = std::env::temp_dir();
    for (with, rounds) in [
        ("small-files", 63),
        ("stream", 63),
        ("sparse", 0),
        ("deep", 64),
    ] {
        let grants = json!({ "scratch": "256KiB", "limits": { "cpu": "60s" } });
        let step = stage.run(fill("scratch", with), grants).await;
        assert_eq!(step.note("rounds"), rounds.to_string(), "{with}");
        assert_eq!(weigh(&temporary), (0, 0));
    }
    // A tree deeper than a process has descriptors.
    let grants = json!({
        "scratch": "64MiB",
        "limits": { "disk_entries": 5000, "handles": 100_000, "cpu": "60s" },
    });
    stage.run(fill("scratch", "deep"), grants).await;
    assert_eq!(weigh(&temporary), (0, 0));
}

/// Without a grant there is no such folder.
pub async fn f4_there_is_no_scratch_that_was_not_granted<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let step = stage.run(fill("scratch", "small-files"), json!({})).await;
    assert!(matches!(step.end, Ended::Failed(_)), "{:?}", step.end);
}

/// Files that are there, opened again and again.
pub async fn f5_descriptors_are_limited<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let place = Place::new();
    let open = json!({ "do": "descriptors", "path": ["data", "file"] });
    let grants = |handles: u32| {
        let mut grants = place.grants("read", "read");
        grants["limits"] = json!({ "handles": handles, "cpu": "60s" });
        grants
    };
    let bound = stage.behaving(open.clone(), grants(64)).await;
    let before = descriptors();
    for _ in 0..3 {
        assert_killed(&stage, &bound.measure().await, "handles");
        bound.describe().await.assert_answered();
    }
    // Other tests open and close files at the same time, but not so many.
    assert!(descriptors() < before + 64, "{} {before}", descriptors());
}

/// Open descriptors of this process.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What it costs to know the time, and that it is only the time.
pub async fn f7_clocks_tell_the_time<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let seconds = || {
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    };
    let before = seconds();
    let step = stage.run(json!({ "do": "clocks" }), json!({})).await;
    let told: u64 = step.note("seconds").parse().unwrap();
    assert!((before..=seconds()).contains(&told));
    assert_eq!(step.note("monotonic"), "true");
    assert!(step.note("resolution").parse::<u64>().unwrap() > 0);
}

/// A folder with very many names.
pub async fn f8_a_large_folder_is_read_within_the_budget<H: HostUnderTest>() {
    const NAMES: usize = 20_000;
    let stage = Stage::<H>::new();
    let place = Place::new();
    for number in 0..NAMES {
        std::fs::write(place.path("second").join(format!("{number}")), "").unwrap();
    }
    let list = json!({ "do": "list", "folder": "second" });
    let mut grants = place.grants("read", "read");
    grants["limits"] = json!({ "cpu": "60s", "memory": "8MiB" });
    let shown = match stage.run(list.clone(), grants.clone()).await.end {
        Ended::Answered(answer) => {
            assert_eq!(answer.notes.get("error"), None, "what is shown can be read");
            answer.notes["names"].parse().unwrap()
        }
        Ended::Failed(_) | Ended::Denied(_) | Ended::Limit { .. } => 0,
        other => panic!("{other:?}"),
    };
    assert!(shown <= NAMES / 2, "{shown} names were handed out");
    let limited = grants["limits"].as_object_mut().unwrap();
    limited.insert("cpu".to_owned(), json!("1ms"));
    assert_killed(&stage, &stage.run(list, grants).await, "cpu");
}
