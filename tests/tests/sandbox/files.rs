//! F: folders and surroundings.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{driver, measure, notes, run, try_bind};

/// Paths, lengths, bytes and times of everything below a folder.
fn tree(folder: &Path) -> Vec<String> {
    let mut lines = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = std::fs::symlink_metadata(&path).unwrap();
        let bytes = about.is_file().then(|| std::fs::read(&path).unwrap());
        lines.push(format!(
            "{path:?} {:?} {} {:?} {bytes:?}",
            about.file_type(),
            about.len(),
            about.modified().unwrap()
        ));
        if about.is_dir() {
            lines.extend(tree(&path));
        }
    }
    lines.sort();
    lines
}

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
async fn act(actions: Vec<Value>, grants: Value) -> Vec<String> {
    let count = actions.len();
    let found = notes(&run(json!({ "do": "files", "actions": actions }), grants).await);
    (0..count)
        .map(|index| found[&index.to_string()].clone())
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

#[tokio::test]
async fn f3_a_read_only_folder_does_not_change() {
    let place = Place::new();
    let before = tree(place.0.path());
    let mut actions = changes();
    actions.push(json!({ "do": "read", "path": ["data", "file"] }));
    let told = act(actions, place.grants("read", "read")).await;
    assert_eq!(tree(place.0.path()), before);
    assert_eq!(told.last().unwrap(), "ok content");
    // To open what is there with `create`, or as a folder, changes nothing and
    // may be answered either way; of the others none may be said to be done.
    let done = told
        .iter()
        .filter(|answer| answer.starts_with("ok"))
        .count();
    assert!(done <= 2, "{told:?}");
}

#[tokio::test]
async fn f1_a_writable_folder_can_be_written() {
    let place = Place::new();
    let told = act(
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

#[tokio::test]
async fn f1_no_path_leads_out() {
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
    let before = tree(&place.path("."));
    for way in ways {
        let told = act(
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
    assert_eq!(tree(&place.path(".")), before);
}

#[tokio::test]
async fn f2_nothing_moves_between_folders() {
    let place = Place::new();
    std::fs::write(place.path("second/other"), "other").unwrap();
    let before = tree(place.0.path());
    for (data, second) in [("read", "write"), ("write", "read"), ("write", "write")] {
        let mut actions = vec![];
        for how in ["rename", "link"] {
            actions.extend([
                json!({ "do": how, "path": ["data", "file"], "to": ["second", "moved"] }),
                json!({ "do": how, "path": ["second", "other"], "to": ["data", "moved"] }),
                json!({ "do": how, "path": ["second", "other"], "to": ["data", "file"] }),
            ]);
        }
        let told = act(actions, place.grants(data, second)).await;
        assert!(
            told.iter().all(|answer| !answer.starts_with("ok")),
            "{data} {second}: {told:?}"
        );
        assert_eq!(tree(place.0.path()), before);
    }
}

#[tokio::test]
async fn f1_a_guest_makes_no_links() {
    let place = Place::new();
    let before = tree(place.0.path());
    let told = act(
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
    assert_eq!(tree(place.0.path()), before);
}

#[tokio::test]
async fn f1_folders_that_are_one_through_a_link_are_refused() {
    let place = Place::new();
    std::os::unix::fs::symlink(place.path("."), place.path("second/detour")).unwrap();
    let nothing = || json!({ "do": "nothing" });
    let driver = driver().await;
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
        let refused = try_bind(&driver, nothing(), grants).unwrap_err();
        assert!(refused.to_string().contains("again"), "{refused}");
    }
    for path in ["nowhere", "secret"] {
        let grants = json!({ "folders": [{ "name": "data", "path": place.path(path) }] });
        assert!(try_bind(&driver, nothing(), grants).is_err(), "{path}");
    }
}

#[tokio::test]
async fn f6_there_is_no_environment() {
    let bound = crate::support::bind(&driver().await, json!({ "do": "environment" }), json!({}));
    let found = notes(&measure(&bound).await);
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
