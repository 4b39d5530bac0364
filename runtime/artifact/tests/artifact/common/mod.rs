//! Components in the smallest form that has the sections which matter here.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each suite uses its part of this module"
)]

use wasm_encoder::{
    Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
    ComponentTypeRef, ComponentTypeSection, CustomSection, InstanceType, Module,
};

pub const MEASURE: &str = "servo:driver/measure@0.2.0";
pub const ADJUST: &str = "servo:driver/adjust@0.2.0";

pub const DRIVER_TOML: &str = r#"
name = "shop"
version = "1.2.3"
kind = "measure"
description = "Measures the shop."
cancel = "report"

[[asks.http]]
rule = "GET ${config.endpoint}/metrics"
why = "reads the figures"

[asks.limits]
requests = 200000
"#;

/// A component with these imports and exports, all of them instances.
pub fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    let mut component = Component::new();
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    component.section(&types);
    let mut section = ComponentImportSection::new();
    for name in imports {
        section.import(*name, ComponentTypeRef::Instance(0));
    }
    component.section(&section);
    let mut section = ComponentExportSection::new();
    for name in exports {
        section.export(*name, ComponentExportKind::Instance, 0, None);
    }
    component.section(&section);
    component.finish()
}

/// The component with one more custom section at its end.
pub fn with_section(mut component: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    wasm_encoder::ComponentSection::append_to_component(
        &CustomSection {
            name: name.into(),
            data: data.into(),
        },
        &mut component,
    );
    component
}

pub fn manifest(toml: &str) -> servo_artifact::Manifest {
    servo_artifact::manifest::from_toml(toml, "driver.toml".as_ref()).unwrap()
}

/// A whole driver: what every refusal below differs from in one point.
pub fn driver() -> Vec<u8> {
    let bare = component(&["wasi:http/outgoing-handler@0.2.12"], &[MEASURE]);
    servo_artifact::manifest::embed(&bare, &manifest(DRIVER_TOML)).unwrap()
}

pub fn core_module() -> Vec<u8> {
    Module::new().finish()
}
