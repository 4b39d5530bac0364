//! From an operator's words to drivers that can be called.
//!
//! The same few steps lead to a driver wherever one is run: read the artifact,
//! compile it, join it with configuration and grants. They stand here once, so
//! that a driver tried on the command line is the driver that will run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use servo_agent::{CallLimits, EnvironmentCheck, HttpConfig, HttpTransport, TransportSetupError};
use servo_artifact::{Artifact, CodeCache, DEFAULT_CACHE_LIMIT, DriverKind, user_cache_folder};
use servo_audit::Auditor;
use servo_config::DriverRole;
use servo_egress::{Gate, Owner, SystemResolver};
use servo_native::{NativeDriver, NativeEnvironment};
use servo_policy::Grants;
use servo_sandbox::{Binding, Driver, FileState, Sandbox, SandboxOptions, StateStore};

use crate::app::AppId;
use crate::error::{AssembleError, AssembleErrors};
use crate::hosted::{Hosted, Natives, Terms};
use crate::sandboxed::Sandboxed;
use crate::site::{Located, Site};
use crate::ungranted::ungranted;

/// Whose everything is while one process has one tenant.
const TENANT: &str = "local";

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
        let auditor = Auditor::default();
        Ok(Self {
            sandbox: Sandbox::new(SandboxOptions {
                cache,
                audit: auditor.clone(),
                ..SandboxOptions::default()
            })?,
            gate: Gate::builder(Arc::new(SystemResolver))
                .auditor(auditor)
                .build()?,
        })
    }

    /// Where every record of this process goes, with the counters of all.
    #[must_use]
    pub fn auditor(&self) -> &Auditor {
        self.gate.auditor()
    }

    /// The way of a servo to its service, through the gate of its drivers.
    ///
    /// # Errors
    /// As [`HttpTransport::new`].
    pub fn transport(
        &self,
        servo: &str,
        config: HttpConfig,
    ) -> Result<HttpTransport, TransportSetupError> {
        let owner = Owner {
            tenant: TENANT.to_owned(),
            servo: servo.to_owned(),
            driver: "servo".to_owned(),
            ..Owner::default()
        };
        HttpTransport::new(&self.gate, owner, config)
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
        let ungranted = ungranted(driver.manifest(), &config, &grants);
        for lack in &ungranted {
            tracing::warn!(
                target: "servo::driver",
                driver = %driver.manifest().name,
                "asks for what is not granted; to allow it, add {lack}"
            );
        }
        let bound = driver.bind(
            &self.gate,
            Binding {
                owner: Owner {
                    tenant: TENANT.to_owned(),
                    servo: servo.to_owned(),
                    driver: driver.manifest().name.to_string(),
                    ..Owner::default()
                },
                config,
                grants,
                state,
            },
        )?;
        Ok(Sandboxed::new(bound).with_ungranted(ungranted))
    }

    /// The driver that a site has for a role, if it has one. State is kept in
    /// files below the folder of the operator's file.
    ///
    /// # Errors
    /// Everything between the files and a driver that can be called, as far as
    /// it can be told at once.
    pub async fn driver(
        &self,
        site: &Site,
        role: DriverRole,
        app: &AppId,
        terms: &Terms,
    ) -> Result<Option<Hosted>, AssembleErrors> {
        let Some(located) = site.driver(role)? else {
            return Ok(None);
        };
        let path = match &located {
            Located::Named(path) | Located::DropIn(path) => path,
            Located::Program(place) => return Ok(program(site, role, place, terms).map(Some)?),
        };
        let driver = match self.component(role, path).await {
            Ok(driver) => driver,
            Err(error) => {
                let mut errors = AssembleErrors::from(match located {
                    Located::Named(_) => error.at_source(site.file(), role),
                    _ => error,
                });
                // Whose configuration is elsewhere cannot be told without its name.
                if let (Located::Named(_), Err(more)) = (&located, site.file().grants(role)) {
                    errors.push(more.into());
                }
                return Err(errors);
            }
        };
        let config = site.config(role, &located, driver.manifest().name.as_str())?;
        let grants = site.file().grants_with(role, &config)?;
        let state = app.state_folder(site.file().base());
        let state = Arc::new(FileState::new(state.join(format!("{role}.json"))));
        let driver = self
            .bind(&driver, app.as_str(), config, grants, state)
            .map_err(|error| error.at_grants(site.file(), role))?;
        let driver = driver.with_silence(terms.silence);
        Ok(Some(Hosted::Sandboxed(Arc::new(driver))))
    }

    /// A component for a role.
    async fn component(&self, role: DriverRole, path: &Path) -> Result<Driver, AssembleError> {
        let driver = self.load(path).await?;
        let kind = driver.manifest().kind;
        let wanted = match role {
            DriverRole::Measure => DriverKind::Measure,
            DriverRole::Adjust => DriverKind::Adjust,
        };
        if kind != wanted {
            return Err(AssembleError::Kind {
                path: path.to_owned(),
                role,
                name: driver.manifest().name.to_string(),
                kind,
            });
        }
        Ok(driver)
    }
}

/// A driver that is a program. Its time is unlimited, as in the original,
/// unless the operator's file limits it.
fn program(
    site: &Site,
    role: DriverRole,
    place: &Path,
    terms: &Terms,
) -> Result<Hosted, AssembleError> {
    let Natives::Allowed(options) = &terms.natives else {
        return Err(AssembleError::Program(place.to_owned()));
    };
    site.check_program(role, place)?;
    let budget = site.file().grants(role)?.budget;
    let section = site.file().driver(role);
    let limited = section.is_some_and(|section| section.grants.limits.wall.is_some());
    let mut limits = CallLimits::from(&budget);
    if !limited {
        limits.wall = Duration::MAX;
    }
    let driver = NativeDriver::new(&file_in_folder(place), options)?;
    Ok(Hosted::Native(Arc::new(driver), limits))
}

/// The check of environments that a site has, if it has one.
///
/// # Errors
/// It is no program, or programs may not run.
pub fn environment(
    site: &Site,
    terms: &Terms,
) -> Result<Option<Arc<dyn EnvironmentCheck>>, AssembleError> {
    let Some(place) = site.environment()? else {
        return Ok(None);
    };
    let Natives::Allowed(options) = &terms.natives else {
        return Err(AssembleError::Program(place));
    };
    let check = NativeEnvironment::new(&file_in_folder(&place), options)?;
    Ok(Some(Arc::new(check)))
}

/// A program is started from its own folder.
fn file_in_folder(place: &Path) -> PathBuf {
    Path::new(".").join(place.file_name().unwrap_or(place.as_os_str()))
}
