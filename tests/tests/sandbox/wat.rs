//! Drivers in the text format, for shapes that compilers refuse to emit.
//!
//! The core module is written by hand and made a component of the contract
//! like any other, so that the host treats it as a driver.

use servo_artifact::{Artifact, DriverKind, manifest};
use servo_tests::components::tree;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The parts of a driver that differ. Bodies end with nothing on the stack.
pub struct Shape {
    pub kind: DriverKind,
    pub memory: &'static str,
    pub items: String,
    pub describe: String,
    pub act: &'static str,
    pub realloc: &'static str,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            kind: DriverKind::Measure,
            memory: "1",
            items: String::new(),
            describe: String::new(),
            act: "",
            realloc: "",
        }
    }
}

pub const LOOP: &str = "(loop $for_ever (br $for_ever))";

impl Shape {
    fn module(&self) -> String {
        let name = self.kind.as_str();
        let interface = format!("servo:driver/{name}@0.1.0");
        let Self {
            memory,
            items,
            describe,
            act,
            realloc,
            ..
        } = self;
        // Address 1024 holds zeroes: an answer that is good and empty.
        format!(
            r#"(module
              (memory $m (export "memory") {memory})
              (global $next (mut i32) (i32.const 4096))
              {items}
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                {realloc}
                (local.set $at (global.get $next))
                (global.set $next (i32.and (i32.const -16)
                  (i32.add (i32.const 15) (i32.add (global.get $next) (local.get 3)))))
                (local.get $at))
              (func (export "{interface}#describe") (param i32 i32) (result i32)
                (local $i i32)
                {describe} (i32.const 1024))
              (func (export "{interface}#{name}") (param i32) (result i32)
                {act} (i32.const 1024))
              (func (export "{interface}#cancelled") (param i32) (result i32)
                (i32.const 1024)))"#
        )
    }

    /// The driver, or why there cannot be one.
    pub fn artifact(&self) -> Result<Artifact, String> {
        let kind = self.kind.as_str();
        let module = self.module();
        let mut bytes = ::wat::parse_str(&module).map_err(|error| error.to_string())?;
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(tree().join("wit")).unwrap();
        let world = resolve
            .select_world(&[package], Some(&format!("{kind}-driver")))
            .unwrap();
        embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).unwrap();
        // What is wrong with it is for the host to find.
        let component = ComponentEncoder::default()
            .validate(false)
            .module(&bytes)
            .and_then(ComponentEncoder::encode)
            .map_err(|error| format!("{error:#}"))?;
        let text = format!(
            "name = \"shape\"\nversion = \"1.0.0\"\nkind = \"{kind}\"\n\
             description = \"Made by hand.\"\n"
        );
        let manifest = manifest::from_toml(&text, "driver.toml".as_ref()).unwrap();
        let driver = manifest::embed(&component, &manifest).unwrap();
        Artifact::from_bytes(driver).map_err(|error| error.to_string())
    }
}
