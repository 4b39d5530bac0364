//! What is wrong with grants, at the line where it stands.
//!
//! The policy knows no files: its errors name keys such as `grants.http[0].rule`.
//! Here a key becomes a place in the operator's file, and the fault inside a
//! rule becomes a column, where the rule stands in the file as it was read.

use std::path::Path;

use servo_policy::{PolicyError, PolicyErrors};

use super::DriverRole;
use super::error::{ConfigError, ConfigErrors, Stretch};
use super::places::{Places, within};

/// The errors about a driver's grants as errors of the file.
pub(super) fn explain(
    errors: &PolicyErrors,
    role: DriverRole,
    file: &Path,
    text: &str,
) -> ConfigErrors {
    let (places, section) = (Places::of(text), format!("drivers.{role}"));
    let one = |error: &PolicyError| one(error, &section, &places, file, text);
    ConfigErrors::from_all(errors.iter().map(one))
}

/// The errors about what holds for a whole file.
pub(super) fn whole_file(errors: &PolicyErrors, file: &Path, text: &str) -> ConfigErrors {
    let places = Places::of(text);
    ConfigErrors::from_all(
        errors
            .iter()
            .map(|error| one(error, "", &places, file, text)),
    )
}

fn one(
    error: &PolicyError,
    section: &str,
    places: &Places,
    file: &Path,
    text: &str,
) -> ConfigError {
    let key = within(section, &error.key());
    let (problem, remedy) = words(error, section);
    let explained = ConfigError::new(file, problem, remedy).with_key(&key);
    let whole = matches!(error, PolicyError::Overlap { .. });
    let shown = if whole { format!("{key}.rule") } else { key };
    match places.find(&shown) {
        Some(stretch) => explained.at(text, inside(error, stretch, text)),
        None => explained,
    }
}

/// Problem and remedy.
fn words(error: &PolicyError, section: &str) -> (String, String) {
    match error {
        PolicyError::Rule { error, .. } => (
            format!("{} in the rule `{}`", error.problem, printable(&error.rule)),
            error.hint.clone(),
        ),
        PolicyError::Placeholder {
            placeholder,
            problem,
            ..
        } => {
            let (problem, remedy) = split(problem);
            let name = placeholder.strip_prefix("config.").unwrap_or(placeholder);
            let remedy = if problem.ends_with("has no such key") {
                format!(
                    "add `{name}` to `{section}.config`, or write what it stands for into \
                     the rule"
                )
            } else {
                remedy
            };
            (
                format!("the rule needs `{}`, but {problem}", printable(placeholder)),
                remedy,
            )
        }
        PolicyError::Limit {
            value, low, high, ..
        } => (
            format!("{value} is out of range"),
            format!("use a value from {low} to {high}"),
        ),
        PolicyError::Grant { problem, .. } | PolicyError::Folder { problem, .. } => split(problem),
        PolicyError::Overlap { other, rule, .. } => (
            format!("this rule and {other} are about the same requests ({rule})"),
            "merge the two into one, so that the order of the rules cannot matter".to_owned(),
        ),
        other => (other.to_string(), format!("see `grants` under {section}")),
    }
}

fn split(problem: &str) -> (String, String) {
    match problem.split_once("; ") {
        Some((problem, remedy)) => (problem.to_owned(), remedy.to_owned()),
        None => (problem.to_owned(), "correct the value".to_owned()),
    }
}

fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// The part of a rule that is wrong, where the rule can be recognised.
fn inside(error: &PolicyError, at: Stretch, text: &str) -> Stretch {
    let written = written(text, at).unwrap_or_default();
    let part = match error {
        PolicyError::Rule { error, .. } => written.find(&error.rule).map(|start| {
            let end = written.len();
            (start + error.offset.min(error.rule.len()), end)
        }),
        PolicyError::Placeholder { placeholder, .. } => {
            let whole = format!("${{{placeholder}}}");
            written
                .find(&whole)
                .map(|start| (start, start + whole.len()))
        }
        _ => None,
    };
    let Some((start, end)) = part else { return at };
    let chars = |range: &str| range.chars().count() as u64;
    let before = chars(written.get(..start).unwrap_or_default());
    Stretch {
        line: at.line,
        column: at.column + before,
        length: match error {
            // From here on it is not understood; one character is enough to point.
            PolicyError::Rule { .. } => 1,
            _ => chars(written.get(start..end).unwrap_or_default()),
        },
    }
}

/// A scalar as it stands in the file, with its quotes.
fn written(text: &str, at: Stretch) -> Option<String> {
    let line = text
        .lines()
        .nth(usize::try_from(at.line).ok()?.checked_sub(1)?)?;
    let first = usize::try_from(at.column).ok()?.checked_sub(1)?;
    let length = usize::try_from(at.length).ok()?;
    Some(line.chars().skip(first).take(length).collect())
}
