//! The cases of the original driver by number, and what follows from the
//! differences to it.

use std::{cell::RefCell, rc::Rc, time::Duration};

use serde_json::{Value, json};
use servo_driver::{
    Control, Measure as _, MeasureRequest, Measurement, Step,
    failure::Status,
    http::Method,
    model::{Instance, Reading},
    testing::{Host, Reply, Run, Sent},
};

use crate::{Config, Prom, Window, labels, server};

mod answers;
mod mistakes;
mod properties;

const URL: &str = "http://prometheus:9090/api/v1/query_range";
const QUERY: &str = r#"sum(rate(orders_total{env="prod"}[1m]))"#;

fn config() -> Value {
    json!({"metrics": {"orders": {"query": QUERY, "unit": "rps"}, "p95": {"query": "p95"}}})
}

/// The configuration with some members of its section changed.
fn with(change: Value) -> Value {
    let mut config = config();
    for (key, value) in change.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

/// The configuration with one metric only.
fn only(metric: Value) -> Value {
    json!({"metrics": {"orders": metric}})
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn request(metrics: &[&str]) -> MeasureRequest {
    MeasureRequest {
        metrics: metrics.iter().map(|name| (*name).to_owned()).collect(),
        ..MeasureRequest::new("shop").control(Control {
            warmup: seconds(30),
            duration: seconds(120),
            delay: seconds(10),
            ..Control::default()
        })
    }
}

/// Series as Prometheus sends them: labels, and pairs of time and text.
fn answer(series: &[(Value, Value)]) -> Value {
    let result: Vec<_> = series
        .iter()
        .map(|(metric, values)| json!({"metric": metric, "values": values}))
        .collect();
    json!({"status": "success", "data": {"resultType": "matrix", "result": result}})
}

fn orders() -> Value {
    answer(&[(
        json!({"__name__": "orders", "job": "shop", "instance": "10.0.0.7:9100"}),
        json!([
            [1_700_000_040, "12"],
            [1_700_000_100, "12.5"],
            [1_700_000_160, "NaN"]
        ]),
    )])
}

/// A Prometheus that gives the same answer to everything, in no time.
fn host(config: Value, answer: Value) -> Host {
    Host::new()
        .config(config)
        .serve(Method::Get, URL, move |_| {
            Reply::json(answer.clone()).takes(Duration::ZERO)
        })
}

/// Name and value of a query, decoded as a server does.
fn parameters(sent: &Sent) -> Vec<(String, String)> {
    let (_, query) = sent.url.split_once('?').unwrap();
    query
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(out).unwrap()
}

fn parameter(sent: &Sent, name: &str) -> String {
    let found = parameters(sent).into_iter().find(|(key, _)| key == name);
    found.unwrap().1
}

/// Start and end of every request.
fn windows(run: &Run<Measurement>) -> Vec<(String, String)> {
    run.requests
        .iter()
        .map(|sent| (parameter(sent, "start"), parameter(sent, "end")))
        .collect()
}

fn pairs(windows: &[(&str, &str)]) -> Vec<(String, String)> {
    windows
        .iter()
        .map(|(start, end)| ((*start).to_owned(), (*end).to_owned()))
        .collect()
}

fn series<'a>(measurement: &'a Measurement, metric: &str) -> &'a [Instance] {
    match &measurement.sample(metric).unwrap().reading {
        Reading::Series(instances) => instances,
        Reading::Single(_) => panic!("it is a series"),
    }
}

fn names(measurement: &Measurement) -> Vec<&str> {
    let samples = measurement.samples.iter();
    samples.map(|sample| sample.metric.as_str()).collect()
}

/// The values of the only series of `orders`, measured from these texts.
fn read(texts: &[&str]) -> Vec<f64> {
    let points: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| json!([1_700_000_000 + at, text]))
        .collect();
    let run = host(config(), answer(&[(json!({"a": "1"}), json!(points))]))
        .measure::<Prom>(&request(&["orders"]));
    let done = run.result.unwrap();
    let points = &series(&done, "orders")[0].points;
    points.iter().map(|point| point.value.unwrap()).collect()
}

