//! What stands in the folder that a servo runs in.
//!
//! The original knew a driver by its place: `./measure` and `./adjust` in the
//! working directory, with one `config.yaml` for both. A folder made for it
//! works here as it is. What is new, the grants, stands in `servo.yaml`, which
//! may also name the drivers itself. Where both say something about the same
//! driver, neither wins silently: which driver runs and what it is told must be
//! plain to whoever reads the folder.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use servo_config::{Ceilings, ConfigError, ConfigErrors, ConfigFile, DriverRole, DriverSections};
use servo_policy::Advice;

use crate::explanation::Explanation;

/// The operator's file where none is named.
const SERVO_YAML: &str = "servo.yaml";

/// The original's file.
const CONFIG_YAML: &str = "config.yaml";

/// How every component and module begins.
const WASM: [u8; 4] = *b"\0asm";

/// Why a folder is no place to run a servo in.
#[derive(Debug)]
pub enum SiteError {
    /// One of the files is wrong.
    Config(ConfigErrors),
    /// There is nothing to run.
    Nothing(PathBuf),
    /// What stands in a driver's place is no driver.
    NoDriver {
        /// Which file.
        place: PathBuf,
        /// What is wrong, and what to do.
        advice: Advice,
    },
}

impl SiteError {
    /// What is wrong, where it stands, and what to do.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        Explanation::Advice(match self {
            Self::Config(errors) => return Explanation::Places(errors.iter().cloned().collect()),
            Self::Nothing(path) => Advice::new(
                format!(
                    "there is no {}, no ./measure and no ./adjust",
                    path.display()
                ),
                format!(
                    "write {SERVO_YAML}, name one with --config, or link a driver to ./measure and \
                     one to ./adjust"
                ),
            ),
            Self::NoDriver { place, advice } => Advice::new(
                format!("{}: {}", place.display(), advice.problem),
                advice.remedy.as_str(),
            ),
        })
    }
}

impl fmt::Display for SiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explain().fmt(f)
    }
}

impl std::error::Error for SiteError {}

impl From<ConfigError> for SiteError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.into())
    }
}

impl From<ConfigErrors> for SiteError {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}

/// A driver, before it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// A component that `servo.yaml` names.
    Named(PathBuf),
    /// A component in the place of the original's driver.
    DropIn(PathBuf),
    /// A program in that place.
    Program(PathBuf),
}

/// A folder to run in, with the operator's file.
#[derive(Debug, Clone)]
pub struct Site {
    file: ConfigFile,
    folder: PathBuf,
}

impl Site {
    /// Reads the operator's file: the one that is named, else `servo.yaml` in
    /// `folder`, which may then be missing if there are drivers beside it.
    ///
    /// # Errors
    /// The file is wrong, or there is nothing to run.
    pub fn read(config: Option<&Path>, folder: &Path) -> Result<Self, SiteError> {
        let site = |file| Self {
            file,
            folder: folder.to_owned(),
        };
        let path = match config {
            Some(path) => return Ok(site(ConfigFile::read(path)?)),
            None if folder == Path::new(".") => PathBuf::from(SERVO_YAML),
            None => folder.join(SERVO_YAML),
        };
        if !is_missing(&path) {
            return Ok(site(ConfigFile::read(&path)?));
        }
        let site = site(ConfigFile::absent(path));
        for role in [DriverRole::Measure, DriverRole::Adjust] {
            if site.driver(role)?.is_some() {
                return Ok(site);
            }
        }
        Err(SiteError::Nothing(site.file.path))
    }

    /// The same under the ceiling in a file, if one is named, and under its own,
    /// which is looked at here.
    ///
    /// # Errors
    /// One of the ceilings cannot be understood.
    pub fn under(mut self, ceiling: Option<&Path>) -> Result<Self, SiteError> {
        if let Some(path) = ceiling {
            self.file = self.file.under(Ceilings::read(path)?);
        }
        self.file.ceilings()?;
        Ok(self)
    }

    /// The operator's file; empty when there is none.
    #[must_use]
    pub fn file(&self) -> &ConfigFile {
        &self.file
    }

    /// The working directory of the servo.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the driver for a role is.
    ///
    /// # Errors
    /// It is nowhere although something is said about it, or in two places.
    pub fn driver(&self, role: DriverRole) -> Result<Option<Located>, SiteError> {
        let place = self.folder.join(role.to_string());
        let found = Found::at(&place)?;
        let key = format!("drivers.{role}.source");
        if let Some(named) = self.file.source(role) {
            let other = matches!(found, Some(Found::Component | Found::Program));
            if other && !same_file(&named, &place) {
                let problem = format!("two drivers to {role}: this one and {}", place.display());
                return Err(self.file.error(&key, problem, "remove one of them").into());
            }
            return Ok(Some(Located::Named(named)));
        }
        match found {
            Some(Found::Component) => Ok(Some(Located::DropIn(place))),
            Some(Found::Program) => Ok(Some(Located::Program(place))),
            Some(Found::Other) => Err(SiteError::NoDriver {
                place,
                advice: Advice::new(
                    "it is neither a component nor executable",
                    "put a driver there, or remove it",
                ),
            }),
            None if self.file.driver(role).is_some() => {
                let problem = format!("the key is missing, and there is no {}", place.display());
                let remedy = "add `source:`, or put the driver there";
                Err(self.file.error(&key, problem, remedy).into())
            }
            None => Ok(None),
        }
    }

