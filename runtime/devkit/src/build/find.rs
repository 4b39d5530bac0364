//! Which drivers a path means.
//!
//! A driver is a folder with a `driver.toml` beside its `Cargo.toml`. A path
//! may name one, a folder of them, or a project that keeps them in `drivers/`;
//! nothing is searched deeper, so that a vendored driver is never built by
//! accident.

use std::fs;
use std::path::{Path, PathBuf};

use servo_artifact::{Manifest, manifest};

use super::BuildError;

/// The source of one driver.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The folder that holds it, absolute.
    pub folder: PathBuf,
    /// Its cargo package.
    pub package: String,
    /// What its `driver.toml` says.
    pub manifest: Manifest,
}

/// The drivers that `path` means, in the order of their folders.
///
/// # Errors
/// No driver there, or one whose `driver.toml` or `Cargo.toml` is wrong.
pub fn drivers(path: &Path) -> Result<Vec<Source>, BuildError> {
    let io = |source| BuildError::Io {
        path: path.to_owned(),
        source,
    };
    let root = path.canonicalize().map_err(io)?;
    let root = match (root.is_file(), root.parent()) {
        (true, Some(parent)) => parent.to_owned(),
        _ => root,
    };
    let is_driver = |folder: &PathBuf| folder.join("driver.toml").is_file();
    let inside = |folder: &Path| -> Result<Vec<PathBuf>, BuildError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(io)? {
            found.push(entry.map_err(io)?.path());
        }
        found.retain(is_driver);
        found.sort();
        Ok(found)
    };
    let mut folders = match is_driver(&root) {
        true => vec![root.clone()],
        false => inside(&root)?,
    };
    let nested = root.join("drivers");
    if folders.is_empty() && nested.is_dir() {
        folders = inside(&nested)?;
    }
    if folders.is_empty() {
        return Err(BuildError::NoDriver {
            path: path.to_owned(),
        });
    }
    folders.into_iter().map(source).collect()
}

fn source(folder: PathBuf) -> Result<Source, BuildError> {
    let read = |file: &Path| {
        fs::read_to_string(file).map_err(|source| BuildError::Io {
            path: file.to_owned(),
            source,
        })
    };
    let file = folder.join("driver.toml");
    let manifest = manifest::from_toml(&read(&file)?, &file)?;
    let file = folder.join("Cargo.toml");
    let cargo: toml::Table =
        read(&file)?
            .parse()
            .map_err(|error: toml::de::Error| BuildError::CargoToml {
                file: file.clone(),
                problem: error.message().to_owned(),
            })?;
    let package = cargo
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str)
        .ok_or_else(|| BuildError::CargoToml {
            file,
            problem: "it has no `package.name`".to_owned(),
        })?
        .to_owned();
    Ok(Source {
        folder,
        package,
        manifest,
    })
}