#[test]
fn case_01_describe_gives_the_units_and_asks_nothing() {
    let metrics = Host::new()
        .config(config())
        .describe_measure::<Prom>("shop")
        .unwrap();
    let found: Vec<_> = metrics
        .iter()
        .map(|metric| (metric.name.as_str(), metric.unit.as_deref()))
        .collect();
    assert_eq!(found, [("orders", Some("rps")), ("p95", None)]);
    assert!(metrics.iter().all(|metric| metric.annotation.is_none()));
}

#[test]
fn case_02_check_then_wait_then_the_window() {
    for (change, check) in [
        (json!({"check_window": 600}), Some("1699999400")),
        (json!({}), Some("1699999940")),
        (json!({"check_window": 0}), None),
    ] {
        let run = host(with(change), orders()).measure::<Prom>(&request(&["orders"]));
        let mut expected = pairs(&[("1700000030", "1700000150")]);
        if let Some(start) = check {
            expected.insert(0, (start.to_owned(), "1700000000".to_owned()));
        }
        assert_eq!(windows(&run), expected);
        assert_eq!((run.steps, run.waited), (2, Duration::from_secs(160)));
        for sent in &run.requests {
            assert_eq!(parameter(sent, "query"), QUERY);
            assert_eq!(parameter(sent, "step"), "60");
            assert_eq!(parameters(sent).len(), 4);
        }
        let done = run.result.unwrap();
        assert!(done.notes.is_empty());
        assert_eq!(names(&done), ["orders"]);
        let sample = done.sample("orders").unwrap();
        assert_eq!(sample.annotation.as_deref(), Some(QUERY));
        assert_eq!(sample.unit.as_deref(), Some("rps"));
        let expected = Instance::new(
            "instance:10.0.0.7:9100   job:shop",
            [(1_700_000_040.0, Some(12.0)), (1_700_000_100.0, Some(12.5))],
        );
        assert_eq!(series(&done, "orders"), [expected]);
    }
}

#[test]
fn case_03_the_period_is_the_step() {
    for (period, step) in [(json!(15), "15"), (json!(15.9), "15")] {
        let config = only(json!({"query": "q", "period": period}));
        let run = host(config, orders()).measure::<Prom>(&request(&["orders"]));
        let steps: Vec<_> = run.requests.iter().map(|r| parameter(r, "step")).collect();
        assert_eq!(steps, [step, step]);
    }
}

#[test]
fn case_04_values() {
    let texts = ["12", "0.25", "NaN", "+Inf", "5e-07", "1.5e-07", "-3"];
    assert_eq!(read(&texts), [12.0, 0.25, 5e-07, 1.5e-07, -3.0]);
}

#[test]
fn case_05_the_query_arrives_as_it_is_written() {
    for query in [
        r#"a + b{x=~"p&q#r"}"#,
        r#"x{path="%41/%2F?=;+"} % 2 == bool 1"#,
        "sum(\n  größe\n)",
    ] {
        let run =
            host(only(json!({"query": query})), orders()).measure::<Prom>(&request(&["orders"]));
        for sent in &run.requests {
            assert_eq!(parameter(sent, "query"), query);
            assert_eq!(parameters(sent).len(), 4, "{}", sent.url);
        }
    }
}

#[test]
fn case_06_what_is_not_configured_is_left_out() {
    let run = host(config(), orders()).measure::<Prom>(&request(&["orders", "derived", "orders"]));
    assert_eq!(run.requests.len(), 2);
    assert_eq!(names(&run.result.unwrap()), ["orders"]);
}

#[test]
fn case_07_nothing_configured_gives_no_metrics_at_once() {
    let run = Host::new()
        .config(config())
        .measure::<Prom>(&request(&["derived"]));
    assert_eq!((run.steps, run.waited), (1, Duration::ZERO));
    assert!(run.logged(log::Level::Warn, "derived"), "{:?}", run.logs);
    assert_eq!(run.result.unwrap(), Measurement::default());
}

