//! The JSON of the protocol and of a recorded run is read and written again
//! without a change.

use std::time::Duration;

use serde_json::{Value, json};
use servo_protocol::{
    Command, CommandBody, CommandError, Envelope, Event, EventError, Operation, Reading, Reason,
    Status, StatusReply, Success,
};

fn read(value: &Value) -> Event {
    let envelope: Envelope = serde_json::from_value(value.clone()).unwrap();
    Event::from_envelope(&envelope).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn write(event: &Event, success: Success) -> Value {
    serde_json::to_value(event.to_envelope(success, None).unwrap()).unwrap()
}

/// Events as sections 3, 4 and 7 and the transcript have them.
fn events() -> Vec<Value> {
    vec![
        json!({"event": "HELLO", "param": {"agent": "github.com/opsani/servo"}}),
        json!({"event": "HELLO", "param": {"agent": "a", "telemetry": {"servox.version": "25.3.0"}}}),
        json!({"event": "WHATS_NEXT", "param": null}),
        json!({"event": "DESCRIPTION", "param": {"status": "ok", "descriptor": {
            "application": {"components": {"web": {"settings": {
                "cpu": {"type": "range", "min": 0.25, "max": 4, "step": 0.25, "value": 1, "unit": "cores"},
                "gc": {"type": "enum", "values": ["serial", "parallel", "g1"], "value": "g1"},
                "n": {"type": "enum", "values": [1, 1.5, "many"], "value": null, "default": 1, "index": 3},
                "replicas": {"type": "range", "min": 1, "max": 8, "step": 1, "value": 2, "pinned": true}}}}},
            "measurement": {"metrics": {
                "orders per second": {"unit": "rps"},
                "p95": {"unit": "ms", "min": 0, "weight": 2, "cookie": "c"}}},
            "optimization": {"perf": "orders / p95"}}}}),
        json!({"event": "DESCRIPTION", "param": {"status": "failed", "message": "adjust driver reported nodata"}}),
        json!({"event": "MEASUREMENT", "param": {"status": "ok", "metrics": {
            "requests throughput": {"value": 412.7, "unit": "requests/second"},
            "mode": {"value": "fast"}, "none": {"value": null},
            "latency": {"unit": "ms", "annotation": "avg over shop pods", "values": [
                {"id": "pod-7f", "data": [[1_700_000_040, 81.5], [1_700_000_100, 79.0]]},
                {"id": "pod-9c", "data": [[1_700_000_040.5, 90.25], [1_700_000_100, null]]}]},
            "pods": {"value": 2, "unit": "count", "odd": [1]}},
            "annotations": {"backend": "example", "warnings": ["one point missing"]}}}),
        json!({"event": "MEASUREMENT", "param": {"status": "aborted", "reason": "slo-violation", "message": "m"}}),
        json!({"event": "MEASUREMENT", "param": {"status": "what-is-this", "reason": "new word", "cmd_uid": "c-71"}}),
        json!({"event": "MEASUREMENT", "param": {"progress": 0, "runtime": 0, "message": "starting driver"}}),
        json!({"event": "ADJUSTMENT", "param": {"progress": 40.5, "runtime": 63.25, "message": "m", "stage": "s",
            "stageprogress": 4, "time_remain": 5, "log": ["l"], "cmd_uid": "c", "msg_index": 7}}),
        json!({"event": "ADJUSTMENT", "param": {"progress": null, "runtime": 3}}),
        json!({"event": "ADJUSTMENT", "param": {"status": "ok", "state": {"application": {"components":
            {"web": {"settings": {"cpu": {"value": 1.5}, "inst_type": {"value": "m5.xlarge", "index": 2}}}}}}}}),
        json!({"event": "ADJUSTMENT", "param": {"status": "rejected", "reason": "unstable", "message": "twice"}}),
        json!({"event": "GOODBYE", "param": {"reason": "SIGTERM"}}),
    ]
}

#[test]
fn events_survive_reading_and_writing() {
    for value in events() {
        assert_eq!(write(&read(&value), Success::WithStatus), value);
    }
}

#[test]
fn successes_without_status_are_successes_and_can_be_written_so() {
    for value in [
        json!({"event": "MEASUREMENT", "param": {"metrics": {"throughput": {"unit": "rps", "value": 104.5}}}}),
        json!({"event": "ADJUSTMENT", "param": {"state": {"application": {"components": {"web": {"settings": {"cpu": {"value": 1.5}}}}}}}}),
    ] {
        assert_eq!(write(&read(&value), Success::Original), value);
        let ours = write(&read(&value), Success::WithStatus);
        assert_eq!(ours["param"]["status"], "ok");
        assert_eq!(read(&ours), read(&value));
    }
}

#[test]
fn what_the_successor_adds_is_read() {
    let measurement = json!({"event": "MEASUREMENT", "servo_uid": null, "param": {
        "status": "ok", "message": null, "reason": "success", "metrics": {}, "annotations": {}, "cmd_uid": null}});
    let Event::Measurement(report) = read(&measurement) else {
        panic!("a measurement")
    };
    assert!(report.outcome.unwrap().metrics.is_empty());
    assert_eq!(report.cmd_uid, None);
    assert!(matches!(
        read(&json!({"event": "HELLO", "param": null})),
        Event::Hello(_)
    ));
    // One driver sends both forms; the series counts.
    let both = json!({"event": "MEASUREMENT", "param": {"metrics": {"m": {"value": null, "values": [{"data": [[0, 1]]}]}}}});
    let Event::Measurement(report) = read(&both) else {
        panic!("a measurement")
    };
    let metrics = report.outcome.unwrap().metrics;
    assert!(matches!(&metrics["m"].reading, Reading::Series(all) if all[0].id.is_empty()));
    // A missing type means range, a missing value is unknown.
    let old = json!({"event": "DESCRIPTION", "param": {"status": "ok", "descriptor": {"application":
        {"components": {"c": {"settings": {"s": {"min": 1, "max": 2}}}}}}}});
    let written = write(&read(&old), Success::WithStatus);
    let setting =
        &written["param"]["descriptor"]["application"]["components"]["c"]["settings"]["s"];
    assert_eq!(
        *setting,
        json!({"type": "range", "min": 1, "max": 2, "value": null})
    );
}

#[test]
fn events_that_cannot_be_used_are_told_apart_from_unknown_ones() {
    let parse = |value: Value| {
        let envelope: Envelope = serde_json::from_value(value).unwrap();
        Event::from_envelope(&envelope).unwrap_err()
    };
    assert_eq!(
        parse(json!({"event": "DANCE"})),
        EventError::Unknown("DANCE".to_owned())
    );
    for value in [
        json!({"event": "MEASUREMENT", "param": {}}),
        json!({"event": "MEASUREMENT", "param": null}),
        json!({"event": "MEASUREMENT", "param": {"status": 5}}),
        json!({"event": "MEASUREMENT", "param": {"status": "ok"}}),
        json!({"event": "MEASUREMENT", "param": {"metrics": {"a": {}}}}),
        json!({"event": "MEASUREMENT", "param": {"metrics": {"a": {"value": true}}}}),
        json!({"event": "ADJUSTMENT", "param": {"metrics": {}}}),
        json!({"event": "DESCRIPTION", "param": {"status": "ok", "descriptor": {"application": {"components":
            {"c": {"settings": {"s": {"type": "colour"}}}}}}}}),
        json!({"event": "HELLO", "param": 5}),
    ] {
        assert!(
            matches!(parse(value.clone()), EventError::Param { .. }),
            "{value}"
        );
    }
}

#[test]
fn commands_survive_reading_and_writing() {
    for value in [
        json!({"cmd": "DESCRIBE", "param": {}}),
        json!({"cmd": "DESCRIBE", "param": {"control": {"environment": {"mode": ""}}}}),
        json!({"cmd": "MEASURE", "param": {"metrics": ["p95", "requests throughput"], "control":
            {"warmup": 60, "duration": 300, "delay": 30, "load": {"test_url": "http://shop.internal:8080/cart",
            "n_threads": 8}, "userdata": {"nodata_pct_ok": 5}, "new": 1}}, "cmd_uid": "c"}),
        json!({"cmd": "MEASURE", "param": {"control": {"duration": 0.5}, "new": [1]}}),
        json!({"cmd": "ADJUST", "param": {"state": {"application": {"components": {"web": {"settings":
            {"cpu": {"value": 1.5}, "gc": {"value": "serial", "index": 1}}}}}},
            "control": {"settlement": 120, "userdata": {"deploy_to": "canary"}}}}),
        json!({"cmd": "SLEEP", "param": {"duration": 60, "data": {"reason": "nothing to optimise"}}}),
    ] {
        let command = Command::parse(&value).unwrap_or_else(|error| panic!("{error}: {value}"));
        assert_eq!(command.to_value().unwrap(), value);
    }
}

#[test]
fn lenient_reading_of_commands() {
    let measure = |param: Value| match Command::parse(&json!({"cmd": "MEASURE", "param": param})) {
        Ok(Command {
            body: CommandBody::Measure(param),
            ..
        }) => param,
        other => panic!("{other:?}"),
    };
    let keyed = measure(json!({"metrics": {"p95": {"unit": "ms"}, "rps": {}}}));
    assert_eq!(keyed.metrics.unwrap(), ["p95", "rps"]);
    assert_eq!(measure(json!({"metrics": null})).metrics, None);
    for (duration, seconds) in [
        (json!(300), 300.0),
        (json!("300"), 300.0),
        (json!(" 1.5 "), 1.5),
        (json!("2h45m"), 9900.0),
        (json!(0), 0.0),
    ] {
        let read = measure(json!({"control": {"duration": duration}}))
            .control
            .duration;
        assert_eq!(read.unwrap().get(), Duration::from_secs_f64(seconds));
    }
    assert_eq!(
        measure(json!({"control": {"duration": null}}))
            .control
            .duration,
        None
    );
    for sleep in [
        json!(null),
        json!({}),
        json!({"duration": "x"}),
        json!({"duration": -1}),
        json!(5),
    ] {
        let command = Command::parse(&json!({"cmd": "SLEEP", "param": sleep})).unwrap();
        assert_eq!(
            command.body,
            CommandBody::Sleep(servo_protocol::SleepParam::new(
                servo_protocol::DEFAULT_SLEEP
            ))
        );
    }
}

#[test]
fn commands_that_cannot_be_carried_out() {
    let error = |value: Value| Command::parse(&value).unwrap_err();
    assert_eq!(error(json!([])), CommandError::NotAnObject);
    assert_eq!(error(json!({"status": "ok"})), CommandError::NoCommand);
    assert_eq!(
        error(json!({"cmd": "DANCE", "param": {}})),
        CommandError::Unknown("DANCE".to_owned())
    );
    for value in [
        json!({"cmd": "MEASURE"}),
        json!({"cmd": "SLEEP"}),
        json!({"cmd": "MEASURE", "param": null}),
        json!({"cmd": "DESCRIBE", "param": {"control": null}}),
    ] {
        assert!(
            matches!(error(value.clone()), CommandError::NoParam(..)),
            "{value}"
        );
    }
    for (operation, param) in [
        (Operation::Adjust, json!({"control": {}})),
        (Operation::Adjust, json!({"state": 5})),
        (Operation::Measure, json!({"control": {"duration": "soon"}})),
        (Operation::Measure, json!({"control": {"duration": -1}})),
        (Operation::Measure, json!({"control": {"load": 5}})),
        (Operation::Measure, json!({"metrics": [5]})),
    ] {
        let cmd = operation.to_string();
        let found = error(json!({"cmd": cmd, "param": param, "cmd_uid": "c"}));
        assert!(
            matches!(&found, CommandError::InvalidParam { operation: o, cmd_uid: Some(uid), .. } if *o == operation && uid == "c"),
            "{param}: {found:?}"
        );
    }
}

#[test]
fn replies() {
    for (value, status, out_of_step) in [
        (json!({"status": "ok"}), Status::Ok, false),
        (json!({}), Status::Ok, false),
        (json!({"status": 5}), Status::Ok, false),
        (
            json!({"status": "cancel", "reason": "r"}),
            Status::Cancel,
            false,
        ),
        (
            json!({"status": "unexpected-event"}),
            Status::UnexpectedEvent,
            true,
        ),
        (
            json!({"status": "invalid", "reason": "unexpected cmd_uid"}),
            Status::Invalid,
            true,
        ),
        (json!({"status": "invalid"}), Status::Invalid, false),
    ] {
        let reply = StatusReply::parse(&value).unwrap();
        assert_eq!(
            (reply.status.clone(), reply.is_out_of_step()),
            (status, out_of_step),
            "{value}"
        );
    }
    assert!(StatusReply::parse(&json!("ok")).is_err());
    let cancel = serde_json::to_value(StatusReply::cancel("operator pressed stop")).unwrap();
    assert_eq!(
        cancel,
        json!({"status": "cancel", "reason": "operator pressed stop"})
    );
}

#[test]
fn every_known_word_reads_as_itself() {
    for word in Status::KNOWN {
        assert!(!matches!(Status::from(*word), Status::Other(_)), "{word}");
        assert_eq!(Status::from(*word).as_str(), *word);
    }
    for word in Reason::KNOWN {
        assert_eq!(Reason::from(*word).as_str(), *word);
    }
    assert_eq!(Status::from("terminated").as_str(), "terminated");
}

#[test]
fn what_json_cannot_say_is_never_written() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut event = read(&events()[5]);
        if let Event::Measurement(report) = &mut event
            && let Ok(measurement) = &mut report.outcome
        {
            measurement.metrics["pods"].reading = Reading::Single(Some(bad.into()));
        }
        assert!(event.to_envelope(Success::WithStatus, None).is_err());
    }
}
