//! Answers that are late, odd or none, and what is made of good ones.

use std::time::Duration;

use serde_json::{Value, json};
use servo_driver::{
    http::{Kind, Method},
    model::Instance,
    testing::{Host, Reply},
};

use super::{URL, answer, config, host, orders, request, series, with};
use crate::Prom;

#[test]
fn no_series_is_a_success() {
    let run = host(config(), answer(&[])).measure::<Prom>(&request(&["orders"]));
    assert!(run.logged(log::Level::Warn, "orders"), "{:?}", run.logs);
    assert!(series(&run.result.unwrap(), "orders").is_empty());
}

#[test]
fn points_come_in_the_order_of_time() {
    let values = json!([
        [1_700_000_160.5, "3"],
        [1_700_000_040, "1"],
        [1_700_000_100, "2"]
    ]);
    let run = host(config(), answer(&[(json!({}), values)])).measure::<Prom>(&request(&["orders"]));
    let expected = [
        (1_700_000_040.0, Some(1.0)),
        (1_700_000_100.0, Some(2.0)),
        (1_700_000_160.5, Some(3.0)),
    ];
    assert_eq!(
        series(&run.result.unwrap(), "orders"),
        [Instance::new("-", expected)]
    );
}

#[test]
fn one_retry_and_no_more() {
    let busy = || Reply::status(503).body("loading");
    let refused = || Reply::fails(Kind::Unconnected("no connection: refused".to_owned()));
    let closed = || Reply::fails(Kind::Closed("the connection ended too early".to_owned()));
    for (replies, outcome) in [
        (vec![busy(), Reply::json(orders())], Ok(())),
        (vec![refused(), Reply::json(orders())], Ok(())),
        (vec![closed(), Reply::json(orders())], Ok(())),
        (vec![busy(), busy()], Err("status 503: loading")),
        (vec![refused(), refused()], Err("no connection: refused")),
        (vec![closed(), closed()], Err("ended too early")),
        (vec![Reply::status(500)], Err("status 500")),
    ] {
        let host = Host::new().config(with(json!({"check_window": 0})));
        let host = replies
            .into_iter()
            .fold(host, |host, reply| host.on(Method::Get, URL, reply));
        let result = host.measure::<Prom>(&request(&["orders"])).result;
        match (result, outcome) {
            (Ok(_), Ok(())) => {}
            (Err(failure), Err(text)) => {
                assert!(failure.message.contains(text), "{text}: {failure}");
            }
            (result, outcome) => panic!("{result:?} is not {outcome:?}"),
        }
    }
}

#[test]
fn a_query_has_half_a_minute() {
    let run = Host::new()
        .config(config())
        .serve(Method::Get, URL, |_| {
            Reply::json(orders()).takes(Duration::from_secs(3600))
        })
        .measure::<Prom>(&request(&["orders"]));
    assert_eq!(run.requests.len(), 2);
    assert_eq!(run.elapsed.as_secs(), 60, "and the pause between the two");
    assert_eq!(run.result.unwrap_err().reason.as_deref(), Some("timeout"));
}

#[test]
fn odd_answers_fail_with_their_reason() {
    let success = |data: Value| Reply::json(json!({"status": "success", "data": data}));
    for (reply, text) in [
        (Reply::text("<html>sign in</html>"), "<html>sign in"),
        (Reply::status(302), "status 302"),
        (Reply::json(json!({"status": "success"})), "no `data`"),
        (
            Reply::json(json!({"status": "odd", "data": {"result": []}})),
            "the status \"odd\"",
        ),
        (success(json!({})), "missing field `result`"),
        (
            success(json!({"result": [{"values": []}]})),
            "data.result[0]: missing field `metric`",
        ),
        (
            success(json!({"result": [{"metric": {}}]})),
            "data.result[0]: missing field `values`",
        ),
        (
            success(json!({"result": [{"metric": {}, "values": []}, {"metric": {}}]})),
            "data.result[1]: missing field `values`",
        ),
        (
            success(json!({"result": [{"metric": {}, "values": [[1, 2]]}]})),
            "data.result[0].values[0][1]: invalid type",
        ),
        (
            Reply::json(json!({"status": "error", "error": "x".repeat(5000)})),
            "status 200, xxx",
        ),
    ] {
        let run = Host::new()
            .config(config())
            .on(Method::Get, URL, reply)
            .measure::<Prom>(&request(&["orders"]));
        let failure = run.result.unwrap_err();
        assert!(failure.message.contains(text), "{text}: {failure}");
        assert!(failure.message.len() < 1000, "{failure}");
    }
}

#[test]
fn warnings_of_the_server_are_for_the_operator() {
    let mut answer = orders();
    answer["warnings"] = json!(["a store is missing"]);
    let run = host(config(), answer).measure::<Prom>(&request(&["orders"]));
    assert!(run.logged(log::Level::Warn, "a store is missing"));
    let done = run.result.unwrap();
    let notes: Vec<_> = done.notes.iter().map(|n| (&*n.name, &*n.text)).collect();
    assert_eq!(notes, [("warnings of orders", "a store is missing")]);
}

