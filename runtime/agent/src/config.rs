//! The operator's file `servo.yaml`.
//!
//! The file is read into types in one step, and whatever does not fit is an
//! error: an unknown key is a typing error that would otherwise grant nothing
//! or limit nothing without a word. Each error names file, line, column, key
//! and remedy, because the reader is a person with an editor open. Anchors
//! and merge keys are refused: a grant must stand where it is read.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use servo_policy::{Grants, GrantsSpec};
use thiserror::Error;

/// Most that the file may weigh.
const FILE_LIMIT: u64 = 1 << 20;

/// The file, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// How to reach the service.
    pub optune: OptuneSection,
    /// The drivers.
    pub drivers: DriversSection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    optune: OptuneSection,
    drivers: DriversSection,
}

/// How to reach the service. Options of the command line win over it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptuneSection {
    /// Where events are posted, exactly.
    #[serde(default)]
    pub url: Option<String>,
    /// Account for the address of the hosted service.
    #[serde(default)]
    pub account: Option<String>,
    /// The application's id.
    #[serde(default)]
    pub app: Option<String>,
    /// File with the token; relative to this file.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

/// The drivers of the servo.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriversSection {
    /// Measures.
    #[serde(default)]
    pub measure: Option<DriverSection>,
    /// Adjusts.
    #[serde(default)]
    pub adjust: Option<DriverSection>,
}

/// One driver, what it is told and what it may do.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriverSection {
    /// The artifact; relative to this file.
    pub source: PathBuf,
    /// The driver's own section: any mapping.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// What it may do; nothing unless said.
    #[serde(default)]
    pub grants: GrantsSpec,
}

/// Which driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DriverRole {
    /// `drivers.measure`.
    Measure,
    /// `drivers.adjust`.
    Adjust,
}

impl fmt::Display for DriverRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Measure => "measure",
            Self::Adjust => "adjust",
        })
    }
}

/// Why the file cannot be used: one line, `file:line:column: key: problem; remedy`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line and column from 1, where known.
    pub place: Option<(u64, u64)>,
    /// The key, dotted, where known.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}; {}", self.problem, self.remedy)
    }
}

impl ConfigFile {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let error = |problem: String, remedy: &str| ConfigError {
            file: path.to_owned(),
            place: None,
            key: None,
            problem,
            remedy: remedy.to_owned(),
        };
        let unreadable =
            |e: std::io::Error| error(e.to_string(), "check the path and its permissions");
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > FILE_LIMIT {
            let problem = format!("{size} bytes are too many for a configuration");
            return Err(error(problem, "keep it below 1 MiB"));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, path)
    }

    /// Understands a text; `path` is for errors and relative paths.
    ///
    /// # Errors
    /// It cannot be understood.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0 },
            merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
            strict_booleans: true,
        };
        let Sections { optune, drivers } = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| explain(&error, text, path))?;
        Ok(Self {
            path: path.to_owned(),
            optune,
            drivers,
        })
    }

    /// The folder to which relative paths in the file belong.
    #[must_use]
    pub fn base(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// The section of a driver.
    #[must_use]
    pub fn driver(&self, role: DriverRole) -> Option<&DriverSection> {
        match role {
            DriverRole::Measure => self.drivers.measure.as_ref(),
            DriverRole::Adjust => self.drivers.adjust.as_ref(),
        }
    }

    /// Where the artifact of a driver is.
    #[must_use]
    pub fn source(&self, role: DriverRole) -> Option<PathBuf> {
        Some(self.base().join(&self.driver(role)?.source))
    }

    /// What a driver may do, placeholders filled from its own section.
    ///
    /// # Errors
    /// The grants contradict themselves or a limit.
    pub fn grants(&self, role: DriverRole) -> Result<Grants, ConfigError> {
        let Some(section) = self.driver(role) else {
            return Ok(Grants::none());
        };
        let config = Value::Object(section.config.clone());
        section
            .grants
            .resolve(&config, self.base())
            .map_err(|error| ConfigError {
                file: self.path.clone(),
                place: None,
                key: Some(format!("drivers.{role}")),
                problem: error.to_string(),
                remedy: format!("see `grants` under drivers.{role}"),
            })
    }
}

