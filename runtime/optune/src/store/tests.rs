use rusqlite::Connection;

use super::*;
use crate::machine::Machine;
use crate::options::StudyOptions;

fn app() -> AppKey {
    AppKey::new("acme", "shop").unwrap()
}

fn fresh() -> Snapshot {
    Machine::new("u1".into(), StudyOptions::default())
        .state()
        .clone()
}

#[test]
fn a_store_that_was_never_closed_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optune.db");
    let mut store = Store::open(Some(&path)).unwrap();
    store.create(&app(), &fresh()).unwrap();
    // As after kill -9: what is on disk, log included, with nothing tidied up.
    let copy = folder.path().join("copy.db");
    for end in ["", "-wal"] {
        let from = folder.path().join(format!("optune.db{end}"));
        std::fs::copy(from, folder.path().join(format!("copy.db{end}"))).unwrap();
    }
    assert_eq!(
        Store::open(Some(&copy)).unwrap().load().unwrap(),
        vec![(app(), fresh())]
    );
}

#[test]
fn one_file_has_one_service() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optune.db");
    let first = Store::open(Some(&path)).unwrap();
    assert!(matches!(
        Store::open(Some(&path)),
        Err(StoreError::InUse { .. })
    ));
    drop(first);
    Store::open(Some(&path)).unwrap();
}

#[test]
fn a_newer_layout_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optune.db");
    let store = Store::open(Some(&path)).unwrap();
    store
        .connection
        .pragma_update(None, "user_version", 99)
        .unwrap();
    drop(store);
    assert!(matches!(
        Store::open(Some(&path)),
        Err(StoreError::TooNew { found: 99, .. })
    ));
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optune.db");
    std::fs::write(
        &path,
        "this is not a database, it only looks like a file\n".repeat(50),
    )
    .unwrap();
    assert!(matches!(
        Store::open(Some(&path)),
        Err(StoreError::Sqlite(_))
    ));
    let missing = folder.path().join("no/such/folder.db");
    let error = Store::open(Some(&missing)).unwrap_err().to_string();
    assert!(error.contains("is the folder writable?"), "{error}");
}

#[test]
fn commits_are_forced_to_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Some(&folder.path().join("optune.db"))).unwrap();
    let pragma = |name: &str| -> String {
        store
            .connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    };
    assert_eq!(pragma("synchronous"), "Integer(2)");
    assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
}

#[test]
fn the_record_of_events_can_only_grow() {
    let mut store = Store::open(None).unwrap();
    store.create(&app(), &fresh()).unwrap();
    let event = EventRecord {
        at: 5,
        name: "HELLO".into(),
        body: "{}".into(),
    };
    store.commit(&app(), Some(&event), &[]).unwrap();
    assert!(
        store
            .connection
            .execute("UPDATE events SET name = 'x'", [])
            .is_err()
    );
    assert!(store.connection.execute("DELETE FROM events", []).is_err());
    assert_eq!(store.events(&app()).unwrap(), vec![event]);
}

#[test]
fn a_file_in_place_of_the_folder_is_met_with_the_way_to_keep_it() {
    let outer = tempfile::tempdir().unwrap();
    let old = outer.path().join("shop.db");
    let mut store = Store::open(Some(&old)).unwrap();
    store.create(&app(), &fresh()).unwrap();
    drop(store);
    let error = Store::open_in(&old).unwrap_err().to_string();
    let remedy = error
        .split_once("mkdir ")
        .and_then(|(_, rest)| rest.split_once(", and name "))
        .unwrap();
    // The remedy does what it says.
    let done = std::process::Command::new("sh")
        .args(["-c", &format!("mkdir {}", remedy.0)])
        .status()
        .unwrap();
    assert!(done.success(), "{error}");
    let store = Store::open_in(Path::new(remedy.1)).unwrap();
    assert_eq!(store.load().unwrap(), vec![(app(), fresh())]);
}

