//! Why an artifact is refused.
//!
//! Every message can reach an operator who did not write the driver, so it
//! says what is wrong and what to do. Names that come from the file are
//! escaped and shortened: they are a stranger's text on a terminal.

use std::path::PathBuf;

use crate::manifest::{DriverKind, ManifestError};
use crate::scan::NotAComponent;
use crate::world::{Interface, WORLD};

/// Why an artifact is refused. Nothing of it has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A folder, a device, a pipe.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// What was given.
        path: PathBuf,
    },
    /// Over the cap; it was not read.
    #[error("the file has {size} bytes or more; at most {max} are accepted")]
    TooLarge {
        /// Its size in bytes, as far as it was looked at.
        size: u64,
        /// The cap in bytes.
        max: u64,
    },
    /// Not a component at all.
    #[error(transparent)]
    NotAComponent(#[from] NotAComponent),
    /// The manifest is missing, doubled or wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Something is imported that no driver may have.
    #[error("imports what no driver may have: {}", Names(names))]
    ForbiddenImports {
        /// The names as they stand in the file.
        names: Vec<String>,
    },
    /// Neither `measure` nor `adjust` is exported.
    #[error(
        "exports neither servo:driver/measure nor servo:driver/adjust, so it is no driver; it exports {}",
        Names(exports)
    )]
    NoDriverExport {
        /// What it does export.
        exports: Vec<String>,
    },
    /// More than one interface of ours is exported.
    #[error(
        "exports more than one driver interface: {}; build one artifact for each",
        Names(exports)
    )]
    SeveralDriverExports {
        /// All of them.
        exports: Vec<String>,
    },
    /// The contract's version is not one that this host serves.
    #[error(
        "speaks {found}, and this servo serves {WORLD}; build the driver with the SDK of this version, or update servo"
    )]
    UnknownWorld {
        /// The interface with its version.
        found: Interface,
    },
    /// The manifest says one thing and the exports another.
    #[error(
        "its manifest says kind = \"{manifest}\", but it exports the interface of kind \"{exported}\"; correct `kind` in driver.toml and build it again"
    )]
    KindMismatch {
        /// What the manifest says.
        manifest: DriverKind,
        /// What the exports say.
        exported: DriverKind,
    },
}

/// Names out of a file nobody trusts: escaped, shortened, counted.
struct Names<'a>(&'a [String]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 12;
        const CHARS: usize = 100;
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (i, name) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let shown: String = name.chars().take(CHARS).collect();
            let dots = if shown.len() < name.len() { "..." } else { "" };
            write!(f, "{comma}{}{dots}", shown.escape_debug())?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
