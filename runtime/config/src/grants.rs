//! What is wrong with grants, at the line where it stands.
//!
//! The policy knows no files: its errors name keys such as `grants.http[0].rule`.
//! Here a key becomes a place in the operator's file, and the fault inside a
//! rule becomes a column, where the rule stands in the file as it was read.

use std::path::Path;

use servo_policy::{Advice, PolicyError, PolicyErrors};

use crate::error::{ConfigError, ConfigErrors, Stretch};
use crate::places::{Places, within};
use crate::role::DriverRole;

/// The errors about a driver's grants as errors of the file.
pub(crate) fn explain(
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
pub(crate) fn whole_file(errors: &PolicyErrors, file: &Path, text: &str) -> ConfigErrors {
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
    let Advice { problem, remedy } = words(error, section);
    let explained = ConfigError::new(file, problem, remedy).with_key(&key);
    let whole = matches!(error, PolicyError::Overlap { .. });
    let shown = if whole { format!("{key}.rule") } else { key };
    match places.find(&shown) {
        Some(stretch) => explained.at(text, inside(error, stretch, text)),
        None => explained,
    }
}

fn words(error: &PolicyError, section: &str) -> Advice {
    match error {
        PolicyError::Rule { error, .. } => Advice::new(
            format!("{} in the rule `{}`", error.problem, printable(&error.rule)),
            error.hint.as_str(),
        ),
        PolicyError::Placeholder {
            placeholder, fault, ..
        } => Advice::new(
            format!("the rule needs `{}`, but {fault}", printable(placeholder)),
            fault.remedy(placeholder, &within(section, "config")),
        ),
        PolicyError::Limit {
            value, low, high, ..
        } => Advice::new(
            format!("{value} is out of range"),
            format!("use a value from {low} to {high}"),
        ),
        PolicyError::Grant { advice, .. } | PolicyError::Folder { advice, .. } => advice.clone(),
        PolicyError::Overlap { other, rule, .. } => Advice::new(
            format!("this rule and {other} are about the same requests ({rule})"),
            "merge the two into one, so that the order of the rules cannot matter",
        ),
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
