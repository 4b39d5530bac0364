//! No other crate of the product opens a connection or looks a name up: what
//! does not go through the gate is met by no rule, no limit and no record.
//!
//! The scan is of words, so that it finds what a lint for named functions does
//! not: another library, another function, a re-export.

use std::path::{Path, PathBuf};

/// Libraries that make connections.
const LIBRARIES: [&str; 20] = [
    "reqwest",
    "hyper",
    "hyper-util",
    "hyper-rustls",
    "h2",
    "h3",
    "quinn",
    "rustls",
    "tokio-rustls",
    "native-tls",
    "openssl",
    "ureq",
    "attohttpc",
    "isahc",
    "curl",
    "tungstenite",
    "tokio-tungstenite",
    "socket2",
    "mio",
    "hickory-resolver",
];

/// Crates with one of them for what it does beside: the local service answers with
/// the server's half of its library. The other half is among the words below.
const SERVERS: [(&str, &str); 2] = [
    ("runtime/optune", "hyper"),
    ("runtime/optune", "hyper-util"),
];

/// What makes connections or looks names up in the libraries we all use. A
/// listener is not among them: it answers.
const WORDS: [&str; 13] = [
    "TcpStream",
    "TcpSocket",
    "UdpSocket",
    "UnixStream",
    "UnixDatagram",
    "lookup_host",
    "to_socket_addrs",
    "ToSocketAddrs",
    "rustix::net",
    "libc::connect",
    "reqwest",
    "hyper::client",
    "hyper_util::client",
];

/// Files that say one of the words for another reason, each with it. The local
/// service and the sample application are not among them: they only listen.
const EXCEPTIONS: [(&str, &str); 7] = [
    // Refuses a guest's sockets, whose types are called so.
    ("runtime/sandbox/src/sockets.rs", "TcpSocket"),
    ("runtime/sandbox/src/sockets.rs", "UdpSocket"),
    // Warns of them in a driver's source.
    ("runtime/devkit/src/build/unavailable.rs", "TcpStream"),
    ("runtime/devkit/src/build/unavailable.rs", "UdpSocket"),
    ("runtime/devkit/src/build/unavailable.rs", "ToSocketAddrs"),
    // Tries from within the compiler's cage what must not work there.
    (
        "runtime/sandbox/src/bin/servo-compile-probe.rs",
        "TcpStream",
    ),
    (
        "runtime/sandbox/src/bin/servo-compile-probe.rs",
        "UdpSocket",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn crates() -> Vec<PathBuf> {
    let mut crates = vec![root().join("guest-sdk/rust")];
    for folder in ["runtime", "drivers"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.join("Cargo.toml").exists() && !path.ends_with("runtime/egress") {
                crates.push(path);
            }
        }
    }
    assert!(crates.len() > 12, "{crates:?}");
    crates
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_other_crate_depends_on_a_library_that_makes_connections() {
    let root = root();
    for folder in crates() {
        let crate_name = folder.strip_prefix(&root).unwrap().display().to_string();
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let used = manifest
            .lines()
            .skip_while(|line| line.trim() != "[dependencies]")
            .skip(1)
            .take_while(|line| !line.starts_with("[dev-dependencies]"));
        for line in used {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            assert!(
                !LIBRARIES.contains(&name) || SERVERS.contains(&(crate_name.as_str(), name)),
                "{} depends on `{name}`; what it sends must go through servo-egress",
                folder.display()
            );
        }
    }
}

#[test]
fn no_other_crate_makes_a_connection() {
    let root = root();
    let mut files = Vec::new();
    for folder in crates() {
        sources(&folder.join("src"), &mut files);
    }
    assert!(files.len() > 200, "{}", files.len());
    for path in files {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            if code.starts_with("//") {
                continue;
            }
            for word in WORDS {
                assert!(
                    !code.contains(word) || EXCEPTIONS.contains(&(name.as_str(), word)),
                    "{name}:{} says `{word}`; what it sends must go through servo-egress",
                    number + 1
                );
            }
        }
    }
}
