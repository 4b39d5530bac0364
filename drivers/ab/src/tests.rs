//! The cases of the original driver by number, as far as a load generator has
//! them, and those that only a load generator has.

use std::time::Duration;

use serde_json::{Value, json};
use servo_driver::{
    Control, MeasureRequest, Measurement,
    failure::Status,
    http::{Kind, Method},
    model::Scalar,
    testing::{Host, Reply, Run},
};

use crate::Ab;

const URL: &str = "http://s/";

/// A host whose server answers everything after 100 ms, with a body of 5 bytes.
fn host(config: Value) -> Host {
    Host::new()
        .config(config)
        .serve(Method::Get, URL, |_| answer(200))
}

fn answer(status: u16) -> Reply {
    Reply::status(status)
        .body("hello")
        .takes(Duration::from_millis(100))
}

fn with_load(load: Value) -> MeasureRequest {
    let control = Control {
        raw_load: Some(load.to_string()),
        ..Control::default()
    };
    MeasureRequest::new("shop").control(control)
}

fn run(config: Value, load: Value) -> Run<Measurement> {
    host(config).measure::<Ab>(&with_load(load))
}

fn note<'a>(measurement: &'a Measurement, name: &str) -> &'a str {
    &measurement
        .notes
        .iter()
        .find(|note| note.name == name)
        .unwrap()
        .text
}

#[test]
fn case_01_defaults_give_two_phases_and_the_result() {
    let run = run(json!({"test_url": URL}), json!({}));
    // 10 in flight for 30 s and again for 180 s, at 100 ms each.
    assert_eq!(
        (run.requests.len(), run.elapsed),
        (3000 + 18_000, Duration::from_secs(210))
    );
    let done = run.result.unwrap();
    for (name, plain, value) in [
        ("requests throughput", "throughput", Scalar::Number(100.0)),
        ("time taken", "time_taken", Scalar::Number(180.0)),
        ("number of errors", "errors", Scalar::Integer(0)),
        (
            "time per request (across all concurrent requests)",
            "latency_concurrent",
            Scalar::Number(10.0),
        ),
        ("time per request", "latency", Scalar::Number(100.0)),
    ] {
        assert_eq!(done.value(name), Some(&value), "{name}");
        assert_eq!(done.value(plain), Some(&value), "{plain}");
    }
    assert_eq!(
        note(&done, "command"),
        "ab -l -c 10 -t 180 -n 10000000 http://s/"
    );
    assert_eq!(note(&done, "bytes"), (18_000 * 5).to_string());
}

#[test]
fn case_02_without_time_limit_the_requests_are_the_limit() {
    let run = run(
        json!({}),
        json!({"test_url": URL, "t_warmup": 0, "t_limit": 0, "n_requests": 500}),
    );
    assert_eq!(
        (run.requests.len(), run.elapsed),
        (500, Duration::from_secs(5))
    );
    assert_eq!(
        note(&run.result.unwrap(), "command"),
        "ab -l -c 10 -n 500 http://s/"
    );
}

#[test]
fn case_03_headers_of_the_load_replace_those_of_the_config() {
    let run = run(
        json!({"test_url": URL, "headers": ["X-A: 1"]}),
        json!({"headers": ["X-B: 2", "Accept: text/html"], "n_requests": 1, "t_warmup": 0}),
    );
    let sent = &run.requests[0];
    assert_eq!((sent.header("x-a"), sent.header("x-b")), (None, Some("2")));
    assert_eq!(sent.header("accept"), Some("text/html"));
    let command = note(&run.result.unwrap(), "command").to_owned();
    assert!(
        command.contains("-H X-B: *** -H Accept: text/html "),
        "{command}"
    );
}

#[test]
fn case_04_password_is_redacted() {
    let run = run(
        json!({"test_url": "http://s/?key=hush&flag"}),
        json!({"user": "u", "password": "hush", "headers": ["X-Api-Key: hush"], "n_requests": 1}),
    );
    assert_eq!(
        run.requests[0].header("authorization"),
        Some("Basic dTpodXNo")
    );
    let text = format!("{:?} {:?} {:?}", run.result, run.reports, run.logs);
    assert!(text.contains("-A *** http://s/?key=***&***"), "{text}");
    assert!(
        !text.contains("hush") && !text.contains("dTpodXNo"),
        "{text}"
    );
}

