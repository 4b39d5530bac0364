//! `servo driver new`: a project that builds and passes its tests as it is.
//!
//! What is written is a small driver that does something real in steps, not a
//! skeleton of empty functions: an author changes what works. The SDK comes
//! along in `vendor/`, so that the project needs nothing of ours from any
//! registry and goes on building when the next version of the SDK is out.
//!
//! The project is made beside its place and moved there whole: a failure
//! leaves nothing behind, and nothing that exists is touched.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use servo_artifact::DriverKind;
use servo_artifact::manifest::Name;

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// Why there is no new project.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScaffoldError {
    /// The name is not one a driver can have.
    #[error("`{name}` cannot be the name of a driver: {problem}")]
    Name {
        /// What was given.
        name: String,
        /// What names are like.
        problem: String,
    },
    /// Something is there already.
    #[error("{} exists and is not an empty folder; choose another name or place", path.display())]
    Exists {
        /// Where the project would go.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// What cannot be written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A project that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its folder: the driver's name, in the folder that was given.
    pub folder: PathBuf,
    /// What the author will work with, relative to it: the SDK's files are
    /// left out.
    pub files: Vec<PathBuf>,
}

/// The files of a project: where each goes, and its template.
fn templates(kind: DriverKind) -> [(&'static str, &'static str); 6] {
    macro_rules! of {
        ($kind:literal) => {
            [
                (
                    "Cargo.toml",
                    include_str!("../templates/common/Cargo.toml.in"),
                ),
                (
                    ".gitignore",
                    include_str!("../templates/common/gitignore.in"),
                ),
                (
                    "driver.toml",
                    include_str!(concat!("../templates/", $kind, "/driver.toml.in")),
                ),
                (
                    "README.md",
                    include_str!(concat!("../templates/", $kind, "/README.md.in")),
                ),
                (
                    "src/lib.rs",
                    include_str!(concat!("../templates/", $kind, "/lib.rs.in")),
                ),
                (
                    "src/tests.rs",
                    include_str!(concat!("../templates/", $kind, "/tests.rs.in")),
                ),
            ]
        };
    }
    match kind {
        DriverKind::Measure => of!("measure"),
        DriverKind::Adjust => of!("adjust"),
    }
}

/// Makes a project for a driver of that name and kind in the folder `parent`.
///
/// # Errors
/// A bad name, something in the way, or a folder that cannot be written.
pub fn create(parent: &Path, name: &str, kind: DriverKind) -> Result<Project, ScaffoldError> {
    let name: Name = name.parse().map_err(|problem| ScaffoldError::Name {
        name: name.chars().take(80).collect(),
        problem,
    })?;
    let folder = parent.join(name.as_str());
    let exists = || ScaffoldError::Exists {
        path: folder.clone(),
    };
    let is_free = match fs::read_dir(&folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_free {
        return Err(exists());
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| ScaffoldError::Io { path, source }
    };
    let beside = tempfile::Builder::new()
        .prefix(".servo-driver-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir_in(parent)
        .map_err(at(parent))?;
    let write = |name: &Path, text: &str| {
        let file = beside.path().join(name);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(at(folder))?;
        }
        fs::write(&file, text).map_err(at(&folder.join(name)))
    };
    let mut files = Vec::new();
    for (file, template) in templates(kind) {
        write(
            Path::new(file),
            &template.replace("{{name}}", name.as_str()),
        )?;
        files.push(PathBuf::from(file));
    }
    for (file, text) in SDK {
        write(&Path::new("vendor/servo-driver").join(file), text)?;
    }
    // Taken over an empty folder as well, but never over anything else.
    fs::rename(beside.path(), &folder).map_err(|error| match error.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => exists(),
        _ => at(&folder)(error),
    })?;
    // It is no longer where it was made, so there is nothing to remove.
    let _ = beside.keep();
    Ok(Project { folder, files })
}
