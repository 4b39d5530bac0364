//! Why an artifact is refused.
//!
//! Every message can reach an operator who did not write the driver, so it
//! says what is wrong and what to do. Names that come from the file are
//! escaped and shortened: they are a stranger's text on a terminal.

use std::path::PathBuf;

use servo_policy::Advice;

use crate::manifest::{DriverKind, ManifestError};
use crate::scan::NotAComponent;
use crate::world::{Interface, WORLD};

/// Why an artifact is refused. Nothing of it has run.
#[derive(Debug)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The file cannot be opened or read.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A folder, a device, a pipe.
    NotAFile {
        /// What was given.
        path: PathBuf,
    },
    /// Over the cap; it was not read.
    TooLarge {
        /// Its size in bytes, as far as it was looked at.
        size: u64,
        /// The cap in bytes.
        max: u64,
    },
    /// Not a component at all.
    NotAComponent(NotAComponent),
    /// The manifest is missing, doubled or wrong.
    Manifest(ManifestError),
    /// Something is imported that no driver may have.
    ForbiddenImports {
        /// The names as they stand in the file.
        names: Vec<String>,
    },
    /// Neither `measure` nor `adjust` is exported.
    NoDriverExport {
        /// What it does export.
        exports: Vec<String>,
    },
    /// More than one interface of ours is exported.
    SeveralDriverExports {
        /// All of them.
        exports: Vec<String>,
    },
    /// The contract's version is not one that this host serves.
    UnknownWorld {
        /// The interface with its version.
        found: Interface,
    },
    /// The manifest says one thing and the exports another.
    KindMismatch {
        /// What the manifest says.
        manifest: DriverKind,
        /// What the exports say.
        exported: DriverKind,
    },
}

impl ArtifactError {
    /// What is wrong, and what to do.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Io { path, source } => Advice::new(
                format!("cannot read {}: {source}", path.display()),
                "correct the path, or put the driver there",
            ),
            Self::NotAFile { path } => Advice::new(
                format!("{} is not a regular file", path.display()),
                "name the file of a component",
            ),
            Self::TooLarge { size, max } => Advice::new(
                format!("the file has {size} bytes or more, and at most {max} are accepted"),
                "build the driver for release, without debug information",
            ),
            Self::NotAComponent(error) => error.advice(),
            Self::Manifest(error) => error.advice(),
            Self::ForbiddenImports { names } => Advice::new(
                format!("imports what no driver may have: {}", Names(names)),
                "build the driver without them, or name another artifact",
            ),
            Self::NoDriverExport { exports } => Advice::new(
                format!(
                    "exports neither servo:driver/measure nor servo:driver/adjust, so it is no \
                     driver; it exports {}",
                    Names(exports)
                ),
                "export one of the two, or name another artifact",
            ),
            Self::SeveralDriverExports { exports } => Advice::new(
                format!("exports more than one driver interface: {}", Names(exports)),
                "build one artifact for each",
            ),
            Self::UnknownWorld { found } => Advice::new(
                format!("speaks {found}, and this servo serves {WORLD}"),
                "build the driver with the SDK of this version, or update servo",
            ),
            Self::KindMismatch { manifest, exported } => Advice::new(
                format!(
                    "its manifest says kind = \"{manifest}\", but it exports the interface of kind \
                     \"{exported}\""
                ),
                "correct `kind` in driver.toml and build it again",
            ),
        }
    }

    /// The file, where the problem names it.
    pub fn names_file(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::NotAFile { .. })
    }
}

impl std::fmt::Display for ArtifactError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.advice().fmt(f)
    }
}

impl std::error::Error for ArtifactError {}

impl From<NotAComponent> for ArtifactError {
    fn from(error: NotAComponent) -> Self {
        Self::NotAComponent(error)
    }
}

impl From<ManifestError> for ArtifactError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}

/// Names out of a file nobody trusts: escaped, shortened, counted.
struct Names<'a>(&'a [String]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 12;
        const BYTES: usize = 100;
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (i, name) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}", servo_text::shown_within(name, BYTES))?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
