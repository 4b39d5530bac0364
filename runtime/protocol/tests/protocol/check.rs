//! What keeps the contract and what does not.

use serde_json::{Value, json};
use servo_protocol::check::{
    Finding, Problem, check_adjustment, check_application, check_measurement, check_metrics,
};
use servo_protocol::{
    Application, AppliedApplication, Component, Control, Measurement, Metric, Metrics, Number,
    Reading, Sample, Scalar, Setting, SettingKind, Steps,
};

fn with(kind: SettingKind) -> Application {
    let mut component = Component::default();
    component
        .settings
        .insert("s".to_owned(), Setting::new(kind));
    let mut application = Application::default();
    application.components.insert("c".to_owned(), component);
    application
}

fn range(min: f64, max: f64, step: Option<f64>, value: Option<f64>) -> Application {
    with(SettingKind::Range {
        min: min.into(),
        max: max.into(),
        step: step.map(Number::from),
        value: value.map(Number::from),
    })
}

fn choice(values: &[Scalar], value: Option<Scalar>) -> Application {
    with(SettingKind::Enum {
        values: values.to_vec(),
        value,
    })
}

/// None: fine. Some(Ok): a warning. Some(Err): an error.
fn verdict(application: &Application) -> Option<Result<String, String>> {
    match check_application(application) {
        Ok(warnings) => warnings
            .first()
            .map(|finding| Ok(finding.problem.to_string())),
        Err(finding) => {
            assert_eq!(finding.reason().as_str(), "invalid-setting");
            Some(Err(finding.problem.to_string()))
        }
    }
}

#[test]
fn descriptions() {
    let nan = f64::NAN;
    let text = |text: &str| Scalar::from(text);
    let cases: Vec<(Application, Option<Result<&str, &str>>)> = vec![
        (range(0.5, 4.0, Some(0.25), Some(1.0)), None),
        (range(0.0, 1.0, None, Some(0.3)), None),
        (range(0.1, 1.0, Some(0.1), Some(0.7)), None),
        (range(1.0, 1.0, Some(0.0), Some(1.0)), None),
        (range(1.0, 2.0, Some(1.0), None), None),
        (
            range(4.0, 1.0, Some(1.0), None),
            Some(Err("min 4 is above max 1")),
        ),
        (
            range(1.0, 2.0, Some(0.0), None),
            Some(Err("step 0 is not above zero")),
        ),
        (
            range(1.0, 2.0, Some(-1.0), None),
            Some(Err("step -1 is not above zero")),
        ),
        (
            range(1.0, 1.0, Some(-1.0), None),
            Some(Err("step -1 is not above zero")),
        ),
        (range(nan, 2.0, None, None), Some(Err("min is NaN"))),
        (
            range(0.0, f64::INFINITY, None, None),
            Some(Err("max is inf")),
        ),
        (range(0.0, 2.0, Some(nan), None), Some(Err("step is NaN"))),
        (range(0.0, 2.0, None, Some(nan)), Some(Err("value is NaN"))),
        (
            range(0.0, 2.0, Some(1.0), Some(3.0)),
            Some(Ok("3 is outside 0 to 2")),
        ),
        (
            range(0.0, 2.0, Some(1.0), Some(0.5)),
            Some(Ok("0.5 is not min 0 plus a whole number of steps 1")),
        ),
        (
            range(0.0, 2.5, Some(1.0), Some(1.0)),
            Some(Ok("max 2.5 is not a whole number of steps")),
        ),
        (choice(&[text("a"), text("b")], Some(text("a"))), None),
        (choice(&[text("a"), 1.0.into()], None), None),
        (choice(&[], None), Some(Err("it has no values"))),
        (
            choice(&[text("a"), text("a")], None),
            Some(Err("the value a is listed twice")),
        ),
        (
            choice(
                &[Number::Integer(1).into(), Number::Float(1.0).into()],
                None,
            ),
            Some(Err("listed twice")),
        ),
        (choice(&[nan.into()], None), Some(Err("NaN"))),
        (
            choice(&[text("a")], Some(text("c"))),
            Some(Ok("c is none of a")),
        ),
    ];
    for (application, expected) in cases {
        let found = verdict(&application);
        let fits = match (&found, &expected) {
            (None, None) => true,
            (Some(Ok(found)), Some(Ok(expected))) | (Some(Err(found)), Some(Err(expected))) => {
                found.contains(expected)
            }
            _ => false,
        };
        assert!(fits, "{application:?}: {found:?}, expected {expected:?}");
    }
}

