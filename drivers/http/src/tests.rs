//! The driver against a scripted application.

use std::{cell::RefCell, rc::Rc, time::Duration};

use serde_json::{Value, json};
use servo_driver::{
    AdjustRequest, Adjustment, Control, Interruption,
    failure::Status,
    http::{Kind, Method},
    model::{Scalar, SettingKind, SettingValue},
    testing::{Host, Reply, Run},
};

use crate::{Http, State};

const URL: &str = "http://app:9000/settings";
const READY: &str = "http://app:9000/ready";

fn config() -> Value {
    json!({
        "endpoint": URL,
        "settings": {
            "workers": {"min": 1, "max": 8, "step": 1, "unit": "threads"},
            "ratio": {"type": "range", "min": 0.1, "max": 0.9, "path": "/cache/ratio"},
            "mode": {"type": "enum", "values": ["fast", "safe"]},
        },
    })
}

fn with(changes: Value) -> Value {
    let mut config = config();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

fn document() -> Value {
    json!({"workers": 4, "cache": {"ratio": 0.5, "size": 10}, "mode": "safe", "other": true})
}

fn request(values: &[(&str, Scalar)]) -> AdjustRequest {
    let value = |(name, value): &(&str, Scalar)| SettingValue::new("app", *name, value.clone());
    AdjustRequest::new("shop", values.iter().map(value))
}

/// An application that keeps what it is sent, and forces it after so many
/// reads.
fn refused() -> Kind {
    Kind::Unconnected("no connection: connection refused".to_owned())
}

struct App {
    document: Rc<RefCell<Value>>,
    host: Host,
}

fn app(config: Value, method: Method, reads: usize) -> App {
    let document = Rc::new(RefCell::new(document()));
    let pending = Rc::new(RefCell::new(None::<(usize, Value)>));
    let (forced, waiting) = (Rc::clone(&document), Rc::clone(&pending));
    let read = move |_: &_| {
        let mut pending = waiting.borrow_mut();
        if let Some((left, value)) = pending.take() {
            if left == 0 {
                forced.replace(value);
            } else {
                *pending = Some((left - 1, value));
            }
        }
        Reply::json(forced.borrow().clone())
    };
    let present = Rc::clone(&document);
    let host = Host::new()
        .config(config)
        .serve(Method::Get, URL, read)
        .serve(method, URL, move |sent| {
            let mut value = present.borrow().clone();
            merge(&mut value, sent.json());
            pending.replace(Some((reads, value)));
            Reply::status(204)
        });
    App { document, host }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn written(run: &Run<Adjustment>) -> Vec<Value> {
    run.requests
        .iter()
        .filter(|sent| sent.method != Method::Get)
        .map(|sent| sent.json())
        .collect()
}

#[test]
fn describe_reads_the_present_values() {
    let host = Host::new()
        .config(config())
        .on(Method::Get, URL, Reply::json(document()));
    let application = host.describe_adjust::<Http>("shop").unwrap();
    let component = &application.components[0];
    assert_eq!(
        (component.name.as_str(), component.settings.len()),
        ("app", 3)
    );
    let values: Vec<_> = component
        .settings
        .iter()
        .map(|setting| match &setting.kind {
            SettingKind::Range(range) => (setting.name.as_str(), range.value.map(Scalar::Number)),
            SettingKind::Choice(choice) => (setting.name.as_str(), choice.value.clone()),
        })
        .collect();
    assert_eq!(
        values,
        [
            ("mode", Some("safe".into())),
            ("ratio", Some(0.5.into())),
            ("workers", Some(4.0.into()))
        ]
    );
    assert_eq!(component.settings[2].unit.as_deref(), Some("threads"));
}

#[test]
fn values_that_cannot_be_are_unknown() {
    for odd in [
        json!({}),
        json!({"workers": "4"}),
        json!({"workers": 99}),
        json!({"workers": null}),
    ] {
        let config = with(json!({"settings": {"workers": {"min": 1, "max": 8}}}));
        let host = Host::new()
            .config(config)
            .on(Method::Get, URL, Reply::json(odd.clone()));
        let application = host.describe_adjust::<Http>("shop").unwrap();
        let SettingKind::Range(range) = &application.components[0].settings[0].kind else {
            panic!("it is a range");
        };
        assert_eq!(range.value, None, "{odd}");
    }
}

#[test]
fn the_whole_document_is_written_with_the_new_values_in_it() {
    let app = app(config(), Method::Put, 2);
    let request = request(&[("workers", 8.0.into()), ("ratio", 0.25.into())]);
    let run = app.host.adjust::<Http>(&request);
    let expected =
        json!({"workers": 8, "cache": {"ratio": 0.25, "size": 10}, "mode": "safe", "other": true});
    assert_eq!(written(&run)[0], expected);
    let text = serde_json::to_string(&written(&run)[0]).unwrap();
    assert!(
        text.contains("\"workers\":8,"),
        "whole numbers stay whole: {text}"
    );
    assert_eq!(*app.document.borrow(), expected);
    assert_eq!(
        run.result.unwrap().settings,
        [
            SettingValue::new("app", "mode", "safe"),
            SettingValue::new("app", "ratio", 0.25),
            SettingValue::new("app", "workers", 8),
        ]
    );
    assert_eq!((run.steps, run.waited), (4, Duration::from_secs(3)));
}

#[test]
fn only_changes_are_written_if_the_configuration_says_so() {
    for (change, method) in [
        (json!({"write": "changed"}), Method::Put),
        (json!({"method": "PATCH"}), Method::Patch),
        (json!({"method": "POST", "write": "changed"}), Method::Post),
    ] {
        let app = app(with(change), method, 0);
        let run = app.host.adjust::<Http>(&request(&[("ratio", 0.25.into())]));
        assert_eq!(
            written(&run),
            [json!({"cache": {"ratio": 0.25}})],
            "{method}"
        );
        assert_eq!(
            app.document.borrow()["cache"],
            json!({"ratio": 0.25, "size": 10})
        );
        run.result.unwrap();
    }
}

#[test]
fn nothing_is_written_when_nothing_changes() {
    let app = app(config(), Method::Put, 0);
    let run = app.host.adjust::<Http>(&request(&[("workers", 4.into())]));
    assert!(written(&run).is_empty());
    run.result.unwrap();
}

#[test]
fn bad_requests_are_rejected_before_anything_is_sent() {
    let pinned = json!({"settings": {"workers": {"min": 1, "max": 8, "pinned": true}}});
    for (config, name, value) in [
        (config(), "workers", Scalar::Integer(9)),
        (config(), "workers", "many".into()),
        (config(), "mode", "reckless".into()),
        (config(), "nothing", 1.into()),
        (with(json!({"component": "web"})), "workers", 2.into()),
        (with(pinned), "workers", 2.into()),
    ] {
        let run = Host::new()
            .config(config)
            .adjust::<Http>(&request(&[(name, value)]));
        let failure = run.result.unwrap_err();
        assert_eq!(failure.status, Status::Rejected, "{failure}");
        assert_eq!(
            failure.reason.as_deref(),
            Some("invalid-setting"),
            "{failure}"
        );
        assert!(failure.message.contains(name), "{failure}");
    }
}

#[test]
fn statuses_of_a_write_tell_bad_values_from_bad_times() {
    for (status, attempts, expected) in [
        (422, 1, Status::Rejected),
        (400, 1, Status::Rejected),
        (403, 1, Status::Failed),
        (404, 1, Status::Failed),
        (500, 1, Status::Failed),
        (503, 3, Status::Failed),
    ] {
        let run = Host::new()
            .config(config())
            .on(Method::Get, URL, Reply::json(document()))
            .on(
                Method::Put,
                URL,
                Reply::status(status)
                    .body("too many workers")
                    .times(attempts),
            )
            .adjust::<Http>(&request(&[("workers", 8.into())]));
        let failure = run.result.unwrap_err();
        assert_eq!(failure.status, expected, "{status}");
        assert!(failure.message.contains("too many workers"), "{failure}");
    }
}

#[test]
fn a_write_that_finds_nobody_is_repeated() {
    let run = Host::new()
        .config(config())
        .on(Method::Get, URL, Reply::json(document()))
        .on(Method::Put, URL, Reply::fails(refused()).times(2))
        .on(Method::Put, URL, Reply::status(200))
        .on(Method::Get, URL, Reply::json(json!({"workers": 8})))
        .adjust::<Http>(&request(&[("workers", 8.into())]));
    run.result.unwrap();
}

#[test]
fn what_never_comes_into_force_is_rejected() {
    let ready = json!({"timeout": 10, "interval": 3});
    let app = app(with(json!({"ready": ready})), Method::Put, 1000);
    let run = app.host.adjust::<Http>(&request(&[("workers", 8.into())]));
    let failure = run.result.unwrap_err();
    assert_eq!(failure.status, Status::Rejected);
    assert_eq!(failure.reason.as_deref(), Some("start-failed"));
    assert!(
        failure.message.contains("/workers still reads 4, not 8"),
        "{failure}"
    );
    assert!((9..=11).contains(&run.waited.as_secs()), "{:?}", run.waited);
}

#[test]
fn readiness_is_waited_for_through_a_restart() {
    let ready = json!({"url": READY, "path": "/state", "equals": "up"});
    let run = Host::new()
        .config(with(json!({"ready": ready})))
        .on(Method::Get, URL, Reply::json(document()))
        .on(Method::Put, URL, Reply::status(200))
        .on(Method::Get, URL, Reply::fails(refused()))
        .on(Method::Get, URL, Reply::status(502))
        .on(
            Method::Get,
            URL,
            Reply::json(json!({"workers": 8})).times(4),
        )
        .on(Method::Get, READY, Reply::fails(refused()))
        .on(Method::Get, READY, Reply::status(503))
        .on(
            Method::Get,
            READY,
            Reply::json(json!({"state": "starting"})),
        )
        .on(Method::Get, READY, Reply::json(json!({"state": "up"})))
        .adjust::<Http>(&request(&[("workers", 8.into())]));
    assert_eq!(
        run.result.unwrap().settings,
        [SettingValue::new("app", "workers", 8)]
    );
    assert_eq!(run.steps, 7);
    let why = |text: &str| {
        run.reports
            .iter()
            .any(|report| report.message.as_ref().is_some_and(|m| m.contains(text)))
    };
    for text in [
        "connection refused",
        "status 502",
        "status 503",
        "\"starting\", not \"up\"",
    ] {
        assert!(why(text), "{text}: {:?}", run.reports);
    }
}

#[test]
fn an_application_that_does_not_stay_ready_is_unstable() {
    for (ready, result) in [
        (vec![200, 200, 200], Ok(())),
        (vec![200, 500], Err("unstable")),
    ] {
        let host = Host::new()
            .config(with(json!({"ready": {"url": READY, "interval": 5}})))
            .serve(Method::Get, URL, |_| Reply::json(json!({"workers": 4})));
        let host = ready.iter().fold(host, |host, status| {
            host.on(Method::Get, READY, Reply::status(*status))
        });
        let control = Control {
            settlement: Some(Duration::from_secs(10)),
            ..Control::default()
        };
        let run = host.adjust::<Http>(&request(&[("workers", 4.into())]).control(control));
        match result {
            Ok(()) => {
                run.result.unwrap();
                assert_eq!(
                    (run.steps, run.elapsed.as_secs()),
                    (4, 15),
                    "5 s until the first look, then 10 s"
                );
            }
            Err(reason) => {
                let failure = run.result.unwrap_err();
                assert_eq!(failure.status, Status::Rejected);
                assert_eq!(failure.reason.as_deref(), Some(reason));
            }
        }
    }
}

#[test]
fn a_cancelled_adjustment_is_undone() {
    let mut app = app(config(), Method::Put, 0);
    app.host = app.host.cancel_at(Duration::from_millis(500));
    let run = app
        .host
        .adjust::<Http>(&request(&[("workers", 8.into()), ("mode", "fast".into())]));
    assert_eq!(run.result.as_ref().unwrap_err().status, Status::Cancelled);
    assert_eq!(run.undone, Some(Ok(Adjustment::default())));
    let written = written(&run);
    assert_eq!(
        (written[0]["workers"].clone(), written[0]["mode"].clone()),
        (json!(8), json!("fast"))
    );
    assert_eq!(written[1], document(), "as it was before");
}

#[test]
fn mistakes_in_the_configuration_are_named() {
    for (change, text) in [
        (json!({"endpont": 1}), "endpont"),
        (json!({"method": "GET"}), "method"),
        (json!({"settings": {"w": {"min": 1}}}), "settings.w"),
        (
            json!({"settings": {"w": {"min": 2, "max": 1}}}),
            "settings.w",
        ),
        (
            json!({"settings": {"w": {"min": 1, "max": 2, "step": 0}}}),
            "settings.w",
        ),
        (
            json!({"settings": {"w": {"min": 1, "max": 2, "path": "w"}}}),
            "settings.w",
        ),
        (
            json!({"settings": {"w": {"type": "enum", "values": []}}}),
            "settings.w",
        ),
        (
            json!({"settings": {"w": {"type": "list"}}}),
            "settings.w.type",
        ),
        (json!({"ready": {"path": "/x"}}), "ready"),
        (json!({"ready": {"interval": 0}}), "ready.interval"),
        (json!({"settle": -1}), "settle"),
    ] {
        let host = Host::new().config(with(change));
        let failure = host.describe_adjust::<Http>("shop").unwrap_err();
        assert_eq!(
            failure.reason.as_deref(),
            Some("invalid-config"),
            "{failure}"
        );
        assert!(failure.message.contains(text), "{text}: {failure}");
    }
}

/// A backend that keeps numbers as 32-bit floats gives `0.4` back as
/// `0.4000000059604645`.
#[test]
fn field_01_a_backend_that_keeps_32_bit_floats() {
    for step in [Some(0.1), None] {
        let setting = json!({"min": 0.1, "max": 0.4, "step": step});
        let config = json!({"endpoint": URL, "settings": {"cpu": setting}});
        let kept = Rc::new(RefCell::new(0.3_f32));
        let (read, write) = (Rc::clone(&kept), kept);
        let host = Host::new()
            .config(config)
            .serve(Method::Get, URL, move |_| {
                Reply::json(json!({"cpu": f64::from(*read.borrow())}))
            })
            .serve(Method::Put, URL, move |sent| {
                #[allow(clippy::cast_possible_truncation)]
                let cpu = sent.json::<Value>()["cpu"].as_f64().unwrap() as f32;
                write.replace(cpu);
                Reply::status(204)
            });
        let present = |host: &Host| {
            let described = host.describe_adjust::<Http>("shop").unwrap();
            serde_json::to_value(&described.components[0].settings[0]).unwrap()["kind"].clone()
        };
        let start = present(&host);
        assert!(start.to_string().contains("\"value\":0.3"), "{start}");
        // There, and back to the start.
        for value in [0.4, 0.3] {
            let run = host.adjust::<Http>(&request(&[("cpu", value.into())]));
            let done = run.result.unwrap();
            assert_eq!(done.settings, [SettingValue::new("app", "cpu", value)]);
        }
        // What is not the same stays an error.
        let run = host.adjust::<Http>(&request(&[("cpu", 0.2.into())]));
        assert!(run.result.is_ok());
    }
}

#[test]
fn field_19_a_redirect_names_the_place_it_leads_to() {
    let moved = Reply::status(302).header("location", "/login?next=/settings");
    let host = Host::new().config(config()).on(Method::Get, URL, moved);
    let failure = host.describe_adjust::<Http>("shop").unwrap_err();
    let text = "status 302, which leads to /login?next=/settings: redirects are not followed";
    assert!(failure.message.contains(text), "{failure}");
}

/// What a crash cut short is looked at, and never written again.
#[test]
fn an_adjustment_that_was_cut_short_is_looked_at() {
    let cut_short = |state| Interruption {
        state,
        in_step: true,
    };
    let written = Host::new()
        .config(config())
        .serve(Method::Get, URL, |_| Reply::json(document()));
    let run = written.recover::<Http>(&request(&[("workers", 4.into())]), cut_short(None));
    assert!(
        run.result
            .unwrap()
            .settings
            .contains(&SettingValue::new("app", "workers", 4))
    );
    let lost = run_lost(cut_short(None));
    let failure = lost.result.unwrap_err();
    assert_eq!(failure.status, Status::Failed);
    let in_force = failure.in_force.unwrap();
    assert!(
        in_force.contains(&SettingValue::new("app", "workers", 4)),
        "{in_force:?}"
    );
    assert!(lost.requests.iter().all(|sent| sent.method == Method::Get));
}

fn run_lost(interruption: Interruption<State>) -> Run<Adjustment> {
    Host::new()
        .config(config())
        .serve(Method::Get, URL, |_| Reply::json(document()))
        .recover::<Http>(&request(&[("workers", 8.into())]), interruption)
}
