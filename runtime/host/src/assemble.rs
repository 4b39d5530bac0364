//! From an operator's words to drivers that can be called.
//!
//! The same few steps lead to a driver wherever one is run: read the artifact,
//! compile it, join it with configuration and grants. They stand here once, so
//! that a driver tried on the command line is the driver that will run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use servo_agent::{ConfigError, ConfigFile, DriverRole};
use servo_artifact::{
    Artifact, ArtifactError, CodeCache, DEFAULT_CACHE_LIMIT, DriverKind, Manifest,
    user_cache_folder,
};
use servo_egress::{EgressError, Gate, Owner, SystemResolver};
use servo_policy::{AddressClass, Grants, HostPattern, Rule, address_class, resolve_ask};
use servo_sandbox::{
    Binding, Driver, FileState, Sandbox, SandboxError, SandboxOptions, StateStore,
};
use thiserror::Error;

use crate::sandboxed::Sandboxed;

/// Why there is no driver.
#[derive(Debug, Error)]
pub enum AssembleError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
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
    /// The network side cannot be set up.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// A driver of the wrong kind.
    #[error(
        "{}: `drivers.{role}` needs a driver that can {role}, and {name:?} is one to {kind}; \
         name another artifact",
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

/// What all drivers of a process share: one engine and one way out.
#[derive(Clone)]
pub struct DriverHost {
    sandbox: Sandbox,
    gate: Arc<Gate>,
}

impl std::fmt::Debug for DriverHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DriverHost")
            .field("sandbox", &self.sandbox)
            .finish_non_exhaustive()
    }
}

/// The folder for compiled code of the person who runs this. None when they
/// have no folder for such things.
#[must_use]
pub fn default_code_folder() -> Option<PathBuf> {
    user_cache_folder().map(|cache| cache.join("code"))
}

impl DriverHost {
    /// Sets up engine and gate. Compiled code is kept in `code`; when that
    /// folder cannot be used, drivers are compiled anew each time and a warning
    /// says why.
    ///
    /// # Errors
    /// The machine lacks what the engine or TLS needs.
    pub fn new(code: Option<&Path>) -> Result<Self, AssembleError> {
        let cache = code.and_then(|folder| {
            let opened = std::fs::create_dir_all(folder.parent().unwrap_or(folder))
                .map_err(|error| error.to_string())
                .and_then(|()| {
                    CodeCache::open(folder, DEFAULT_CACHE_LIMIT).map_err(|error| error.to_string())
                });
            opened
                .inspect_err(|problem| tracing::warn!("no cache of compiled code: {problem}"))
                .ok()
        });
        Ok(Self {
            sandbox: Sandbox::new(SandboxOptions {
                concurrent_steps: 0,
                cache,
            })?,
            gate: Gate::new(Arc::new(SystemResolver))?,
        })
    }

    /// Reads and compiles an artifact.
    ///
    /// # Errors
    /// It is refused, by us or by the engine.
    pub async fn load(&self, path: &Path) -> Result<Driver, AssembleError> {
        let artifact = Artifact::read(path).map_err(|source| AssembleError::Artifact {
            path: path.to_owned(),
            source,
        })?;
        Ok(self.sandbox.load(&artifact).await?)
    }

    /// Joins a driver with what one operator says. What the driver asks for and
    /// does not get is logged with the line that would grant it.
    ///
    /// # Errors
    /// A grant that cannot be honoured.
    pub fn bind(
        &self,
        driver: &Driver,
        servo: &str,
        config: Map<String, Value>,
        grants: Grants,
        state: Arc<dyn StateStore>,
    ) -> Result<Sandboxed, AssembleError> {
        let config = Value::Object(config);
        for line in missing(driver.manifest(), &config, &grants) {
            tracing::warn!(
                target: "servo::driver",
                driver = %driver.manifest().name,
                "asks for what is not granted; to allow it, add {line}"
            );
        }
        let bound = driver.bind(
            &self.gate,
            Binding {
                owner: Owner {
                    tenant: "local".to_owned(),
                    servo: servo.to_owned(),
                    driver: driver.manifest().name.to_string(),
                },
                config,
                grants,
                state,
            },
        )?;
        Ok(Sandboxed::new(bound))
    }

    /// The driver that a configuration file names for a role, if it names one.
    /// State is kept in files under `state`.
    ///
    /// # Errors
    /// Anything between the file and a driver that can be called.
    pub async fn from_config(
        &self,
        file: &ConfigFile,
        role: DriverRole,
        servo: &str,
        state: &Path,
    ) -> Result<Option<Sandboxed>, AssembleError> {
        let (Some(section), Some(path)) = (file.driver(role), file.source(role)) else {
            return Ok(None);
        };
        let grants = file.grants(role)?;
        let driver = self.load(&path).await?;
        let kind = driver.manifest().kind;
        let wanted = match role {
            DriverRole::Measure => DriverKind::Measure,
            DriverRole::Adjust => DriverKind::Adjust,
        };
        if kind != wanted {
            return Err(AssembleError::Kind {
                path,
                role,
                name: driver.manifest().name.to_string(),
                kind,
            });
        }
        let state = Arc::new(FileState::new(state.join(format!("{role}.json"))));
        self.bind(&driver, servo, section.config.clone(), grants, state)
            .map(Some)
    }
}

/// Whether a rule grants nothing without `private: true`, as far as its text
/// tells: what a name leads to is only known when it is asked for.
fn needs_private(rule: &Rule) -> bool {
    match &rule.host {
        HostPattern::Ip(ip) => address_class(*ip) != AddressClass::Public,
        HostPattern::Exact(name) => name.as_ref() == "localhost",
        HostPattern::OneLevelWildcard(_) => false,
    }
}

/// The lines that would grant what a manifest asks for and the grants lack.
fn missing(manifest: &Manifest, config: &Value, grants: &Grants) -> Vec<String> {
    let mut lines = Vec::new();
    for ask in &manifest.asks.http {
        let rule = ask.rule.to_string();
        match resolve_ask(&rule, ask.optional, config, "asks.http") {
            Ok(Some(rule)) if !grants.http.cover(&rule) => {
                let private = if needs_private(&rule) {
                    ", private: true"
                } else {
                    ""
                };
                lines.push(format!(
                    "`- {{ rule: \"{rule}\"{private} }}` to `grants.http` ({})",
                    ask.why
                ));
            }
            Ok(_) => {}
            Err(error) => lines.push(format!("what `{rule}` needs: {error}")),
        }
    }
    for ask in &manifest.asks.folder {
        if !grants
            .folders
            .iter()
            .any(|folder| folder.name == ask.name.as_str())
        {
            lines.push(format!(
                "a folder {:?} to `grants.folders` ({})",
                ask.name, ask.why
            ));
        }
    }
    for (key, asked, granted) in manifest.asks.limits.beyond(&grants.budget) {
        lines.push(format!(
            "`{key}: {asked}` to `grants.limits` (now {granted})"
        ));
    }
    lines
}