#[test]
fn empty_names_are_refused() {
    let mut application = range(0.0, 1.0, None, None);
    let component = application.components.shift_remove("c").unwrap();
    application.components.insert(String::new(), component);
    assert!(matches!(
        *check_application(&application).unwrap_err().problem,
        Problem::EmptyName
    ));
    let metrics = Metrics::from_iter([(String::new(), Metric::default())]);
    assert!(check_metrics(&metrics).is_err());
}

#[test]
fn described_metrics() {
    let metric = |min: Option<f64>, max: Option<f64>| {
        let metric = Metric {
            min: min.map(Number::from),
            max: max.map(Number::from),
            ..Metric::default()
        };
        check_metrics(&Metrics::from_iter([("m".to_owned(), metric)]))
    };
    assert!(metric(None, None).is_ok());
    assert!(metric(Some(0.0), Some(0.0)).is_ok());
    assert!(metric(Some(1.0), Some(0.0)).is_err());
    assert!(metric(Some(f64::NAN), None).is_err());
    assert!(metric(None, Some(f64::INFINITY)).is_err());
}

/// What is asked for, and what the driver is to see.
#[test]
fn values_that_are_asked_for() {
    let cpu = || range(0.5, 4.0, Some(0.25), Some(1.0));
    let tenths = || range(0.1, 1.0, Some(0.1), None);
    let free = || range(0.0, 1.0, None, None);
    let gc = || {
        choice(
            &["serial".into(), "g1".into(), Number::Integer(2).into()],
            None,
        )
    };
    let cases: Vec<(Application, Value, Option<Value>)> = vec![
        (cpu(), json!(1.5), Some(json!(1.5))),
        (cpu(), json!(2), Some(json!(2))),
        (cpu(), json!(2.0), Some(json!(2.0))),
        (cpu(), json!(4.0001), Some(json!(4))),
        (cpu(), json!(0.4999), Some(json!(0.5))),
        (cpu(), json!(1.5001), Some(json!(1.5))),
        (cpu(), json!(1.51), None),
        (cpu(), json!(4.01), None),
        (cpu(), json!(-1), None),
        (cpu(), json!("1.5"), None),
        (cpu(), json!(null), None),
        // Decimal steps are taken as they are written.
        (tenths(), json!(0.3), Some(json!(0.3))),
        (tenths(), json!(0.7), Some(json!(0.7))),
        (tenths(), json!(1), Some(json!(1))),
        (tenths(), json!(0.35), None),
        (free(), json!(0.123), Some(json!(0.123))),
        (free(), json!(1.0001), None),
        (gc(), json!("g1"), Some(json!("g1"))),
        (gc(), json!(2.0), Some(json!(2))),
        (gc(), json!("G1"), None),
        (gc(), json!(3), None),
    ];
    for (described, wanted, seen) in cases {
        let wanted: AppliedApplication = serde_json::from_value(
            json!({"components": {"c": {"settings": {"s": {"value": wanted, "index": 1}}}}}),
        )
        .unwrap();
        let found = check_adjustment(&wanted, &described).ok().map(|fitted| {
            serde_json::to_value(&fitted.components["c"].settings["s"].value).unwrap()
        });
        assert_eq!(found, seen, "{wanted:?}");
    }
}

#[test]
fn every_tenth_from_one_to_ten_is_accepted() {
    let described = range(0.1, 1.0, Some(0.1), None);
    for tenth in 1..=10 {
        let value = f64::from(tenth) / 10.0;
        let wanted = AppliedApplication::from_values([("c", "s", value.into())]);
        assert_eq!(
            check_adjustment(&wanted, &described),
            Ok(wanted.clone()),
            "{value}"
        );
    }
}

