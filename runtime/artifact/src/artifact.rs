//! One artifact, read once and judged from that one copy.
//!
//! A file that is hashed through one handle and compiled through another can
//! change in between, so the bytes are read once, and everything (digest,
//! manifest, imports and, later, compiling) works on that buffer.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::ArtifactError;
use crate::manifest::{self, DriverKind, Manifest};
use crate::scan::{self, Item};
use crate::world::{self, Interface};

/// Largest artifact accepted unless the caller says otherwise: 16 MiB.
///
/// Rust and C drivers have 60 to 300 KB and QuickJS ones 1 MB, so this is room
/// for fifty times the usual. Interpreters with their library (CPython, 18 to
/// 26 MB) go over it on purpose: compiling one takes a quarter of a minute and
/// hundreds of megabytes, which an operator should decide, not meet.
pub const DEFAULT_MAX_SIZE: u64 = 16 << 20;

/// A driver's component together with what it says about itself. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Artifact(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    bytes: Vec<u8>,
    digest: Digest,
    manifest: Manifest,
    imports: Vec<Interface>,
    export: Interface,
}

impl Artifact {
    /// Reads and checks a file of at most [`DEFAULT_MAX_SIZE`] bytes.
    ///
    /// # Errors
    /// As [`Artifact::read_up_to`].
    pub fn read(path: impl AsRef<Path>) -> Result<Artifact, ArtifactError> {
        Artifact::read_up_to(path, DEFAULT_MAX_SIZE)
    }

    /// Reads and checks a file of at most `max` bytes.
    ///
    /// # Errors
    /// Why the artifact is refused. A file over the cap is not read, and a
    /// pipe or device is not waited for.
    pub fn read_up_to(path: impl AsRef<Path>, max: u64) -> Result<Artifact, ArtifactError> {
        let path = path.as_ref();
        let io = |source| ArtifactError::Io {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            // A named pipe would otherwise block until somebody writes to it.
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(path)
            .map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(ArtifactError::NotAFile {
                path: path.to_owned(),
            });
        }
        let size = metadata.len();
        if size > max {
            return Err(ArtifactError::TooLarge { size, max });
        }
        // The size can change after it was asked for: one byte more than the
        // cap is enough to notice.
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(io)?;
        let size = bytes.len() as u64;
        if size > max {
            return Err(ArtifactError::TooLarge { size, max });
        }
        Artifact::from_bytes(bytes)
    }

    /// Checks bytes that are in memory already.
    ///
    /// # Errors
    /// Why the artifact is refused.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Artifact, ArtifactError> {
        let bytes = bytes.into();
        let scan = scan::scan(&bytes)?;
        let imports = check_imports(&scan.imports)?;
        let (export, exported) = check_exports(&scan.exports)?;
        let manifest = manifest::from_sections(&scan.manifests)?;
        if manifest.kind != exported {
            return Err(ArtifactError::KindMismatch {
                manifest: manifest.kind,
                exported,
            });
        }
        let digest = Digest::of(&bytes);
        Ok(Artifact(Arc::new(Parts {
            bytes,
            digest,
            manifest,
            imports,
            export,
        })))
    }

    /// The component's bytes: the very ones that were hashed and checked.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// SHA-256 of [`Artifact::bytes`].
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// What the driver says it is and asks for.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// Measure or adjust; manifest and exports agree on it.
    pub fn kind(&self) -> DriverKind {
        self.0.manifest.kind
    }

    /// The interfaces it imports, sorted.
    pub fn imports(&self) -> &[Interface] {
        &self.0.imports
    }

    /// The driver interface it exports.
    pub fn export(&self) -> &Interface {
        &self.0.export
    }

    /// Whether it imports any interface of that package, for example `wasi:http`.
    pub fn imports_package(&self, package: &str) -> bool {
        self.imports().iter().any(|i| i.package == package)
    }
}

fn check_imports(items: &[Item<'_>]) -> Result<Vec<Interface>, ArtifactError> {
    let mut allowed = Vec::new();
    let mut names = Vec::new();
    for item in items {
        match Interface::parse(item.name) {
            Some(interface) if item.is_instance && interface.may_be_imported() => {
                allowed.push(interface);
            }
            _ => names.push(item.name.to_owned()),
        }
    }
    if !names.is_empty() {
        return Err(ArtifactError::ForbiddenImports { names });
    }
    allowed.sort();
    allowed.dedup();
    Ok(allowed)
}

/// Exports that are not ours are left alone: nobody ever calls them.
fn check_exports(items: &[Item<'_>]) -> Result<(Interface, DriverKind), ArtifactError> {
    let ours: Vec<(Interface, DriverKind)> = items
        .iter()
        .filter(|item| item.is_instance)
        .filter_map(|item| Interface::parse(item.name))
        .filter_map(|interface| interface.driver_kind().map(|kind| (interface, kind)))
        .collect();
    match <[_; 1]>::try_from(ours) {
        Ok([(found, _)]) if !world::served(&found.version) => {
            Err(ArtifactError::UnknownWorld { found })
        }
        Ok([one]) => Ok(one),
        Err(none) if none.is_empty() => Err(ArtifactError::NoDriverExport {
            exports: items.iter().map(|item| item.name.to_owned()).collect(),
        }),
        Err(several) => Err(ArtifactError::SeveralDriverExports {
            exports: several.iter().map(|(i, _)| i.to_string()).collect(),
        }),
    }
}
