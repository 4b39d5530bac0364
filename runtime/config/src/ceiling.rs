//! Ceilings: in `servo.yaml` itself, and in a file of whoever answers for the
//! machine.
//!
//! Both hold where both are given. The file has its own names for networks: the
//! writer of a grant must not decide what the writer of a ceiling meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use servo_policy::{Ceiling, CeilingSpec, Grants, Networks};
use servo_protocol::AppliedApplication;

use crate::error::{ConfigError, ConfigErrors};
use crate::explain::explain;
use crate::grants;
use crate::read::{absolute_base, options, read_text};
use crate::role::DriverRole;

/// What no grant and no setting may exceed. The default limits nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ceilings(Vec<(PathBuf, Ceiling)>);

/// A file that holds a ceiling.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A ceiling of servo")]
pub(crate) struct Sections {
    /// What no grant may exceed, and no setting.
    ceiling: CeilingSpec,
    /// Names for networks, to be used in this ceiling.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::networks")]
    networks: BTreeMap<String, Vec<String>>,
}

impl Ceilings {
    /// Reads a file that holds a ceiling.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        let text = read_text(path)?;
        let Sections { ceiling, networks } = serde_saphyr::from_str_with_options(&text, options())
            .map_err(|error| explain(&error, &text, path))?;
        let networks = Networks::parse(&networks)
            .map_err(|errors| grants::whole_file(&errors, path, &text))?;
        Self::resolve(&ceiling, path, &text, &networks)
    }

    /// Understands the ceiling that stands in a text.
    pub(crate) fn resolve(
        spec: &CeilingSpec,
        path: &Path,
        text: &str,
        networks: &Networks,
    ) -> Result<Self, ConfigErrors> {
        spec.resolve(&absolute_base(path), networks)
            .map(|ceiling| Self(vec![(path.to_owned(), ceiling)]))
            .map_err(|errors| grants::whole_file(&errors, path, text))
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Are the grants within all of them? `path` and `text` are the file in which
    /// the grants stand.
    ///
    /// # Errors
    /// Each grant that is wider than one of them.
    pub(crate) fn check(
        &self,
        granted: &Grants,
        role: DriverRole,
        path: &Path,
        text: &str,
    ) -> Result<(), ConfigErrors> {
        let mut wrong: Vec<ConfigError> = Vec::new();
        for (file, ceiling) in &self.0 {
            if let Err(errors) = ceiling.check(granted) {
                wrong.extend(grants::explain(&errors, role, path, text).into_iter().map(
                    |mut error| {
                        error.remedy = format!("{} in {}", error.remedy, file.display());
                        error
                    },
                ));
            }
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(ConfigErrors::from_all(wrong)),
        }
    }

    /// The same where the grants stand in no file.
    ///
    /// # Errors
    /// The first grant that is wider than one of them, in words.
    pub fn admit(&self, granted: &Grants) -> Result<(), String> {
        for (file, ceiling) in &self.0 {
            ceiling
                .check(granted)
                .map_err(|error| format!("{error} in {}", file.display()))?;
        }
        Ok(())
    }

    /// May the settings be given these values?
    ///
    /// # Errors
    /// One may not: why, and which file decides.
    pub fn admit_values(&self, wanted: &AppliedApplication) -> Result<(), String> {
        for (component, applied) in &wanted.components {
            for (name, setting) in &applied.settings {
                let value = serde_json::to_value(&setting.value).unwrap_or_default();
                for (file, ceiling) in &self.0 {
                    ceiling
                        .admits_setting(component, name, &value)
                        .map_err(|problem| format!("{problem} (in {})", file.display()))?;
                }
            }
        }
        Ok(())
    }

    /// The file of a ceiling that cannot be kept for a driver that is an ordinary
    /// program, if there is one.
    #[must_use]
    pub fn confining(&self) -> Option<&Path> {
        let confines = |(_, ceiling): &&(PathBuf, Ceiling)| ceiling.confines();
        self.0.iter().find(confines).map(|(file, _)| file.as_path())
    }

    /// What is allowed at most, in plain words: each file with its lines.
    pub fn explain(&self) -> impl Iterator<Item = (&Path, Vec<String>)> {
        self.0
            .iter()
            .map(|(file, ceiling)| (file.as_path(), ceiling.explain()))
    }
}
