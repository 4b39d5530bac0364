//! Names for series.
//!
//! A series has labels and no name; the service wants a name that is not empty
//! and that no other series of the metric has. The form is that of the
//! original driver, `a:1   b:2`, which is not one-to-one: the name of the
//! metric is left out, and a value may hold three spaces. Only where that
//! makes two series the same is something added, so that a series keeps its
//! name from one measurement to the next.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::Labels;

const METRIC_NAME: &str = "__name__";
const SEPARATOR: &str = "   ";

/// The host takes names of up to 1000 bytes; the rest is for a number.
const LONGEST: usize = 980;

/// One name for each series, in the same order: none is empty, and no two are
/// the same.
pub(crate) fn ids<'a>(series: impl IntoIterator<Item = &'a Labels>) -> Vec<String> {
    let series: Vec<_> = series.into_iter().collect();
    let mut ids: Vec<_> = series.iter().map(|labels| plain(labels)).collect();
    let mut seen = BTreeMap::new();
    for id in &ids {
        *seen.entry(id.clone()).or_insert(0_usize) += 1;
    }
    for (id, labels) in ids.iter_mut().zip(&series) {
        if labels.contains_key(METRIC_NAME) && seen.get(id).is_some_and(|count| *count > 1) {
            *id = cut(joined(labels.iter()));
        }
    }
    // By labels, so that the order of the answer does not matter.
    let mut order: Vec<_> = ids.iter_mut().zip(&series).collect();
    order.sort_by_key(|(_, labels)| *labels);
    let mut taken = BTreeSet::new();
    for (id, _) in order {
        if !taken.insert(id.clone()) {
            let free = (2_u32..)
                .map(|number| format!("{id}{SEPARATOR}#{number}"))
                .find(|free| !taken.contains(free));
            *id = free.unwrap_or_default();
            taken.insert(id.clone());
        }
    }
    ids
}

/// All labels but the name of the metric; where there are none that name, and
/// a dash where there is no name either.
fn plain(labels: &Labels) -> String {
    let id = joined(labels.iter().filter(|(name, _)| *name != METRIC_NAME));
    if !id.is_empty() {
        return cut(id);
    }
    match labels.get(METRIC_NAME) {
        Some(name) if !name.is_empty() => cut(name.clone()),
        _ => "-".to_owned(),
    }
}

fn joined<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let pairs: Vec<_> = labels
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    pairs.join(SEPARATOR)
}

fn cut(mut id: String) -> String {
    if id.len() > LONGEST {
        id.truncate(id.floor_char_boundary(LONGEST - '…'.len_utf8()));
        id.push('…');
    }
    id
}
