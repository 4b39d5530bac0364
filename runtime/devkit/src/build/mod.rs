//! `servo driver build`: from a folder of Rust to one `.wasm` that runs.
//!
//! Everything a build needs to know is found out here, so that the author runs
//! one command on any machine: which compiler there is (see [`route`]), which
//! drivers a path means, and how a small component is compiled. What comes out
//! is checked by the same code that will load it, hence a driver that builds
//! is a driver that is accepted.
//!
//! Whether anything has to be compiled is for cargo to decide: it knows, and
//! asking it costs under half a second.

mod cargo;
pub mod find;
pub mod machine;
pub mod route;
mod unavailable;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use servo_artifact::{Artifact, ArtifactError, Digest, DriverKind, ManifestError, manifest};

use find::Source;
use machine::{Local, Machine};
pub use route::Route;
pub use unavailable::Unavailable;

/// What to build, and where to.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Drivers, folders of drivers, or projects; empty: the current folder.
    pub paths: Vec<PathBuf>,
    /// Where the artifacts go; `target/drivers` of each workspace, when absent.
    pub out: Option<PathBuf>,
    /// Whether a missing compiler may be installed.
    pub install: bool,
    /// Whether cargo's progress is kept back unless it fails.
    pub quiet: bool,
}

/// One artifact that is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Built {
    /// The driver's name.
    pub name: String,
    /// Measure or adjust.
    pub kind: DriverKind,
    /// The artifact.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// The compiler it came from.
    pub route: Route,
    /// It was there already, byte for byte.
    pub fresh: bool,
    /// How long cargo took for the whole workspace.
    pub elapsed: Duration,
    /// Places in its sources that fail when they are reached.
    pub unavailable: Vec<Unavailable>,
}

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A file or folder cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The path holds no driver.
    #[error("{}: no driver here: a driver is a folder with driver.toml and Cargo.toml; make one with `servo driver new`", path.display())]
    NoDriver {
        /// What was given.
        path: PathBuf,
    },
    /// Two of them would be the same file.
    #[error("two drivers are named `{name}`: {} and {}; rename one in its driver.toml", first.display(), second.display())]
    SameName {
        /// The name.
        name: String,
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A `driver.toml` is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A `Cargo.toml` cannot be read.
    #[error("{}: {problem}", file.display())]
    CargoToml {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing here compiles to wasm32-wasip2.
    #[error("{}", NoCompiler { missing, tried })]
    NoCompiler {
        /// Debian packages that are not there.
        missing: Vec<String>,
        /// What installing was tried, and how it failed.
        tried: Vec<String>,
    },
    /// Cargo failed.
    #[error("`{command}` failed: {problem}")]
    Cargo {
        /// The command.
        command: String,
        /// What it said.
        problem: String,
    },
    /// Cargo built the package and made no component.
    #[error("{}: made no component; its Cargo.toml needs `[lib] crate-type = [\"cdylib\"]`", folder.display())]
    NoComponent {
        /// The driver's folder.
        folder: PathBuf,
    },
    /// What was built would not be accepted.
    #[error("{}: the driver builds, but {source}", folder.display())]
    Refused {
        /// The driver's folder.
        folder: PathBuf,
        /// Why.
        source: Box<ArtifactError>,
    },
}

struct NoCompiler<'a> {
    missing: &'a [String],
    tried: &'a [String],
}

impl fmt::Display for NoCompiler<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "no compiler for {} is installed. Install one of:",
            route::TARGET
        )?;
        writeln!(f, "  with rustup:    rustup target add {}", route::TARGET)?;
        writeln!(
            f,
            "  on Debian 12:   apt-get update && apt-get install --no-install-recommends {}",
            self.missing.join(" ")
        )?;
        match self.tried {
            [] => write!(f, "or let `servo driver build --install` do it"),
            tried => write!(f, "what was tried:\n  {}", tried.join("\n  ")),
        }
    }
}