#[test]
fn case_08_an_error_of_the_server_is_told_before_the_wait() {
    let error =
        json!({"status": "error", "errorType": "bad_data", "error": "parse error at char 5"});
    for status in [400, 422, 200] {
        let reply = Reply::json(error.clone()).with_status(status);
        let run = Host::new()
            .config(config())
            .on(Method::Get, URL, reply)
            .measure::<Prom>(&request(&["orders"]));
        assert_eq!((run.steps, run.waited), (1, Duration::ZERO));
        let failure = run.result.unwrap_err();
        assert_eq!(failure.status, Status::Failed);
        let query = format!("{QUERY:?}");
        let status = status.to_string();
        for text in [&query, &status, "bad_data: parse error at char 5", "orders"] {
            assert!(failure.message.contains(text), "{text}: {failure}");
        }
    }
}

#[test]
fn case_09_without_duration_nothing_is_asked() {
    let mut request = request(&["orders"]);
    request.control.duration = None;
    let run = Host::new().config(config()).measure::<Prom>(&request);
    let failure = run.result.unwrap_err();
    assert_eq!(
        (failure.status, failure.reason.as_deref()),
        (Status::Failed, Some("invalid-input"))
    );
    assert!(failure.message.contains("control.duration"), "{failure}");
}

#[test]
fn case_10_requests_go_below_the_configured_address() {
    for (endpoint, prefix) in [
        (json!("http://h:9090/"), "http://h:9090/api/v1/"),
        (json!("http://h:9090"), "http://h:9090/api/v1/"),
        (json!("https://h/prom//"), "https://h/prom/api/v1/"),
        (json!(null), "http://prometheus:9090/api/v1/"),
    ] {
        let url = format!("{prefix}query_range");
        let run = Host::new()
            .config(with(json!({"prometheus_endpoint": endpoint})))
            .on(Method::Get, &url, Reply::json(orders()).times(2))
            .measure::<Prom>(&request(&["orders"]));
        run.result.unwrap();
    }
}

#[test]
fn case_11_labels_become_ids() {
    let none = json!([]);
    for (metrics, ids) in [
        (
            vec![json!({"b": "2", "a": "1"}), json!({})],
            vec!["-", "a:1   b:2"],
        ),
        (vec![json!({"__name__": "up"})], vec!["up"]),
        (
            vec![
                json!({"__name__": "users", "a": "1"}),
                json!({"__name__": "orders", "a": "1"}),
                json!({"__name__": "orders", "a": "2"}),
            ],
            vec!["__name__:orders   a:1", "__name__:users   a:1", "a:2"],
        ),
        (
            vec![json!({"a": "1", "b": "2"}), json!({"a": "1   b:2"})],
            vec!["a:1   b:2", "a:1   b:2   #2"],
        ),
    ] {
        let all: Vec<_> = metrics.iter().map(|m| (m.clone(), none.clone())).collect();
        let run = host(config(), answer(&all)).measure::<Prom>(&request(&["orders"]));
        let done = run.result.unwrap();
        let found: Vec<_> = series(&done, "orders")
            .iter()
            .map(|instance| instance.id.as_str())
            .collect();
        assert_eq!(found, ids);
    }
}

#[test]
fn case_12_a_cancel_during_the_wait_ends_it() {
    let run = host(config(), orders())
        .cancel_at(Duration::from_secs(100))
        .measure::<Prom>(&request(&["orders"]));
    assert_eq!(run.result.unwrap_err().status, Status::Cancelled);
    assert_eq!(
        (run.requests.len(), run.elapsed),
        (1, Duration::from_secs(100))
    );
}

#[test]
fn a_cancel_during_a_query_is_noticed() {
    for (at, requests) in [(5, 1), (170, 2)] {
        let mut first = true;
        let run = Host::new()
            .config(config())
            .serve(Method::Get, URL, move |_| {
                let slow = at < 100 || !std::mem::take(&mut first);
                let takes = if slow { 20 } else { 0 };
                Reply::json(orders()).takes(Duration::from_secs(takes))
            })
            .cancel_at(Duration::from_secs(at))
            .measure::<Prom>(&request(&["orders"]));
        assert_eq!(run.result.unwrap_err().status, Status::Cancelled);
        assert_eq!(run.requests.len(), requests);
        // The host's grace for a call that is cancelled.
        assert!(run.elapsed <= Duration::from_secs(at + 5));
    }
}

