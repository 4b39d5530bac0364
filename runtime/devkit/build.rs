//! Packs the driver SDK into this crate.
//!
//! A new driver project must build where no copy of the SDK can be fetched, so
//! `servo` carries the SDK's sources and writes them beside the project. They
//! are taken from the tree at build time: a second copy would fall behind.
//! Cargo's workspace inheritance means nothing outside this workspace, so the
//! SDK's manifest is written out with what it inherits filled in.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let root = here.join("../..").canonicalize()?;
    let sdk = root.join("guest-sdk/rust");
    let manifest = out.join("sdk-Cargo.toml");
    let resolved = resolve(
        &table(&sdk.join("Cargo.toml"))?,
        &table(&root.join("Cargo.toml"))?,
    )?;
    fs::write(&manifest, toml::to_string(&resolved)?)?;

    let mut files = vec![("Cargo.toml".to_owned(), manifest)];
    collect(&sdk.join("src"), "src", &mut files)?;
    collect(&root.join("wit"), "wit", &mut files)?;
    let mut code = String::from("pub(super) static SDK: &[(&str, &str)] = &[\n");
    for (name, path) in &files {
        let path = path.to_str().ok_or("a path is not UTF-8")?;
        writeln!(code, "    ({name:?}, include_str!({path:?})),")?;
    }
    code.push_str("];\n");
    fs::write(out.join("sdk.rs"), code)?;

    for watched in [
        "guest-sdk/rust/src",
        "guest-sdk/rust/Cargo.toml",
        "wit",
        "Cargo.toml",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    Ok(())
}

fn table(file: &Path) -> Result<Table, Box<dyn Error>> {
    Ok(fs::read_to_string(file)?.parse()?)
}

/// Every file below a folder, by its name in the vendored copy.
fn collect(
    folder: &Path,
    name: &str,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), Box<dyn Error>> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let file_name = entry.file_name();
        let name = format!(
            "{name}/{}",
            file_name.to_str().ok_or("a name is not UTF-8")?
        );
        match entry.path() {
            path if path.is_dir() => collect(&path, &name, files)?,
            path => files.push((name, path)),
        }
    }
    Ok(())
}

/// The SDK's manifest without anything inherited and without what only its
/// own development needs.
fn resolve(sdk: &Table, root: &Table) -> Result<Table, Box<dyn Error>> {
    let workspace = section(root, "workspace")?;
    let mut package = section(sdk, "package")?.clone();
    let shared = section(workspace, "package")?;
    package.remove("readme");
    for (key, value) in &mut package {
        if is_inherited(value) {
            *value = shared
                .get(key)
                .ok_or("an inherited key is missing")?
                .clone();
        }
    }
    let versions = section(workspace, "dependencies")?;
    let mut resolved = Table::new();
    resolved.insert("package".to_owned(), Value::Table(package));
    for (key, value) in sdk {
        match (key.as_str(), value) {
            ("lib" | "features", value) => {
                resolved.insert(key.clone(), value.clone());
            }
            ("dependencies", Value::Table(dependencies)) => {
                let dependencies = concrete(dependencies, versions)?;
                resolved.insert(key.clone(), Value::Table(dependencies));
            }
            ("target", Value::Table(targets)) => {
                let mut filled = Table::new();
                for (target, value) in targets {
                    let Some(Value::Table(dependencies)) = value.get("dependencies") else {
                        continue;
                    };
                    let mut only = Table::new();
                    let dependencies = concrete(dependencies, versions)?;
                    only.insert("dependencies".to_owned(), Value::Table(dependencies));
                    filled.insert(target.clone(), Value::Table(only));
                }
                resolved.insert(key.clone(), Value::Table(filled));
            }
            _ => {}
        }
    }
    Ok(resolved)
}

fn section<'a>(table: &'a Table, key: &str) -> Result<&'a Table, Box<dyn Error>> {
    match table.get(key) {
        Some(Value::Table(found)) => Ok(found),
        _ => Err(format!("no section [{key}]").into()),
    }
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace") == Some(&Value::Boolean(true))
}

/// Dependencies with the workspace's versions, and the features of both.
fn concrete(dependencies: &Table, versions: &Table) -> Result<Table, Box<dyn Error>> {
    let mut out = Table::new();
    for (name, own) in dependencies {
        let mut filled = match own {
            Value::String(version) => {
                Table::from_iter([("version".to_owned(), version.as_str().into())])
            }
            Value::Table(table) => table.clone(),
            _ => return Err(format!("dependency {name} is odd").into()),
        };
        if is_inherited(own) {
            filled.remove("workspace");
            let shared = match versions.get(name) {
                Some(Value::String(version)) => {
                    Table::from_iter([("version".to_owned(), version.as_str().into())])
                }
                Some(Value::Table(table)) => table.clone(),
                _ => return Err(format!("the workspace has no version of {name}").into()),
            };
            for (key, value) in shared {
                match (filled.get_mut(&key), value) {
                    (Some(Value::Array(own)), Value::Array(more)) => own.extend(more),
                    (Some(_), _) => {}
                    (None, value) => {
                        filled.insert(key, value);
                    }
                }
            }
        }
        if filled.contains_key("path") {
            return Err(format!("dependency {name} of the SDK is a path outside it").into());
        }
        out.insert(name.clone(), Value::Table(filled));
    }
    Ok(out)
}
