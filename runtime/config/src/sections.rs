//! The original's file `config.yaml`: one top-level section for each driver.
//!
//! The original never read it; each driver took the section with its own name.
//! Drivers in the sandbox see no files, so the host takes the section for them.
//! Nothing in this file grants anything, and there are many of them that
//! nobody will rewrite: anchors and merges are allowed here, other sections are
//! left alone. What no reading can make sense of is an error with its place.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use crate::error::ConfigError;
use crate::explain::explain;
use crate::places::stretch;
use crate::read::read_text;

/// The sections of a `config.yaml`.
#[derive(Debug, Clone)]
pub struct DriverSections {
    path: PathBuf,
    sections: BTreeMap<String, Spanned<Value>>,
    /// What was read, for errors that are found later.
    text: Arc<str>,
}

impl DriverSections {
    /// Reads the file; none when there is no such file.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn read(path: &Path) -> Result<Option<Self>, ConfigError> {
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Self::parse(&read_text(path)?, path).map(Some),
        }
    }

    /// Understands a text; `path` is for errors.
    ///
    /// # Errors
    /// It is no mapping from names to values.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! { strict_booleans: true };
        let sections: Option<BTreeMap<String, Spanned<Value>>> =
            serde_saphyr::from_str_with_options(text, options)
                .map_err(|error| explain(&error, text, path))?;
        Ok(Self {
            path: path.to_owned(),
            sections: sections.unwrap_or_default(),
            text: text.into(),
        })
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The section of a driver, by the driver's own name. A name with nothing
    /// after it is an empty section.
    ///
    /// # Errors
    /// It is neither a mapping nor empty.
    pub fn section(&self, driver: &str) -> Result<Option<Map<String, Value>>, ConfigError> {
        let Some(section) = self.sections.get(driver) else {
            return Ok(None);
        };
        let found = match &section.value {
            Value::Object(members) => return Ok(Some(members.clone())),
            Value::Null => return Ok(Some(Map::new())),
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
        };
        let problem = format!("{found} stands where the settings of the driver belong");
        let remedy = format!("write `key: value` lines under `{driver}:`");
        let error = ConfigError::new(&self.path, problem, remedy).with_key(driver);
        Err(error.at(&self.text, stretch(&section.defined)))
    }
}
