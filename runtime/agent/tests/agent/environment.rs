//! The check of the environment: limits, stops and crashes (protocol section 9).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;
use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{
    CallContext, CancelSupport, EnvironmentCheck, FileJournal, Recovered, StopReason,
};
use servo_protocol::{Failure, Operation};
use tokio::time::sleep;

/// Takes its time, stops when told to if it is obedient, and says yes.
#[derive(Default)]
struct Slow {
    seconds: u64,
    obedient: bool,
    asked: Mutex<Vec<Value>>,
    running: AtomicUsize,
}

#[async_trait]
impl EnvironmentCheck for Slow {
    async fn check(&self, cx: &CallContext, _: Operation, param: &Value) -> Result<(), Failure> {
        struct Running<'a>(&'a AtomicUsize);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(&self.running);
        self.asked.lock().unwrap().push(param.clone());
        assert_eq!(cx.param.as_deref(), Some(param));
        tokio::select! {
            () = sleep(Duration::from_secs(self.seconds)) => Ok(()),
            () = cx.cancel.cancelled(), if self.obedient => Err(Failure {
                status: "failed".into(),
                reason: None,
                message: None,
                state: None,
            }),
        }
    }
}

fn command() -> (To, Reply) {
    let param = json!({"metrics": ["throughput"], "control": {"environment": {"mode": "x"}}});
    cmd("MEASURE", param)
}

/// How long a check takes, when it is told to stop and whether it does; when the
/// report comes and what it says.
#[tokio::test(start_paused = true)]
async fn a_check_has_an_end() {
    let cases = [
        (120, None, false, "120", json!(["ok", null])),
        (599, None, false, "599", json!(["ok", null])),
        (
            601,
            None,
            false,
            "600",
            json!(["environment-mismatch", "timeout"]),
        ),
        (
            300,
            Some(100),
            true,
            "100",
            json!(["cancelled", "stopping"]),
        ),
        (
            300,
            Some(100),
            false,
            "105",
            json!(["cancelled", "stopping"]),
        ),
    ];
    for (seconds, stop, obedient, at, expected) in cases {
        let check = Arc::new(Slow {
            seconds,
            obedient,
            ..Slow::default()
        });
        let acts = if expected[0] == "ok" {
            vec![Act::done(measurement())]
        } else {
            vec![]
        };
        let driver = measures(CancelSupport::None, acts);
        let run = Run::new(vec![command()]).measure(&driver);
        let (service, servo) = run.environment(&check).start();
        if let Some(stop) = stop {
            sleep(Duration::from_secs(stop)).await;
            service.stop(StopReason::Sigterm);
        }
        servo.await.unwrap();
        let log = service.log();
        let report = log.report("MEASUREMENT");
        assert_eq!(json!([report["status"], report["reason"]]), expected);
        let line = format!("{at} MEASUREMENT");
        assert!(log.lines().contains(&line), "{:?}", log.lines());
        assert_eq!(check.running.load(Ordering::SeqCst), 0);
    }
}

/// Killed during the check, the command is in the journal and is checked anew.
#[tokio::test(start_paused = true)]
async fn a_crash_during_a_check() {
    let tree = tempfile::tempdir().unwrap();
    let folder = tree.path().join("journal");
    let open = || {
        let (journal, recovered) = FileJournal::open(&folder, "shop").unwrap();
        (Arc::new(journal), recovered)
    };
    let check = Arc::new(Slow {
        seconds: 60,
        ..Slow::default()
    });
    let driver = measures(CancelSupport::None, vec![Act::done(measurement())]);
    let run = |script| Run::new(script).measure(&driver).environment(&check);

    let (journal, _) = open();
    let (service, servo) = run(vec![command()]).journal(&journal).start();
    while check.asked.lock().unwrap().is_empty() {
        sleep(Duration::from_secs(1)).await;
    }
    servo.abort();
    assert!(servo.await.unwrap_err().is_cancelled());
    assert_eq!(service.log().params("MEASUREMENT"), [json!(null); 0]);
    drop(journal);

    let (journal, recovered) = open();
    assert!(
        recovered.to_string().contains("had not begun"),
        "{recovered}"
    );
    let (_, log) = run(vec![])
        .journal(&journal)
        .recovered(recovered)
        .go()
        .await;
    assert_eq!(log.report("MEASUREMENT")["status"], "ok");
    assert_eq!(check.asked.lock().unwrap().len(), 2);
    drop(journal);
    assert_eq!(open().1, Recovered::Nothing);
}