#[test]
fn case_05_without_address_nothing_is_sent() {
    let run = Host::new().measure::<Ab>(&with_load(json!({})));
    let failure = run.result.unwrap_err();
    assert_eq!(
        (failure.status, failure.reason.as_deref()),
        (Status::Failed, Some("invalid-input"))
    );
    assert!(failure.message.contains("test_url"), "{failure}");
}

#[test]
fn case_06_a_parameter_that_cannot_be_is_named() {
    for (name, load) in [
        ("n_threads", json!({"n_threads": 0})),
        ("n_requests", json!({"n_requests": 0})),
        ("t_limit", json!({"t_limit": -1})),
        ("t_limit", json!({"t_limit": 1e9})),
        ("t_warmup", json!({"t_warmup": "soon"})),
        ("headers[1]", json!({"headers": ["A: 1", "no colon"]})),
    ] {
        let failure = run(json!({"test_url": URL}), load).result.unwrap_err();
        assert!(failure.message.contains(name), "{name}: {failure}");
        assert_eq!(failure.reason.as_deref(), Some("invalid-input"), "{name}");
    }
}

#[test]
fn case_07_when_nothing_completes_the_failure_says_why() {
    let run = Host::new()
        .config(json!({"test_url": URL}))
        .serve(Method::Get, URL, |_| {
            Reply::fails(Kind::Unconnected("no connection: refused".to_owned()))
        })
        .measure::<Ab>(&with_load(json!({})));
    assert_eq!(run.requests.len(), 19, "given up with the tenth failure");
    let failure = run.result.unwrap_err();
    assert!(
        failure.message.contains("no connection: refused"),
        "{failure}"
    );

    let run = Host::new()
        .config(json!({"test_url": URL, "t_limit": 5, "t_warmup": 0}))
        .serve(Method::Get, URL, |_| {
            answer(200).takes(Duration::from_secs(10))
        })
        .measure::<Ab>(&with_load(json!({})));
    assert_eq!(run.result.unwrap_err().reason.as_deref(), Some("timeout"));
}

#[test]
fn case_08_progress_of_a_timed_run() {
    let run = run(
        json!({"test_url": URL}),
        json!({"t_warmup": 30, "t_limit": 180}),
    );
    let after_15_s = run
        .reports
        .iter()
        .find(|report| report.time_remaining == Some(Duration::from_secs(165)))
        .unwrap();
    assert_eq!(after_15_s.percent, Some(21.0));
    let percents = run.percents();
    assert_eq!(
        (percents.first(), percents.last()),
        (Some(&0.0), Some(&99.0))
    );
    assert_eq!(percents.len(), 30 + 180, "one a second");
}

#[test]
fn case_09_progress_of_an_untimed_run() {
    let run = run(
        json!({"test_url": URL}),
        json!({"t_warmup": 0, "t_limit": 0, "n_requests": 1000, "n_threads": 1}),
    );
    assert!(run.reports.iter().any(|report| {
        let half = report
            .message
            .as_ref()
            .is_some_and(|text| text.contains(": 500 answers"));
        half && report.percent == Some(50.0)
    }));
}

#[test]
fn case_10_describe_needs_no_configuration() {
    let metrics = Host::new().describe_measure::<Ab>("shop").unwrap();
    let literal: Vec<_> = metrics[..5]
        .iter()
        .map(|metric| {
            (
                metric.name.as_str(),
                metric.unit.as_deref().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        literal,
        [
            ("requests throughput", "requests/second"),
            ("time taken", "seconds"),
            ("number of errors", "count"),
            (
                "time per request (across all concurrent requests)",
                "milliseconds"
            ),
            ("time per request", "milliseconds"),
        ]
    );
    let measured = run(
        json!({"test_url": URL}),
        json!({"n_requests": 1, "t_warmup": 0}),
    );
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(metrics.iter().map(|metric| &metric.name).collect()),
        names(
            measured
                .result
                .unwrap()
                .samples
                .iter()
                .map(|sample| &sample.metric)
                .collect()
        ),
        "what is described is what is measured"
    );
}

#[test]
fn a_denied_load_ends_with_the_first_request() {
    let denied = || Reply::fails(Kind::Denied(Some("add this line".to_owned())));
    let run = Host::new()
        .config(json!({"test_url": URL, "n_threads": 1}))
        .serve(Method::Get, URL, move |_| denied())
        .measure::<Ab>(&with_load(json!({})));
    assert_eq!(run.requests.len(), 1);
    let failure = run.result.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("denied"));
    assert!(failure.message.contains("add this line"), "{failure}");
}

