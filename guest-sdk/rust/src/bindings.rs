//! The generated half: one set of Rust types for the words of the contract,
//! and one module for each of the two worlds a driver can export.
//!
//! The worlds map every shared interface back to the first module, so that a
//! `Metric` is one type wherever it is met. They exist for WebAssembly only:
//! their export symbols do not link in a native library, and a driver's tests
//! are native.
//!
//! This is the only module with `unsafe` code, and none of it is written by
//! hand.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::restriction
)]

wit_bindgen::generate!({
    path: "wit",
    world: "host-imports",
    generate_unused_types: true,
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    additional_derives_ignore: ["scalar"],
});

#[cfg(target_arch = "wasm32")]
pub mod measure_world {
    wit_bindgen::generate!({
        path: "wit",
        world: "measure-driver",
        pub_export_macro: true,
        export_macro_name: "export_measure_world",
        default_bindings_module: "servo_driver::__bindings::measure_world",
        with: {
            "servo:driver/model@0.2.0": crate::bindings::servo::driver::model,
            "servo:driver/config@0.2.0": crate::bindings::servo::driver::config,
            "servo:driver/progress@0.2.0": crate::bindings::servo::driver::progress,
            "servo:driver/fetch@0.2.0": crate::bindings::servo::driver::fetch,
            "servo:driver/log@0.2.0": crate::bindings::servo::driver::log,
            "servo:driver/state@0.2.0": crate::bindings::servo::driver::state,
            "servo:driver/actions@0.2.0": crate::bindings::servo::driver::actions,
        },
    });
}

#[cfg(target_arch = "wasm32")]
pub mod adjust_world {
    wit_bindgen::generate!({
        path: "wit",
        world: "adjust-driver",
        pub_export_macro: true,
        export_macro_name: "export_adjust_world",
        default_bindings_module: "servo_driver::__bindings::adjust_world",
        with: {
            "servo:driver/model@0.2.0": crate::bindings::servo::driver::model,
            "servo:driver/config@0.2.0": crate::bindings::servo::driver::config,
            "servo:driver/progress@0.2.0": crate::bindings::servo::driver::progress,
            "servo:driver/fetch@0.2.0": crate::bindings::servo::driver::fetch,
            "servo:driver/log@0.2.0": crate::bindings::servo::driver::log,
            "servo:driver/state@0.2.0": crate::bindings::servo::driver::state,
            "servo:driver/actions@0.2.0": crate::bindings::servo::driver::actions,
        },
    });
}
