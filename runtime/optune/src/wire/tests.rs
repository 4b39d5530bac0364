use serde_json::json;

use super::*;

fn outcome_of(event: &str, param: Value) -> Outcome {
    let body = json!({"event": event, "param": param}).to_string();
    match read(body.as_bytes()).unwrap().input {
        Input::Final { outcome, .. } => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn finals_are_told_with_and_without_status() {
    let failed = |outcome: Outcome| match outcome {
        Outcome::Failed(failure) => failure.status.to_string(),
        _ => "ok".to_owned(),
    };
    let metrics = json!({"m": {"value": 1}});
    let table = [
        ("MEASUREMENT", json!({"metrics": metrics}), "ok"),
        (
            "MEASUREMENT",
            json!({"metrics": metrics, "status": "ok", "message": null}),
            "ok",
        ),
        (
            "MEASUREMENT",
            json!({"metrics": metrics, "status": "aborted"}),
            "aborted",
        ),
        (
            "MEASUREMENT",
            json!({"status": "nodata", "reason": "undefined"}),
            "nodata",
        ),
        (
            "MEASUREMENT",
            json!({"status": "some-new-word"}),
            "some-new-word",
        ),
        ("MEASUREMENT", json!({"status": 7}), "undefined"),
        ("MEASUREMENT", json!({}), "undefined"),
        ("MEASUREMENT", Value::Null, "undefined"),
        ("MEASUREMENT", json!({"metrics": {"m": 1}}), "failed"),
        ("MEASUREMENT", json!({"metrics": []}), "failed"),
        ("ADJUSTMENT", json!({"state": {"application": {}}}), "ok"),
        ("ADJUSTMENT", json!({"status": "ok"}), "ok"),
        (
            "ADJUSTMENT",
            json!({"status": "rejected", "reason": "unstable"}),
            "rejected",
        ),
        ("ADJUSTMENT", json!({}), "undefined"),
        (
            "DESCRIPTION",
            json!({"status": "ok", "descriptor": {}}),
            "ok",
        ),
        (
            "DESCRIPTION",
            json!({"status": "failed", "message": "x"}),
            "failed",
        ),
    ];
    for (event, param, expected) in table {
        assert_eq!(
            failed(outcome_of(event, param.clone())),
            expected,
            "{event} {param}"
        );
    }
}

#[test]
fn progress_is_told_by_its_key() {
    for (value, expected) in [
        (json!(null), None),
        (json!(40), Some(40.0)),
        (json!(250.5), Some(100.0)),
        (json!("x"), None),
    ] {
        let body = json!({"event": "MEASUREMENT", "param": {"progress": value, "message": "m"}, "servo_uid": null});
        let message = read(body.to_string().as_bytes()).unwrap();
        let Input::Progress { percent, .. } = message.input else {
            panic!("{:?}", message.input)
        };
        assert_eq!(percent, expected);
    }
}

#[test]
fn numbers_that_json_does_not_know_are_null() {
    let body = br#"{"event": "MEASUREMENT", "param": {"metrics": {"NaN \" NaN": {"value": NaN},
        "b": {"values": [{"data": [[1, -Infinity], [2, Infinity], [3, 4]]}]}}}}"#;
    let Input::Final {
        outcome: Outcome::Measured(measurement),
        ..
    } = read(body).unwrap().input
    else {
        panic!()
    };
    let written = serde_json::to_value(&measurement.metrics).unwrap();
    assert_eq!(written["NaN \" NaN"]["value"], Value::Null);
    assert_eq!(
        written["b"]["values"][0]["data"],
        json!([[1, null], [2, null], [3, 4]])
    );
}

#[test]
fn a_large_body_keeps_what_decides() {
    let long = "x\u{e9}\n".repeat(MAX_FULL / 3);
    let table = [
        (
            "MEASUREMENT",
            json!({"status": "aborted", "reason": "slo", "message": long}),
            "aborted",
        ),
        (
            "MEASUREMENT",
            json!({"metrics": {"m": {"value": 1, "annotation": long}}}),
            "failed",
        ),
        (
            "ADJUSTMENT",
            json!({"state": {"application": {}}, "note": long}),
            "ok",
        ),
        (
            "DESCRIPTION",
            json!({"status": "ok", "descriptor": {"x": long}}),
            "failed",
        ),
    ];
    for (event, mut param, expected) in table {
        param["cmd_uid"] = json!("c-1");
        let body = json!({"event": event, "servo_uid": "s", "param": param}).to_string();
        assert!(body.len() > MAX_FULL);
        let message = read(body.as_bytes()).unwrap();
        assert_eq!(message.servo_uid.as_deref(), Some("s"));
        let Input::Final { outcome, uid, .. } = message.input else {
            panic!()
        };
        assert_eq!(uid.as_deref(), Some("c-1"));
        let found = match outcome {
            Outcome::Failed(failure) => failure.status.to_string(),
            _ => "ok".to_owned(),
        };
        assert_eq!(found, expected, "{event}");
    }
}

#[test]
fn what_is_no_message_is_refused_in_one_line() {
    let deep = "[".repeat(100_000);
    for (body, expected) in [
        ("", "not JSON"),
        ("oops", "not JSON"),
        (deep.as_str(), "not JSON"),
        ("[]", "no `event`"),
        ("{}", "no `event`"),
        (r#"{"event": 5}"#, "no `event`"),
        (r#"{"event": "DANCE"}"#, "unknown event `DANCE`"),
    ] {
        let problem = read(body.as_bytes()).unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
}
