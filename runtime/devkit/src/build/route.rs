//! Which compiler turns a driver into a component on this machine.
//!
//! Ordinary machines have rustup, whose target wasm32-wasip2 brings its own
//! standard library. Machines that reach only package registries get the same
//! from Debian: the compiler, the sources of the standard library (built along
//! with the first driver), an old wasi-libc and the linker. The Debian route
//! is spelt out here to the last flag, because every one was paid for:
//!
//! - the cleaned environment: rustup's shims come first in most `PATH`s, and
//!   an outer cargo leaves variables that point at its own compiler;
//! - `-C link-self-contained=no` and no start object: that libc registers its
//!   preopened folders in a constructor, which is run exactly once only when
//!   the linker is given no start object for a library (otherwise every
//!   `open` fails with `ENOTCAPABLE`);
//! - the linker is asked for by following links: `rust-lld` is shipped as a
//!   link into a package that nothing depends on.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::BuildError;
use super::machine::{Invocation, Machine};

/// The target all drivers are built for.
pub const TARGET: &str = "wasm32-wasip2";

const CARGO: &str = "/usr/bin/cargo";
const RUSTC: &str = "/usr/bin/rustc";
const RUST_LLD: &str = "/usr/bin/rust-lld";
const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";
const APT_GET: &str = "/usr/bin/apt-get";
const APT_CACHE: &str = "/usr/bin/apt-cache";

/// What an outer cargo or rustup leaves behind that would mislead this one.
const MISLEADING: &[&str] = &[
    "CARGO",
    "RUSTC",
    "RUSTDOC",
    "RUSTUP_TOOLCHAIN",
    "RUSTUP_HOME",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "LD_LIBRARY_PATH",
];

/// Where the compiler and its standard library come from. The two do not give
/// byte-equal files: a published digest belongs to one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// The toolchain in `PATH` has the target installed.
    Rustup,
    /// Debian's compiler builds the standard library from source.
    Debian,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Route::Rustup => "rustup",
            Route::Debian => "debian",
        })
    }
}

impl Route {
    /// A cargo command of this route, `args` following the subcommand.
    pub(super) fn cargo(self, subcommand: &str, folder: &Path) -> Invocation {
        let program = match self {
            Route::Rustup => "cargo",
            Route::Debian => CARGO,
        };
        let mut cargo = Invocation::new(program, [subcommand]);
        cargo.folder = Some(folder.to_owned());
        match self {
            Route::Rustup => {
                cargo.unset = vec!["CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"];
            }
            Route::Debian => {
                cargo.unset = MISLEADING.to_vec();
                cargo.set = vec![
                    ("PATH", "/usr/bin:/bin".to_owned()),
                    ("RUSTC", RUSTC.to_owned()),
                    // `-Zbuild-std` is not stable; nothing else here needs it.
                    ("RUSTC_BOOTSTRAP", "1".to_owned()),
                    (
                        "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
                        format!("-L native={WASI_LIBC} -C link-self-contained=no"),
                    ),
                ];
            }
        }
        cargo
    }

    /// Arguments of `cargo build` that only this route needs.
    pub(super) fn build_args(self) -> &'static [&'static str] {
        match self {
            Route::Rustup => &[],
            Route::Debian => &["-Zbuild-std=std,panic_abort"],
        }
    }

    /// Each route has a target folder of its own: changing the compiler or
    /// its flags would otherwise build the standard library again.
    pub(super) fn target_folder(self) -> &'static str {
        match self {
            Route::Rustup => "driver-rustup",
            Route::Debian => "driver-debian",
        }
    }
}

/// Finds a compiler for drivers in `folder`, and with `install` gets one.
///
/// # Errors
/// [`BuildError::NoCompiler`] with what to install, and how.
pub fn find(machine: &dyn Machine, folder: &Path, install: bool) -> Result<Route, BuildError> {
    if has_target(machine, folder) {
        return Ok(Route::Rustup);
    }
    let missing = missing_packages(machine);
    if missing.is_empty() {
        return Ok(Route::Debian);
    }
    let mut tried = Vec::new();
    if install {
        if let Some(route) = install_by_rustup(machine, folder, &mut tried) {
            return Ok(route);
        }
        if let Some(route) = install_by_apt(machine, &mut tried) {
            return Ok(route);
        }
    }
    Err(BuildError::NoCompiler { missing, tried })
}

/// Whether the compiler in `PATH` has a standard library for the target.
fn has_target(machine: &dyn Machine, folder: &Path) -> bool {
    let mut rustc = Invocation::new("rustc", ["--print", "target-libdir", "--target", TARGET]);
    rustc.folder = Some(folder.to_owned());
    match machine.run(&rustc) {
        Ok(ended) if ended.success => {
            let libdir = ended.stdout.trim();
            !libdir.is_empty() && machine.has_entries(Path::new(libdir))
        }
        _ => false,
    }
}

