//! The application's id, and what is kept on disk under its name.
//!
//! The id comes from a command line and becomes a folder, a part of an address
//! and the last argument of programs. What it may look like is decided here,
//! once, so that none of these has to doubt it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use servo_policy::Advice;

/// Longest id in bytes: every file system takes such a name.
const LONGEST: usize = 200;

/// An application's id that can stand in a path, an address and an argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AppId(String);

/// Why a text is no id of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppIdError {
    problem: &'static str,
}

impl AppIdError {
    /// What is wrong, and what to do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        let remedy = "use the id that the service shows, such as `shop` or `acme-shop.example`";
        Advice::new(self.problem, remedy)
    }
}

impl fmt::Display for AppIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.advice().fmt(f)
    }
}

impl std::error::Error for AppIdError {}

impl FromStr for AppId {
    type Err = AppIdError;

    fn from_str(text: &str) -> Result<Self, AppIdError> {
        let problem = if text.is_empty() {
            "it is empty"
        } else if text.len() > LONGEST {
            "it is longer than 200 bytes"
        } else if matches!(text, "." | "..") {
            "dots alone name a folder"
        } else if text.contains('/') {
            "it holds a `/` and would name another folder"
        } else if text.chars().any(char::is_control) {
            "it holds a control character"
        } else if text.starts_with('-') {
            "it begins with `-`, which programs take for an option"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(AppIdError { problem })
    }
}

impl AppId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where drivers keep their state between calls; `base` is the folder of
    /// the operator's file.
    #[must_use]
    pub fn state_folder(&self, base: &Path) -> PathBuf {
        base.join(".servo").join("state").join(&self.0)
    }

    /// Where the servo keeps its journal.
    #[must_use]
    pub fn journal_folder(&self, base: &Path) -> PathBuf {
        base.join(".servo").join("journal").join(&self.0)
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_one_segment_of_a_path_is_an_id() {
        for text in ["shop", "acme-shop.example", "a b", "x@y:z", "Größe", "..."] {
            let app: AppId = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                app.journal_folder(Path::new("etc")).parent(),
                Some(Path::new("etc/.servo/journal")),
            );
        }
        let long = "x".repeat(LONGEST + 1);
        for text in [
            "", ".", "..", "a/b", "/", "../x", "a\n", "\0", "\u{7f}", "-x", &long,
        ] {
            assert!(text.parse::<AppId>().is_err(), "{text:?}");
        }
    }
}
