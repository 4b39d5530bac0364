//! Drivers in the text format, for shapes that compilers refuse to emit.
//!
//! The core module is written by hand and made a component of the contract
//! like any other, so that the host treats it as a driver.

use servo_artifact::{Artifact, DriverKind, manifest};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::tree;

/// The parts of a driver that differ. Bodies end with nothing on the stack.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Which world it is of.
    pub kind: DriverKind,
    /// The type of its memory.
    pub memory: &'static str,
    /// Imports of the module.
    pub imports: &'static str,
    /// Packages in WIT with interfaces that it imports besides the contract's,
    /// and the lines of a world that import them.
    pub wit: Option<(&'static str, &'static str)>,
    /// Further items of the module.
    pub items: String,
    /// Further modules of the component, each instantiated once.
    pub further: Vec<&'static str>,
    /// What `describe` does before it answers with an empty list.
    pub describe: String,
    /// What `measure` or `adjust` does before it answers with an empty result.
    pub act: &'static str,
    /// What it does when it is asked for memory.
    pub realloc: &'static str,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            kind: DriverKind::Measure,
            memory: "1",
            imports: "",
            wit: None,
            items: String::new(),
            further: vec![],
            describe: String::new(),
            act: "",
            realloc: "",
        }
    }
}

/// A loop without end.
pub const LOOP: &str = "(loop $for_ever (br $for_ever))";

impl Shape {
    fn module(&self) -> String {
        let name = self.kind.as_str();
        let interface = format!("servo:driver/{name}@0.2.0");
        let recover = match self.kind {
            DriverKind::Measure => String::new(),
            DriverKind::Adjust => format!(
                r#"(func (export "{interface}#recover") (param i32) (result i32) (i32.const 1024))"#
            ),
        };
        let Self {
            memory,
            imports,
            items,
            describe,
            act,
            realloc,
            ..
        } = self;
        // Address 1024 holds zeroes: an answer that is good and empty.
        format!(
            r#"(module
              {imports}
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
              {recover}
              (func (export "{interface}#cancelled") (param i32) (result i32)
                (i32.const 1024)))"#
        )
    }

    /// The driver's bytes, or why there cannot be any.
    ///
    /// # Errors
    /// No component can be made of it.
    ///
    /// # Panics
    /// When the contract of this tree cannot be read.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let kind = self.kind.as_str();
        let component = self.component()?;
        let text = format!(
            "name = \"shape\"\nversion = \"1.0.0\"\nkind = \"{kind}\"\n\
             description = \"Made by hand.\"\n"
        );
        let manifest = manifest::from_toml(&text, "driver.toml".as_ref()).unwrap();
        Ok(manifest::embed(&component, &manifest).unwrap())
    }

    /// The same without a manifest.
    ///
    /// # Errors
    /// As [`Shape::bytes`].
    ///
    /// # Panics
    /// As [`Shape::bytes`].
    pub fn component(&self) -> Result<Vec<u8>, String> {
        let mut bytes = ::wat::parse_str(self.module()).map_err(|error| error.to_string())?;
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(tree().join("wit")).unwrap();
        let own = format!("{}-driver", self.kind.as_str());
        let (package, world) = match self.wit {
            None => (package, own),
            Some((packages, imports)) => {
                let text = format!(
                    "package servo:shape;\n\
                     world shape {{ include servo:driver/{own}@0.2.0; {imports} }}\n{packages}"
                );
                let package = resolve.push_str("shape.wit", &text).unwrap();
                (package, "shape".to_owned())
            }
        };
        let world = resolve.select_world(&[package], Some(&world)).unwrap();
        embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).unwrap();
        // What is wrong with it is for the host to find.
        let component = ComponentEncoder::default()
            .validate(false)
            .module(&bytes)
            .and_then(ComponentEncoder::encode)
            .map_err(|error| format!("{error:#}"))?;
        Ok(self.with_further(component))
    }

    /// Sections may stand in any order: modules, and an instance of each, are
    /// put at the end.
    fn with_further(&self, mut component: Vec<u8>) -> Vec<u8> {
        const CORE_MODULE: u8 = 1;
        const CORE_INSTANCE: u8 = 2;
        let present = core_modules(&component);
        for (index, text) in (present..).zip(&self.further) {
            section(
                &mut component,
                CORE_MODULE,
                &::wat::parse_str(text).unwrap(),
            );
            // One instance, made of this module, with no arguments.
            let mut instance = vec![1, 0];
            leb(&mut instance, index);
            instance.push(0);
            section(&mut component, CORE_INSTANCE, &instance);
        }
        component
    }

    /// The driver as an artifact.
    ///
    /// # Errors
    /// As [`Shape::bytes`], or its inspection refuses it.
    ///
    /// # Panics
    /// As [`Shape::bytes`].
    pub fn artifact(&self) -> Result<Artifact, String> {
        Artifact::from_bytes(self.bytes()?).map_err(|error| error.to_string())
    }
}

/// A section of a component.
pub fn section(component: &mut Vec<u8>, id: u8, content: &[u8]) {
    component.push(id);
    leb(component, content.len());
    component.extend_from_slice(content);
}

/// A custom section.
pub fn custom_section(component: &mut Vec<u8>, name: &[u8], content: &[u8]) {
    let mut inner = vec![];
    leb(&mut inner, name.len());
    inner.extend_from_slice(name);
    inner.extend_from_slice(content);
    section(component, 0, &inner);
}

fn leb(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return;
        }
    }
}

/// How many modules the component itself holds.
fn core_modules(component: &[u8]) -> usize {
    let (mut at, mut count) = (8, 0);
    while at < component.len() {
        count += usize::from(component[at] == 1);
        at += 1;
        let (mut size, mut shift) = (0, 0);
        loop {
            let byte = component[at];
            at += 1;
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        at += size;
    }
    count
}
