//! `servo limits`: every limit of a driver's calls, from the tables that
//! enforce them.

use std::fmt::Write as _;

use serde::Serialize;
use servo_policy::Budget;
use servo_sandbox::fixed_limits;

use crate::args::LimitsArgs;
use crate::exit::{Failed, Outcome};
use crate::output;

/// Columns of text in the table: what a terminal has.
const WIDTH: usize = 80;

/// Columns before a reason.
const INDENT: &str = "    ";

#[derive(Serialize)]
struct Row {
    key: &'static str,
    /// What it is unless an operator says otherwise.
    value: String,
    /// What an operator may say; absent where they may say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<Range>,
    reason: String,
    /// The counter of how often it bit, where it is one that bites.
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
}

#[derive(Serialize)]
struct Range {
    low: String,
    high: String,
}

pub(crate) fn run(args: &LimitsArgs) -> Outcome {
    let mut rows = rows();
    if let Some(unknown) = args
        .keys
        .iter()
        .find(|key| rows.iter().all(|row| row.key != key.as_str()))
    {
        return Err(Failed::usage(format_args!(
            "there is no limit {unknown:?}; `servo limits` lists them"
        )));
    }
    rows.retain(|row| args.keys.is_empty() || args.keys.iter().any(|key| key == row.key));
    if args.json {
        return output::json(&rows, true);
    }
    output::line(table(&rows).trim_end())
}

fn rows() -> Vec<Row> {
    let metric = |key: &str| format!("servo_limit_hits_total{{limit=\"{key}\"}}");
    let set = Budget::describe().into_iter().map(|row| Row {
        key: row.key,
        value: row.default,
        range: Some(Range {
            low: row.low,
            high: row.high,
        }),
        reason: row.reason,
        metric: Some(metric(row.key)),
    });
    let fixed = fixed_limits().into_iter().map(|row| Row {
        key: row.key,
        value: row.value,
        range: None,
        reason: row.reason.to_owned(),
        metric: row.counted.then(|| metric(row.key)),
    });
    set.chain(fixed).collect()
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.key.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let range = row.range.as_ref().map_or_else(
            || "fixed".to_owned(),
            |range| format!("{} to {}", range.low, range.high),
        );
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:width$}  {}  ({range})", row.key, row.value);
        for line in wrapped(&row.reason, WIDTH - INDENT.len()) {
            let _ = writeln!(text, "{INDENT}{line}");
        }
    }
    text
}

/// The words of a text in lines that are no longer than `width`, where words
/// allow it.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_broken_between_words() {
        assert_eq!(wrapped("a bc def gh", 6), ["a bc", "def gh"]);
        assert_eq!(wrapped("abcdefgh i", 3), ["abcdefgh", "i"]);
        assert!(wrapped("", 3).is_empty());
    }

    #[test]
    fn a_limit_shows_default_range_and_reason() {
        let rows: Vec<Row> = rows().into_iter().filter(|row| row.key == "cpu").collect();
        let text = table(&rows);
        assert!(text.starts_with("cpu  2s  (1ms to "), "{text}");
        assert!(text.contains("    Time on a worker, per step."), "{text}");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }
}
