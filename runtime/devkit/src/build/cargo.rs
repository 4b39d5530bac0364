//! The cargo calls of a build.
//!
//! Drivers get a profile of their own, passed on the command line: a driver's
//! project should not have to know how a small component is built, and ours
//! keeps its own profiles for native code. All drivers of a workspace are
//! built by one call, which compiles what they share once.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::BuildError;
use super::find::Source;
use super::machine::{Invocation, Machine};
use super::route::{Route, TARGET};

/// Small and quick to load beats quick to run: a driver mostly waits.
const PROFILE: &[&str] = &[
    r#"profile.driver.inherits="release""#,
    r#"profile.driver.opt-level="s""#,
    "profile.driver.lto=true",
    "profile.driver.strip=true",
    "profile.driver.debug=false",
    "profile.driver.codegen-units=1",
    r#"profile.driver.panic="abort""#,
];

/// The root of the workspace a package belongs to, by cargo's own rules.
pub(super) fn workspace_of(
    machine: &dyn Machine,
    route: Route,
    source: &Source,
) -> Result<PathBuf, BuildError> {
    let mut cargo = route.cargo("locate-project", &source.folder);
    cargo
        .args
        .extend(["--workspace", "--message-format", "plain"].map(OsString::from));
    let ended = run(machine, &cargo)?;
    match Path::new(ended.trim()).parent() {
        Some(root) if root.is_absolute() => Ok(root.to_owned()),
        _ => Err(BuildError::Cargo {
            command: cargo.line(),
            problem: format!("answered {ended:?}"),
        }),
    }
}

/// The one call that builds these packages of a workspace.
pub(super) fn build(
    machine: &dyn Machine,
    route: Route,
    workspace: &Path,
    packages: &[&str],
    quiet: bool,
) -> Invocation {
    let mut cargo = route.cargo("build", workspace);
    cargo.show = !quiet;
    let mut arg = |text: &str| cargo.args.push(text.into());
    if machine.is_file(&workspace.join("Cargo.lock")) {
        arg("--locked");
    }
    if quiet {
        arg("--quiet");
    }
    for setting in PROFILE {
        arg("--config");
        arg(setting);
    }
    for text in ["--profile", "driver", "--target", TARGET] {
        arg(text);
    }
    // Diagnostics go to standard error as ever; what was made goes to us.
    arg("--message-format=json-render-diagnostics");
    for text in route.build_args() {
        arg(text);
    }
    for package in packages {
        arg("--package");
        arg(package);
    }
    arg("--target-dir");
    // Shared by all projects: on one of the two routes the standard library is
    // compiled too, which takes minutes and is the same for every driver.
    let target = machine
        .cache_folder()
        .unwrap_or_else(|| workspace.join("target"))
        .join(route.target_folder());
    cargo.args.push(target.into());
    cargo
}

/// A component that cargo made or found up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) manifest_path: PathBuf,
    pub(super) file: PathBuf,
}

/// Runs a build and says what it made.
pub(super) fn make(machine: &dyn Machine, cargo: &Invocation) -> Result<Vec<Made>, BuildError> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        #[serde(default)]
        manifest_path: PathBuf,
        #[serde(default)]
        filenames: Vec<PathBuf>,
    }
    let output = run(machine, cargo)?;
    // Lines that are no such message come from build scripts and later cargos.
    Ok(output
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter_map(|message| {
            let mut files = message.filenames.into_iter();
            let file = files.find(|file| file.extension().is_some_and(|e| e == "wasm"))?;
            Some(Made {
                manifest_path: message.manifest_path,
                file,
            })
        })
        .collect())
}

fn run(machine: &dyn Machine, cargo: &Invocation) -> Result<String, BuildError> {
    let wrong = |problem| BuildError::Cargo {
        command: cargo.line(),
        problem,
    };
    match machine.run(cargo) {
        Ok(ended) if ended.success => Ok(ended.stdout),
        Ok(_) if cargo.show => Err(wrong("see above".to_owned())),
        Ok(ended) => Err(wrong(ended.stderr.trim().to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}