#[test]
fn a_cancel_is_noticed_within_a_second() {
    let run = host(json!({"test_url": URL}))
        .cancel_at(Duration::from_millis(40_500))
        .measure::<Ab>(&with_load(json!({})));
    assert_eq!(run.result.unwrap_err().status, Status::Cancelled);
    assert_eq!(run.elapsed, Duration::from_secs(41));
}

#[test]
fn failures_and_statuses_are_counted_apart() {
    let mut count = 0;
    let run = Host::new()
        .config(json!({"test_url": URL, "t_warmup": 0, "t_limit": 0, "n_requests": 100}))
        .serve(Method::Get, URL, move |_| {
            count += 1;
            match count % 10 {
                0 => Reply::fails(Kind::Closed("reset".to_owned())),
                1 | 2 => answer(500),
                _ => answer(200),
            }
        })
        .measure::<Ab>(&with_load(json!({})));
    let done = run.result.unwrap();
    assert_eq!(done.value("errors"), Some(&Scalar::Integer(10)));
    assert_eq!(note(&done, "non_2xx"), "20");
    assert!(note(&done, "first_error").contains("reset"));
}

#[test]
fn connections_are_fresh_unless_they_are_to_be_kept() {
    for (keep_alive, header) in [(false, Some("close")), (true, None)] {
        let config = json!({"test_url": URL, "keep_alive": keep_alive});
        let run = run(config, json!({"n_requests": 1, "t_warmup": 0}));
        assert_eq!(run.requests[0].header("connection"), header);
    }
}

#[test]
fn control_gives_the_times_that_load_and_config_leave_open() {
    for (config, load, warmup, duration) in [
        (json!({}), json!({}), 2, 3),
        (json!({"t_warmup": 4}), json!({}), 4, 3),
        (
            json!({"t_warmup": 4, "t_limit": 5}),
            json!({"t_limit": "6"}),
            4,
            6,
        ),
    ] {
        let control = Control {
            warmup: Some(Duration::from_secs(2)),
            duration: Some(Duration::from_secs(3)),
            ..with_load(load).control
        };
        let mut config = config;
        config["test_url"] = json!(URL);
        let request = MeasureRequest::new("shop").control(control);
        let run = host(config).measure::<Ab>(&request);
        assert_eq!(run.elapsed, Duration::from_secs(warmup + duration));
    }
}

#[test]
fn percentiles_tell_the_slow_from_the_fast() {
    let mut count = 0;
    let run = Host::new()
        .config(json!({"test_url": URL, "t_warmup": 0, "t_limit": 0, "n_requests": 1000}))
        .serve(Method::Get, URL, move |_| {
            count += 1;
            answer(200).takes(Duration::from_millis(if count % 20 == 0 {
                800
            } else {
                10
            }))
        })
        .measure::<Ab>(&with_load(json!({})));
    let done = run.result.unwrap();
    for (name, ms) in [
        ("latency_p50", 10.0),
        ("latency_p90", 10.0),
        ("latency_p99", 800.0),
    ] {
        let found = done.value(name).and_then(Scalar::as_f64).unwrap();
        assert!((found - ms).abs() < ms * 0.01, "{name}: {found}");
    }
}

#[test]
fn a_misspelt_key_of_the_config_is_named() {
    let failure = run(json!({"test_url": URL, "n_thread": 3}), json!({}))
        .result
        .unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("invalid-config"));
    assert!(failure.message.contains("n_thread"), "{failure}");
}

/// What our own gate refuses is no error of the application.
#[test]
fn field_05_a_rate_of_our_own_ends_the_measurement_and_is_named() {
    for kind in [
        Kind::Exhausted("`limits.request_rate`".to_owned()),
        Kind::RateLimited(Duration::from_millis(5)),
    ] {
        let mut left = 20;
        let limited = kind.clone();
        let run = Host::new()
            .config(json!({"test_url": URL}))
            .serve(Method::Get, URL, move |_| {
                left -= 1;
                if left >= 0 {
                    answer(200)
                } else {
                    Reply::fails(limited.clone())
                }
            })
            .measure::<Ab>(&with_load(json!({"t_warmup": 0, "t_limit": 30})));
        let failure = run.result.unwrap_err();
        assert!(failure.message.contains("request_rate"), "{failure}");
        assert!(
            failure.message.contains("the load stopped after"),
            "{failure}"
        );
        assert!(run.requests.len() <= 40, "{}", run.requests.len());
    }
}
