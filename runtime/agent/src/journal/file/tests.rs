//! The journal on a disk that fills up.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::journal::{DriverId, Standing};

const EMPTY: usize = usize::MAX;

fn call() -> CallId {
    CallId::new("c1")
}

fn pause(state: &str) -> Pause {
    Pause {
        wait: Duration::from_secs(60),
        state: state.to_owned(),
        ..Pause::default()
    }
}

/// A journal in the middle of a first step, on a disk that can fill up.
async fn in_first_step(path: &Path) -> (FileJournal, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(EMPTY));
    let room = Arc::clone(&left);
    let (journal, _) = FileJournal::open(path, "shop").unwrap();
    let journal = journal.with_room(Arc::new(move || room.load(Ordering::SeqCst)));
    begin(&journal).await;
    (journal, left)
}

/// A command and its first step.
async fn begin(journal: &FileJournal) {
    let accepted = Accepted {
        call: call(),
        command: json!({"cmd": "MEASURE", "param": {}}),
    };
    journal.accepted(&accepted).await.unwrap();
    let began = Began {
        call: call(),
        driver: DriverId {
            name: "fake".to_owned(),
            version: "1.0.0".to_owned(),
            digest: None,
        },
        request: json!({}),
    };
    journal.began(&began).await.unwrap();
}

/// State of the pause that a restart finds, if it finds one.
fn state_found(path: &Path) -> Option<String> {
    let (_, recovered) = FileJournal::open(path, "shop").unwrap();
    match recovered {
        Recovered::Call(call) => match call.standing {
            Standing::Begun(begun) => begun.pause.map(|pause| pause.state),
            Standing::Accepted => panic!("the step had begun"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_did_not_fit_is_not_there_and_says_so() {
    for fitting in [0, 1, 40, 100] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (journal, left) = in_first_step(&path).await;
        left.store(fitting, Ordering::SeqCst);
        let error = journal.paused(&call(), &pause("\"s\"")).await.unwrap_err();
        assert!(error.to_string().contains("free space"), "{error}");
        drop(journal);
        assert_eq!(state_found(&path), None, "{fitting} bytes fitted");
    }
}

#[tokio::test]
async fn a_disk_that_was_full_for_a_while_heals() {
    for fitting in [0, 1, 40, 100] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let (journal, left) = in_first_step(&path).await;
        left.store(fitting, Ordering::SeqCst);
        for _ in 0..3 {
            assert!(journal.paused(&call(), &pause("\"s\"")).await.is_err());
        }
        left.store(EMPTY, Ordering::SeqCst);
        journal.paused(&call(), &pause("\"t\"")).await.unwrap();
        drop(journal);
        assert_eq!(
            state_found(&path).as_deref(),
            Some("\"t\""),
            "{fitting} bytes fitted"
        );
    }
}

#[tokio::test]
async fn a_result_that_could_not_be_compacted_away_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let (journal, left) = in_first_step(&path).await;
    left.store(1000, Ordering::SeqCst);
    let result = journal.delivered(&call()).await;
    drop(journal);
    let (_, recovered) = FileJournal::open(&path, "shop").unwrap();
    assert!(result.is_ok());
    assert_eq!(recovered, Recovered::Nothing);
}

#[tokio::test]
async fn an_end_that_did_not_fit_is_made_up_for_when_nothing_is_going_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let (journal, left) = in_first_step(&path).await;
    left.store(0, Ordering::SeqCst);
    assert!(journal.delivered(&call()).await.is_err());
    assert!(journal.idle().await.is_err());
    left.store(EMPTY, Ordering::SeqCst);
    journal.idle().await.unwrap();
    drop(journal);
    let (_, recovered) = FileJournal::open(&path, "shop").unwrap();
    assert_eq!(recovered, Recovered::Nothing);
}

#[tokio::test]
async fn a_record_larger_than_any_result_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let (journal, _left) = in_first_step(&path).await;
    journal.writer.lock().unwrap().limit = 1000;
    let large = pause(&"x".repeat(1000));
    let error = journal.paused(&call(), &large).await.unwrap_err();
    assert!(error.to_string().contains("is larger than"), "{error}");
    journal.paused(&call(), &pause("\"s\"")).await.unwrap();
    drop(journal);
    assert_eq!(state_found(&path).as_deref(), Some("\"s\""));
}

#[tokio::test]
async fn another_version_of_the_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    drop(FileJournal::open(&path, "shop").unwrap());
    let newer = Record {
        n: 0,
        at: Moment(0),
        what: What::Journal {
            version: VERSION + 1,
            app: "shop".to_owned(),
        },
    };
    std::fs::write(path.join("journal.jsonl"), newer.encode().unwrap()).unwrap();
    let error = FileJournal::open(&path, "shop").unwrap_err().to_string();
    assert!(
        error.contains("line 1: it is a journal of version 2"),
        "{error}"
    );
}

/// The clock goes back between the command and the pause; what stands in the
/// journal before the pause must not make its wait shorter.
#[tokio::test]
async fn a_clock_that_went_back_during_a_call_cuts_no_wait_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let seconds = Arc::new(AtomicUsize::new(10_000));
    let open = || {
        let seconds = Arc::clone(&seconds);
        let clock: Clock = Arc::new(move || {
            let seconds = u64::try_from(seconds.load(Ordering::SeqCst)).unwrap();
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
        });
        FileJournal::open_with_clock(&path, "shop", clock).unwrap()
    };
    let (journal, _) = open();
    begin(&journal).await;
    seconds.store(5000, Ordering::SeqCst);
    journal.paused(&call(), &pause("\"s\"")).await.unwrap();
    drop(journal);
    seconds.store(5010, Ordering::SeqCst);
    let (_, recovered) = open();
    let Recovered::Call(call) = recovered else {
        panic!("{recovered:?}")
    };
    let Standing::Begun(begun) = call.standing else {
        panic!("{call:?}")
    };
    assert_eq!(begun.pause.unwrap().left, Duration::from_secs(60));
}