#[test]
fn a_continued_call_keeps_its_window() {
    let host = host(config(), orders());
    let run = host.measure::<Prom>(&request(&["orders"]));
    let state = r#"{"start_ms":1700000030000,"end_ms":1700000150000}"#;
    assert_eq!(run.states, [state]);

    // The clock stands elsewhere, and the window is read to the millisecond.
    let asked = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&asked);
    let host = Host::new().serve(Method::Get, URL, move |sent| {
        let window = (parameter(sent, "start"), parameter(sent, "end"));
        seen.borrow_mut().push(window);
        Reply::json(orders())
    });
    let config: Config = serde_json::from_value(config()).unwrap();
    let window: Window =
        serde_json::from_str(r#"{"start_ms":1600000000250,"end_ms":1600000060007}"#).unwrap();
    let step = Prom::resume(
        &config,
        &request(&["orders"]),
        window,
        &host.context("shop"),
    );
    assert!(matches!(step, Ok(Step::Done(_))));
    let expected = pairs(&[("1600000000.250", "1600000060.007")]);
    assert_eq!(*asked.borrow(), expected);
}

#[test]
fn the_window_begins_after_the_checks() {
    let run = Host::new()
        .config(config())
        .serve(Method::Get, URL, |_| {
            Reply::json(orders()).takes(Duration::from_millis(2_125))
        })
        .measure::<Prom>(&request(&[]));
    let expected = pairs(&[
        ("1699999940", "1700000000"),
        ("1699999940", "1700000000"),
        ("1700000034.250", "1700000154.250"),
        ("1700000034.250", "1700000154.250"),
    ]);
    assert_eq!(windows(&run), expected);
}

#[test]
fn asking_for_nothing_in_particular_gives_everything() {
    let run = host(config(), orders()).measure::<Prom>(&request(&[]));
    assert_eq!(names(&run.result.unwrap()), ["orders", "p95"]);
    let run = host(config(), orders()).measure::<Prom>(&request(&["p95", "orders"]));
    assert_eq!(names(&run.result.unwrap()), ["p95", "orders"]);
}

#[test]
fn absent_times_are_zero() {
    let mut request = request(&["orders"]);
    request.control = Control {
        duration: seconds(60),
        ..Control::default()
    };
    let run = host(config(), orders()).measure::<Prom>(&request);
    assert_eq!(windows(&run)[1], pairs(&[("1700000000", "1700000060")])[0]);
    assert_eq!(run.waited, Duration::from_secs(60));
}

#[test]
fn endless_times_do_not_overflow() {
    let mut request = request(&["orders"]);
    request.control = Control {
        warmup: Some(Duration::MAX),
        duration: seconds(60),
        delay: Some(Duration::MAX),
        ..Control::default()
    };
    let host = host(config(), orders());
    let config: Config = serde_json::from_value(config()).unwrap();
    let Ok(Step::Wait(pause)) = Prom::start(&config, &request, &host.context("shop")) else {
        panic!("it waits");
    };
    assert_eq!(pause.wait, Duration::MAX);
}

#[test]
fn too_many_points_are_refused_before_anything_is_asked() {
    for (period, duration, text) in [
        (json!(1), 11_001, Some("11001 points")),
        (json!(1), 11_000, None),
        (json!(2), 11_001, None),
    ] {
        let config = only(json!({"query": "q", "period": period}));
        let mut request = request(&["orders"]);
        request.control.duration = seconds(duration);
        let run = host(config, orders()).measure::<Prom>(&request);
        match text {
            None => assert_eq!(run.requests.len(), 2),
            Some(text) => {
                assert_eq!(run.requests.len(), 0);
                let failure = run.result.unwrap_err();
                assert_eq!(failure.reason.as_deref(), Some("invalid-input"));
                assert!(failure.message.contains(text), "{failure}");
            }
        }
    }
}

#[test]
fn progress_is_zero_until_the_data_is_there() {
    let run = host(config(), orders()).measure::<Prom>(&request(&[]));
    assert_eq!(run.percents(), [0.0, 0.0, 0.0, 99.0, 99.0]);
    let wait = run.reports[2].message.as_deref().unwrap();
    for text in ["30 s warm-up", "120 s measured", "10 s until"] {
        assert!(wait.contains(text), "{wait}");
    }
}