/// Builds drivers on this machine.
///
/// # Errors
/// Why there is no artifact; none of an earlier build is touched in that case,
/// unless it belongs to a workspace that was built before the one that failed.
pub fn build(options: &BuildOptions) -> Result<Vec<Built>, BuildError> {
    build_on(&Local, options)
}

/// Builds drivers on a machine.
///
/// # Errors
/// As [`build`].
pub fn build_on(machine: &dyn Machine, options: &BuildOptions) -> Result<Vec<Built>, BuildError> {
    let sources = sources(&options.paths)?;
    // One compiler for all: artifacts of one call can then be compared.
    let Some(first) = sources.first() else {
        return Ok(Vec::new());
    };
    let route = route::find(machine, &first.folder, options.install)?;
    let mut workspaces: BTreeMap<PathBuf, Vec<Source>> = BTreeMap::new();
    for source in sources {
        let root = cargo::workspace_of(machine, route, &source)?;
        workspaces.entry(root).or_default().push(source);
    }
    let mut built = Vec::new();
    for (root, sources) in workspaces {
        let packages: Vec<&str> = sources
            .iter()
            .map(|source| source.package.as_str())
            .collect();
        let command = cargo::build(machine, route, &root, &packages, options.quiet);
        let began = Instant::now();
        let made = cargo::make(machine, &command)?;
        let elapsed = began.elapsed();
        let out = match &options.out {
            Some(out) => out.clone(),
            None => root.join("target").join("drivers"),
        };
        for source in sources {
            let file = made
                .iter()
                .find(|made| made.manifest_path == source.folder.join("Cargo.toml"))
                .map(|made| made.file.as_path())
                .ok_or_else(|| BuildError::NoComponent {
                    folder: source.folder.clone(),
                })?;
            let built_one = finish(&source, file, &out, route, elapsed)?;
            for place in &built_one.unavailable {
                machine.say(&format!("warning: {}: {place}", built_one.name));
            }
            built.push(built_one);
        }
    }
    Ok(built)
}

fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, BuildError> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here } else { paths };
    let mut sources: Vec<Source> = Vec::new();
    for path in paths {
        for found in find::drivers(path)? {
            let same = sources
                .iter()
                .find(|s| s.manifest.name == found.manifest.name);
            match same {
                Some(same) if same.folder == found.folder => {}
                Some(same) => {
                    return Err(BuildError::SameName {
                        name: found.manifest.name.to_string(),
                        first: same.folder.clone(),
                        second: found.folder,
                    });
                }
                None => sources.push(found),
            }
        }
    }
    Ok(sources)
}

/// Embeds the manifest, checks the result as a host would, and puts it in place.
fn finish(
    source: &Source,
    component: &Path,
    out: &Path,
    route: Route,
    elapsed: Duration,
) -> Result<Built, BuildError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| BuildError::Io { path, source }
    };
    let bytes = fs::read(component).map_err(io(component))?;
    let refused = |error: ArtifactError| BuildError::Refused {
        folder: source.folder.clone(),
        source: Box::new(error),
    };
    let bytes = manifest::embed(&bytes, &source.manifest).map_err(|e| refused(e.into()))?;
    let artifact = Artifact::from_bytes(bytes).map_err(refused)?;
    let path = out.join(format!("{}.wasm", source.manifest.name));
    let fresh = fs::read(&path).is_ok_and(|there| there == artifact.bytes());
    if !fresh {
        fs::create_dir_all(out).map_err(io(out))?;
        let mut file = tempfile::NamedTempFile::new_in(out).map_err(io(out))?;
        file.write_all(artifact.bytes()).map_err(io(&path))?;
        // Temporary files are private; an artifact is for everybody to read.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(io(&path))?;
        file.persist(&path).map_err(|e| io(&path)(e.error))?;
    }
    Ok(Built {
        name: source.manifest.name.to_string(),
        kind: artifact.kind(),
        size: artifact.bytes().len() as u64,
        digest: artifact.digest(),
        path,
        route,
        fresh,
        elapsed,
        unavailable: unavailable::find(&source.folder).map_err(io(&source.folder))?,
    })
}

#[cfg(test)]
mod tests;
