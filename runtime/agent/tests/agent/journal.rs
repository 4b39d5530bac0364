//! The journal in a file: what it keeps, whom it lets in, what damage it finds.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use servo_agent::{
    Accepted, Began, BegunCall, CallId, Clock, DriverId, FileJournal, Journal, Pause, PauseInHand,
    Recovered, Standing,
};
use servo_protocol::{Envelope, EventName};
use tempfile::TempDir;

/// A folder for a journal, and a clock that stands at a second.
struct Place {
    _tree: TempDir,
    path: PathBuf,
    second: Arc<AtomicU64>,
}

impl Place {
    fn new() -> Self {
        let tree = tempfile::tempdir().unwrap();
        Self {
            path: tree.path().join("journal/shop"),
            _tree: tree,
            second: Arc::new(AtomicU64::new(1_700_000_000)),
        }
    }

    fn at(&self, second: u64) {
        self.second.store(1_700_000_000 + second, Ordering::SeqCst);
    }

    fn before(&self, seconds: u64) {
        self.second.store(1_700_000_000 - seconds, Ordering::SeqCst);
    }

    fn open(&self) -> (FileJournal, Recovered) {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<(FileJournal, Recovered), String> {
        let second = Arc::clone(&self.second);
        let clock: Clock =
            Arc::new(move || UNIX_EPOCH + Duration::from_secs(second.load(Ordering::SeqCst)));
        FileJournal::open_with_clock(&self.path, "shop", clock).map_err(|error| error.to_string())
    }

    fn file(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// A whole pause of a minute, 10 s after the command, at second 10.
    async fn paused(&self) -> FileJournal {
        let (journal, _) = self.open();
        journal.accepted(&accepted("c1")).await.unwrap();
        journal.began(&began()).await.unwrap();
        self.at(10);
        journal.paused(&call(), &pause("\"s\"")).await.unwrap();
        journal
    }

    fn begun(&self) -> BegunCall {
        match self.open().1 {
            Recovered::Call(call) => match call.standing {
                Standing::Begun(begun) => *begun,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn found(&self) -> PauseInHand {
        self.begun().pause.unwrap()
    }
}

fn call() -> CallId {
    CallId::new("c1")
}

fn accepted(call: &str) -> Accepted {
    Accepted {
        call: CallId::new(call),
        command: json!({"cmd": "MEASURE", "cmd_uid": "u1", "param": {"control": {}}}),
    }
}

fn began() -> Began {
    Began {
        call: call(),
        driver: DriverId {
            name: "prom".to_owned(),
            version: "1.0.0".to_owned(),
            digest: Some("sha256:00".to_owned()),
        },
        request: json!({"metrics": null}),
    }
}

fn pause(state: &str) -> Pause {
    Pause {
        wait: Duration::from_secs(60),
        state: state.to_owned(),
        progress: Some(12.5),
        message: None,
    }
}

fn report() -> Envelope {
    Envelope {
        event: EventName::Measurement,
        param: json!({"status": "ok", "cmd_uid": "u1", "metrics": {"a": {"value": 0.25}}}),
        servo_uid: None,
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// After each record, what a restart finds.
#[tokio::test]
async fn what_was_told_is_found_again() {
    let place = Place::new();
    let (journal, recovered) = place.open();
    assert_eq!(recovered, Recovered::Nothing);
    drop(journal);
    let found = |expected: &str| {
        let (journal, recovered) = place.open();
        assert_eq!(recovered.to_string(), expected);
        (journal, recovered)
    };

    let (journal, _) = found("nothing was in hand");
    journal.accepted(&accepted("c1")).await.unwrap();
    drop(journal);
    place.at(7);
    let (journal, recovered) = found("MEASURE (call c1) had not begun");
    let Recovered::Call(in_hand) = recovered else {
        panic!("{recovered:?}")
    };
    assert_eq!(in_hand.command, accepted("c1").command);
    assert_eq!(in_hand.elapsed, Duration::from_secs(7));
    assert_eq!(in_hand.attempts, 1);

    journal.began(&began()).await.unwrap();
    drop(journal);
    let (journal, _) = found("MEASURE (call c1) was in its first step");
    journal
        .paused(&call(), &pause("{\"from\": 1}"))
        .await
        .unwrap();
    drop(journal);
    place.at(27);
    assert_eq!(
        place.begun(),
        BegunCall {
            driver: began().driver,
            request: began().request,
            pause: Some(PauseInHand {
                state: "{\"from\": 1}".to_owned(),
                left: Duration::from_secs(40),
                waited: Duration::from_secs(20),
                progress: Some(12.5),
            }),
            running: false,
            recovering: false,
            undo: None,
        }
    );
    let (journal, _) = found("MEASURE (call c1) was waiting, 40s are left");
    journal.resumed(&call()).await.unwrap();
    drop(journal);
    let (journal, _) = found("MEASURE (call c1) was in a later step");
    journal.ended(&call(), &report()).await.unwrap();
    drop(journal);
    let (journal, recovered) = found("the MEASUREMENT of call c1 was not delivered");
    let Recovered::Report(unsent) = recovered else {
        panic!("{recovered:?}")
    };
    assert_eq!(unsent.event, report());
    journal.delivered(&call()).await.unwrap();
    drop(journal);
    drop(found("nothing was in hand"));
}

/// A wait by the wall clock: second of the restart, what is left of a minute
/// that began at second 10.
#[tokio::test]
async fn what_is_left_of_a_wait() {
    for (second, left) in [(10, 60), (11, 59), (69, 1), (70, 0), (100_000, 0)] {
        let place = Place::new();
        drop(place.paused().await);
        place.at(second);
        assert_eq!(place.found().left.as_secs(), left, "second {second}");
    }
    // A clock that went back, and then goes on from there.
    let place = Place::new();
    drop(place.paused().await);
    place.before(1_000_000);
    assert_eq!(place.found().left.as_secs(), 60);
    place.before(1_000_000 - 25);
    assert_eq!(place.found().left.as_secs(), 35);
}

#[tokio::test]
async fn a_step_that_is_begun_again_is_counted() {
    let place = Place::new();
    drop(place.paused().await);
    let attempts = || match place.open().1 {
        Recovered::Call(call) => call.attempts,
        other => panic!("{other:?}"),
    };
    for begun in 0..5 {
        assert_eq!(attempts(), begun);
        place.open().0.resumed(&call()).await.unwrap();
    }
    place
        .open()
        .0
        .paused(&call(), &pause("\"t\""))
        .await
        .unwrap();
    assert_eq!(attempts(), 0);
}

#[tokio::test]
async fn a_torn_end_is_cut_off() {
    let place = Place::new();
    drop(place.paused().await);
    let whole = place.text();
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    // The last record cut at each byte is a step that is still running.
    for end in last..whole.len() {
        fs::write(place.file(), &whole.as_bytes()[..end]).unwrap();
        let (journal, recovered) = place.open();
        assert!(recovered.to_string().ends_with("first step"), "{end}");
        assert_eq!(place.text().len(), last);
        // And it goes on behind what was cut off.
        journal.paused(&call(), &pause("\"u\"")).await.unwrap();
        drop(journal);
        assert_eq!(place.found().state, "\"u\"");
    }
    // A crash of the machine can leave zeros.
    fs::write(place.file(), &whole).unwrap();
    let mut file = OpenOptions::new().append(true).open(place.file()).unwrap();
    file.write_all(&[0; 512]).unwrap();
    drop(file);
    assert_eq!(place.found().state, "\"s\"");
}

#[tokio::test]
async fn damage_is_an_error_that_names_the_line() {
    let place = Place::new();
    drop(place.paused().await);
    let whole = place.text();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 4);
    // Any one byte of any line.
    for (number, line) in (1..).zip(&lines) {
        let begin: usize = lines.iter().take(number - 1).map(|line| line.len()).sum();
        for byte in 0..line.len() - 1 {
            let mut bytes = whole.clone().into_bytes();
            bytes[begin + byte] ^= 1;
            fs::write(place.file(), bytes).unwrap();
            let error = place.try_open().unwrap_err();
            let named = format!("journal.jsonl, line {number}: ");
            assert!(error.contains(&named), "byte {byte}: {error}");
            assert!(error.contains("move it away"), "{error}");
        }
    }
    let cases = [
        (
            "a line is missing",
            [lines[0], lines[1], lines[3]].concat(),
            3,
        ),
        (
            "a line is doubled",
            [lines[0], lines[1], lines[1]].concat(),
            3,
        ),
        ("the beginning is missing", lines[1..].concat(), 1),
        ("two journals", [lines[0], lines[0]].concat(), 2),
        ("nothing", String::new(), 1),
        ("one torn line", lines[0].trim_end().to_owned(), 1),
        ("another file", "{}\n".to_owned(), 1),
    ];
    for (case, text, line) in cases {
        fs::write(place.file(), &text).unwrap();
        let error = place.try_open().unwrap_err();
        assert!(error.contains(&format!("line {line}: ")), "{case}: {error}");
        assert_eq!(place.text(), text, "{case}: it is left as it is");
    }
}

#[tokio::test]
async fn there_is_one_writer() {
    let place = Place::new();
    let (journal, _) = place.open();
    let error = place.try_open().unwrap_err();
    assert!(error.contains("in use by another servo"), "{error}");
    // Its clones count too.
    let clone = journal.clone();
    drop(journal);
    assert!(place.try_open().is_err());
    drop(clone);
    assert!(place.try_open().is_ok());
}

#[tokio::test]
async fn it_belongs_to_one_application() {
    let place = Place::new();
    drop(place.paused().await);
    let error = FileJournal::open(&place.path, "other").unwrap_err();
    let error = error.to_string();
    assert!(error.contains("`shop`, not to `other`"), "{error}");
}

#[tokio::test]
async fn nobody_else_can_read_or_write_it() {
    let place = Place::new();
    drop(place.paused().await);
    assert_eq!(mode(&place.path), 0o700);
    for file in fs::read_dir(&place.path).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    for (path, open, private) in [
        (place.path.clone(), 0o755, 0o700),
        (place.file(), 0o644, 0o600),
    ] {
        set_mode(&path, open);
        let error = place.try_open().unwrap_err();
        let remedy = format!("chmod {private:o} {}", path.display());
        assert!(error.contains(&remedy), "{error}");
        set_mode(&path, private);
        assert!(place.try_open().is_ok());
    }
    // Nor through a link to a folder or a file of somebody's choice.
    let elsewhere = place.path.with_file_name("elsewhere");
    fs::rename(&place.path, &elsewhere).unwrap();
    symlink(&elsewhere, &place.path).unwrap();
    let error = place.try_open().unwrap_err();
    assert!(error.contains("symbolic link"), "{error}");
    fs::remove_file(&place.path).unwrap();
    fs::rename(&elsewhere, &place.path).unwrap();
    for name in ["journal.jsonl", "lock"] {
        let (here, there) = (place.path.join(name), place.path.join("there"));
        fs::rename(&here, &there).unwrap();
        symlink(&there, &here).unwrap();
        assert!(place.try_open().is_err(), "{name}");
        fs::rename(&there, &here).unwrap();
    }
    assert!(place.try_open().is_ok());
}

#[tokio::test]
async fn it_does_not_grow() {
    let place = Place::new();
    let (journal, _) = place.open();
    let empty = place.text().len();
    for _ in 0..20 {
        journal.accepted(&accepted("c1")).await.unwrap();
        journal.began(&began()).await.unwrap();
        journal.ended(&call(), &report()).await.unwrap();
        journal.delivered(&call()).await.unwrap();
    }
    // The number of the record may have a digit more.
    assert!(place.text().len() < empty + 8, "{}", place.text());

    // One call of many large pauses.
    journal.accepted(&accepted("c1")).await.unwrap();
    journal.began(&began()).await.unwrap();
    let state = "s".repeat(100_000);
    for _ in 0..50 {
        journal.paused(&call(), &pause(&state)).await.unwrap();
        journal.resumed(&call()).await.unwrap();
    }
    assert!(place.text().len() < 1_200_000, "{}", place.text().len());
    drop(journal);
    assert_eq!(place.found().state, state);
}

/// A new file takes the place of the old one; what a crash left of a new one
/// is no hindrance.
#[tokio::test]
async fn compaction_replaces_the_whole_file() {
    let place = Place::new();
    let journal = place.paused().await;
    let before = fs::File::open(place.file()).unwrap();
    fs::write(place.path.join("journal.jsonl.new"), "left by a crash").unwrap();
    journal.ended(&call(), &report()).await.unwrap();
    journal.delivered(&call()).await.unwrap();
    drop(journal);
    let old = std::io::read_to_string(before).unwrap();
    assert_eq!(old.lines().count(), 6, "the old file is whole: {old}");
    assert_eq!(place.text().lines().count(), 1);
    assert!(!place.path.join("journal.jsonl.new").exists());
    assert_eq!(place.open().1, Recovered::Nothing);
}
