//! Where a secret comes from. Its value never passes through this crate.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Advice;
use crate::folder::below;

/// Where a secret comes from; exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSpec {
    /// A file; relative to the file that holds the grant. Read again when it
    /// changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A variable of servo's own environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A program of the operator and its arguments, whose standard output is
    /// the secret. Not run by a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// A file, by its absolute path. One final line end is not part of the secret.
    File(PathBuf),
    /// A variable of the host's environment.
    Env(String),
    /// A program and its arguments, at least one element. Its standard output,
    /// without one final line end, is the secret.
    Command(Vec<String>),
}

impl SecretSpec {
    /// The one source that is given; relative paths are below `base`.
    ///
    /// # Errors
    /// None or more than one is given, or the one given is empty: the problem
    /// and its remedy.
    pub fn resolve(&self, base: &Path) -> Result<SecretSource, Advice> {
        match (&self.file, &self.env, &self.command) {
            (Some(path), None, None) if path.as_os_str().is_empty() => {
                Err(Advice::new("the path is empty", "write where the file is"))
            }
            (Some(path), None, None) => Ok(SecretSource::File(below(base, path))),
            (None, Some(name), None) if is_variable(name) => Ok(SecretSource::Env(name.clone())),
            (None, Some(name), None) => Err(Advice::new(
                format!("{name:?} is no name of a variable"),
                "use letters, digits and `_`",
            )),
            (None, None, Some(argv)) if argv.first().is_none_or(String::is_empty) => Err(
                Advice::new("the command is empty", "write a program and its arguments"),
            ),
            (None, None, Some(argv)) if argv.iter().any(|part| part.contains('\0')) => {
                Err(Advice::new("the command holds a zero byte", "remove it"))
            }
            (None, None, Some(argv)) => Ok(SecretSource::Command(argv.clone())),
            _ => Err(Advice::new(
                "a secret comes from exactly one place",
                "write one of `file`, `env` and `command`",
            )),
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl SecretSource {
    /// Where the secret comes from in plain words. Arguments of a command are
    /// left out: they may say more than they should.
    pub fn explain(&self) -> String {
        match self {
            Self::File(path) => format!("the file {}", path.display()),
            Self::Env(name) => format!("servo's variable {name}"),
            Self::Command(argv) => {
                let program = argv.first().map_or("", String::as_str);
                format!("the output of {program}")
            }
        }
    }
}
