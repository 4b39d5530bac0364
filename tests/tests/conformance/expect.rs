//! What the service is to see, as data.
//!
//! An expected value equals what came, member by member, with two exceptions:
//! `"*"` stands for anything, and a text that begins with `~` for any text that
//! contains the rest. Messages are for people and never part of the contract,
//! so they are always expected in one of these forms.

use serde_json::{Value, json};

/// A request: when it came (in seconds), its event and its `param`.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Negative: at any time.
    pub at: f64,
    pub event: String,
    pub param: Value,
}

/// A request at a second.
pub fn at(seconds: f64, event: &str, param: Value) -> Seen {
    Seen {
        at: seconds,
        event: event.to_owned(),
        param,
    }
}

/// A request at any time.
pub fn some(event: &str, param: Value) -> Seen {
    at(-1.0, event, param)
}

pub fn hello(seconds: f64) -> Seen {
    let param = json!({"agent": "github.com/opsani/servo"});
    at(seconds, "HELLO", param)
}

pub fn next(seconds: f64) -> Seen {
    at(seconds, "WHATS_NEXT", Value::Null)
}

pub fn goodbye(seconds: f64, reason: &str) -> Seen {
    at(seconds, "GOODBYE", json!({ "reason": reason }))
}

/// The report that a driver is about to be started.
pub fn starting(seconds: f64, event: &str) -> Seen {
    let param = json!({"progress": 0, "runtime": 0, "message": "*"});
    at(seconds, event, param)
}

/// Fails with the difference.
pub fn compare(name: &str, seen: &[Seen], expected: &[Seen]) {
    let told = || {
        let lines: Vec<String> = seen.iter().map(show).collect();
        lines.join("\n")
    };
    for (number, expected) in expected.iter().enumerate() {
        let Some(came) = seen.get(number) else {
            panic!(
                "{name}: {} did not come; what came:\n{}",
                show(expected),
                told()
            );
        };
        let timely = expected.at < 0.0 || (came.at - expected.at).abs() < 0.005;
        let same = timely && came.event == expected.event && fits(&expected.param, &came.param);
        assert!(
            same,
            "{name}: request {number} differs:\n{}\nexpected:\n{}\nwhat came:\n{}",
            show(came),
            show(expected),
            told()
        );
    }
    assert_eq!(
        seen.len(),
        expected.len(),
        "{name}: more came than was expected:\n{}",
        told()
    );
}

fn show(request: &Seen) -> String {
    let param: String = request.param.to_string().chars().take(400).collect();
    format!("{:>8.3} {} {param}", request.at, request.event)
}

/// Whether what came is what was expected.
pub fn fits(expected: &Value, came: &Value) -> bool {
    match (expected, came) {
        (Value::String(any), _) if any == "*" => true,
        (Value::String(part), Value::String(text)) if part.starts_with('~') => {
            text.contains(&part[1..])
        }
        (Value::Object(expected), Value::Object(came)) => {
            expected.len() == came.len()
                && expected
                    .iter()
                    .all(|(name, value)| came.get(name).is_some_and(|came| fits(value, came)))
        }
        (Value::Array(expected), Value::Array(came)) => {
            expected.len() == came.len() && expected.iter().zip(came).all(|(a, b)| fits(a, b))
        }
        (Value::Number(expected), Value::Number(came)) => expected.as_f64() == came.as_f64(),
        (expected, came) => expected == came,
    }
}

/// The judge is judged first.
#[test]
fn what_fits_and_what_does_not() {
    for (expected, came, fit) in [
        (json!({"a": 1}), json!({"a": 1.0}), true),
        (json!({"a": 1}), json!({"a": 1, "b": 2}), false),
        (json!({"a": 1, "b": "*"}), json!({"a": 1}), false),
        (json!({"a": "*"}), json!({"a": null}), true),
        (json!("~boom"), json!("it went boom."), true),
        (json!("~boom"), json!("it went well"), false),
        (json!([1, "*"]), json!([1]), false),
        (json!(null), json!({}), false),
    ] {
        assert_eq!(fits(&expected, &came), fit, "{expected} {came}");
    }
}
