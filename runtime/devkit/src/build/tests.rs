//! Every branch of the search for a compiler, on machines made of tables.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::machine::{Ended, Invocation, Machine};
use super::*;

const LIBDIR: &str = "/rust/lib/rustlib/wasm32-wasip2/lib";
const ASK_RUSTUP: &str = "rustc --print target-libdir --target wasm32-wasip2";
const ASK_DEBIAN: &str = "/usr/bin/rustc --print sysroot --print host-tuple";
const ADD_TARGET: &str = "rustup target add wasm32-wasip2";
const STD: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const COMPONENT_LD: &str = "/usr/lib/rustlib/x86_64-unknown-linux-gnu/bin/wasm-component-ld";
const DEBIAN: [&str; 6] = [
    "/usr/bin/cargo",
    "/usr/bin/rustc",
    "/usr/bin/rust-lld",
    "/usr/lib/wasm32-wasi/libc.a",
    STD,
    COMPONENT_LD,
];

/// What a program answers, and which files are there afterwards.
type Answer = (Ended, Vec<&'static str>);

#[derive(Default)]
struct Fake {
    files: RefCell<BTreeSet<PathBuf>>,
    links: BTreeMap<PathBuf, PathBuf>,
    root: bool,
    cache: Option<&'static str>,
    answers: BTreeMap<String, Answer>,
    ran: RefCell<Vec<Invocation>>,
    said: RefCell<Vec<String>>,
}

impl Fake {
    /// A machine with rustup's compiler and nothing for our target.
    fn new() -> Fake {
        Fake::default().answers(ASK_RUSTUP, true, LIBDIR)
    }

    fn file(self, path: &str) -> Fake {
        self.files.borrow_mut().insert(path.into());
        self
    }

    fn debian(self) -> Fake {
        let fake = self.answers(ASK_DEBIAN, true, "/usr\nx86_64-unknown-linux-gnu\n");
        DEBIAN.into_iter().fold(fake, Fake::file).link("lld-22")
    }

    fn without(self, path: &str) -> Fake {
        assert!(self.files.borrow_mut().remove(Path::new(path)), "{path}");
        self
    }

    fn link(mut self, target: &str) -> Fake {
        self.links.insert("/usr/bin/rust-lld".into(), target.into());
        self
    }

    fn root(mut self) -> Fake {
        self.root = true;
        self
    }

    fn answers(self, line: &str, success: bool, text: &str) -> Fake {
        self.installs(line, success, text, &[])
    }

    fn installs(mut self, line: &str, success: bool, text: &str, files: &[&'static str]) -> Fake {
        let (stdout, stderr) = match success {
            true => (text.to_owned(), String::new()),
            false => (String::new(), text.to_owned()),
        };
        let ended = Ended {
            success,
            stdout,
            stderr,
        };
        self.answers
            .insert(line.to_owned(), (ended, files.to_vec()));
        self
    }

    fn find(&self, install: bool) -> Result<Route, BuildError> {
        route::find(self, Path::new("/src"), install)
    }

    fn lines(&self) -> Vec<String> {
        self.ran.borrow().iter().map(Invocation::line).collect()
    }
}

impl Machine for Fake {
    fn is_file(&self, path: &Path) -> bool {
        self.files.borrow().contains(path)
    }

    fn has_entries(&self, path: &Path) -> bool {
        self.files
            .borrow()
            .iter()
            .any(|file| file.starts_with(path))
    }

    fn read_link(&self, path: &Path) -> Option<PathBuf> {
        self.links.get(path).cloned()
    }

    fn cache_folder(&self) -> Option<PathBuf> {
        self.cache.map(PathBuf::from)
    }

    fn is_root(&self) -> bool {
        self.root
    }

    fn run(&self, invocation: &Invocation) -> io::Result<Ended> {
        self.ran.borrow_mut().push(invocation.clone());
        let (ended, files) = self
            .answers
            .get(&invocation.line())
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        self.files
            .borrow_mut()
            .extend(files.iter().map(PathBuf::from));
        Ok(ended.clone())
    }

    fn say(&self, line: &str) {
        self.said.borrow_mut().push(line.to_owned());
    }
}

#[test]
fn an_installed_target_is_used_before_anything_else() {
    let fake = Fake::new().debian().file(&format!("{LIBDIR}/libstd.rlib"));
    assert_eq!(fake.find(true).unwrap(), Route::Rustup);
    assert_eq!(fake.lines(), [ASK_RUSTUP]);
    assert_eq!(
        fake.ran.borrow()[0].folder.as_deref(),
        Some(Path::new("/src"))
    );
}

#[test]
fn an_empty_target_folder_is_no_target() {
    let fake = Fake::new().debian();
    assert_eq!(fake.find(false).unwrap(), Route::Debian);
}

#[test]
fn debian_is_used_without_rustup_and_without_installing_anything() {
    let mut fake = Fake::new().debian().root().file("/usr/bin/apt-get");
    fake.answers.remove(ASK_RUSTUP);
    assert_eq!(fake.find(true).unwrap(), Route::Debian);
    assert_eq!(fake.lines(), [ASK_RUSTUP, ASK_DEBIAN]);
    assert_eq!(*fake.said.borrow(), Vec::<String>::new());
    // Asked without what rustup and an outer cargo leave in the environment.
    assert!(fake.ran.borrow()[1].unset.contains(&"RUSTUP_TOOLCHAIN"));
}

/// One file away, and the package that would bring it.
#[test]
fn each_missing_package_is_named() {
    let table = [
        ("/usr/bin/cargo", "cargo-web"),
        (STD, "rust-web-src"),
        (COMPONENT_LD, "rust-web-llvm"),
        ("/usr/bin/rust-lld", "lld-22"),
        ("/usr/lib/wasm32-wasi/libc.a", "wasi-libc"),
    ];
    for (file, package) in table {
        match Fake::new().debian().without(file).find(false) {
            Err(BuildError::NoCompiler { missing, .. }) => assert_eq!(missing, [package], "{file}"),
            other => panic!("{file}: {other:?}"),
        }
    }
}

#[test]
fn the_linkers_package_is_read_from_its_link_or_from_the_metadata() {
    let missing = |fake: &Fake| match fake.find(false) {
        Err(BuildError::NoCompiler { missing, .. }) => missing,
        other => panic!("{other:?}"),
    };
    let dangling = Fake::new()
        .debian()
        .without("/usr/bin/rust-lld")
        .link("../lib/llvm-23/bin/lld-23");
    assert_eq!(missing(&dangling), ["lld-23"]);

    let mut fresh = Fake::new().file("/usr/bin/apt-cache").answers(
        "/usr/bin/apt-cache show rust-web-llvm",
        true,
        "Package: rust-web-llvm\nDepends: libc6 (>= 2.34), llvm-24, zlib1g\n",
    );
    let all = [
        "cargo-web",
        "rust-web-src",
        "rust-web-llvm",
        "lld-24",
        "wasi-libc",
    ];
    assert_eq!(missing(&fresh), all);

    // A link into something else must not become the name of a package.
    fresh
        .links
        .insert("/usr/bin/rust-lld".into(), "lld-22;reboot".into());
    assert!(!missing(&fresh).iter().any(|package| package.contains(';')));
}

#[test]
fn without_a_compiler_both_remedies_are_told() {
    let error = Fake::new().find(false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "\
no compiler for wasm32-wasip2 is installed. Install one of:
  with rustup:    rustup target add wasm32-wasip2
  on Debian 12:   apt-get update && apt-get install --no-install-recommends cargo-web rust-web-src rust-web-llvm lld-22 wasi-libc
or let `servo driver build --install` do it"
    );
}

#[test]
fn installing_tries_rustup_first_and_says_so() {
    let fake = Fake::new().installs(
        ADD_TARGET,
        true,
        "",
        &["/rust/lib/rustlib/wasm32-wasip2/lib/libstd.rlib"],
    );
    assert_eq!(fake.find(true).unwrap(), Route::Rustup);
    assert_eq!(
        *fake.said.borrow(),
        ["installing the compiler for drivers: rustup target add wasm32-wasip2"]
    );
}

/// `lld-22` was right before the update and is not after it.
#[test]
fn installing_goes_on_with_apt_and_reads_the_names_after_the_update() {
    let install = "/usr/bin/apt-get install --yes --no-install-recommends cargo-web rust-web-src rust-web-llvm lld-23 wasi-libc";
    let fake = Fake::new()
        .root()
        .file("/usr/bin/apt-get")
        .answers(ADD_TARGET, false, "info: syncing\nerror: no such host")
        .installs("/usr/bin/apt-get update", true, "", &["/usr/bin/apt-cache"])
        .answers(
            "/usr/bin/apt-cache show rust-web-llvm",
            true,
            "Depends: llvm-23\n",
        )
        .installs(install, true, "", &DEBIAN)
        .answers(ASK_DEBIAN, true, "/usr\nx86_64-unknown-linux-gnu\n");
    assert_eq!(fake.find(true).unwrap(), Route::Debian);
    let said = fake.said.borrow();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[2].ends_with(install), "{said:?}");
}

#[test]
fn what_installing_tried_is_told_when_it_fails() {
    let rustup = |fake: Fake| fake.answers(ADD_TARGET, false, "info: syncing\nerror: no such host");
    let reason = |fake: &Fake| fake.find(true).unwrap_err().to_string();

    let user = rustup(Fake::new().file("/usr/bin/apt-get"));
    let told = reason(&user);
    assert!(
        told.ends_with(
            "rustup target add wasm32-wasip2: error: no such host\n  apt-get needs root"
        ),
        "{told}"
    );
    assert!(!user.lines().iter().any(|line| line.contains("apt-get")));

    let elsewhere = rustup(Fake::new().root());
    assert!(reason(&elsewhere).ends_with("error: no such host"));

    let offline = rustup(Fake::new().root().file("/usr/bin/apt-get")).answers(
        "/usr/bin/apt-get update",
        false,
        "E: no network",
    );
    assert!(reason(&offline).ends_with("/usr/bin/apt-get update: E: no network"));

    let nothing = [
        "cargo-web",
        "rust-web-src",
        "rust-web-llvm",
        "lld-22",
        "wasi-libc",
    ]
    .join(" ");
    let install = format!("/usr/bin/apt-get install --yes --no-install-recommends {nothing}");
    let useless = rustup(Fake::new().root().file("/usr/bin/apt-get"))
        .answers("/usr/bin/apt-get update", true, "")
        .answers(&install, true, "");
    let told = reason(&useless);
    assert!(
        told.contains(&format!("still missing: {nothing}")),
        "{told}"
    );
}

#[test]
fn the_two_cargo_calls() {
    let root = Path::new("/src");
    let fake = Fake::new().file("/src/Cargo.lock");
    let profile = "--config profile.driver.inherits=\"release\" --config profile.driver.opt-level=\"s\" \
         --config profile.driver.lto=true --config profile.driver.strip=true \
         --config profile.driver.debug=false --config profile.driver.codegen-units=1 \
         --config profile.driver.panic=\"abort\" --profile driver --target wasm32-wasip2 \
         --message-format=json-render-diagnostics";
    let rustup = cargo::build(&fake, Route::Rustup, root, &["a", "b"], false);
    assert_eq!(
        rustup.line(),
        format!(
            "cargo build --locked {profile} --package a --package b --target-dir /src/target/driver-rustup"
        )
    );
    assert!(rustup.show && rustup.set.is_empty());
    assert_eq!(rustup.folder.as_deref(), Some(root));

    let shared = Fake {
        cache: Some("/home/me/.cache/servo/build"),
        ..Fake::new()
    };
    let cached = cargo::build(&shared, Route::Rustup, root, &["a"], false);
    assert!(
        cached
            .line()
            .ends_with("--target-dir /home/me/.cache/servo/build/driver-rustup"),
        "{}",
        cached.line()
    );

    let debian = cargo::build(&Fake::new(), Route::Debian, root, &["a"], true);
    assert_eq!(
        debian.line(),
        format!(
            "/usr/bin/cargo build --quiet {profile} -Zbuild-std=std,panic_abort --package a --target-dir /src/target/driver-debian"
        )
    );
    assert!(!debian.show);
    let set: BTreeMap<_, _> = debian.set.iter().cloned().collect();
    assert_eq!(
        set,
        BTreeMap::from([
            ("PATH", "/usr/bin:/bin".to_owned()),
            ("RUSTC", "/usr/bin/rustc".to_owned()),
            ("RUSTC_BOOTSTRAP", "1".to_owned()),
            (
                "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
                "-L native=/usr/lib/wasm32-wasi -C link-self-contained=no".to_owned()
            ),
        ])
    );
    for name in [
        "CARGO",
        "RUSTUP_TOOLCHAIN",
        "RUSTUP_HOME",
        "RUSTFLAGS",
        "LD_LIBRARY_PATH",
    ] {
        assert!(debian.unset.contains(&name), "{name}");
    }
}

/// A project on disk whose cargo is a table.
struct Project(tempfile::TempDir);

impl Project {
    fn new(drivers: &[(&str, &str)]) -> Project {
        let dir = tempfile::tempdir().unwrap();
        for (folder, name) in drivers {
            let folder = dir.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            let package = format!("[package]\nname = \"crate-{name}\"\n");
            fs::write(folder.join("Cargo.toml"), package).unwrap();
            let manifest = format!(
                "name = \"{name}\"\nversion = \"1.0.0\"\nkind = \"measure\"\ndescription = \"A driver.\"\n"
            );
            fs::write(folder.join("driver.toml"), manifest).unwrap();
        }
        Project(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    fn options(&self) -> BuildOptions {
        BuildOptions {
            paths: vec![self.path()],
            ..BuildOptions::default()
        }
    }

    /// A machine whose cargo "built" these drivers into `component`.
    fn machine(&self, drivers: &[(&str, &str)], component: &[u8]) -> Fake {
        let root = self.path();
        let file = root.join("made.wasm");
        fs::write(&file, component).unwrap();
        let messages: String = drivers
            .iter()
            .map(|(folder, _)| {
                let manifest = root.join(folder).join("Cargo.toml");
                let message = serde_json::json!({
                    "reason": "compiler-artifact",
                    "manifest_path": manifest,
                    "filenames": [root.join("x.rlib"), &file],
                    "fresh": false,
                });
                format!("{message}\n{{\"reason\":\"build-finished\"}}\nnot a message\n")
            })
            .collect();
        let fake = Fake::new().file(&format!("{LIBDIR}/libstd.rlib"));
        let packages: Vec<String> = drivers
            .iter()
            .map(|(_, name)| format!("crate-{name}"))
            .collect();
        let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
        let call = cargo::build(&fake, Route::Rustup, &root, &packages, false);
        fake.answers(&call.line(), true, &messages).answers(
            "cargo locate-project --workspace --message-format plain",
            true,
            &format!("{}\n", root.join("Cargo.toml").display()),
        )
    }
}

/// The least that the artifact check accepts: one export, no imports.
fn component(export: &str) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    let name = export.as_bytes();
    let mut section = vec![1, 0, u8::try_from(name.len()).unwrap()];
    section.extend_from_slice(name);
    section.extend_from_slice(&[5, 0, 0]);
    bytes.extend_from_slice(&[11, u8::try_from(section.len()).unwrap()]);
    bytes.extend_from_slice(&section);
    bytes
}

const MEASURE: &str = "servo:driver/measure@0.2.0";

#[test]
fn one_call_builds_a_workspace_and_artifacts_carry_their_manifests() {
    let drivers = [("drivers/a", "alpha"), ("drivers/b", "beta")];
    let project = Project::new(&drivers);
    let source = project.path().join("drivers/b/src");
    fs::create_dir_all(&source).unwrap();
    let code = "// none of std::env here\nfn f() {\n    std::thread::spawn(g);\n}\n";
    fs::write(source.join("lib.rs"), code).unwrap();
    let machine = project.machine(&drivers, &component(MEASURE));
    let built = build_on(&machine, &project.options()).unwrap();
    let warning = "warning: beta: src/lib.rs:3: `std::thread::spawn` fails in a driver";
    let said = machine.said.borrow().clone();
    let warned = said.iter().filter(|line| line.starts_with(warning));
    assert_eq!(warned.count(), 1, "{said:?}");
    let names: Vec<_> = built.iter().map(|b| (b.name.as_str(), b.fresh)).collect();
    assert_eq!(names, [("alpha", false), ("beta", false)]);
    for one in &built {
        let artifact = Artifact::read(&one.path).unwrap();
        assert_eq!(artifact.manifest().name.as_str(), one.name);
        assert_eq!(
            (artifact.digest(), artifact.bytes().len() as u64),
            (one.digest, one.size)
        );
        assert_eq!(
            one.path,
            project
                .path()
                .join("target/drivers")
                .join(format!("{}.wasm", one.name))
        );
    }
    let calls = machine.lines();
    let builds = calls
        .iter()
        .filter(|line| line.starts_with("cargo build"))
        .count();
    assert_eq!(builds, 1, "{calls:?}");

    // Again, into the same place and into another.
    let again = build_on(&machine, &project.options()).unwrap();
    assert!(again.iter().all(|one| one.fresh));
    let out = project.path().join("dist");
    let options = BuildOptions {
        out: Some(out.clone()),
        ..project.options()
    };
    let elsewhere = build_on(&machine, &options).unwrap();
    assert_eq!(elsewhere[0].path, out.join("alpha.wasm"));
    let left: Vec<_> = fs::read_dir(&out).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn what_a_host_would_refuse_is_refused_and_leaves_the_old_artifact() {
    let drivers = [("a", "alpha")];
    let project = Project::new(&drivers);
    build_on(
        &project.machine(&drivers, &component(MEASURE)),
        &project.options(),
    )
    .unwrap();
    let artifact = project.path().join("target/drivers/alpha.wasm");
    let before = fs::read(&artifact).unwrap();
    for (bytes, expected) in [
        (component("servo:driver/adjust@0.2.0"), "kind = \"measure\""),
        (
            component("servo:driver/measure@0.7.0"),
            "speaks servo:driver/measure@0.7.0",
        ),
        (b"\0asm\x01\0\0\0".to_vec(), "core WebAssembly module"),
    ] {
        let error = build_on(&project.machine(&drivers, &bytes), &project.options()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(fs::read(&artifact).unwrap(), before);
    }
}

#[test]
fn paths_mean_a_driver_a_folder_of_drivers_or_a_project() {
    let project = Project::new(&[
        ("drivers/a", "alpha"),
        ("drivers/b", "beta"),
        ("drivers/b/vendor/c", "gamma"),
    ]);
    let root = project.path();
    let found = |path: &str| -> Vec<String> {
        let sources = find::drivers(&root.join(path)).unwrap();
        sources.into_iter().map(|source| source.package).collect()
    };
    assert_eq!(found(""), ["crate-alpha", "crate-beta"]);
    assert_eq!(found("drivers"), ["crate-alpha", "crate-beta"]);
    assert_eq!(found("drivers/b"), ["crate-beta"]);
    assert_eq!(found("drivers/b/driver.toml"), ["crate-beta"]);
    let error = find::drivers(&root.join("drivers/b/vendor/c/..")).map(|found| found.len());
    assert_eq!(error.unwrap(), 1);
    fs::create_dir(root.join("empty")).unwrap();
    let error = find::drivers(&root.join("empty")).unwrap_err();
    assert!(error.to_string().contains("no driver here"), "{error}");
}

#[test]
fn two_drivers_of_one_name_are_refused_and_one_named_twice_is_built_once() {
    let project = Project::new(&[("a", "alpha"), ("b", "alpha")]);
    let error = sources(&[project.path()]).unwrap_err();
    assert!(
        error.to_string().contains("two drivers are named `alpha`"),
        "{error}"
    );
    let a = project.path().join("a");
    assert_eq!(sources(&[a.clone(), a]).unwrap().len(), 1);
}

#[test]
fn a_failing_cargo_and_a_library_of_the_wrong_kind_are_told() {
    let drivers = [("a", "alpha")];
    let project = Project::new(&drivers);
    let mut machine = project.machine(&drivers, &component(MEASURE));
    let key = machine
        .answers
        .keys()
        .find(|line| line.starts_with("cargo build"))
        .cloned()
        .unwrap();
    machine.answers.get_mut(&key).unwrap().0.stdout.clear();
    let error = build_on(&machine, &project.options()).unwrap_err();
    assert!(
        error.to_string().contains("crate-type = [\"cdylib\"]"),
        "{error}"
    );
    machine.answers.get_mut(&key).unwrap().0.success = false;
    let error = build_on(&machine, &project.options()).unwrap_err();
    assert!(error.to_string().ends_with("failed: see above"), "{error}");
}
