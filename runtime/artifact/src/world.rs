//! The names an artifact may import and must export.
//!
//! A component reaches the outside only through what it imports, so the list
//! here is the whole of what a driver can even ask for. It is a list of what
//! is allowed: an interface that appears in WASI tomorrow is refused until
//! somebody adds it. Sockets are allowed to be *imported*, because the C
//! library of every Python driver names them, and denied when they are used.

use std::fmt;

use crate::manifest::DriverKind;

/// The contract this host serves.
pub const WORLD: &str = "servo:driver@0.2.0";

/// Interfaces of ours that a driver may import. `model` holds types alone.
const OURS: &[&str] = &[
    "config", "progress", "fetch", "log", "state", "actions", "model",
];

/// Packages of WASI 0.2 that a driver may import.
const WASI: &[&str] = &[
    "cli",
    "clocks",
    "filesystem",
    "http",
    "io",
    "random",
    "sockets",
];

/// The name of an interface: `namespace:package/interface@version`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface {
    /// Namespace and package, for example `wasi:http`.
    pub package: String,
    /// The interface, for example `outgoing-handler`.
    pub name: String,
    /// The package's version.
    pub version: semver::Version,
}

impl Interface {
    /// Reads an interface name; `None` for plain names, URLs, hashes and names
    /// without a version, none of which our world has.
    pub fn parse(text: &str) -> Option<Interface> {
        let (path, version) = text.split_once('@')?;
        let (package, name) = path.split_once('/')?;
        let (namespace, local) = package.split_once(':')?;
        let kebab = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if ![namespace, local, name].into_iter().all(kebab) {
            return None;
        }
        Some(Interface {
            package: package.to_owned(),
            name: name.to_owned(),
            version: semver::Version::parse(version).ok()?,
        })
    }

    /// Whether it belongs to the driver contract, in any version.
    pub(crate) fn is_ours(&self) -> bool {
        self.package == "servo:driver"
    }

    /// Whether a driver may import it.
    pub(crate) fn may_be_imported(&self) -> bool {
        if self.is_ours() {
            return served(&self.version) && OURS.contains(&self.name.as_str());
        }
        let wasi = self.package.strip_prefix("wasi:");
        wasi.is_some_and(|package| WASI.contains(&package)) && is_release_of(&self.version, 0, 2)
    }

    /// The kind of driver that exports this interface.
    pub(crate) fn driver_kind(&self) -> Option<DriverKind> {
        [DriverKind::Measure, DriverKind::Adjust]
            .into_iter()
            .find(|kind| self.is_ours() && self.name == kind.as_str())
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.package, self.name, self.version)
    }
}

/// Whether this host serves that version of the contract.
pub(crate) fn served(version: &semver::Version) -> bool {
    is_release_of(version, 0, 2)
}

/// Release candidates are not compatible with the release they became.
fn is_release_of(version: &semver::Version, major: u64, minor: u64) -> bool {
    version.major == major && version.minor == minor && version.pre.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_inside_and_outside_the_world() {
        let allowed = [
            "servo:driver/config@0.2.0",
            "servo:driver/progress@0.2.7",
            "servo:driver/fetch@0.2.0",
            "servo:driver/log@0.2.0",
            "servo:driver/state@0.2.0",
            "servo:driver/actions@0.2.0",
            "servo:driver/model@0.2.0",
            "wasi:cli/environment@0.2.4",
            "wasi:clocks/monotonic-clock@0.2.12",
            "wasi:filesystem/preopens@0.2.6",
            "wasi:http/outgoing-handler@0.2.12",
            "wasi:io/poll@0.2.0",
            "wasi:random/random@0.2.0",
            "wasi:sockets/tcp@0.2.0",
        ];
        let refused = [
            "servo:driver/measure@0.2.0",
            "servo:driver/config@0.1.0",
            "servo:driver/config@0.3.0",
            "servo:driver/config@0.2.0-rc.1",
            "servo:driver/secrets@0.2.0",
            "servo:drivers/config@0.2.0",
            "wasi:cli/environment@0.3.0",
            "wasi:cli/environment@0.2.0-rc-2023-12-05",
            "wasi:nn/inference@0.2.0",
            "wasi:http-evil/outgoing-handler@0.2.0",
            "evil:http/outgoing-handler@0.2.0",
        ];
        for name in allowed {
            assert!(Interface::parse(name).unwrap().may_be_imported(), "{name}");
        }
        for name in refused {
            assert!(!Interface::parse(name).unwrap().may_be_imported(), "{name}");
        }
    }

    #[test]
    fn the_world_that_is_served_is_that_of_a_new_manifest() {
        assert_eq!(crate::manifest::World::default().to_string(), WORLD);
    }

    #[test]
    fn names_of_another_form_are_no_interfaces() {
        for name in [
            "",
            "run",
            "wasi:io/poll",
            "wasi:io@0.2.0",
            "wasi:io/poll@0.2",
            "wasi:io/poll/more@0.2.0",
            "url=<https://example.com/x.wasm>",
            "unlocked-dep=<wasi:io@{>=0.2.0}>",
            "WASI:io/poll@0.2.0",
            ":/@0.2.0",
        ] {
            assert_eq!(Interface::parse(name), None, "{name}");
        }
    }
}