/// The Debian packages that are not there; empty: all are.
fn missing_packages(machine: &dyn Machine) -> Vec<String> {
    let there = |path: &str| machine.is_file(Path::new(path));
    let mut missing = Vec::new();
    let mut need = |there: bool, package: String| {
        if !there {
            missing.push(package);
        }
    };
    let rustc = there(RUSTC).then(|| asked_of_rustc(machine)).flatten();
    let (src, component_ld) = match &rustc {
        Some((sysroot, host)) => {
            let rustlib = sysroot.join("lib/rustlib");
            (
                machine.is_file(&rustlib.join("src/rust/library/std/Cargo.toml")),
                machine.is_file(&rustlib.join(host).join("bin/wasm-component-ld")),
            )
        }
        None => (false, false),
    };
    need(there(CARGO) && rustc.is_some(), "cargo-web".to_owned());
    need(src, "rust-web-src".to_owned());
    need(component_ld, "rust-web-llvm".to_owned());
    need(
        there(RUST_LLD),
        lld_package(machine).unwrap_or_else(|| "lld-22".to_owned()),
    );
    need(
        there(&format!("{WASI_LIBC}/libc.a")),
        "wasi-libc".to_owned(),
    );
    missing
}

/// Sysroot and host of Debian's compiler.
fn asked_of_rustc(machine: &dyn Machine) -> Option<(PathBuf, String)> {
    let mut rustc = Invocation::new(RUSTC, ["--print", "sysroot", "--print", "host-tuple"]);
    rustc.unset = MISLEADING.to_vec();
    let ended = machine.run(&rustc).ok().filter(|ended| ended.success)?;
    let mut lines = ended.stdout.lines();
    Some((PathBuf::from(lines.next()?), lines.next()?.to_owned()))
}

/// The package that `rust-lld` points into: the link says it when the package
/// that holds the link is installed, and the package's metadata otherwise.
fn lld_package(machine: &dyn Machine) -> Option<String> {
    let numbered = |name: &str, prefix: &str| {
        let number = name.strip_prefix(prefix)?;
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| format!("lld-{number}"))
    };
    if let Some(link) = machine.read_link(Path::new(RUST_LLD)) {
        return numbered(link.file_name()?.to_str()?, "lld-");
    }
    if !machine.is_file(Path::new(APT_CACHE)) {
        return None;
    }
    let shown = machine
        .run(&Invocation::new(APT_CACHE, ["show", "rust-web-llvm"]))
        .ok()?;
    let depends = shown
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("Depends:"))?;
    depends
        .split(',')
        .filter_map(|package| package.split_whitespace().next())
        .find_map(|package| numbered(package, "llvm-"))
}

fn install_by_rustup(
    machine: &dyn Machine,
    folder: &Path,
    tried: &mut Vec<String>,
) -> Option<Route> {
    let mut rustup = Invocation::new("rustup", ["target", "add", TARGET]);
    rustup.folder = Some(folder.to_owned());
    installed(machine, &rustup, tried).then_some(())?;
    has_target(machine, folder).then_some(Route::Rustup)
}

fn install_by_apt(machine: &dyn Machine, tried: &mut Vec<String>) -> Option<Route> {
    if !machine.is_file(Path::new(APT_GET)) {
        return None;
    }
    if !machine.is_root() {
        tried.push("apt-get needs root".to_owned());
        return None;
    }
    installed(machine, &Invocation::new(APT_GET, ["update"]), tried).then_some(())?;
    // Only now is the metadata of the packages sure to be there.
    let missing = missing_packages(machine);
    let fixed = ["install", "--yes", "--no-install-recommends"].map(str::to_owned);
    let mut install = Invocation::new(APT_GET, fixed.into_iter().chain(missing));
    install.set = vec![("DEBIAN_FRONTEND", "noninteractive".to_owned())];
    installed(machine, &install, tried).then_some(())?;
    let still = missing_packages(machine);
    if still.is_empty() {
        return Some(Route::Debian);
    }
    tried.push(format!(
        "after installing, still missing: {}",
        still.join(" ")
    ));
    None
}

/// Says what it does, does it, and notes how it failed.
fn installed(machine: &dyn Machine, invocation: &Invocation, tried: &mut Vec<String>) -> bool {
    machine.say(&format!(
        "installing the compiler for drivers: {}",
        invocation.line()
    ));
    let problem = match machine.run(invocation) {
        Ok(ended) if ended.success => return true,
        Ok(ended) => ended
            .stderr
            .lines()
            .last()
            .unwrap_or("it failed")
            .to_owned(),
        Err(error) => error.to_string(),
    };
    tried.push(format!("{}: {problem}", invocation.line()));
    false
}
