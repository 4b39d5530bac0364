//! Why there is no driver to call.
//!
//! Whoever repairs it wants to know two things beside the problem: all the
//! problems at once, and whether to open the operator's file or to ask the
//! author of the driver.

use std::fmt;
use std::path::PathBuf;

use servo_artifact::{ArtifactError, DriverKind};
use servo_config::{ConfigError, ConfigErrors, ConfigFile, DriverRole};
use servo_egress::EgressError;
use servo_native::NativeError;
use servo_policy::Advice;
use servo_sandbox::SandboxError;
use thiserror::Error;

use crate::explanation::Explanation;
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
#[derive(Debug)]
pub enum AssembleError {
    /// The configuration is wrong.
    Config(ConfigErrors),
    /// The folder that the servo runs in is wrong.
    Site(SiteError),
    /// What a key of the operator's file names is refused.
    Source {
        /// What is wrong, and where it stands.
        place: ConfigError,
        /// Whose fault it is.
        fault: Fault,
    },
    /// The artifact is refused.
    Artifact {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ArtifactError,
    },
    /// The sandbox refuses the component or the grants.
    Sandbox(SandboxError),
    /// The program cannot be run.
    Native(NativeError),
    /// The network side cannot be set up.
    Egress(EgressError),
    /// A program where only components may run.
    Program(PathBuf),
    /// A driver of the wrong kind.
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

    /// What is wrong, where it stands, and what to do.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let again = "name another artifact, or build this one again with `servo driver build`";
        Explanation::Advice(match self {
            Self::Config(errors) => return Explanation::Places(errors.iter().cloned().collect()),
            Self::Site(error) => return error.explain(),
            Self::Source { place, .. } => return Explanation::Places(vec![place.clone()]),
            Self::Artifact { path, source } => {
                let advice = source.advice();
                if source.names_file() {
                    advice
                } else {
                    let problem = format!("{}: {}", path.display(), advice.problem);
                    Advice::new(problem, advice.remedy)
                }
            }
            Self::Sandbox(SandboxError::Grant {
                driver,
                key,
                advice,
            }) => Advice::new(
                format!("driver {driver:?}: {key}: {}", advice.problem),
                advice.remedy.as_str(),
            ),
            Self::Sandbox(SandboxError::Egress(error)) | Self::Egress(error) => {
                Advice::new(error.to_string(), "correct the grant that needs it")
            }
            Self::Sandbox(error @ SandboxError::Engine(_)) => Advice::new(
                error.to_string(),
                "give servo more memory and address space (see `ulimit -v`)",
            ),
            Self::Sandbox(error) => Advice::new(error.to_string(), again),
            Self::Native(error) => error.advice(),
            Self::Program(path) => Advice::new(
                format!(
                    "{} is an ordinary program and no component: it could do whatever servo can",
                    path.display()
                ),
                "put a component in its place, or allow programs with --allow-native-drivers",
            ),
            Self::Kind {
                path,
                role,
                name,
                kind,
            } => Advice::new(
                format!(
                    "{}: a driver to {role} belongs here, and {name:?} is one to {kind}",
                    path.display()
                ),
                "name another artifact",
            ),
        })
    }

    /// The same, with the place of the key that names the driver.
    pub(crate) fn at_source(self, file: &ConfigFile, role: DriverRole) -> Self {
        let Explanation::Advice(mut advice) = self.explain() else {
            return self;
        };
        if let Self::Artifact {
            source: ArtifactError::Io { .. },
            ..
        } = &self
        {
            advice.remedy =
                "correct the path, which is relative to this file, or put the driver there"
                    .to_owned();
        }
        Self::Source {
            fault: self.fault(),
            place: file.error(
                &format!("drivers.{role}.source"),
                advice.problem,
                advice.remedy,
            ),
        }
    }

    /// The same, with the place of the grant that cannot be honoured.
    pub(crate) fn at_grants(self, file: &ConfigFile, role: DriverRole) -> Self {
        let (key, advice) = match &self {
            Self::Sandbox(SandboxError::Grant { key, advice, .. }) => (key.clone(), advice.clone()),
            Self::Sandbox(SandboxError::Egress(error)) => (
                egress_key(error, file, role),
                Advice::new(error.to_string(), "correct it, or remove it from the rule"),
            ),
            _ => return self,
        };
        Self::Source {
            fault: Fault::Configuration,
            place: file.error(
                &format!("drivers.{role}.{key}"),
                advice.problem,
                advice.remedy,
            ),
        }
    }
}

/// The key of the rule that the network side refuses.
fn egress_key(error: &EgressError, file: &ConfigFile, role: DriverRole) -> String {
    let rule = match error {
        EgressError::Credential { rule, .. } | EgressError::Identity { rule, .. } => Some(*rule),
        EgressError::Authority { path, .. } => file.driver(role).and_then(|section| {
            section.grants.http.iter().position(|rule| {
                let ca = rule.ca.as_ref();
                ca.is_some_and(|ca| path.ends_with(ca.strip_prefix("./").unwrap_or(ca)))
            })
        }),
        _ => None,
    };
    rule.map_or_else(
        || "grants.http".to_owned(),
        |rule| format!("grants.http[{rule}].rule"),
    )
}

impl fmt::Display for AssembleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explain().fmt(f)
    }
}

impl std::error::Error for AssembleError {}

macro_rules! from {
    ($($error:ident => $variant:ident,)+) => {$(
        impl From<$error> for AssembleError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )+};
}

from! {
    ConfigErrors => Config,
    SiteError => Site,
    SandboxError => Sandbox,
    NativeError => Native,
    EgressError => Egress,
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
