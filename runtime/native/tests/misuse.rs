//! Programs that are careless with what they write: memory stays bounded and
//! every call ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report")]

#[path = "native/support/mod.rs"]
mod support;

use std::time::Duration;

use servo_agent::ProgressReport;
use servo_native::NativeLimits;
use support::{Folder, context, ends, exists, limits, measure, reported, runs, until, words};

/// Most memory that this process has had, in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

/// 64 MiB on stderr, as much in responses and as much in progress lines. All
/// tests of this suite share the process, and none may take more either.
#[tokio::test]
async fn output_without_measure_takes_no_memory() {
    let before = peak_memory();
    for (what, call) in [
        ("stderr", "head -c 67108864 /dev/zero >&2"),
        (
            "responses",
            r#"yes '{"status":"failed","message":"0123456789012345678901234567890123456789"}' | head -c 67108860; echo"#,
        ),
        (
            "progress",
            r#"yes '{"progress":5,"message":"0123456789012345678901234567890123456789"}' | head -c 67108864"#,
        ),
    ] {
        // The last line of each is cut off somewhere; a response comes after it.
        let folder = Folder::with(&format!("{call} ; echo; echo; {}", support::OK));
        let ended = folder.measure().await;
        let cut = ended
            .err()
            .filter(|failure| words(failure).1 != Some("invalid-output"));
        assert_eq!(cut, None, "{what}");
        let grown = peak_memory().saturating_sub(before);
        assert!(grown < 48 << 20, "{what}: {grown} bytes");
    }
}

/// A line that never ends is given up at its limit, not at the end of memory.
#[tokio::test]
async fn a_line_without_end_is_given_up() {
    let small = NativeLimits {
        line: 1 << 20,
        ..limits()
    };
    for call in [
        "cat /dev/zero",
        "yes '\"' | tr -d '\\n'",
        "printf '{\"progress\":1,\"message\":\"'; cat /dev/zero",
    ] {
        let folder = Folder::with(&format!("echo $$ > leader; {call}"));
        let driver = folder.driver(|_| {}).with_limits(small);
        let failure = measure(&driver, &context().0).await.unwrap_err();
        assert_eq!(
            words(&failure),
            ("failed", Some("invalid-output")),
            "{call}"
        );
        assert!(
            failure.message.contains("longer than 1048576 bytes"),
            "{failure}"
        );
        assert!(failure.message.len() < 4096);
        assert!(!exists(folder.pid("leader")));
    }
    // What just fits is a line like any other.
    let fits = "x".repeat((1 << 20) - 60);
    let folder = Folder::with("cat answer");
    folder.write(
        "answer",
        &format!("{{\"status\":\"failed\",\"message\":\"{fits}\"}}\n"),
    );
    let driver = folder.driver(|_| {}).with_limits(small);
    let failure = measure(&driver, &context().0).await.unwrap_err();
    assert_eq!(failure.message, fits);
}

