use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn measured(metrics: Value) -> Measurement {
    serde_json::from_value(json!({ "metrics": metrics })).unwrap()
}

fn sample() -> Measurement {
    measured(json!({
        "a": {"value": 6}, "b": {"value": 4.0}, "zero": {"value": 0}, "p95": {"value": 80},
        "requests throughput": {"value": 412.5}, "text": {"value": " 2.5 "}, "word": {"value": "fast"},
        "null": {"value": null}, "none": {"values": []},
        "queue length": {"values": [{"id": "x", "data": [
            [1_700_000_000.0, 90], [1_700_000_010.0, 70], [1_700_000_020.5, 49], [1_700_000_030.0, 30],
        ]}]},
        "still": {"values": [{"id": "x", "data": [[5, 1], [5, 9]]}]},
        "latency": {"values": [
            {"id": "x", "data": [[1, 10], [2, 20], [3, 30]]},
            {"id": "y", "data": [[1, 100], [2, null]]},
            {"id": "z", "data": []},
        ]},
    }))
}

/// The values are those that Python gives.
#[test]
fn arithmetic_is_pythons() {
    let table = [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 4 - 3", 3.0),
        ("2 ** 3 ** 2", 512.0),
        ("-2 ** 2", -4.0),
        ("2 ** -1", 0.5),
        ("7 // 2", 3.0),
        ("-7 // 2", -4.0),
        ("-7 % 3", 2.0),
        ("7 % -3", -2.0),
        ("8 / 2 / 2", 2.0),
        ("- - 3", 3.0),
        ("1.5e2 + .5", 150.5),
        ("1 < 2 < 3", 1.0),
        ("1 < 3 < 2", 0.0),
        ("2 >= 2 and 3 != 3", 0.0),
        ("0 or 5", 5.0),
        ("3 and 5", 5.0),
        ("0 and zero / 0", 0.0),
        ("not 1 or 2", 2.0),
        ("not 2 > 3", 1.0),
        ("1 if 0 else 2 if 0 else 3", 3.0),
        ("1 if zero == 0 else a / zero", 1.0),
        ("min(3, a, 2) + max(1, b)", 6.0),
        ("min(7)", 7.0),
        ("abs(-3)", 3.0),
        ("round(2.5)", 2.0),
        ("round(3.5)", 4.0),
        ("round(2.345, 1)", 2.3),
        ("sqrt(16)", 4.0),
        ("log(exp(2))", 2.0),
        ("log(8, 2)", 3.0),
        ("a / (1 + b)", 1.2),
        ("m[\"requests throughput\"] * 2", 825.0),
        ("m['requests throughput']", 412.5),
        ("text", 2.5),
        ("p95", 80.0),
    ];
    for (text, expected) in table {
        let score = Objective::parse(text).unwrap().score(&sample()).unwrap();
        assert!(
            (score - expected).abs() < 1e-9,
            "{text}: {score} in place of {expected}"
        );
    }
}

#[test]
fn a_series_is_reduced() {
    let table = [
        ("latency", 60.0),
        ("mean(latency)", 60.0),
        ("median(latency)", 25.0),
        ("p50(latency)", 25.0),
        ("p99(m['latency'])", 97.9),
        ("last(latency)", 65.0),
        ("last(a)", 6.0),
        // 10 a step for x; y has one point, z none.
        ("slope(latency)", 10.0),
        ("slope(m[\"queue length\"])", -2.0),
    ];
    for (text, expected) in table {
        let score = Objective::parse(text).unwrap().score(&sample()).unwrap();
        assert!(
            (score - expected).abs() < 1e-9,
            "{text}: {score} in place of {expected}"
        );
    }
}