#[test]
fn what_was_not_described_or_is_pinned() {
    let described = range(0.0, 2.0, Some(1.0), Some(1.0));
    let ask = |component: &str, setting: &str, value: f64, described: &Application| {
        let wanted = AppliedApplication::from_values([(component, setting, value.into())]);
        check_adjustment(&wanted, described).map_err(|finding: Finding| *finding.problem)
    };
    assert!(matches!(
        ask("x", "s", 1.0, &described),
        Err(Problem::NotDescribed("component"))
    ));
    assert!(matches!(
        ask("c", "x", 1.0, &described),
        Err(Problem::NotDescribed("setting"))
    ));
    let mut pinned = described;
    pinned.components["c"].settings["s"].pinned = true;
    assert!(ask("c", "s", 1.0, &pinned).is_ok());
    assert!(matches!(
        ask("c", "s", 2.0, &pinned),
        Err(Problem::Pinned { .. })
    ));
}

#[test]
fn measurements() {
    let check = |metrics: Value| {
        let measurement: Measurement = serde_json::from_value(json!({"metrics": metrics})).unwrap();
        check_measurement(&measurement, None, &Control::default()).map_err(|finding| {
            assert_eq!(finding.reason().as_str(), "invalid-measurement");
            *finding.problem
        })
    };
    let series = |instances: Value| check(json!({"m": {"values": instances}}));
    for fine in [
        json!({"m": {"value": 1.5}}),
        json!({"m": {"value": null}}),
        json!({"m": {"value": "fast"}}),
        json!({"m": {"values": []}}),
        json!({"m": {"values": [{"id": "a", "data": []}, {"id": "b", "data": [[0, 1], [1, null], [1, 2]]}]}}),
    ] {
        assert!(check(fine.clone()).is_ok(), "{fine}");
    }
    assert!(matches!(check(json!({})), Err(Problem::NoMetrics)));
    assert!(matches!(
        check(json!({"": {"value": 1}})),
        Err(Problem::EmptyName)
    ));
    assert!(matches!(
        series(json!([{"data": []}])),
        Err(Problem::NoInstanceId)
    ));
    assert!(matches!(
        series(json!([{"id": "a", "data": []}, {"id": "a", "data": []}])),
        Err(Problem::RepeatedInstance)
    ));
    assert!(matches!(
        series(json!([{"id": "b", "data": []}, {"id": "a", "data": []}])),
        Err(Problem::UnsortedInstances)
    ));
    assert!(matches!(
        series(json!([{"id": "a", "data": [[2, 1], [1, 1]]}])),
        Err(Problem::UnsortedPoints)
    ));
    assert!(matches!(
        series(json!([{"id": "a", "data": [[1_700_000_040_000_i64, 1]]}])),
        Err(Problem::NotSeconds(_))
    ));
}

#[test]
fn numbers_that_json_does_not_know_are_found_everywhere() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let point = |time: f64, value: f64| {
            let json = json!({"metrics": {"m": {"values": [{"id": "a", "data": [[0, 0]]}]}}});
            let mut measurement: Measurement = serde_json::from_value(json).unwrap();
            if let Reading::Series(instances) = &mut measurement.metrics["m"].reading {
                instances[0].points[0].time = Number::Float(time);
                instances[0].points[0].value = Some(Number::Float(value));
            }
            measurement
        };
        let mut single = Measurement::default();
        single.metrics.insert(
            "m".to_owned(),
            Sample::new(Reading::Single(Some(bad.into()))),
        );
        for measurement in [single, point(bad, 0.0), point(0.0, bad)] {
            let found = check_measurement(&measurement, None, &Control::default()).unwrap_err();
            assert!(
                matches!(*found.problem, Problem::NotFinite { .. }),
                "{measurement:?}"
            );
        }
    }
}

/// The table is the SDK's too: both sides must call the same values the same.
#[test]
fn values_are_compared_as_drivers_compare_them() {
    let table = include_str!("../same_values.json");
    let table: Vec<Value> = serde_json::from_str(table).unwrap();
    assert!(table.len() > 10);
    for case in &table {
        let value = |name: &str| serde_json::from_value::<Scalar>(case[name].clone()).unwrap();
        let steps = case["step"].as_f64().map(|width| Steps {
            from: case["min"].as_f64().unwrap_or(0.0),
            width,
        });
        let (a, b) = (value("a"), value("b"));
        let same = (a.same_value(&b, steps), b.same_value(&a, steps));
        let expected = case["same"].as_bool().unwrap();
        assert_eq!(same, (expected, expected), "{case}");
    }
}
