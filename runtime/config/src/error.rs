//! An error about the operator's file, for a person with an editor open.
//!
//! The first line says everything and can be grepped and clicked on:
//! `file:line:column: key: problem; remedy`. Below it stands the line in
//! question with a caret, because a column is a number and an eye is not.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Characters of a line that are shown: what fits beside the line's number on
/// a terminal of the usual width.
const SHOWN: usize = 100;

/// Why the file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line and column from 1, where known.
    pub place: Option<(u32, u32)>,
    /// The key, dotted, where known.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
    /// The line itself, where known.
    pub excerpt: Option<Box<Excerpt>>,
}

/// A line of a file and what of it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    line: u64,
    text: String,
    /// Characters before the part that is meant.
    before: usize,
    /// Characters that are meant; at least one.
    width: usize,
}

/// A part of one line: line and column from 1, and its length in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) line: u64,
    pub(crate) column: u64,
    pub(crate) length: u64,
}

impl ConfigError {
    /// An error about a file as a whole.
    #[must_use]
    pub fn new(file: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            place: None,
            key: None,
            problem: problem.into(),
            remedy: remedy.into(),
            excerpt: None,
        }
    }

    /// The same about a key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into()).filter(|key| !key.is_empty());
        self
    }

    /// The same about a part of `text`, which is what the file holds.
    pub(crate) fn at(mut self, text: &str, stretch: Stretch) -> Self {
        // A file has at most a million lines and columns.
        let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        self.place = Some((short(stretch.line), short(stretch.column)));
        self.excerpt = Excerpt::of(text, stretch).map(Box::new);
        self
    }

    /// The first line: everything but the excerpt.
    #[must_use]
    pub fn headline(&self) -> String {
        let mut line = self.file.display().to_string();
        // Writing to a string cannot fail.
        if let Some((row, column)) = self.place {
            let _ = write!(line, ":{row}:{column}");
        }
        if let Some(key) = &self.key {
            let _ = write!(line, ": {key}");
        }
        let _ = write!(line, ": {}; {}", self.problem, self.remedy);
        line
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match &self.excerpt {
            Some(excerpt) => write!(f, "\n{excerpt}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a file, as far as it could be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    pub(crate) fn from_all(errors: impl IntoIterator<Item = ConfigError>) -> Self {
        Self(errors.into_iter().collect())
    }

    /// The first of them.
    pub(crate) fn first(self) -> Option<ConfigError> {
        self.0.into_iter().next()
    }

    /// Each of them, in the order of the file's keys.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl Excerpt {
    /// The line of `stretch`, cut where it is long and harmless on a terminal.
    fn of(text: &str, stretch: Stretch) -> Option<Self> {
        let index = usize::try_from(stretch.line).ok()?.checked_sub(1)?;
        let line = text.lines().nth(index)?;
        let column = usize::try_from(stretch.column).ok()?.checked_sub(1)?;
        let length = line.chars().count();
        // An error at the end of a line points behind its last character.
        let column = column.min(length);
        let first = column.saturating_sub(SHOWN / 2);
        let first = first.min(length.saturating_sub(SHOWN));
        let shown = line
            .chars()
            .skip(first)
            .take(SHOWN)
            .map(|c| match c {
                '\t' => ' ',
                c if c.is_control() => '\u{fffd}',
                c => c,
            })
            .collect::<String>();
        let text = shown.trim_end().to_owned();
        let before = column - first;
        let room = text.chars().count().saturating_sub(before).max(1);
        let width = usize::try_from(stretch.length).unwrap_or(room);
        Some(Self {
            line: stretch.line,
            before,
            width: width.clamp(1, room),
            text,
        })
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = number.len();
        writeln!(f, "  {number} | {}", self.text)?;
        write!(
            f,
            "  {:margin$} | {:before$}{}",
            "",
            "",
            "^".repeat(self.width),
            before = self.before
        )
    }
}
