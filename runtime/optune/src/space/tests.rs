use serde_json::{Map, json};

use super::*;

fn one(setting: Value) -> Result<(Space, Settings), SpaceError> {
    Space::describe(&json!({ "components": { "web": { "settings": { "s": setting } } } }))
}

fn values(setting: Value) -> Vec<Value> {
    let (space, _) = one(setting).unwrap();
    let dimension = &space.dimensions[0];
    (0..dimension.domain.count())
        .map(|index| dimension.domain.value(index))
        .collect()
}

#[test]
fn a_grid_holds_the_values_people_wrote() {
    let table = [
        (
            json!({"min": 0.1, "max": 0.5, "step": 0.1, "value": 0.1}),
            json!([0.1, 0.2, 0.3, 0.4, 0.5]),
        ),
        (
            json!({"type": "range", "min": 1, "max": 4, "step": 1, "value": 2}),
            json!([1, 2, 3, 4]),
        ),
        (
            json!({"min": 1.0, "max": 2.6, "step": 0.5, "value": 2}),
            json!([1, 1.5, 2, 2.5]),
        ),
        (json!({"min": 1, "max": 3, "value": 1}), json!([1, 2, 3])),
        (
            json!({"type": "enum", "values": ["a", 2, "a", 2.0], "value": "a"}),
            json!(["a", 2]),
        ),
    ];
    for (setting, expected) in table {
        assert_eq!(Value::Array(values(setting.clone())), expected, "{setting}");
    }
}

#[test]
fn every_value_of_the_grid_is_found_again() {
    let (space, _) = one(json!({"min": 0.1, "max": 12.7, "step": 0.1, "value": 0.1})).unwrap();
    for n in 0..space.size() {
        let point = space.nth(n);
        assert_eq!(space.point_of(&space.settings(&point)), Some(point));
    }
}

#[test]
fn a_value_between_two_steps_is_kept_and_is_no_point() {
    let (space, present) = one(json!({"min": 1, "max": 4, "step": 1, "value": 2.4})).unwrap();
    assert_eq!(present.get("web", "s"), Some(&json!(2.4)));
    assert_eq!(space.point_of(&present), None);
}

#[test]
fn what_is_pinned_is_not_sent_and_what_is_fixed_is_no_dimension() {
    let (space, present) = Space::describe(&json!({"components": {"web": {"settings": {
        "pinned": {"min": 1, "max": 4, "step": 1, "value": null, "pinned": true},
        "fixed": {"min": 3, "max": 3, "step": 0, "value": 3},
        "free": {"type": "enum", "values": ["x", "y"], "value": "y"},
    }}}}))
    .unwrap();
    assert_eq!(space.dimensions.len(), 1);
    let state = space.settings(&Point(vec![0])).to_state();
    assert_eq!(
        state,
        json!({"application": {"components": {"web": {"settings": {"fixed": {"value": 3}, "free": {"value": "x"}}}}}})
    );
    assert_eq!(
        serde_json::to_value(&present).unwrap(),
        json!({"web": {"fixed": 3, "free": "y"}})
    );
}

#[test]
fn a_bad_description_names_the_setting() {
    let table = [
        (
            json!({"min": 4, "max": 1, "step": 1, "value": 1}),
            "web/s: `min` is above `max`",
        ),
        (
            json!({"min": 1, "step": 1, "value": 1}),
            "web/s: a range needs the number `max`",
        ),
        (
            json!({"min": 1, "max": 2, "step": -1, "value": 1}),
            "web/s: `step` is below zero",
        ),
        (
            json!({"min": 0, "max": 1e300, "step": 1e-9, "value": 1}),
            "web/s: the range has too many steps",
        ),
        (
            json!({"type": "enum", "values": [], "value": 1}),
            "web/s: an enum needs a list",
        ),
        (
            json!({"type": "enum", "values": [[]], "value": 1}),
            "neither a number nor a text",
        ),
        (
            json!({"type": "bits", "value": 1}),
            "neither `range` nor `enum`",
        ),
        (
            json!({"min": 1, "max": 2, "step": 1, "value": null}),
            "web/s: the present value is unknown",
        ),
    ];
    for (setting, expected) in table {
        let error = one(setting.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{setting}: {error}");
    }
}

#[test]
fn too_many_dimensions_are_refused() {
    let settings: Map<String, Value> = (0..=MAX_DIMENSIONS)
        .map(|n| {
            (
                format!("s{n}"),
                json!({"min": 1, "max": 2, "step": 1, "value": 1}),
            )
        })
        .collect();
    let error =
        Space::describe(&json!({"components": {"web": {"settings": settings}}})).unwrap_err();
    assert_eq!(
        error,
        SpaceError::TooManyDimensions {
            found: MAX_DIMENSIONS + 1
        }
    );
}
