//! The contract of `wit/` as Rust types.
//!
//! One world is generated that imports what every driver may import and
//! exports both kinds of driver. No component fits that world; what is used of
//! it is one exported interface at a time, so that both kinds share the types
//! of `model` and the host's imports are written once.

// The generated code has no documentation of its own: the contract's text
// stands in `wit/`.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package servo:hosting;
        world hosting {
            include servo:driver/host-imports@0.2.0;
            export servo:driver/measure@0.2.0;
            export servo:driver/adjust@0.2.0;
        }
    ",
    world: "servo:hosting/hosting",
    imports: { default: async | trappable },
    exports: { default: async },
    require_store_data_send: true,
});

pub use exports::servo::driver::{adjust, measure};
pub use servo::driver::model;
pub(crate) use servo::driver::{actions, config, fetch, log, progress, state};
