//! Where the main job's drivers come from.
//!
//! They are part of this source tree, and components cannot be published
//! inside the binary without a compiler for them at the time the binary is
//! built. So they are built when they are first needed, from the tree the
//! program is run in, or the one it was built from.

use std::path::{Path, PathBuf};

use servo_devkit::build::{self, BuildError, BuildOptions};
use thiserror::Error;

/// The component files of the main job's drivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// The driver `ab`.
    pub measure: PathBuf,
    /// The driver `http`.
    pub adjust: PathBuf,
}

/// Why there are no components.
#[derive(Debug, Error)]
pub enum ComponentsError {
    /// There is no source tree to build them from.
    #[error(
        "found no source tree with `drivers/ab` and `drivers/http`, neither around {} nor where \
         this program was built; run it in a clone, or name a folder that holds `ab.wasm` and \
         `http.wasm` with `--drivers DIR`",
        .0.display()
    )]
    NoSources(PathBuf),
    /// The folder given does not hold them.
    #[error("{}: not there; `--drivers` needs a folder with `ab.wasm` and `http.wasm`", .0.display())]
    Missing(PathBuf),
    /// They cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A build that worked did not bring one of them.
    #[error("the build brought no driver named {0:?}")]
    NotBuilt(&'static str),
}

impl Components {
    /// Ready components in a folder.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn in_folder(folder: &Path) -> Result<Self, ComponentsError> {
        let file = |name: &str| {
            let path = folder.join(name);
            if path.is_file() {
                Ok(path)
            } else {
                Err(ComponentsError::Missing(path))
            }
        };
        Ok(Self {
            measure: file("ab.wasm")?,
            adjust: file("http.wasm")?,
        })
    }

    /// Builds them, installing the missing compiler parts. Blocks, the first
    /// time for minutes.
    ///
    /// # Errors
    /// No source tree, no compiler, or a build that fails.
    pub fn build(here: &Path) -> Result<Self, ComponentsError> {
        let tree = tree(here).ok_or_else(|| ComponentsError::NoSources(here.to_owned()))?;
        let built = build::build(&BuildOptions {
            paths: vec![tree.join("drivers/ab"), tree.join("drivers/http")],
            out: None,
            install: true,
            quiet: false,
        })?;
        let find = |name: &'static str| {
            built
                .iter()
                .find(|driver| driver.name == name)
                .map(|driver| driver.path.clone())
                .ok_or(ComponentsError::NotBuilt(name))
        };
        Ok(Self {
            measure: find("ab")?,
            adjust: find("http")?,
        })
    }
}

/// The source tree around a folder, or the one this program was built from.
fn tree(here: &Path) -> Option<PathBuf> {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_tree = |folder: &&Path| {
        ["ab", "http"].iter().all(|name| {
            folder
                .join("drivers")
                .join(name)
                .join("driver.toml")
                .is_file()
        })
    };
    here.ancestors()
        .chain(built_from.ancestors())
        .find(is_tree)
        .map(Path::to_owned)
}
