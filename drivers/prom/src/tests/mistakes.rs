//! Mistakes in the configuration: each fails every call in the same way and
//! names its key.

use serde_json::{Value, json};
use servo_driver::{Failure, testing::Host};

use super::{only, request, with};
use crate::Prom;

fn mistake(config: Value) -> Failure {
    let host = Host::new().config(config);
    let described = host.describe_measure::<Prom>("shop").unwrap_err();
    let measured = host.measure::<Prom>(&request(&[])).result.unwrap_err();
    assert_eq!(described, measured);
    assert_eq!(described.reason.as_deref(), Some("invalid-config"));
    described
}

#[test]
fn credentials_in_the_address_are_refused_with_the_remedy() {
    for endpoint in [
        "http://user:hush@h:9090/",
        "http://hush@h",
        "http://user:hu/sh@h",
        "user:hush@h",
    ] {
        let failure = mistake(with(json!({"prometheus_endpoint": endpoint})));
        for text in ["config.prometheus_endpoint", "grants.http"] {
            assert!(failure.message.contains(text), "{failure}");
        }
        for secret in ["hush", "hu/sh", "user:"] {
            assert!(!failure.message.contains(secret), "{failure}");
        }
    }
}

#[test]
fn mistakes_in_the_configuration_are_named() {
    for (config, text) in [
        (json!({}), "metrics"),
        (json!({"metrics": {}}), "config.metrics: is empty"),
        (json!({"metrics": []}), "config.metrics"),
        (json!({"metrics": {"": {"query": "q"}}}), "config.metrics"),
        (with(json!({"endpoint": "http://h"})), "config.endpoint"),
        (
            with(json!({"prometheus_endpoint": ""})),
            "config.prometheus_endpoint: is empty",
        ),
        (
            with(json!({"prometheus_endpoint": "h:9090"})),
            "config.prometheus_endpoint",
        ),
        (
            with(json!({"prometheus_endpoint": "http://h/?x=1"})),
            "config.prometheus_endpoint",
        ),
        (
            with(json!({"prometheus_endpoint": 9090})),
            "config.prometheus_endpoint",
        ),
        (with(json!({"check_window": -1})), "config.check_window"),
        (with(json!({"check_window": 3601})), "config.check_window"),
        (
            only(json!({"unit": "s"})),
            "config.metrics.orders: missing field `query`",
        ),
        (only(json!({"query": " "})), "config.metrics.orders.query"),
        (only(json!({"query": 3})), "config.metrics.orders.query"),
        (
            only(json!({"query": "q", "unit": 3})),
            "config.metrics.orders.unit",
        ),
        (
            only(json!({"query": "q", "periode": 3})),
            "config.metrics.orders.periode",
        ),
        (
            only(json!({"query": "q", "period": 0.5})),
            "config.metrics.orders.period",
        ),
        (
            only(json!({"query": "q", "period": "1m"})),
            "config.metrics.orders.period",
        ),
    ] {
        let failure = mistake(config);
        assert!(failure.message.contains(text), "{text}: {failure}");
    }
}