/// A flood of progress at full speed: the newest one counts, the clock and a
/// cancel are heard, and the call can be dropped.
#[tokio::test]
async fn a_flood_of_progress_drowns_nothing() {
    let flood = "echo $$ > leader
        trap 'exit 0' USR1
        yes '{\"progress\":3,\"message\":\"flood\"}' &
        echo $! > child
        while :; do wait; done";
    let folder = Folder::with(flood).info(r#"echo '{"has_cancel":true}'"#);
    let driver = folder.driver(|_| {});
    let (cx, mut watched) = context();
    let (ended, newest) = tokio::join!(measure(&driver, &cx), async {
        reported(&mut watched).await;
        for _ in 0..100 {
            watched.changed().await.unwrap();
        }
        let newest: ProgressReport = watched.borrow_and_update().clone();
        cx.cancel.cancel();
        newest
    });
    assert_eq!(newest.message.as_deref(), Some("flood"));
    assert_eq!(words(&ended.unwrap_err()), ("cancelled", Some("cancelled")));
    let child = folder.pid("child");
    until("the flood is over", || !runs(child)).await;
}

/// Both streams are read although the other one is never silent.
#[tokio::test]
async fn no_stream_starves_the_other() {
    let folder = Folder::with(
        "yes >&2 & yes '{\"progress\":1}' | head -n 200000; echo '{\"progress\":2}'; \
         echo '{\"progress\":99}'; sleep 100000",
    );
    let driver = folder.driver(|_| {});
    let (cx, mut watched) = context();
    tokio::select! {
        ended = measure(&driver, &cx) => panic!("{ended:?}"),
        seen = watched.wait_for(|report| report.percent == Some(99.0)) => drop(seen.unwrap()),
    }
}

/// A driver that never reads its input, which is far more than a pipe holds.
#[tokio::test]
async fn input_that_nobody_reads_stops_nothing() {
    let big = "x".repeat(4 << 20);
    let control = serde_json::json!({"userdata": {"big": big}});
    let asked = servo_agent::MeasureRequest {
        metrics: None,
        control: serde_json::from_value(control).unwrap(),
    };
    for call in [
        // It closes its input, or leaves it open.
        format!("exec < /dev/null; {}", support::OK),
        support::OK.to_owned(),
        "echo '{\"status\":\"failed\",\"reason\":\"own\",\"message\":\"m\"}'; exit 1".to_owned(),
    ] {
        let folder = Folder::with(&call);
        let driver = folder.driver(|_| {});
        let step = servo_agent::MeasureDriver::step(&driver, &context().0, &asked, None).await;
        match step {
            Ok(_) => assert!(call.contains("\"ok\"")),
            Err(failure) => assert_eq!(words(&failure), ("failed", Some("own"))),
        }
    }
    // One that reads all of it, and writes as much while it does.
    let folder = Folder::with(&format!("tee /dev/stderr | wc -c > count; {}", support::OK));
    let driver = folder.driver(|_| {});
    servo_agent::MeasureDriver::step(&driver, &context().0, &asked, None)
        .await
        .unwrap();
    let count: usize = folder.read("count").trim().parse().unwrap();
    assert!(count > 4 << 20);
}

#[tokio::test]
async fn bytes_that_are_no_text() {
    for (call, part) in [
        (
            "printf '{\"status\":\"ok\",\"x\":\"\\377\"}\\n'",
            "not JSON",
        ),
        ("printf '\\000\\001\\002\\n'", "not JSON"),
        ("printf '\\357\\273\\277{}\\n'", "not JSON"),
        ("head -c 100 /dev/zero; echo", "not JSON"),
        // Half a surrogate pair is legal JSON and no text.
        (
            "printf '{\"status\":\"ok\",\"metrics\":{\"\\\\ud800\":{\"value\":1}}}\\n'",
            "",
        ),
    ] {
        let folder = Folder::with(call);
        let failure = folder.measure().await.unwrap_err();
        assert_eq!(
            words(&failure),
            ("failed", Some("invalid-output")),
            "{call}"
        );
        assert!(failure.message.contains(part), "{failure}");
    }
}

#[tokio::test]
async fn nesting_without_end_exhausts_no_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for answer in [
        format!("{{\"status\":\"ok\",\"metrics\":{deep}}}"),
        format!("{{\"progress\":{deep}}}"),
        deep,
    ] {
        let folder = Folder::with("cat answer");
        folder.write("answer", &answer);
        let failure = folder.measure().await.unwrap_err();
        assert_eq!(words(&failure), ("failed", Some("invalid-output")));
        assert!(failure.message.len() < 4096);
    }
}

#[tokio::test]
async fn numbers_that_are_none() {
    for (number, fails) in [
        ("NaN", true),
        ("Infinity", true),
        ("-Infinity", true),
        ("1e999", true),
        ("1e-999", false),
        ("123456789012345678901234567890", false),
        ("-0.0", false),
        ("\"NaN\"", false),
    ] {
        let folder = Folder::with(&format!(
            "echo '{{\"progress\":{number}}}'; echo '{{\"status\":\"ok\",\"metrics\":{{\"a\":{{\"value\":{number}}}}}}}'"
        ));
        let ended = folder.measure().await;
        assert_eq!(ended.is_err(), fails, "{number}: {ended:?}");
        if let Ok(measured) = ended {
            // What is let through can be sent.
            serde_json::to_string(&measured).unwrap();
        }
    }
    // A progress line says nothing then, and harms nothing.
    let folder = Folder::with(&format!("echo '{{\"progress\":NaN}}'; {}", support::OK));
    folder.measure().await.unwrap();
}

#[tokio::test]
async fn an_info_without_end_is_given_up() {
    for info in ["yes", "cat /dev/zero", "yes >&2"] {
        let folder = Folder::with(support::OK).info(&format!("echo $$ > leader; {info}"));
        let limits = NativeLimits {
            info: Duration::from_millis(1500),
            ..limits()
        };
        let driver = folder.driver(|_| {}).with_limits(limits);
        let failure = ends(driver.info()).await.unwrap_err();
        let reason = if info.ends_with("2") {
            "timeout"
        } else {
            "invalid-output"
        };
        assert_eq!(words(&failure), ("failed", Some(reason)), "{info}");
        assert!(!exists(folder.pid("leader")));
    }
}