#[test]
fn what_is_outside_the_grammar_is_refused_with_its_place() {
    let table = [
        ("", 1, "it ends"),
        ("a +", 4, "it ends"),
        ("a b", 3, "`b` stands where an operator belongs"),
        ("a.__class__", 2, "attributes are not allowed"),
        ("__import__('os')", 1, "there is no function `__import__`"),
        ("eval(a)", 1, "there is no function `eval`"),
        ("lambda: 1", 1, "`lambda` stands where a number"),
        ("'text'", 1, "a text in quotation marks stands"),
        ("m[a]", 3, "a metric's name in quotation marks"),
        ("m['a", 3, "this text has no end"),
        ("1 if 2", 7, "it ends where `else` belongs"),
        ("a = 1", 3, "`=` stands where an operator belongs"),
        ("sqrt(1, 2)", 1, "does not take 2 arguments"),
        ("p10(a)", 1, "there is no function `p10`"),
        ("mean(a + b)", 8, "`+` stands where `)` belongs"),
        ("mean(1)", 6, "the name of a metric"),
        ("if", 1, "`if` stands where"),
        ("1 \u{0}", 3, "`\\u{0}` has no meaning"),
    ];
    for (text, expected_at, expected) in table {
        match Objective::parse(text) {
            Err(ObjectiveError::Formula(error)) => {
                assert!(error.problem().contains(expected), "{text}: {error}");
                assert_eq!(error.at(), expected_at, "{text}: {error}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Objective::parse(&deep(Formula::DEEPEST - 1)).is_ok());
    let table = [
        (deep(Formula::DEEPEST), "nested more than"),
        ("-".repeat(1000) + "1", "nested more than"),
        ("not ".repeat(500) + "1", "nested more than"),
        ("2 ** ".repeat(500) + "1", "nested more than"),
        ("1 if 1 else ".repeat(300) + "1", "nested more than"),
        ("1 + ".repeat(1000) + "1", "operators in a row"),
        ("1".repeat(Formula::LONGEST + 1), "longer than"),
    ];
    for (text, expected) in table {
        let error = Objective::parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.len() < 500, "the message repeats the formula");
    }
}

#[test]
fn a_measurement_without_a_finite_score_says_why() {
    let table = [
        (
            "missing",
            "the metric `missing` was not measured; measured were `a`, `b`",
        ),
        (
            "null + 1",
            "the metric `null` has no finite number: the value is null",
        ),
        ("none", "its time series holds no points"),
        ("word", "the value is a text"),
        ("slope(a)", "it is no time series"),
        ("slope(still)", "no two points at different times"),
        ("a / zero", "divides by zero"),
        ("a % zero", "divides by zero"),
        ("zero ** -1", "too large"),
        ("sqrt(-a)", "undefined (NaN)"),
        ("log(zero)", "too large"),
        ("exp(1000)", "too large"),
    ];
    for (text, expected) in table {
        let error = Objective::parse(text)
            .unwrap()
            .score(&sample())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn the_objective_is_chosen_in_order() {
    let formula = ObjectiveSpec::Formula("a * 2".into());
    let metric = ObjectiveSpec::Metric("requests throughput".into());
    let both = ["a", "requests throughput", "perf"];
    let table: [(&ObjectiveSpec, Option<&str>, &[&str], &str); 7] = [
        (&formula, Some("b"), &["a"], "a * 2"),
        (&metric, Some("b"), &both, "requests throughput"),
        (&ObjectiveSpec::Auto, Some("a / 2"), &both, "a / 2"),
        (&ObjectiveSpec::Auto, None, &both, "perf"),
        (
            &ObjectiveSpec::Auto,
            None,
            &["x", "requests throughput"],
            "requests throughput",
        ),
        (&ObjectiveSpec::Auto, None, &["only"], "only"),
        (&ObjectiveSpec::Auto, None, &[], "perf"),
    ];
    for (spec, perf, described, expected) in table {
        assert_eq!(
            Objective::choose(spec, perf, described).unwrap().text(),
            expected
        );
    }
}

#[test]
fn an_unknown_name_is_reported_with_the_known_ones() {
    let error = Objective::choose(
        &ObjectiveSpec::Auto,
        Some("throughput / p95"),
        &["p95", "rps"],
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the objective uses `throughput`, but the metrics are `p95`, `rps`"
    );
    let error = Objective::choose(&ObjectiveSpec::Auto, None, &["x", "y"]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the metrics are `x`, `y`, and no formula is set; start the service with `--objective 'x'`"),
        "{error}"
    );
}

proptest! {
    /// Whatever the text, reading ends with an answer, and what was read gives
    /// a finite score or an error.
    #[test]
    fn no_text_brings_it_down(text in "[ab0-9.()\\[\\]'+*/%<>=!, \\-]{0,60}|.{0,40}") {
        if let Ok(objective) = Objective::parse(&text)
            && let Ok(score) = objective.score(&sample())
        {
            prop_assert!(score.is_finite());
        }
    }
}
