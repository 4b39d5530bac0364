//! `driver.toml`, with errors that say file, line, column and key.
//!
//! The file has what the embedded manifest has, except that `world` may be
//! left out: which contract a driver is built for is a fact of the build.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use servo_policy::Advice;

use super::{
    Asks, CancelSupport, DriverKind, Line, Manifest, ManifestError, Name, TomlError, World,
    may_recover,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DriverToml {
    name: Name,
    version: semver::Version,
    kind: DriverKind,
    description: Line<200>,
    #[serde(default)]
    cancel: CancelSupport,
    recover: Option<toml::Spanned<bool>>,
    #[serde(default)]
    world: World,
    #[serde(default)]
    asks: Asks,
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
    let toml = toml::Deserializer::parse(text)
        .map_err(|error| at(error.span(), ".".to_owned(), error.message()))?;
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
