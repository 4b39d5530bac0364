//! The settings document: members by JSON pointer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use servo_driver::model::Scalar;

/// A place in the document and what stands there, or that nothing does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Value>,
    /// Of a setting with steps: the least value and the distance between two.
    #[serde(skip)]
    pub(crate) steps: Option<(f64, f64)>,
}

impl Member {
    /// The same place with what stands there now.
    pub(crate) fn now(&self, document: &Value) -> Self {
        Self {
            path: self.path.clone(),
            value: document.pointer(&self.path).cloned(),
            steps: self.steps,
        }
    }

    /// Whether this value stands there, as far as the application keeps it: see
    /// [`same`].
    pub(crate) fn holds(&self, document: &Value) -> bool {
        match (document.pointer(&self.path), &self.value) {
            (Some(found), Some(value)) => same(found, value, self.steps),
            (found, value) => found.is_none() == value.is_none(),
        }
    }

    /// Puts the value there, or removes what is there if there shall be none.
    /// Objects on the way that are missing are made, and what is on the way
    /// and no object is replaced by one. Lists do not grow.
    pub(crate) fn put(&self, document: &mut Value) {
        let names: Vec<_> = self
            .path
            .split('/')
            .skip(1)
            .map(|name| name.replace("~1", "/").replace("~0", "~"))
            .collect();
        put(document, &names, self.value.as_ref());
    }
}

fn put(place: &mut Value, names: &[String], value: Option<&Value>) {
    let Some((name, below)) = names.split_first() else {
        if let Some(value) = value {
            *place = value.clone();
        }
        return;
    };
    if let Value::Array(items) = place {
        if let Some(item) = name.parse().ok().and_then(|at: usize| items.get_mut(at)) {
            put(item, below, value);
        }
        return;
    }
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    if let Value::Object(members) = place {
        if below.is_empty() && value.is_none() {
            members.remove(name);
        } else {
            put(
                members.entry(name.as_str()).or_insert(Value::Null),
                below,
                value,
            );
        }
    }
}

/// Whether two values are the same: numbers and texts as the SDK compares
/// values of settings, everything else member by member.
pub(crate) fn same(a: &Value, b: &Value, steps: Option<(f64, f64)>) -> bool {
    match (Scalar::from_json(a), Scalar::from_json(b)) {
        (Some(a), Some(b)) => a.same_by(&b, steps),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(mut document: Value, path: &str, value: Option<Value>) -> Value {
        Member {
            path: path.to_owned(),
            value,
            steps: None,
        }
        .put(&mut document);
        document
    }

    #[test]
    fn values_are_put_where_the_pointer_says() {
        for (before, path, value, after) in [
            (
                json!({"a": 1, "b": 2}),
                "/a",
                Some(json!(3)),
                json!({"a": 3, "b": 2}),
            ),
            (json!({}), "/a/b", Some(json!(3)), json!({"a": {"b": 3}})),
            (
                json!({"a": {"b": 1, "c": 2}}),
                "/a/b",
                Some(json!("x")),
                json!({"a": {"b": "x", "c": 2}}),
            ),
            (
                json!({"a/b": 1}),
                "/a~1b",
                Some(json!(2)),
                json!({"a/b": 2}),
            ),
            (
                json!({"a": [{"b": 1}]}),
                "/a/0/b",
                Some(json!(2)),
                json!({"a": [{"b": 2}]}),
            ),
            (
                json!({"a": [1, 2]}),
                "/a/1",
                Some(json!(3)),
                json!({"a": [1, 3]}),
            ),
            (json!({"a": [1]}), "/a/7", Some(json!(3)), json!({"a": [1]})),
            (json!({"a": 1, "b": 2}), "/a", None, json!({"b": 2})),
            (json!(null), "/a", Some(json!(3)), json!({"a": 3})),
        ] {
            assert_eq!(put(before.clone(), path, value), after, "{before} {path}");
        }
    }

    #[test]
    fn whole_and_fractional_numbers_are_compared_by_value() {
        let member = Member {
            path: "/a".to_owned(),
            value: Some(json!(3)),
            steps: None,
        };
        assert!(member.holds(&json!({"a": 3.0})));
        assert!(!member.holds(&json!({"a": "3"})));
        assert!(!member.holds(&json!({})));
    }
}
