//! Folders of the host that a driver may see, by name.
//!
//! A guest sees `/<name>`, never the path on the host. Two granted folders may
//! not contain one another: a file that is read-only under one name and
//! writable under another is a grant that nobody reads correctly. Paths are
//! made absolute and free of `.` and `..` here, and the result is what is
//! opened, so that what was checked is what is used. Links are the opener's
//! concern: it must run [`check_overlap`] again on canonical paths.

use std::path::{Component, Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Advice, PolicyError};

/// What a driver may do in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// List and read.
    #[default]
    Read,
    /// List, read, create, change and remove.
    Write,
}

/// A folder grant as the operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderSpec {
    /// The name the driver sees: `/<name>`. `[a-z][a-z0-9-]*`, at most 63.
    #[schemars(regex(pattern = "^[a-z][a-z0-9-]{0,62}$"))]
    pub name: String,
    /// The folder on the host; relative to the file that holds the grant.
    pub path: PathBuf,
    /// What the driver may do there; reading, unless said.
    #[serde(default)]
    pub access: Access,
}

/// A folder grant in which nothing is left to interpret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderGrant {
    /// The name the driver sees.
    pub name: String,
    /// Absolute path on the host, without `.` and `..`.
    pub path: PathBuf,
    /// What the driver may do there.
    pub access: Access,
}

/// The folders that are as they should be; what is wrong with the others goes to
/// `wrong`.
pub(crate) fn resolve(
    specs: &[FolderSpec],
    base: &Path,
    wrong: &mut Vec<PolicyError>,
) -> Vec<FolderGrant> {
    let before = wrong.len();
    let mut folders: Vec<FolderGrant> = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let mut refuse = |key: &str, advice: Advice| {
            wrong.push(PolicyError::Folder {
                key: format!("grants.folders[{index}].{key}"),
                advice,
            });
        };
        if let Err(advice) = check_name(&spec.name) {
            refuse("name", advice);
        } else if folders.iter().any(|folder| folder.name == spec.name) {
            let advice = Advice::new(
                format!("the name {:?} is used twice", spec.name),
                "choose another",
            );
            refuse("name", advice);
        } else if let Some(path) = absolute(&base.join(&spec.path)) {
            folders.push(FolderGrant {
                name: spec.name.clone(),
                path,
                access: spec.access,
            });
        } else {
            let advice = Advice::new(
                format!("{:?} does not lead to a folder below the root", spec.path),
                "write an absolute path, or one relative to the file",
            );
            refuse("path", advice);
        }
    }
    // The error about an overlap counts the folders, so none may be missing.
    if wrong.len() == before
        && let Err(FolderOverlap { key, advice }) = check_overlap(&folders)
    {
        wrong.push(PolicyError::Folder { key, advice });
    }
    folders
}

/// Two folders of which one is, or contains, the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderOverlap {
    /// The later one, such as `grants.folders[1].path`.
    pub key: String,
    /// What is wrong, and what to do.
    pub advice: Advice,
}

/// Refuses folders of which one is, or contains, the other. Run it again on
/// canonical paths once links have been followed.
///
/// # Errors
/// The first pair that overlaps, by name.
pub fn check_overlap(folders: &[FolderGrant]) -> Result<(), FolderOverlap> {
    for (index, folder) in folders.iter().enumerate() {
        for earlier in folders.iter().take(index) {
            if folder.path.starts_with(&earlier.path) || earlier.path.starts_with(&folder.path) {
                return Err(FolderOverlap {
                    key: format!("grants.folders[{index}].path"),
                    advice: Advice::new(
                        format!(
                            "the folders {:?} ({}) and {:?} ({}) overlap",
                            earlier.name,
                            earlier.path.display(),
                            folder.name,
                            folder.path.display()
                        ),
                        "grant one of them, or two that do not contain one another",
                    ),
                });
            }
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Advice> {
    let first = name.bytes().next();
    let good = first.is_some_and(|b| b.is_ascii_lowercase())
        && name.len() <= 63
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !good {
        return Err(Advice::new(
            format!("{name:?} is not a folder name"),
            "use lower-case letters, digits and hyphens, starting with a letter, at most 63",
        ));
    }
    if name == "scratch" {
        return Err(Advice::new(
            "`scratch` is the name of the temporary folder",
            "choose another, or use `grants.scratch`",
        )
        .to_owned());
    }
    Ok(())
}

/// A path of a file that stands in `base`, in the form in which it is shown: without
/// steps that lead nowhere.
pub(crate) fn below(base: &Path, path: &Path) -> PathBuf {
    base.join(path).components().collect()
}

/// The path without `.` and `..`; none where that leads out of the root, or is it.
pub(crate) fn absolute(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Prefix(_) | Component::RootDir => out.push(part),
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::Normal(name) => out.push(name),
        }
    }
    // The root itself is never a grant: it holds every other folder.
    (out.is_absolute() && out.parent().is_some()).then_some(out)
}
