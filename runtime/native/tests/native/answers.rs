//! What a program's output, exit code and stderr become (protocol sections 13.3
//! to 13.7 and 22): ours, and the original's where that differs.

use crate::support::{Folder, adjust, context, describe, measure, query, words};
use serde_json::{Value, json};
use servo_agent::{AdjustRequest, DriverFailure};
use servo_native::StderrShare;

/// Status, reason, and a part of the message.
type Failed = (&'static str, Option<&'static str>, &'static str);

struct Case {
    call: &'static str,
    /// None: success.
    ours: Option<Failed>,
    original: Option<Failed>,
}

fn same(call: &'static str, failed: Option<Failed>) -> Case {
    Case {
        call,
        ours: failed,
        original: failed,
    }
}

fn case(call: &'static str, ours: Option<Failed>, original: Option<Failed>) -> Case {
    Case {
        call,
        ours,
        original,
    }
}

fn agrees(call: &str, compat: bool, failure: Option<&DriverFailure>, wanted: Option<Failed>) {
    let seen = failure.map(|failure| (words(failure), failure.message.as_str()));
    match (seen, wanted) {
        (None, None) => {}
        (Some((words, message)), Some((status, reason, part))) => {
            assert_eq!(words, (status, reason), "{call} compat={compat}: {message}");
            assert!(message.contains(part), "{call} compat={compat}: {message}");
        }
        (seen, wanted) => panic!("{call} compat={compat}: {seen:?}, not {wanted:?}"),
    }
}

#[tokio::test]
async fn measurements() {
    let ok = r#"echo '{"status":"ok","metrics":{"tps":{"value":1}}}'"#;
    assert_eq!(ok, crate::support::OK);
    for case in [
        same(crate::support::OK, None),
        same(
            r#"printf '\n  \n{"progress":5}\n {"status":"ok","metrics":{"a":{"value":1}}} \r\n\n'"#,
            None,
        ),
        same(
            r#"printf '{"status":"ok","metrics":{"a":{"value":1}}}'"#,
            None,
        ),
        // The last response counts.
        same(
            r#"echo '{"status":"failed"}'; echo '{"status":"ok","metrics":{"a":{"value":1}}}'"#,
            None,
        ),
        same(
            r#"echo '{"status":"ok","metrics":{"a":{"value":1}}}'; echo '{"status":"aborted","reason":"slo-violation","message":"m"}'"#,
            Some(("aborted", Some("slo-violation"), "m")),
        ),
        case(
            r#"echo '{"status":"failed","message":"boom"}'"#,
            Some(("failed", None, "boom")),
            Some(("failed", Some("undefined"), "boom")),
        ),
        case(
            r#"echo '{"status":"rejected","message":null}'"#,
            Some(("rejected", None, "gave no message")),
            Some(("rejected", Some("undefined"), "")),
        ),
        case(
            "exit 0",
            Some(("nodata", None, "no response; it ended with exit code 0")),
            Some(("nodata", Some("undefined"), "")),
        ),
        // A response that holds `progress` is a progress line.
        case(
            r#"echo '{"status":"ok","metrics":{"a":{"value":1}},"progress":100}'"#,
            Some(("nodata", None, "no response")),
            Some(("nodata", Some("undefined"), "")),
        ),
        case(
            r#"echo '{"metrics":{"a":{"value":1}}}'"#,
            Some(("failed", Some("no-status"), "")),
            Some(("undefined", Some("undefined"), "")),
        ),
        case(
            r#"echo '{"status":"","reason":"r","message":"m"}'"#,
            Some(("failed", Some("no-status"), "m")),
            Some(("undefined", Some("r"), "m")),
        ),
        // The driver's word counts for a failure, not for a success.
        case(
            &*Box::leak(format!("{ok}; echo why >&2; exit 3").into_boxed_str()),
            Some(("failed", Some("exit-code"), "exit code 3\nstderr:\nwhy\n")),
            None,
        ),
        same(
            r#"echo '{"status":"failed","reason":"unknown","message":"m"}'; echo why >&2; exit 1"#,
            Some(("failed", Some("unknown"), "m\nstderr:\nwhy\n")),
        ),
        case(
            r#"echo '{"reason":"r","message":null}'; echo why >&2; exit 1"#,
            Some(("failed", Some("r"), "\nstderr:\nwhy\n")),
            Some(("failed", Some("r"), "\nstderr:\nwhy\n")),
        ),
        case(
            r#"echo '{"message":"m"}'; exit 1"#,
            Some(("failed", Some("exit-code"), "m")),
            Some(("failed", Some("undefined"), "m\nstderr:\n")),
        ),
        case(
            "echo trace >&2; exit 1",
            Some(("nodata", None, "exit code 1\nstderr:\ntrace\n")),
            Some(("nodata", Some("undefined"), "\nstderr:\ntrace\n")),
        ),
        case(
            "kill -9 $$",
            Some(("nodata", None, "signal 9")),
            Some(("nodata", Some("undefined"), "stderr:")),
        ),
        case(
            "echo '{bad'; echo unseen",
            Some(("failed", Some("invalid-output"), "{bad")),
            Some(("failed", None, "{bad")),
        ),
        case(
            "echo 5",
            Some(("failed", Some("invalid-output"), "no JSON object: 5")),
            Some(("failed", None, "no JSON object: 5")),
        ),
        case(
            "printf '{\"status\":\\n\"ok\"}'",
            Some(("failed", Some("invalid-output"), "not JSON")),
            Some(("failed", None, "not JSON")),
        ),
        case(
            r#"echo '{"status":"ok","metrics":{"a":{"value":NaN}}}'"#,
            Some(("failed", Some("invalid-output"), "NaN or Infinity")),
            Some(("failed", None, "NaN or Infinity")),
        ),
        same(
            r#"echo '{"status":"aborted","reason":"r","message":"m","x":-Infinity}'"#,
            Some(("aborted", Some("r"), "m")),
        ),
        case(
            r#"echo '{"status":"ok","metrics":{"a":{"unit":"ms"}}}'"#,
            Some(("failed", Some("invalid-measurement"), "metrics.a")),
            Some(("failed", None, "metrics.a")),
        ),
        case(
            r#"echo '{"status":"ok","metrics":[1]}'"#,
            Some(("failed", Some("invalid-measurement"), "metrics")),
            Some(("failed", None, "metrics")),
        ),
        // Whether that is enough is the agent's to say.
        same(r#"echo '{"status":"ok"}'"#, None),
    ] {
        for (compat, wanted) in [(false, case.ours), (true, case.original)] {
            let folder = Folder::with(case.call);
            let driver = folder.driver(|options| options.compat = compat);
            let failure = measure(&driver, &context().0).await.err();
            agrees(case.call, compat, failure.as_ref(), wanted);
        }
    }
}

#[tokio::test]
async fn info_that_cannot_be_used_ends_the_call_before_it_begins() {
    for case in [
        same(r#"echo '{"version":"1","has_cancel":false}'"#, None),
        case("echo '{}'", None, Some(("failed", None, "has_cancel"))),
        case(
            "echo why >&2; exit 2",
            Some(("failed", Some("exit-code"), "exit code 2\nstderr:\nwhy")),
            Some(("failed", None, "exit code 2\nstderr:\nwhy")),
        ),
        case(
            "echo 1.2.0",
            Some(("failed", Some("invalid-output"), "1.2.0")),
            Some(("failed", None, "1.2.0")),
        ),
    ] {
        for (compat, wanted) in [(false, case.ours), (true, case.original)] {
            let folder =
                Folder::with(&format!("touch called\n{}", crate::support::OK)).info(case.call);
            let driver = folder.driver(|options| options.compat = compat);
            let failure = measure(&driver, &context().0).await.err();
            agrees(case.call, compat, failure.as_ref(), wanted);
            assert_eq!(
                folder.path("called").exists(),
                wanted.is_none(),
                "{}",
                case.call
            );
        }
    }
}

#[tokio::test]
async fn descriptions() {
    for case in [
        same(
            r#"echo '{"metrics":{"tps":{"unit":"rps"},"bare":null},"application":{}}'"#,
            None,
        ),
        same(r#"echo '{"status":"ok"}'"#, None),
        // Progress is ignored.
        same(r#"echo '{"progress":1}'; echo '{"metrics":{}}'"#, None),
        case(
            r#"echo '{"status":"rejected","reason":"r","message":"m"}'"#,
            Some(("rejected", Some("r"), "m")),
            Some(("failed", None, "m")),
        ),
        case(
            "exit 0",
            Some(("nodata", None, "no response")),
            Some(("failed", None, "")),
        ),
        case(
            r#"echo '{"metrics":{}}'; exit 1"#,
            Some(("failed", Some("exit-code"), "exit code 1")),
            Some(("failed", None, "stderr:")),
        ),
        case(
            r#"echo '{"metrics":{"a":{"min":"x"}},"application":{"components":{"web":{"settings":{"cpu":{"min":1}}}}}}'"#,
            Some(("failed", None, "")),
            Some(("failed", None, "")),
        ),
    ] {
        for (compat, wanted) in [(false, case.ours), (true, case.original)] {
            let folder = Folder::with(case.call);
            let driver = folder.driver(|options| options.compat = compat);
            let (metrics, application) = (describe(&driver).await, query(&driver).await);
            if case.call.contains("min") {
                let place = "metrics.a.min";
                assert!(metrics.unwrap_err().message.contains(place));
                let place = "application.components.web.settings.cpu";
                assert!(application.unwrap_err().message.contains(place));
                continue;
            }
            agrees(case.call, compat, metrics.err().as_ref(), wanted);
            agrees(case.call, compat, application.err().as_ref(), wanted);
        }
    }
}

/// Every member that a description has travels on.
#[tokio::test]
async fn descriptions_are_passed_on_untouched() {
    let answer = json!({
        "metrics": {"p95": {"unit": "ms", "index": 2, "weight": 0.5, "cookie": "c", "min": 0}},
        "application": {"components": {"web": {"settings": {
            "cpu": {"type": "range", "min": 0.25, "max": 4, "step": 0.25, "value": 1.0, "unit": "cores", "extra": 1},
            "gc": {"type": "enum", "values": ["serial", 1], "value": null, "default": "serial", "pinned": true},
        }, "extra": 2}}, "extra": 3},
        "monitoring": "dropped",
    });
    let folder = Folder::with("cat answer");
    folder.write("answer", &answer.to_string());
    let driver = folder.driver(|_| {});
    let metrics = serde_json::to_value(describe(&driver).await.unwrap()).unwrap();
    assert_eq!(metrics, answer["metrics"]);
    let application = serde_json::to_value(query(&driver).await.unwrap()).unwrap();
    assert_eq!(application, answer["application"]);
}

/// What old drivers write that ours must not: it is put right, except for the
/// original's sake.
#[tokio::test]
async fn measurements_of_old_drivers_fit_the_rules() {
    let metric = |value: Value| json!({"status": "ok", "metrics": {"m": value}});
    for (written, ours) in [
        (
            json!({"value": 1.0, "unit": "ms", "x": 1}),
            json!({"unit": "ms", "value": 1.0, "x": 1}),
        ),
        (json!({"value": null}), json!({"value": null})),
        (json!({"values": []}), json!({"values": []})),
        (
            json!({"values": [{"data": [[0, 1], [1, 2]]}]}),
            json!({"values": [{"id": "0", "data": [[0, 1], [1, 2]]}]}),
        ),
        (
            json!({"values": [{"id": "b", "data": []}, {"id": 7, "data": [[2, 1.5], [1, null]]}]}),
            json!({"values": [{"id": "7", "data": [[1, null], [2, 1.5]]}, {"id": "b", "data": []}]}),
        ),
        (
            json!({"values": [{"id": "a", "data": [[1_700_000_040_000_u64, 1], [1_700_000_100_250_u64, 2]]}]}),
            json!({"values": [{"id": "a", "data": [[1_700_000_040, 1], [1_700_000_100.25, 2]]}]}),
        ),
    ] {
        let folder = Folder::with("cat answer");
        folder.write("answer", &metric(written.clone()).to_string());
        for (compat, wanted) in [(false, &ours), (true, &written)] {
            let driver = folder.driver(|options| options.compat = compat);
            let measured = measure(&driver, &context().0).await.unwrap();
            let measured = serde_json::to_value(&measured.metrics["m"]).unwrap();
            if compat && written.to_string().contains("\"id\":7") {
                // The type of an id is text.
                assert_eq!(measured["values"][1]["id"], "7");
                continue;
            }
            assert_eq!(&measured, wanted, "compat={compat}");
        }
    }
}

#[tokio::test]
async fn annotations_are_passed_on() {
    for (written, wanted) in [
        (
            json!({"a": "b", "warnings": ["x"]}),
            json!({"a": "b", "warnings": ["x"]}),
        ),
        (json!({}), json!({})),
        (Value::Null, json!({})),
    ] {
        let folder = Folder::with("cat answer");
        let answer =
            json!({"status": "ok", "metrics": {"m": {"value": 1}}, "annotations": written});
        folder.write("answer", &answer.to_string());
        let measured = folder.measure().await.unwrap();
        assert_eq!(serde_json::to_value(measured.annotations).unwrap(), wanted);
    }
}

/// The driver's state if it is one, else none: the agent then reports the
/// requested one (section 17).
#[tokio::test]
async fn the_state_that_an_adjust_driver_returns() {
    let state = json!({"application": {"components": {"web": {"settings": {"cpu": {"value": 2, "type": "range"}}}}}});
    for (answer, wanted) in [
        (json!({"status": "ok"}), json!({})),
        (
            json!({"status": "ok", "reason": "success", "monitoring": {}, "state": state}),
            state["application"].clone(),
        ),
        (json!({"status": "ok", "state": null}), json!({})),
        (json!({"status": "ok", "state": "text"}), json!({})),
        (
            json!({"status": "ok", "state": {"application": []}}),
            json!({}),
        ),
        (
            json!({"status": "ok", "state": {"application": {"components": 7}}}),
            json!({}),
        ),
    ] {
        let folder = Folder::with("cat answer");
        folder.write("answer", &answer.to_string());
        let applied = adjust(&folder.driver(|_| {}), &AdjustRequest::default())
            .await
            .unwrap();
        assert_eq!(serde_json::to_value(applied).unwrap(), wanted, "{answer}");
    }
}

#[tokio::test]
async fn how_much_of_stderr_is_shared() {
    let call = "echo one >&2; printf 'two\\nthree\\377\\n' >&2; echo '{\"status\":\"failed\",\"message\":\"m\"}'; exit 1";
    for (share, wanted) in [
        (StderrShare::All, "m\nstderr:\none\ntwo\nthree\u{fffd}\n"),
        (StderrShare::Minimal, "m\nstderr:\none\ntwo\n"),
        (StderrShare::None, "m"),
    ] {
        let folder = Folder::with(call);
        let driver = folder.driver(|options| options.stderr = share);
        let failure = measure(&driver, &context().0).await.unwrap_err();
        assert_eq!(failure.message, wanted, "{share:?}");
    }
    // With exit code 0 stderr stays here.
    let folder = Folder::with("echo why >&2; echo '{\"status\":\"failed\",\"message\":\"m\"}'");
    assert_eq!(folder.measure().await.unwrap_err().message, "m");
}

/// 3 MiB of stderr: the original keeps the beginning, ours both ends.
#[tokio::test]
async fn stderr_that_is_too_long_is_cut() {
    let call = "echo first >&2; head -c 3145728 /dev/zero | tr '\\0' x >&2; echo last >&2; exit 1";
    let folder = Folder::with(call);
    let ours = measure(&folder.driver(|_| {}), &context().0)
        .await
        .unwrap_err();
    assert!(ours.message.contains("stderr:\nfirst\nxxx") && ours.message.ends_with("xlast\n"));
    assert!(
        ours.message.len() < (2 << 20) + 200,
        "{}",
        ours.message.len()
    );
    let driver = folder.driver(|options| options.compat = true);
    let original = measure(&driver, &context().0).await.unwrap_err();
    assert_eq!(original.message.chars().count(), 2_097_152);
    assert!(
        original
            .message
            .starts_with("(truncated) \nstderr:\nfirst\nxxx")
    );
    assert!(original.message.ends_with("x...."));
}
