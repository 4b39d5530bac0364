//! `driver.toml`, with errors that say file, line, column and key.
//!
//! The file has what the embedded manifest has, except that `world` may be
//! left out: which contract a driver is built for is a fact of the build.

use std::ops::Range;
use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use servo_policy::Advice;
use toml::de::DeTable;

use super::{
    Asks, CancelSupport, DriverKind, Line, Manifest, ManifestError, Name, TomlError, World,
    may_recover, shape,
};

/// What a driver says it is, and what it asks for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DriverToml {
    /// Its name: lower-case letters, digits and hyphens, at most 63.
    #[schemars(with = "String")]
    name: Name,
    /// Its own version.
    #[schemars(with = "String")]
    version: semver::Version,
    /// Whether it measures an application or changes its settings.
    kind: DriverKind,
    /// One sentence for people.
    #[schemars(with = "String")]
    description: Line<200>,
    /// How it takes being cancelled.
    #[serde(default)]
    cancel: CancelSupport,
    /// Whether it takes up an adjustment that was cut short. Only where `kind` is `adjust`.
    #[schemars(with = "Option<bool>")]
    recover: Option<toml::Spanned<bool>>,
    /// The contract it is built for.
    #[serde(default)]
    #[schemars(with = "String")]
    world: World,
    /// What it would like to be granted. Asking gives it nothing.
    #[serde(default)]
    asks: Asks,
}

/// The JSON Schema (draft 2020-12) of `driver.toml`.
#[must_use]
pub fn schema() -> serde_json::Value {
    SchemaGenerator::new(SchemaSettings::draft2020_12())
        .into_root_schema_for::<DriverToml>()
        .to_value()
}

/// Reads the text of a `driver.toml`; `file` is named in errors.
///
/// # Errors
/// [`ManifestError::Toml`] with the place of the first mistake.
pub fn from_toml(text: &str, file: &Path) -> Result<Manifest, ManifestError> {
    let at = |span: Option<Range<usize>>, key: String, message: &str| {
        let (line, column) = place(text, span.map_or(0, |span| span.start));
        TomlError {
            file: file.to_owned(),
            line,
            column,
            key,
            advice: Advice::new(message.trim_end(), "correct it"),
        }
    };
    let document =
        DeTable::parse(text).map_err(|error| at(error.span(), ".".to_owned(), error.message()))?;
    if let Some(misfit) = shape::first_misfit(&schema(), &document) {
        let mut error = at(Some(misfit.span), misfit.key, "");
        error.advice = misfit.advice;
        return Err(error.into());
    }
    let toml = toml::Deserializer::from(document);
    let read: DriverToml = serde_path_to_error::deserialize(toml).map_err(|error| {
        let key = error.path().to_string();
        at(error.inner().span(), key, error.inner().message())
    })?;
    if let Some(recover) = &read.recover
        && let Err(message) = may_recover(read.kind, *recover.get_ref())
    {
        return Err(at(Some(recover.span()), "recover".to_owned(), message).into());
    }
    Ok(Manifest {
        name: read.name,
        version: read.version,
        kind: read.kind,
        description: read.description,
        cancel: read.cancel,
        recover: read.recover.is_some_and(toml::Spanned::into_inner),
        world: read.world,
        asks: read.asks,
    })
}

/// Line and column of a byte offset, both from 1, columns in characters.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    (line, column)
}
