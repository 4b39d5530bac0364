//! Configuration and grants for one call, from a file and from flags.
//!
//! Flags are laid over the file: a `--set` replaces an entry, an `--allow`
//! adds a rule. What they make goes through the same parser as `servo.yaml`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use servo_artifact::DriverKind;
use servo_config::{Ceilings, ConfigFile, DriverRole};
use servo_host::{DriverHost, Sandboxed, default_code_folder};
use servo_policy::{FolderSpec, GrantsSpec, HttpGrantSpec, LimitsSpec, Networks};
use servo_sandbox::{FileState, MemoryState, StateStore};

use super::role;
use crate::args::GrantArgs;
use crate::exit::Failed;

/// Loads the artifact and joins it with what was given; with the ceilings that
/// its settings are under.
pub(super) async fn driver(
    artifact: &Path,
    given: &GrantArgs,
) -> Result<(Sandboxed, Ceilings), Failed> {
    let host = DriverHost::new(default_code_folder().as_deref()).map_err(Failed::ran)?;
    let driver = host.load(artifact).await.map_err(Failed::usage)?;
    let Given {
        config,
        grants,
        base,
        networks,
        ceilings,
    } = read(given, driver.manifest().kind)?;
    // Grants speak of absolute paths only.
    let base = std::path::absolute(&base).unwrap_or(base);
    let grants = grants
        .resolve_within(&Value::Object(config.clone()), &base, &networks)
        .map_err(Failed::usage)?;
    ceilings.admit(&grants).map_err(Failed::usage)?;
    let state: Arc<dyn StateStore> = match &given.state {
        Some(path) => Arc::new(FileState::new(path.clone())),
        None => Arc::new(MemoryState::default()),
    };
    let driver = host
        .bind(&driver, &given.app, config, grants, state)
        .map_err(Failed::usage)?;
    Ok((driver, ceilings))
}

/// What a file and the flags say together.
struct Given {
    config: Map<String, Value>,
    grants: GrantsSpec,
    /// Where relative paths begin.
    base: PathBuf,
    networks: Networks,
    /// What neither may exceed.
    ceilings: Ceilings,
}

fn read(given: &GrantArgs, kind: DriverKind) -> Result<Given, Failed> {
    let mut config = Map::new();
    let mut grants = GrantsSpec::default();
    let mut base = PathBuf::from(".");
    let mut networks = Networks::default();
    let mut ceilings = match &given.ceiling {
        Some(path) => Ceilings::read(path).map_err(Failed::usage)?,
        None => Ceilings::default(),
    };
    if let Some(path) = &given.config {
        let file = ConfigFile::read(path).map_err(Failed::usage)?;
        let role: DriverRole = role(kind);
        let section = file.driver(role).ok_or_else(|| {
            Failed::usage(format_args!("{}: has no `drivers.{role}`", path.display()))
        })?;
        config = section.config.clone();
        grants = section.grants.clone();
        base = file.base().to_owned();
        networks.clone_from(&file.networks);
        ceilings = ceilings.and(file.ceilings().map_err(Failed::usage)?);
    }
    for entry in &given.set {
        let (key, value) = split(entry, "--set", "KEY=VALUE")?;
        config.insert(key.to_owned(), json_or_text(value));
    }
    for (rules, private) in [(&given.allow, false), (&given.allow_private, true)] {
        grants.http.extend(rules.iter().map(|rule| HttpGrantSpec {
            rule: rule.clone(),
            private,
            ..HttpGrantSpec::default()
        }));
    }
    for entry in &given.folder {
        grants.folders.push(folder(entry)?);
    }
    grants.limits = limits(&grants.limits, &given.limit)?;
    Ok(Given {
        config,
        grants,
        base,
        networks,
        ceilings,
    })
}

fn split<'a>(entry: &'a str, flag: &str, form: &str) -> Result<(&'a str, &'a str), Failed> {
    entry
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| Failed::usage(format_args!("{flag} {entry:?}: write {form}")))
}

/// JSON where it is JSON, otherwise the text itself: `--set n=3`, `--set url=http://…`.
fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn folder(entry: &str) -> Result<FolderSpec, Failed> {
    let (name, path) = split(entry, "--folder", "NAME=PATH or NAME=PATH:write")?;
    let (path, access) = match path.strip_suffix(":write") {
        Some(path) => (path, "write"),
        None => (path, "read"),
    };
    let value = serde_json::json!({ "name": name, "path": path, "access": access });
    serde_json::from_value(value).map_err(Failed::usage)
}

fn limits(base: &LimitsSpec, entries: &[String]) -> Result<LimitsSpec, Failed> {
    let mut value = serde_json::to_value(base).map_err(Failed::usage)?;
    for entry in entries {
        let (key, text) = split(entry, "--limit", "KEY=VALUE")?;
        if let Value::Object(members) = &mut value {
            members.insert(key.to_owned(), json_or_text(text));
        }
    }
    serde_json::from_value(value).map_err(|error| Failed::usage(format_args!("--limit: {error}")))
}
