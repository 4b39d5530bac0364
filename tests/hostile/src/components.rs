//! Components without code, for what is decided by names alone.

use servo_artifact::manifest;

/// The interface that a measure driver exports.
pub const MEASURE: &str = "servo:driver/measure@0.2.0";

/// The interface that an adjust driver exports.
pub const ADJUST: &str = "servo:driver/adjust@0.2.0";

/// A component that imports and exports instances of these names.
///
/// # Panics
/// A name is none.
#[must_use]
pub fn bare(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    let imports: String = imports
        .iter()
        .map(|name| format!("(import \"{name}\" (instance))\n"))
        .collect();
    let exports: String = exports
        .iter()
        .enumerate()
        .map(|(at, name)| format!("(instance $e{at}) (export \"{name}\" (instance $e{at}))\n"))
        .collect();
    ::wat::parse_str(format!("(component {imports} {exports})")).unwrap()
}

/// The manifest of a driver that measures.
///
/// # Panics
/// Never: it is a good one.
#[must_use]
pub fn manifest() -> servo_artifact::Manifest {
    let text = "name = \"bare\"\nversion = \"1.0.0\"\nkind = \"measure\"\n\
                description = \"Has no code.\"\n";
    manifest::from_toml(text, "driver.toml".as_ref()).unwrap()
}

/// A measure driver, as far as names go, that imports these.
///
/// # Panics
/// A name is none.
#[must_use]
pub fn importing(imports: &[&str]) -> Vec<u8> {
    with_manifest(&bare(imports, &[MEASURE]))
}

/// A component with a manifest.
///
/// # Panics
/// It takes none.
#[must_use]
pub fn with_manifest(component: &[u8]) -> Vec<u8> {
    manifest::embed(component, &manifest()).unwrap()
}
