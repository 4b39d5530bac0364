//! Which known name somebody meant who wrote an unknown one.

/// How alike two words must be for one to be a slip for the other, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The known name that an unknown one is probably a slip for.
#[must_use]
pub fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (alike(unknown, name), *name))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

/// How alike two words are, from 0 to 1. Short words are alike if one letter makes
/// the difference.
fn alike(one: &str, other: &str) -> f64 {
    match strsim::damerau_levenshtein(one, other) {
        1 if one.len().min(other.len()) > 1 => 0.99,
        _ => strsim::jaro_winkler(one, other),
    }
}