#[test]
fn a_denied_query_is_told_before_the_wait() {
    let denied = Kind::Denied(Some("add this line".to_owned()));
    let run = Host::new()
        .config(config())
        .on(Method::Get, URL, Reply::fails(denied))
        .measure::<Prom>(&request(&["orders"]));
    let failure = run.result.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("denied"));
    assert!(failure.message.contains("add this line"), "{failure}");
}

/// What VictoriaMetrics, Thanos and Mimir send beside or instead of what
/// Prometheus sends.
#[test]
fn field_02_no_data_is_empty_and_success_is_what_the_status_says() {
    let empty = json!({"status": "success", "data": {"resultType": "matrix", "result": null}});
    let mut full = orders();
    full["warnings"] = json!(null);
    full["errorType"] = json!("");
    full["error"] = json!("");
    let run = Host::new()
        .config(config())
        .serve(Method::Get, URL, move |sent| {
            let of_orders = super::parameter(sent, "query") != "p95";
            Reply::json(if of_orders {
                full.clone()
            } else {
                empty.clone()
            })
        })
        .measure::<Prom>(&request(&[]));
    let done = run.result.unwrap();
    assert_eq!(
        series(&done, "orders").len(),
        1,
        "one without data loses no other"
    );
    assert!(series(&done, "p95").is_empty());
    assert!(done.notes.is_empty());
}

#[test]
fn field_06_a_partial_answer_is_told() {
    let mut partial = orders();
    partial["isPartial"] = json!(true);
    let run = host(config(), partial).measure::<Prom>(&request(&["orders"]));
    assert!(run.logged(log::Level::Warn, "the answer is partial"));
    let done = run.result.unwrap();
    assert_eq!(done.notes[0].name, "warnings of orders");
    assert!(done.notes[0].text.contains("partial"), "{:?}", done.notes);
    assert_eq!(series(&done, "orders").len(), 1);

    let mut whole = orders();
    whole["isPartial"] = json!(false);
    let run = host(config(), whole).measure::<Prom>(&request(&["orders"]));
    assert!(run.result.unwrap().notes.is_empty());
}

#[test]
fn field_09_a_query_too_long_for_an_address_goes_as_a_form() {
    let pods: Vec<_> = (0..1000).map(|pod| format!("pod-{pod:04}")).collect();
    let query = format!("sum(rate(orders{{pod=~\"{}\"}}[1m]))", pods.join("|"));
    assert!(query.len() > 9000);
    let wanted = query.clone();
    let run = Host::new()
        .config(super::only(json!({"query": query})))
        .on(Method::Post, URL, Reply::status(503))
        .serve(Method::Post, URL, move |sent| {
            assert_eq!(sent.url, URL, "nothing in the address");
            let body = String::from_utf8(sent.body.clone()).unwrap();
            let fields: Vec<_> = body.split('&').collect();
            assert_eq!(fields.len(), 4);
            let query = fields[0].strip_prefix("query=").unwrap();
            assert_eq!(super::decoded(query), wanted);
            Reply::json(orders())
        })
        .measure::<Prom>(&request(&["orders"]));
    assert_eq!(run.requests.len(), 3, "repeated like any read");
    let done = run.result.unwrap();
    assert_eq!(series(&done, "orders").len(), 1);
    let asks = include_str!("../../driver.toml");
    assert!(asks.contains("POST ${config.prometheus_endpoint}/api/v1/query_range"));
}

#[test]
fn field_13_a_native_histogram_is_named_with_what_makes_numbers_of_it() {
    let native = json!([[1_700_000_040, {"count": "60", "sum": "2.7", "buckets": []}]]);
    let mut answer = answer(&[(json!({"job": "shop"}), json!([]))]);
    let one = &mut answer["data"]["result"][0];
    one.as_object_mut().unwrap().remove("values");
    one["histograms"] = native;
    let failure = host(config(), answer)
        .measure::<Prom>(&request(&["orders"]))
        .result
        .unwrap_err();
    for text in [
        "native histograms",
        "histogram_quantile(0.95, …)",
        "orders_total",
    ] {
        assert!(failure.message.contains(text), "{text}: {failure}");
    }
}

/// Prometheus prints none of these: they are left out, and the operator is told
/// apart from `NaN` that the backend is odd.
#[test]
fn texts_that_prometheus_does_not_print_are_left_out_aloud() {
    let points = json!([
        [1, "+3"],
        [2, ".5"],
        [3, "7."],
        [4, "1."],
        [5, "NaN"],
        [6, "2"]
    ]);
    let run = host(config(), answer(&[(json!({}), points)])).measure::<Prom>(&request(&["orders"]));
    assert!(run.logged(log::Level::Warn, "no Prometheus prints such a text: 4"));
    assert!(run.logged(log::Level::Info, "no finite numbers: 1"));
    let done = run.result.unwrap();
    assert_eq!(
        series(&done, "orders"),
        [Instance::new("-", [(6.0, Some(2.0))])]
    );
}
