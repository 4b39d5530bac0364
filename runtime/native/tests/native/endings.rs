//! How a call ends, and that nothing of the program is left then (protocol
//! sections 8, 13.5, 22.3): looked at from outside, in `/proc`.

use std::time::Duration;

use crate::support::{
    Folder, context, ends, exists, limits, measure, reported, runs, until, words,
};
use servo_agent::{CancelSupport, MeasureDriver};

/// Starts a child that holds none of our streams, and tells who they are.
const FAMILY: &str = "echo $$ > leader
sleep 100000 < /dev/null > /dev/null 2>&1 &
echo $! > child
";

/// The child holds our streams open.
const HOLDING: &str = "echo $$ > leader
sleep 100000 &
echo $! > child
";

fn holding(rest: &str) -> Folder {
    Folder::with(&format!("{HOLDING}{rest}"))
}

fn family(rest: &str) -> Folder {
    Folder::with(&format!("{FAMILY}{rest}"))
}

/// The leader is reaped when the call has ended; its children are whoever's
/// reaps orphans on this machine.
async fn nothing_is_left(folder: &Folder) {
    let (leader, child) = (folder.pid("leader"), folder.pid("child"));
    assert!(!exists(leader), "the leader is still there");
    until("the child is gone", || !runs(child)).await;
}

#[tokio::test]
async fn a_call_that_ends_takes_what_it_started_with_it() {
    for (rest, wanted) in [
        (crate::support::OK, None),
        ("exit 3", Some(("nodata", None))),
        (
            "echo '{bad'; wait",
            Some(("failed", Some("invalid-output"))),
        ),
        ("echo 5; wait", Some(("failed", Some("invalid-output")))),
        // It closes its output and stays.
        ("exec > /dev/null 2>&1; wait", Some(("nodata", None))),
        (
            r#"echo '{"status":"ok","metrics":{"a":{"value":1}}}'; exec > /dev/null 2>&1; wait"#,
            Some(("failed", Some("exit-code"))),
        ),
    ] {
        let folder = family(rest);
        let failure = folder.measure().await.err();
        assert_eq!(failure.as_ref().map(words), wanted, "{rest}");
        nothing_is_left(&folder).await;
    }
}

#[tokio::test]
async fn an_overdue_driver_still_succeeds_in_the_originals_manner() {
    let folder = family(&format!(
        "{}; exec > /dev/null 2>&1; wait",
        crate::support::OK
    ));
    let driver = folder.driver(|options| options.compat = true);
    measure(&driver, &context().0).await.unwrap();
    nothing_is_left(&folder).await;
}

/// The original waits for ever.
#[tokio::test]
async fn output_held_open_by_a_grandchild_keeps_no_call_from_ending() {
    for (rest, wanted) in [
        (crate::support::OK, None),
        ("exit 3", Some(("nodata", None))),
    ] {
        let folder = holding(rest);
        let failure = folder.measure().await.err();
        assert_eq!(failure.as_ref().map(words), wanted, "{rest}");
        nothing_is_left(&folder).await;
    }
}

