//! The operator's file as types, and what they resolve to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use servo_policy::{CeilingSpec, Grants, GrantsSpec, Networks};

use crate::ceiling::Ceilings;
use crate::error::{ConfigError, ConfigErrors};
use crate::explain::explain;
use crate::places::Places;
use crate::read::{absolute_base, options, read_text};
use crate::role::DriverRole;
use crate::{grants, schema};

/// The file, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// How to reach the service.
    pub optune: OptuneSection,
    /// The drivers.
    pub drivers: DriversSection,
    /// The networks that grants may name.
    pub networks: Networks,
    /// What no grant in it may exceed, as the file says.
    ceiling: Option<CeilingSpec>,
    /// What no grant in it may exceed, as is said elsewhere.
    above: Ceilings,
    /// What was read, for errors that are found later.
    text: Arc<str>,
}

/// What an operator says to servo: the drivers, what each is told, and all that
/// each may do.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "servo.yaml")]
pub(crate) struct Sections {
    /// How to reach the service. Options of the command line win over it.
    #[serde(default)]
    optune: OptuneSection,
    /// The drivers of the servo.
    drivers: DriversSection,
    /// Names for networks, to be used in grants: `office: [10.1.0.0/16, fd00:1::/48]`.
    #[serde(default)]
    #[schemars(schema_with = "schema::networks")]
    networks: BTreeMap<String, Vec<String>>,
    /// What no grant may exceed, and no setting. Every section that is there
    /// lists all that is allowed; an absent one limits nothing.
    #[serde(default, deserialize_with = "written")]
    ceiling: Option<CeilingSpec>,
}

/// A ceiling whose lines are commented out must not be none.
fn written<'de, D: Deserializer<'de>>(from: D) -> Result<Option<CeilingSpec>, D::Error> {
    let problem = "the key has no value: write one, or remove the key";
    match Option::deserialize(from)? {
        Some(ceiling) => Ok(Some(ceiling)),
        None => Err(serde::de::Error::custom(problem)),
    }
}

/// How to reach the service. Options of the command line win over it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriversSection {
    /// The driver that measures the application.
    #[serde(default)]
    pub measure: Option<DriverSection>,
    /// The driver that changes the application's settings.
    #[serde(default)]
    pub adjust: Option<DriverSection>,
}

/// One driver, what it is told and what it may do.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriverSection {
    /// The artifact; relative to this file. Without it, the driver is the one
    /// that stands in the working directory under the name of its role.
    #[serde(default)]
    pub source: Option<PathBuf>,
    /// The driver's own section: any mapping.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// What it may do; nothing unless said.
    #[serde(default)]
    pub grants: GrantsSpec,
}

impl ConfigFile {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read_text(path)?, path)
    }

    /// Understands a text; `path` is for errors and relative paths.
    ///
    /// # Errors
    /// It cannot be understood.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let Sections {
            optune,
            drivers,
            networks,
            ceiling,
        } = serde_saphyr::from_str_with_options(text, options())
            .map_err(|error| explain(&error, text, path))?;
        let networks = Networks::parse(&networks).map_err(|errors| {
            let errors = grants::whole_file(&errors, path, text);
            let unknown = || ConfigError::new(path, "`networks` is wrong", "correct it");
            errors.first().unwrap_or_else(unknown)
        })?;
        Ok(Self {
            path: path.to_owned(),
            optune,
            drivers,
            networks,
            ceiling,
            above: Ceilings::default(),
            text: text.into(),
        })
    }

    /// A file that is not there: it says nothing.
    #[must_use]
    pub fn absent(path: PathBuf) -> Self {
        Self {
            path,
            optune: OptuneSection::default(),
            drivers: DriversSection::default(),
            networks: Networks::default(),
            ceiling: None,
            above: Ceilings::default(),
            text: "".into(),
        }
    }

    /// An error about a key of the file, such as `drivers.measure.source`, with
    /// the place where it stands or, if it is missing, should stand.
    #[must_use]
    pub fn error(
        &self,
        key: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ConfigError {
        let error = ConfigError::new(&self.path, problem, remedy).with_key(key);
        match Places::of(&self.text).find(key) {
            Some(stretch) => error.at(&self.text, stretch),
            None => error,
        }
    }

    /// The file under ceilings from elsewhere, beside its own.
    #[must_use]
    pub fn under(mut self, above: Ceilings) -> Self {
        self.above = self.above.and(above);
        self
    }

    /// What no grant and no setting may exceed, as this file and others say.
    ///
    /// # Errors
    /// The file's own ceiling contradicts itself.
    pub fn ceilings(&self) -> Result<Ceilings, ConfigErrors> {
        let own = match &self.ceiling {
            Some(spec) => Ceilings::resolve(spec, &self.path, &self.text, &self.networks)?,
            None => Ceilings::default(),
        };
        Ok(own.and(self.above.clone()))
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

    /// Where the artifact of a driver is, where the file says so.
    #[must_use]
    pub fn source(&self, role: DriverRole) -> Option<PathBuf> {
        let source = self.base().join(self.driver(role)?.source.as_ref()?);
        // Shown to people: without steps that lead nowhere.
        Some(source.components().collect())
    }

    /// What a driver may do, placeholders filled from its own section.
    ///
    /// # Errors
    /// The grants contradict themselves or a limit, or exceed a ceiling.
    pub fn grants(&self, role: DriverRole) -> Result<Grants, ConfigErrors> {
        let config = self.driver(role).map(|section| section.config.clone());
        self.grants_with(role, &config.unwrap_or_default())
    }

    /// The same, with a section of configuration that stands elsewhere.
    ///
    /// # Errors
    /// As [`ConfigFile::grants`].
    pub fn grants_with(
        &self,
        role: DriverRole,
        config: &Map<String, Value>,
    ) -> Result<Grants, ConfigErrors> {
        let nothing = GrantsSpec::default();
        let grants = self
            .driver(role)
            .map_or(&nothing, |section| &section.grants);
        let config = Value::Object(config.clone());
        let grants = grants
            .resolve_within(&config, &absolute_base(&self.path), &self.networks)
            .map_err(|errors| grants::explain(&errors, role, &self.path, &self.text))?;
        self.ceilings()?
            .check(&grants, role, &self.path, &self.text)?;
        Ok(grants)
    }
}
