//! What holds for all labels, numbers and times.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{labels::ids, server::seconds};
use crate::answer::{Labels, number};

/// Labels of a small alphabet in which everything that matters to the form of
/// an id occurs, so that collisions are common.
fn label_sets() -> impl Strategy<Value = Vec<Labels>> {
    let name = prop::sample::select(vec!["a", "b", "c", "__name__"]).prop_map(str::to_owned);
    let value = prop_oneof![
        prop::collection::vec(
            prop::sample::select(vec!["1", "   ", "a:1", "b:", "#2", "-", "é"]),
            0..4
        )
        .prop_map(|parts| parts.concat()),
        (970_usize..1010).prop_map(|length| "é".repeat(length)),
    ];
    let labels = prop::collection::btree_map(name, value, 0..4);
    prop::collection::btree_set(labels, 0..12).prop_map(|all| all.into_iter().collect())
}

/// A number as Go's `strconv.FormatFloat(v, 'f', -1, 64)` prints it, or with
/// an exponent where Prometheus uses one.
fn printed(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap();
        let exponent: i32 = exponent.parse().unwrap();
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{value}")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ids_are_unique_and_never_empty_nor_too_long(series in label_sets()) {
        let ids = ids(&series);
        prop_assert_eq!(ids.len(), series.len());
        prop_assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{:?}", ids);
        prop_assert!(ids.iter().all(|id| !id.is_empty() && id.len() <= 1000));
    }

    #[test]
    fn ids_do_not_depend_on_the_order_of_the_answer(series in label_sets(), at in any::<prop::sample::Index>()) {
        let mut turned = series.clone();
        let by = if series.is_empty() { 0 } else { at.index(series.len()) };
        turned.rotate_left(by);
        let mut ids_of_turned = ids(&turned);
        ids_of_turned.rotate_right(by);
        prop_assert_eq!(ids(&series), ids_of_turned);
    }

    #[test]
    fn one_series_has_its_labels_for_an_id(
        labels in prop::collection::btree_map("[a-z]{1,8}", "[ -~]{0,20}", 1..6)
    ) {
        let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        let mut named = labels.clone();
        named.insert("__name__".to_owned(), "up".to_owned());
        prop_assert_eq!(ids([&labels]), [pairs.join("   ")]);
        prop_assert_eq!(ids([&named]), [pairs.join("   ")]);
    }

    #[test]
    fn numbers_are_read_to_the_last_bit(value in any::<f64>()) {
        let expected = value.is_finite().then_some(value);
        prop_assert_eq!(number(&printed(value)).map(f64::to_bits), expected.map(f64::to_bits));
    }

    #[test]
    fn only_finite_numbers_in_json_form_are_read(text in "[-+0-9.eE_ xInfNa]{0,8}") {
        let json = serde_json::from_str::<f64>(&text).ok().filter(|_| text.trim() == text);
        prop_assert_eq!(number(&text).is_some(), json.is_some(), "{}", text);
    }

    #[test]
    fn times_are_exact(millis in 0..u64::MAX) {
        let text = seconds(millis);
        let (whole, rest) = text.split_once('.').unwrap_or((&text, "0"));
        prop_assert_eq!(whole.parse::<u64>().unwrap(), millis / 1000);
        let rest: u64 = format!("{rest:0<3}").parse().unwrap();
        prop_assert_eq!(rest, millis % 1000);
    }
}

#[test]
fn texts_that_are_no_numbers() {
    for text in [
        "", " ", "-", "+1", " 8 ", "1_000", ".5", "5.", "007", "0x1F", "1e", "inf", "Infinity",
        "NaN", "+Inf", "-Inf", "1.0e400", "null", "true", "\"1\"", "[1]", "1 2", "1,2", "٣",
    ] {
        assert_eq!(number(text), None, "{text:?}");
    }
    for (text, value) in [
        ("0", 0.0),
        ("-0", -0.0),
        ("1e+21", 1e21),
        ("1E-7", 1e-7),
        ("1e-400", 0.0),
        ("1.7976931348623157e+308", f64::MAX),
        ("5e-324", f64::from_bits(1)),
    ] {
        assert_eq!(
            number(text).map(f64::to_bits),
            Some(value.to_bits()),
            "{text:?}"
        );
    }
}