/// What leaves the group is out of reach, and keeps no call from ending either.
#[tokio::test]
async fn output_held_open_from_outside_the_group_keeps_no_call_from_ending() {
    let folder = Folder::with(&format!(
        "setsid sh -c 'echo $$ > stray; exec sleep 100000' &
        until [ -s stray ]; do :; done
        {}",
        crate::support::OK
    ));
    folder.measure().await.unwrap();
    let stray = folder.pid("stray");
    let pid = rustix::process::Pid::from_raw(i32::try_from(stray).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Output written just before the end is not lost.
#[tokio::test]
async fn the_last_line_counts_although_the_driver_is_gone_at_once() {
    let long = "x".repeat(60_000);
    let folder = Folder::with(&format!(
        "printf '%s' '{{\"status\":\"ok\",\"metrics\":{{\"a\":{{\"value\":\"{long}\"}}}}}}'"
    ));
    for _ in 0..20 {
        let measured = folder.measure().await.unwrap();
        let measured = serde_json::to_string(&measured).unwrap();
        assert!(measured.contains(&long));
    }
}

#[tokio::test]
async fn a_dropped_call_takes_everything_with_it() {
    let folder = family("echo '{\"progress\":7}'; wait");
    let driver = folder.driver(|_| {});
    let (cx, mut watched) = context();
    tokio::select! {
        ended = measure(&driver, &cx) => panic!("{ended:?}"),
        percent = reported(&mut watched) => assert!((percent - 7.0).abs() < f64::EPSILON),
    }
    let (leader, child) = (folder.pid("leader"), folder.pid("child"));
    until("both are gone", || !runs(leader) && !runs(child)).await;
    until("the leader is reaped", || !exists(leader)).await;
}

/// `--info` is a program like any other.
#[tokio::test]
async fn a_dropped_or_endless_info_takes_everything_with_it() {
    let info = format!("{FAMILY}mkfifo ready; echo > ready; wait");
    let folder = Folder::with(crate::support::OK).info(&info);
    let driver = folder.driver(|_| {});
    let ready = folder.path("ready");
    tokio::select! {
        ended = driver.info() => panic!("{ended:?}"),
        () = until("it is ready", || ready.exists()) => {}
    }
    let (leader, child) = (folder.pid("leader"), folder.pid("child"));
    until("both are gone", || !exists(leader) && !runs(child)).await;

    let folder = Folder::with(crate::support::OK).info(&format!("{FAMILY}wait"));
    let mut short = limits();
    // Long enough for two pids to be written, on a machine however busy: the
    // test is right as soon as it ends at all.
    short.info = Duration::from_millis(1500);
    let driver = folder.driver(|_| {}).with_limits(short);
    let failure = ends(driver.info()).await.unwrap_err();
    assert_eq!(words(&failure), ("failed", Some("timeout")));
    nothing_is_left(&folder).await;
}

/// `OPTUNE_IO_TIMEOUT`: silence on all three streams.
#[tokio::test]
async fn a_silent_driver_is_ended() {
    for (compat, reason) in [(false, Some("timeout")), (true, None)] {
        let folder = family("echo '{\"progress\":1}'; wait");
        let driver = folder.driver(|options| {
            options.io_timeout = Some(Duration::from_millis(1500));
            options.compat = compat;
        });
        let failure = measure(&driver, &context().0).await.unwrap_err();
        assert_eq!(words(&failure), ("failed", reason));
        nothing_is_left(&folder).await;
    }
}

/// stderr counts as activity, and so does reading.
#[tokio::test]
async fn a_driver_that_moves_is_not_silent() {
    // 40 times a pause of a twentieth of the limit: twice the limit in all.
    let call = format!(
        "i=0; while [ $i -lt 40 ]; do echo . >&2; sleep 0.1; i=$((i+1)); done; {}",
        crate::support::OK
    );
    let folder = Folder::with(&call);
    let driver = folder.driver(|options| options.io_timeout = Some(Duration::from_secs(2)));
    measure(&driver, &context().0).await.unwrap();
}

/// Without cancel support the agent drops the call, since that is what the
/// facts say; should anybody wait instead, the program is killed.
#[tokio::test]
async fn cancel_without_support_kills() {
    for (compat, wanted) in [
        (false, ("cancelled", Some("cancelled"))),
        (true, ("nodata", Some("undefined"))),
    ] {
        let folder =
            family("trap 'touch told' USR1; echo '{\"progress\":1}'; while :; do wait; done");
        let driver = folder.driver(|options| options.compat = compat);
        let (cx, mut watched) = context();
        let (ended, ()) = tokio::join!(measure(&driver, &cx), async {
            reported(&mut watched).await;
            assert_eq!(MeasureDriver::facts(&driver).cancel, CancelSupport::None);
            cx.cancel.cancel();
        });
        assert_eq!(words(&ended.unwrap_err()), wanted, "compat={compat}");
        assert!(!folder.path("told").exists());
        nothing_is_left(&folder).await;
    }
}

const CANCELLABLE: &str = r#"echo '{"version":"1","has_cancel":true}'"#;

/// With support the program is told, and what it then says is what counts,
/// unless it says nothing.
#[tokio::test]
async fn cancel_with_support_tells() {
    for (reaction, ours, original) in [
        (
            r#"echo '{"status":"aborted","reason":"asked","message":"m"}'; exit 3"#,
            Some(("aborted", Some("asked"))),
            Some(("aborted", Some("asked"))),
        ),
        (crate::support::OK, None, None),
        (
            r#"echo '{"status":"ok","metrics":{"a":{"value":1}}}'; exit 3"#,
            Some(("cancelled", Some("cancelled"))),
            None,
        ),
        (
            "exit 0",
            Some(("cancelled", Some("cancelled"))),
            Some(("nodata", Some("undefined"))),
        ),
        (
            "echo '{}'; exit 0",
            Some(("cancelled", Some("cancelled"))),
            Some(("undefined", Some("undefined"))),
        ),
    ] {
        for (compat, wanted) in [(false, ours), (true, original)] {
            let call =
                "trap '. ./reaction; exit 0' USR1; echo '{\"progress\":1}'; while :; do wait; done";
            let folder = family(call).info(CANCELLABLE);
            folder.write("reaction", reaction);
            let driver = folder.driver(|options| options.compat = compat);
            let (cx, mut watched) = context();
            let (ended, ()) = tokio::join!(measure(&driver, &cx), async {
                reported(&mut watched).await;
                assert_eq!(MeasureDriver::facts(&driver).cancel, CancelSupport::Report);
                cx.cancel.cancel();
            });
            let failure = ended.err();
            assert_eq!(
                failure.as_ref().map(words),
                wanted,
                "{reaction} compat={compat}"
            );
            nothing_is_left(&folder).await;
        }
    }
}

/// The base class for adjust drivers never installs a handler: the signal kills.
#[tokio::test]
async fn a_driver_that_promises_to_cancel_and_does_not_dies_of_it() {
    let folder = family("echo '{\"progress\":1}'; while :; do wait; done").info(CANCELLABLE);
    let driver = folder.driver(|_| {});
    let (cx, mut watched) = context();
    let (ended, ()) = tokio::join!(measure(&driver, &cx), async {
        reported(&mut watched).await;
        cx.cancel.cancel();
    });
    let failure = ended.unwrap_err();
    assert_eq!(words(&failure), ("cancelled", Some("cancelled")));
    assert!(failure.message.contains("signal 10"), "{failure}");
    nothing_is_left(&folder).await;
}

/// It goes on, and its progress is still relayed; whoever called drops it after
/// the grace.
#[tokio::test]
async fn a_driver_that_ignores_the_cancel_dies_with_the_call() {
    let call = "trap 'echo \"{\\\"progress\\\":50}\"' USR1; echo '{\"progress\":1}'; while :; do wait; done";
    let folder = family(call).info(CANCELLABLE);
    let driver = folder.driver(|_| {});
    let (cx, mut watched) = context();
    tokio::select! {
        ended = measure(&driver, &cx) => panic!("{ended:?}"),
        () = async {
            reported(&mut watched).await;
            cx.cancel.cancel();
            watched.wait_for(|report| report.percent == Some(50.0)).await.unwrap();
        } => {}
    }
    let (leader, child) = (folder.pid("leader"), folder.pid("child"));
    until("both are gone", || !exists(leader) && !runs(child)).await;
}

#[tokio::test]
async fn a_call_that_is_cancelled_before_it_begins_starts_no_program() {
    let folder = Folder::with(&format!("touch called; {}", crate::support::OK));
    let driver = folder.driver(|_| {});
    let (cx, _watched) = context();
    cx.cancel.cancel();
    let failure = measure(&driver, &cx).await.unwrap_err();
    assert_eq!(words(&failure), ("cancelled", Some("cancelled")));
    assert!(!folder.path("called").exists());
}