#[cfg(unix)]
#[test]
fn the_folder_and_the_file_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("a/b");
    let _store = Store::open_in(&folder).unwrap();
    for (path, expected) in [(folder.clone(), 0o700), (folder.join(file::NAME), 0o600)] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, expected, "{}", path.display());
    }
}

/// As the first version wrote it, in the middle of a trial.
#[test]
fn a_database_of_the_first_layout_becomes_the_first_study() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optune.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(MIGRATIONS[0]).unwrap();
    old.execute_batch(
        r#"
        PRAGMA user_version = 1;
        INSERT INTO apps VALUES (1, 'acme', 'shop', 'u1',
            '{"uid":"u1","phase":{"phase":"measuring","trial":1},"seq":4,"last_closed":"ADJUST","servo":{"agent":"x","servo_uid":null,"connected":true},"stop":null,"touched":true,"applied":{"web":{"cpu":3}},"last_good":0,"repeats":0,"nap":null}');
        INSERT INTO studies VALUES (1, 7, '{"trials":4,"seed":7}', 'p', 2.5,
            '{"space":{"dimensions":[{"component":"web","setting":"cpu","domain":{"type":"range","min":1.0,"step":1.0,"count":4}}],"fixed":{}},"found":{"web":{"cpu":1}},"metrics":["p"],"perf":null,"objective":"p","scores":[2.5],"baseline":2.5}');
        INSERT INTO trials VALUES (1, 1, 'running', NULL, '{}', NULL, NULL, NULL, 5, NULL,
            '{"number":1,"point":[2],"settings":{"web":{"cpu":3}},"state":"running","score":null,"status":null,"reason":null,"message":null,"started":5,"ended":null}');
        INSERT INTO commands VALUES (1, 2, 'u1-2', 'MEASURE', 'ok', '{}');
        INSERT INTO commands VALUES (1, 4, 'u1-4', 'MEASURE', NULL,
            '{"uid":"u1-4","seq":4,"operation":"MEASURE","param":{},"deliveries":1}');
        INSERT INTO measurements VALUES (1, 2, 0, 2.5, '{}');
        "#,
    )
    .unwrap();
    drop(old);
    let store = Store::open(Some(&path)).unwrap();
    let (found, state) = store.load().unwrap().remove(0);
    assert_eq!(found, app());
    assert_eq!((state.core.study, state.core.check), (1, 0));
    assert_eq!((state.plan.trials, state.plan.lost_after), (4, 180));
    assert_eq!(state.trials.len(), 1);
    assert_eq!(state.outstanding.unwrap().uid, "u1-4");
    assert_eq!(state.study.unwrap().baseline, Some(2.5));
    let measured: u32 = store
        .connection
        .query_row("SELECT study FROM measurements", [], |row| row.get(0))
        .unwrap();
    assert_eq!(measured, 1);
}

/// Whatever is in the way is named, and nothing waits for it.
#[test]
fn only_a_regular_file_is_opened() {
    use std::os::unix::net::UnixListener;
    type Make = fn(&Path);
    let fifo: Make = |path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
    };
    let socket: Make = |path| drop(UnixListener::bind(path).unwrap());
    let folder: Make = |path| std::fs::create_dir(path).unwrap();
    let device: Make = |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    let table = [
        ("optune.db", fifo, "a FIFO"),
        ("optune.db", socket, "a socket"),
        ("optune.db", folder, "a folder"),
        ("optune.db", device, "a device"),
        ("optune.db-wal", fifo, "a FIFO"),
        ("optune.db-journal", fifo, "a FIFO"),
        ("optune.db-shm", device, "a device"),
    ];
    for (name, make, expected) in table {
        let data = tempfile::tempdir().unwrap();
        make(&data.path().join(name));
        match Store::open_in(data.path()) {
            Err(StoreError::NotAFile { path, what }) => {
                assert_eq!((path, what), (data.path().join(name), expected));
            }
            other => panic!("{name}, {expected}: {other:?}"),
        }
    }
}
