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
    let refused = || Reply::fails(Kind::Refused);
    for (replies, outcome) in [
        (vec![busy(), Reply::json(orders())], Ok(())),
        (vec![refused(), Reply::json(orders())], Ok(())),
        (vec![busy(), busy()], Err("status 503: loading")),
        (vec![refused(), refused()], Err("connection refused")),
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
    assert!(run.result.unwrap().notes.is_empty());
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
