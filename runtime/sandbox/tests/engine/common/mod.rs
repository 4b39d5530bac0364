//! Drivers made by hand, a sandbox with the compiler of this crate's tests, and
//! a cache and an audit to look at.
#![allow(dead_code, unreachable_pub, reason = "each suite uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic in a test is the report"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use servo_artifact::{Artifact, CodeCache, manifest};
use servo_audit::{Auditor, Capability, Reason, Record, Sink, Verdict};
use servo_sandbox::{CompileError, Compiler, Sandbox, SandboxError, SandboxOptions};
use tempfile::TempDir;
use wasm_encoder::{
    Component, ComponentExportKind, ComponentExportSection, ComponentInstanceSection, Module,
    ModuleSection,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The program that compiles in these tests.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_servo-compile-probe");

/// It, with nothing before the verb.
pub fn compiler() -> Compiler {
    Compiler::program(PROGRAM, [] as [&str; 0])
}

/// A shell as compiler: it does what `script` says.
pub fn script(script: &str) -> Compiler {
    Compiler::program("/bin/sh", ["-c", script])
}

/// A driver that does nothing. `items` go into its module and make its bytes
/// differ from those of others.
pub fn driver(items: &str) -> Artifact {
    acting(items, "")
}

/// A driver that does something in `describe` and then answers with nothing.
pub fn acting(items: &str, describe: &str) -> Artifact {
    const INTERFACE: &str = "servo:driver/measure@0.2.0";
    let module = format!(
        r#"(module
          (memory (export "memory") 1)
          {items}
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
          (func (export "{INTERFACE}#describe") (param i32 i32) (result i32)
            (local $i i32)
            {describe} (i32.const 1024))
          (func (export "{INTERFACE}#measure") (param i32) (result i32) (i32.const 1024))
          (func (export "{INTERFACE}#cancelled") (param i32) (result i32) (i32.const 1024)))"#
    );
    let mut bytes = wat::parse_str(&module).unwrap();
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve
        .select_world(&[package], Some("measure-driver"))
        .unwrap();
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).unwrap();
    let component = ComponentEncoder::default()
        // What is wrong with it is for the host to find.
        .validate(false)
        .module(&bytes)
        .and_then(ComponentEncoder::encode)
        .unwrap();
    artifact(&component)
}

/// A component with a manifest.
pub fn artifact(component: &[u8]) -> Artifact {
    const MANIFEST: &str = "name = \"by-hand\"\nversion = \"1.0.0\"\nkind = \"measure\"\n\
                            description = \"Made by hand.\"\n";
    let manifest = manifest::from_toml(MANIFEST, "driver.toml".as_ref()).unwrap();
    let driver = manifest::embed(component, &manifest).unwrap();
    Artifact::from_bytes(driver).unwrap()
}

/// A component that has these modules and, by name alone, what a driver exports.
pub fn component_of(modules: &[Module]) -> Artifact {
    let mut component = Component::new();
    for module in modules {
        component.section(&ModuleSection(module));
    }
    let mut instances = ComponentInstanceSection::new();
    instances.export_items([] as [(&str, ComponentExportKind, u32); 0]);
    component.section(&instances);
    let mut exports = ComponentExportSection::new();
    let instance = ComponentExportKind::Instance;
    exports.export("servo:driver/measure@0.2.0", instance, 0, None);
    component.section(&exports);
    artifact(&component.finish())
}

/// One record, as far as these suites look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub driver: String,
    pub digest: String,
    pub capability: Capability,
    pub verdict: Verdict,
    pub reason: Reason,
    pub what: String,
}

/// Keeps what is recorded.
#[derive(Debug, Clone, Default)]
pub struct Records(Arc<Mutex<Vec<Seen>>>);

impl Sink for Records {
    fn write(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(Seen {
            driver: record.owner.driver.clone(),
            digest: record.owner.digest.clone(),
            capability: record.capability,
            verdict: record.verdict,
            reason: record.reason,
            what: record.what.to_owned(),
        });
    }
}

impl Records {
    /// What came since this was asked last.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// The only one, which denies the code of `artifact` for that reason.
    #[track_caller]
    pub fn one(&self, artifact: &Artifact, reason: Reason) -> Seen {
        let records = self.take();
        let [record] = records.as_slice() else {
            panic!("expected one record, got {records:#?}");
        };
        assert_eq!(record.capability, Capability::Code);
        assert_eq!(record.verdict, Verdict::Denied);
        assert_eq!(record.reason, reason);
        assert_eq!(record.driver, "by-hand");
        assert_eq!(record.digest, artifact.digest().to_string());
        record.clone()
    }
}

/// A cache, and all that was recorded of its sandboxes.
pub struct World {
    folder: TempDir,
    pub records: Records,
    pub audit: Auditor,
}

impl World {
    pub fn new() -> Self {
        let records = Records::default();
        Self {
            folder: tempfile::tempdir().unwrap(),
            audit: Auditor::new(records.clone()),
            records,
        }
    }

    /// Where the cache is.
    pub fn code(&self) -> PathBuf {
        self.folder.path().join("code")
    }

    /// A sandbox, as of a process that begins now.
    pub fn sandbox(&self, compiler: Compiler) -> Sandbox {
        Sandbox::new(SandboxOptions {
            concurrent_steps: 2,
            cache: Some(CodeCache::open(self.code(), 1 << 30).unwrap()),
            compiler,
            audit: self.audit.clone(),
            ..SandboxOptions::default()
        })
        .unwrap()
    }

    /// The entries of the cache, by name.
    pub fn entries(&self) -> Vec<PathBuf> {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(self.code())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "code"))
            .collect();
        entries.sort();
        entries
    }
}

/// Why an artifact was not loaded, where it was not the engine that refused it.
#[track_caller]
pub fn failure<T>(loaded: Result<T, SandboxError>) -> CompileError {
    match loaded {
        Err(SandboxError::Compile { source, .. }) => source,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was loaded"),
    }
}

/// The engine's own words.
#[track_caller]
pub fn refusal<T>(loaded: Result<T, SandboxError>) -> String {
    match loaded {
        Err(SandboxError::Refused { problem, .. }) => problem,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was loaded"),
    }
}
