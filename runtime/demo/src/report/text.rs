//! The texts for people.

use std::fmt::Write;

use serde_json::Value;

use super::{JobReport, Outcome, SettingsMap, Touched, Trial, gain};

/// Where the text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// A file, a pipe or an old terminal: plain ASCII.
    #[default]
    Plain,
    /// A terminal that shows light box characters.
    Terminal,
}

impl Style {
    fn rule(self, width: usize) -> String {
        match self {
            Self::Plain => "-",
            Self::Terminal => "\u{2500}",
        }
        .repeat(width)
    }
}

/// Longest text that is shown whole. URLs of real drivers are shorter.
const LONGEST: usize = 100;

impl Trial {
    /// The trial in one line without its end: number, settings, performance
    /// and, with `baseline`, the change against it.
    #[must_use]
    pub fn line(&self, of: u32, unit: &str, baseline: Option<f64>) -> String {
        let width = of.to_string().len();
        let settings: Vec<String> = flat(&self.settings)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let outcome = match &self.outcome {
            Outcome::Performance(value) if self.number == 0 => {
                format!("{value:.1} {}  baseline", shown(unit))
            }
            Outcome::Performance(value) => {
                let change = change(*value, baseline);
                format!("{value:.1} {}  {change}", shown(unit))
            }
            Outcome::Failed(why) => format!("failed: {}", shown(why)),
        };
        let line = format!(
            "trial {:>width$}/{of}  {}  {outcome}",
            self.number,
            settings.join(" ")
        );
        line.trim_end().to_owned()
    }
}

impl JobReport {
    /// The whole report as text, ending with a line end.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut text = String::new();
        self.write_trials(&mut text, style);
        text.push('\n');
        self.write_result(&mut text);
        if !self.touched.is_empty() {
            text.push_str("\nWhat the drivers touched\n\n");
            write_touched(&mut text, style, &self.touched);
        }
        text
    }

    fn write_trials(&self, text: &mut String, style: Style) {
        let mut names: Vec<String> = Vec::new();
        for trial in &self.trials {
            for (name, _) in flat(&trial.settings) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let mut table = Table::new(["trial".to_owned()]);
        table.head.extend(names.iter().cloned());
        table.head.extend([shown(&self.unit), "change".to_owned()]);
        let mut notes = String::new();
        for trial in &self.trials {
            let settings = flat(&trial.settings);
            let mut row = vec![trial.number.to_string()];
            row.extend(names.iter().map(|name| {
                let found = settings.iter().find(|(known, _)| known == name);
                found.map_or_else(|| "-".to_owned(), |(_, value)| value.clone())
            }));
            match &trial.outcome {
                Outcome::Performance(value) if trial.number == 0 => {
                    row.extend([format!("{value:.1}"), "baseline".to_owned()]);
                }
                Outcome::Performance(value) => {
                    row.extend([format!("{value:.1}"), change(*value, self.baseline)]);
                }
                Outcome::Failed(why) => {
                    row.extend(["failed".to_owned(), "-".to_owned()]);
                    // Writing to a string cannot fail.
                    let _ = writeln!(notes, "trial {} failed: {}", trial.number, shown(why));
                }
            }
            table.rows.push(row);
        }
        table.write(text, style);
        if !notes.is_empty() {
            text.push('\n');
            text.push_str(&notes);
        }
    }

    fn write_result(&self, text: &mut String) {
        let unit = shown(&self.unit);
        let figure = |value: Option<f64>| {
            value.map_or_else(|| "none".to_owned(), |value| format!("{value:.1} {unit}"))
        };
        let improvement = self.improvement.map_or_else(|| "none".to_owned(), percent);
        let settings: Vec<String> = flat(&self.settings)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        for (label, value) in [
            ("trials", self.made().to_string()),
            ("baseline", figure(self.baseline)),
            ("best", figure(self.best)),
            ("improvement", improvement),
            ("settings", settings.join(" ")),
        ] {
            let line = format!("{label:<11}  {value}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
}

fn write_touched(text: &mut String, style: Style, touched: &[Touched]) {
    let head = ["driver", "rule", "requests", "sent", "received"];
    let mut table = Table::new(head.map(str::to_owned));
    table.left = 2;
    let mut refused = String::new();
    for one in touched {
        let driver = shown(&one.driver);
        for rule in &one.rules {
            table.rows.push(vec![
                driver.clone(),
                shown(&rule.rule),
                rule.requests.to_string(),
                bytes(rule.sent),
                bytes(rule.received),
            ]);
        }
        if one.rules.is_empty() {
            let nothing = ["(no rules)", "0", "0 B", "0 B"].map(str::to_owned);
            table
                .rows
                .push([vec![driver.clone()], nothing.to_vec()].concat());
        }
        for refusal in &one.refused {
            let times = match refusal.count {
                1 => "once".to_owned(),
                count => format!("{count} times"),
            };
            let _ = writeln!(
                refused,
                "refused to {driver} {times}: {}",
                shown(&refusal.what)
            );
        }
    }
    table.write(text, style);
    text.push('\n');
    text.push_str(if refused.is_empty() {
        "refused: nothing\n"
    } else {
        &refused
    });
}

/// Columns as wide as their widest cell; the first `left` of them are texts and
/// stand at the left, the others are figures and stand at the right.
struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    left: usize,
}

impl Table {
    fn new(head: impl Into<Vec<String>>) -> Self {
        Self {
            head: head.into(),
            rows: Vec::new(),
            left: 0,
        }
    }

    fn write(&self, text: &mut String, style: Style) {
        let mut widths: Vec<usize> = self.head.iter().map(String::len).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.len());
            }
        }
        let rules: Vec<String> = widths.iter().map(|width| style.rule(*width)).collect();
        for row in [&self.head, &rules].into_iter().chain(&self.rows) {
            let cells: Vec<String> = (0..)
                .zip(row.iter().zip(&widths))
                .map(|(column, (cell, width))| {
                    if column < self.left {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                })
                .collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}

fn change(value: f64, baseline: Option<f64>) -> String {
    baseline
        .and_then(|baseline| gain((value, baseline)))
        .map_or_else(|| "-".to_owned(), percent)
}

/// `component.setting` for a nested map, `setting` for a flat one.
fn flat(settings: &SettingsMap) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, value) in settings {
        match value {
            Value::Object(inner) => all.extend(
                inner
                    .iter()
                    .map(|(setting, value)| (shown(&format!("{name}.{setting}")), plain(value))),
            ),
            _ => all.push((shown(name), plain(value))),
        }
    }
    all
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

/// Printable ASCII stays, anything else is escaped; never longer than a line.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if out.len() >= LONGEST {
            out.push_str("...");
            break;
        }
        if character == ' ' || character.is_ascii_graphic() {
            out.push(character);
        } else {
            out.extend(character.escape_default());
        }
    }
    out
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = "KiB";
    for larger in UNITS.into_iter().skip(1) {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}