/// Turns a parser's error into one for people.
fn explain(error: &serde_saphyr::Error, text: &str, file: &Path) -> ConfigError {
    use serde_saphyr::Error;
    let error = error.without_snippet();
    let place = error
        .location()
        .map(|location| (location.line(), location.column()));
    let path = place.map_or_else(Vec::new, |(line, column)| path_at(text, line, column));
    let at = path.join(".");
    // The place of these errors is a key of the mapping in question.
    let within = |name: &str| match path.split_last() {
        Some((_, outer)) if !outer.is_empty() => format!("{}.{name}", outer.join(".")),
        _ => name.to_owned(),
    };
    let (key, problem, remedy) = match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => (
            within(field),
            "unknown key".to_owned(),
            format!("the keys here are {}", expected.join(", ")),
        ),
        Error::SerdeMissingField { field, .. } => (
            within(field),
            "the key is missing".to_owned(),
            format!("add `{field}:`"),
        ),
        Error::DuplicateMappingKey { key, .. } => (
            within(key.as_deref().unwrap_or_default()),
            "the key stands here twice".to_owned(),
            "keep one of the two".to_owned(),
        ),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => (
            at,
            format!("`{variant}` is not known here"),
            format!("use one of {}", expected.join(", ")),
        ),
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        }
        | Error::SerdeInvalidValue {
            unexpected,
            expected,
            ..
        } => (
            at,
            format!("{unexpected} stands where {expected} belongs"),
            format!("write {expected}"),
        ),
        Error::Eof { .. } => (
            at,
            "the file ends too early".to_owned(),
            "at least `drivers:` must stand in it".to_owned(),
        ),
        Error::MultipleDocuments { .. } => (
            at,
            "a second document begins".to_owned(),
            "write one file for each servo".to_owned(),
        ),
        Error::Budget { .. } => (
            at,
            "anchors, aliases or too much of something".to_owned(),
            "write the value out where it belongs".to_owned(),
        ),
        Error::InvalidBooleanStrict { .. } => (
            at,
            "this is neither true nor false".to_owned(),
            "write true or false".to_owned(),
        ),
        Error::Unexpected { expected, .. } => (
            at,
            format!("{} is expected here", expected.trim_end_matches(" start")),
            "correct the value or its indentation".to_owned(),
        ),
        // What a type of ours says names its own remedy.
        Error::Message { .. } => (
            at,
            plain(&error.to_string()),
            "correct the value".to_owned(),
        ),
        other => (
            at,
            plain(&other.to_string()),
            "correct it here; text with special characters needs quotes".to_owned(),
        ),
    };
    ConfigError {
        file: file.to_owned(),
        place,
        key: Some(key).filter(|key| !key.is_empty()),
        problem,
        remedy,
    }
}

/// The first line, without the place that is said elsewhere.
fn plain(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or_default();
    line.to_owned()
}

/// The keys that lead to a place in a text, found by indentation and braces:
/// the parser knows the place but not the path. Items of lists are not counted.
fn path_at(text: &str, line: u64, column: u64) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let index = usize::try_from(line).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(column).unwrap_or(1);
    let mut path = Vec::new();
    // Only keys further left, or outside the present braces, lead here.
    let mut left_of = column;
    let mut outside = usize::MAX;
    for key in keys_of(lines.get(index).copied().unwrap_or_default())
        .into_iter()
        .rev()
        .filter(|key| key.column < column)
    {
        if key.depth < outside {
            path.push(key.name);
            left_of = key.column;
            outside = key.depth;
        }
    }
    for above in lines.iter().take(index).rev() {
        if let Some(key) = keys_of(above).first()
            && key.column < left_of
        {
            path.push(key.name);
            left_of = key.column;
        }
    }
    path.reverse();
    path
}

/// A key of a line.
struct Key<'a> {
    /// From 0.
    column: usize,
    /// Braces around it on this line.
    depth: usize,
    name: &'a str,
}

/// The keys of one line, comments left out.
fn keys_of(line: &str) -> Vec<Key<'_>> {
    let code = line.split(" #").next().unwrap_or_default();
    let mut keys = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, c) in code.char_indices() {
        match c {
            '{' | '[' => (start, depth) = (at + 1, depth + 1),
            '}' | ']' => (start, depth) = (at + 1, depth.saturating_sub(1)),
            ',' => start = at + 1,
            '-' if code
                .get(start..at)
                .is_some_and(|before| before.trim().is_empty()) =>
            {
                start = at + 1;
            }
            ':' => {
                let raw = code.get(start..at).unwrap_or_default();
                let name = raw.trim().trim_matches(['"', '\'']);
                let ends = code
                    .get(at + 1..)
                    .is_none_or(|rest| rest.is_empty() || rest.starts_with(' '));
                if ends && !name.is_empty() && !name.contains(' ') && !name.starts_with('#') {
                    let column = start + raw.len() - raw.trim_start().len();
                    keys.push(Key {
                        column,
                        depth,
                        name,
                    });
                    start = at + 1;
                }
            }
            _ => {}
        }
    }
    keys
}
