//! G: output, logs, and what is believed of an answer.

use std::sync::Arc;

use serde_json::json;

use crate::expect::assert_killed;
use crate::host::{Ended, HostUnderTest, Listener};
use crate::stage::Stage;

/// More than a terminal would ever show, on both streams.
pub async fn g1_output_is_kept_up_to_its_cap<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let print = json!({ "do": "print", "bytes": 20 << 20, "text": "first" });
    let grants = json!({ "limits": { "output_bytes": "4KiB", "cpu": "60s" } });
    let step = stage.run(print, grants).await;
    assert_eq!(step.note("failed"), "0");
    assert_eq!(step.used.output.len(), 4 << 10);
    assert!(step.used.output.starts_with(b"first\n"));
    assert_eq!(
        step.used.output.len() as u64 + step.used.output_dropped,
        2 * ((20 << 20) + "first\n".len() as u64)
    );
    assert!(!stage.host.counts_limits() || stage.host.limit_hits("output_bytes") > 0);
}

/// A guest that only ends because it is stopped has printed all the time.
pub async fn g1_output_without_end_takes_no_memory<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let print = json!({ "do": "print", "bytes": u32::MAX, "text": "first" });
    let before = crate::memory::peak();
    let step = stage
        .run(print, json!({ "limits": { "cpu": "500ms" } }))
        .await;
    assert_killed(&stage, &step, "cpu");
    assert!(
        step.used.output_dropped > 1 << 20,
        "{:?}",
        step.used.output_dropped
    );
    let grown = crate::memory::peak() - before;
    assert!(grown < step.used.output_dropped / 2 + (64 << 20), "{grown}");
}

/// Many short lines, and a few long ones.
pub async fn g2_log_lines_are_passed_on_up_to_their_cap<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for (lines, bytes, limits, passed, limit) in [
        (10_000, 1, json!({ "log_lines": 7 }), 7, "log_lines"),
        (10, 1 << 10, json!({ "log_bytes": "4KiB" }), 3, "log_bytes"),
        (3, 1, json!({}), 3, ""),
    ] {
        let log = json!({ "do": "log", "lines": lines, "bytes": bytes });
        let bound = stage.behaving(log, json!({ "limits": limits })).await;
        let listener = Arc::<Listener>::default();
        let call = bound.begin(&listener);
        let step = call.measure().await;
        assert_eq!(step.note("logged"), lines.to_string());
        assert_eq!(listener.lines(), passed);
        assert_eq!(step.used.log_lines_dropped, (lines - passed) as u64);
        let counted = !limit.is_empty() && stage.host.counts_limits();
        assert!(!counted || stage.host.limit_hits(limit) > 0, "{limit}");

        // The cap is one of the call and not of the step.
        call.measure().await;
        let total = listener.lines();
        assert!(total == passed || lines == 3, "{total}");
    }
}

/// What looks like the agent's own message. The suite runs this in a process
/// whose output it looks at.
pub async fn g3_what_a_guest_prints_is_kept_apart<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let print = json!({ "do": "print", "bytes": 10, "text": WIRE });
    let step = stage.run(print, json!({})).await;
    let kept = String::from_utf8(step.used.output).unwrap();
    assert_eq!(kept.matches(WIRE).count(), 2);
}

/// What no output of the host may hold.
pub const WIRE: &str = r#"{"cmd":"hostile wire message"}"#;

/// After a cancel.
pub async fn g4_success_claimed_after_a_cancel_is_not_believed<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let grants = json!({ "limits": { "cancel_grace": "200ms" } });
    let driver = stage
        .host
        .load(&crate::guest::that_cancels())
        .await
        .unwrap();
    let config = json!({ "behaviour": { "do": "defy" } });
    let bound = stage.bind(&driver, config, grants);
    let listener = Arc::<Listener>::default();
    let call = bound.begin(&listener);
    let (step, ()) = tokio::join!(call.measure(), async {
        listener.began().await;
        call.cancel();
    });
    assert_eq!(step.end, Ended::Cancelled);
}

/// After its time, and with a result that is over a limit by itself.
pub async fn g4_success_claimed_beyond_a_limit_is_not_believed<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    // It would answer well, and a moment too late.
    let late = json!({ "do": "sleep", "nanos": 2_000_000_000_u64 });
    let grants = json!({ "limits": { "step_wall": "100ms" } });
    assert_killed(&stage, &stage.run(late, grants).await, "step_wall");
    let large = json!({ "do": "result", "bytes": 2 << 20 });
    assert_killed(&stage, &stage.run(large, json!({})).await, "result_bytes");
}

/// Names that a driver chooses never become labels.
pub async fn g5_nothing_a_driver_says_is_a_label<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let series = |metrics: &str| metrics.lines().filter(|l| !l.starts_with('#')).count();
    let mut seen = vec![];
    for round in 0..20 {
        let name = format!("label-{round}");
        for behaviour in [
            json!({ "do": "http", "url": format!("http://{name}.example/{name}"),
                "count": 1, "at_once": 1 }),
            json!({ "do": "files", "actions": [{ "do": "read", "path": ["data", name] }] }),
            json!({ "do": "act", "name": name }),
            json!({ "do": "store", "key": name, "bytes": 1 }),
            json!({ "do": "lookup", "name": name }),
            json!({ "do": "crash" }),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let grants = json!({ "folders": [{ "name": "data", "path": folder.path() }] });
            stage.run(behaviour, grants).await;
        }
        let metrics = stage.host.metrics();
        assert!(!metrics.contains("label-"), "{metrics}");
        seen.push(series(&metrics));
    }
    assert_eq!(seen.first(), seen.last(), "the number of series grows");
    assert!(seen[0] > 0);
}
