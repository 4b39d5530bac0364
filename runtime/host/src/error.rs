//! Why there is no driver to call.
//!
//! Whoever repairs it wants to know two things beside the problem: all the
//! problems at once, and whether to open the operator's file or to ask the
//! author of the driver.

use std::fmt;
use std::path::{Path, PathBuf};

use servo_artifact::{ArtifactError, DriverKind};
use servo_config::{ConfigError, ConfigErrors, ConfigFile, DriverRole};
use servo_egress::EgressError;
use servo_native::NativeError;
use servo_sandbox::SandboxError;
use thiserror::Error;

use crate::site::SiteError;

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What the operator wrote, or where things lie.
    Configuration,
    /// The driver, or the machine it is to run on.
    Driver,
}

/// Why there is no driver.
#[derive(Debug, Error)]
pub enum AssembleError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The folder that the servo runs in is wrong.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// What a key of the operator's file names is refused.
    #[error("{place}")]
    Source {
        /// What is wrong, and where it stands.
        place: ConfigError,
        /// Whose fault it is.
        fault: Fault,
    },
    /// The artifact is refused.
    #[error("{}", located(path, source))]
    Artifact {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ArtifactError,
    },
    /// The sandbox refuses the component or the grants.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The program cannot be run.
    #[error(transparent)]
    Native(#[from] NativeError),
    /// The network side cannot be set up.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// A program where only components may run.
    #[error(
        "{} is an ordinary program and no component: it could do whatever servo can; put a component \
         in its place, or allow programs with --allow-native-drivers", .0.display()
    )]
    Program(PathBuf),
    /// A driver of the wrong kind.
    #[error(
        "{}: a driver to {role} belongs here, and {name:?} is one to {kind}; name another artifact",
        path.display()
    )]
    Kind {
        /// The file.
        path: PathBuf,
        /// Where it stands.
        role: DriverRole,
        /// Its name.
        name: String,
        /// What it is.
        kind: DriverKind,
    },
}

/// Some errors name the file themselves.
fn located(path: &Path, error: &ArtifactError) -> String {
    let (path, text) = (path.display().to_string(), error.to_string());
    if text.contains(&path) {
        text
    } else {
        format!("{path}: {text}")
    }
}

impl AssembleError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Source { fault, .. } => *fault,
            Self::Config(_)
            | Self::Site(_)
            | Self::Program(_)
            | Self::Kind { .. }
            | Self::Artifact {
                source: ArtifactError::Io { .. } | ArtifactError::NotAFile { .. },
                ..
            }
            | Self::Sandbox(SandboxError::Grant { .. } | SandboxError::Egress(_)) => {
                Fault::Configuration
            }
            Self::Artifact { .. } | Self::Sandbox(_) | Self::Native(_) | Self::Egress(_) => {
                Fault::Driver
            }
        }
    }

    /// The same, with the place of the key that names the driver.
    pub(crate) fn at_source(self, file: &ConfigFile, role: DriverRole) -> Self {
        let key = format!("drivers.{role}.source");
        let missing = matches!(
            &self,
            Self::Artifact {
                source: ArtifactError::Io { .. },
                ..
            }
        );
        let text = self.to_string();
        let (problem, remedy) = match text.split_once("; ") {
            Some((problem, remedy)) => (problem, remedy),
            None if missing => (
                text.as_str(),
                "correct the path, which is relative to this file, or put the driver there",
            ),
            None => (
                text.as_str(),
                "name another artifact, or build this one again with `servo driver build`",
            ),
        };
        Self::Source {
            fault: self.fault(),
            place: file.error(&key, problem, remedy),
        }
    }

    /// The same, with the place of the grant that cannot be honoured.
    pub(crate) fn at_grants(self, file: &ConfigFile, role: DriverRole) -> Self {
        let problem = match &self {
            Self::Sandbox(SandboxError::Grant { problem, .. }) => problem.clone(),
            Self::Sandbox(SandboxError::Egress(error)) => error.to_string(),
            _ => return self,
        };
        let folders = file.driver(role).map(|section| &section.grants.folders);
        let folder = folders.and_then(|folders| {
            let named = |name: &str| problem.contains(&format!("folder {name:?}"));
            folders.iter().position(|folder| named(&folder.name))
        });
        let key = match (&self, folder) {
            (_, Some(index)) => format!("grants.folders[{index}].path"),
            (Self::Sandbox(SandboxError::Egress(_)), _) => "grants.http".to_owned(),
            _ if problem.contains("grants.actions") => "grants.actions".to_owned(),
            _ if problem.contains("grants.limits.memory") => "grants.limits.memory".to_owned(),
            _ => "grants".to_owned(),
        };
        let (problem, remedy) = problem
            .split_once("; ")
            .unwrap_or((&problem, "correct it, or remove the grant"));
        Self::Source {
            fault: Fault::Configuration,
            place: file.error(&format!("drivers.{role}.{key}"), problem, remedy),
        }
    }
}

/// Everything that keeps a driver from being called, at least one thing.
#[derive(Debug, Error)]
pub struct AssembleErrors(Vec<AssembleError>);

impl AssembleErrors {
    pub(crate) fn push(&mut self, error: AssembleError) {
        self.0.push(error);
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &AssembleError> {
        self.0.iter()
    }
}

impl<E: Into<AssembleError>> From<E> for AssembleErrors {
    fn from(error: E) -> Self {
        Self(vec![error.into()])
    }
}

impl fmt::Display for AssembleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}