    /// The environment plugin of the original, where there is one.
    ///
    /// # Errors
    /// What stands in its place is no program.
    pub fn environment(&self) -> Result<Option<PathBuf>, SiteError> {
        let place = self.folder.join("environment");
        match Found::at(&place)? {
            Some(Found::Program) => Ok(Some(place)),
            Some(Found::Component) => Err(SiteError::NoDriver {
                place,
                advice: Advice::new("the environment check cannot be a component", "remove it"),
            }),
            Some(Found::Other) | None => Ok(None),
        }
    }

    /// What a driver is told: its section of `servo.yaml`, or, for one in the
    /// original's place, the section of `config.yaml` that has its name.
    ///
    /// # Errors
    /// `config.yaml` is wrong, or both files have a section for it.
    pub fn config(
        &self,
        role: DriverRole,
        located: &Located,
        driver: &str,
    ) -> Result<Map<String, Value>, SiteError> {
        let own = self.file.driver(role).map(|section| section.config.clone());
        let own = own.unwrap_or_default();
        if matches!(located, Located::Named(_)) {
            return Ok(own);
        }
        let Some(sections) = DriverSections::read(&self.folder.join(CONFIG_YAML))? else {
            return Ok(own);
        };
        match sections.section(driver)? {
            None => Ok(own),
            Some(theirs) if own.is_empty() => Ok(theirs),
            Some(_) => {
                let problem = format!(
                    "two configurations for the driver `{driver}`: this one and the section \
                     `{driver}` of {}",
                    sections.path().display()
                );
                let key = format!("drivers.{role}.config");
                Err(self.file.error(&key, problem, "remove one of them").into())
            }
        }
    }

    /// Whether everything the operator's file says about a program can be kept.
    /// Nothing but time can be limited for one.
    ///
    /// # Errors
    /// It names a key that would do nothing.
    pub fn check_program(&self, role: DriverRole, place: &Path) -> Result<(), SiteError> {
        if let Some(file) = self.file.ceilings()?.confining() {
            return Err(SiteError::NoDriver {
                place: place.to_owned(),
                advice: Advice::new(
                    format!(
                        "it is a program, which may do all that servo may, and {} has a ceiling",
                        file.display()
                    ),
                    "put a component there, or keep nothing but `settings` in the ceiling",
                ),
            });
        }
        let Some(section) = self.file.driver(role) else {
            return Ok(());
        };
        let grants = &section.grants;
        let limits = serde_json::to_value(&grants.limits).unwrap_or_default();
        let foreign_limit = limits.as_object().is_some_and(|limits| {
            let kept = ["wall", "cancel_grace"];
            limits.keys().any(|key| !kept.contains(&key.as_str()))
        });
        let free = "it may do all that servo may, whatever is granted";
        let wrong = [
            (
                !section.config.is_empty(),
                "config",
                "it reads config.yaml itself",
            ),
            (!grants.http.is_empty(), "grants.http", free),
            (!grants.folders.is_empty(), "grants.folders", free),
            (grants.scratch.is_some(), "grants.scratch", free),
            (!grants.actions.is_empty(), "grants.actions", free),
            (
                foreign_limit,
                "grants.limits",
                "only `wall` and `cancel_grace` can be kept for one",
            ),
        ];
        match wrong.into_iter().find(|(wrong, ..)| *wrong) {
            None => Ok(()),
            Some((_, key, why)) => {
                let place = place.display();
                let problem = format!("{place} is a program and no component: {why}");
                let key = format!("drivers.{role}.{key}");
                Err(self.file.error(&key, problem, "remove the key").into())
            }
        }
    }
}

fn is_missing(path: &Path) -> bool {
    matches!(
        std::fs::symlink_metadata(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound
    )
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// What stands in a driver's place.
enum Found {
    Component,
    Program,
    Other,
}

impl Found {
    /// Folders and the like are nobody's driver: a project may have a folder
    /// `measure`.
    fn at(place: &Path) -> Result<Option<Self>, SiteError> {
        if is_missing(place) {
            return Ok(None);
        }
        let wrong = |error: io::Error| SiteError::NoDriver {
            place: place.to_owned(),
            advice: match error.kind() {
                io::ErrorKind::NotFound => {
                    Advice::new("the link leads nowhere", "correct or remove it")
                }
                _ => Advice::new(error.to_string(), "check its permissions"),
            },
        };
        let metadata = std::fs::metadata(place).map_err(wrong)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let executable = metadata.permissions().mode() & 0o111 != 0;
        let mut head = Vec::with_capacity(WASM.len());
        match File::open(place) {
            Ok(file) => {
                file.take(WASM.len() as u64)
                    .read_to_end(&mut head)
                    .map_err(wrong)?;
            }
            // A program need not be readable to run.
            Err(error) if executable && error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(wrong(error)),
        }
        Ok(Some(match executable {
            _ if head == WASM => Self::Component,
            true => Self::Program,
            false => Self::Other,
        }))
    }
}
