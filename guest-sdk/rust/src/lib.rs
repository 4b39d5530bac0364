//! placeholder
#![deny(unsafe_code)]

pub mod actions;
mod bindings;
mod context;
mod driver;
pub mod failure;
mod host;
pub mod http;
mod json;
mod logger;
pub mod model;
mod request;
mod step;
pub mod store;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub use context::{Context, Report};
pub use driver::{Adjust, Measure};
pub use failure::{Cancelled, Failure, FailureContext};
pub use model::{Adjustment, Application, Measurement};
pub use request::{AdjustRequest, Control, MeasureRequest};
pub use step::{OneStep, Pause, Step};

/// What the export macros need; not for use.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod __bindings {
    pub use crate::{
        bindings::{adjust_world, measure_world},
        wasm::{AdjustExport, MeasureExport},
    };
}

/// Makes a type that implements [`Measure`] the driver of this component.
///
/// Use it once, in a crate whose `crate-type` includes `cdylib`. In a native
/// build it does nothing, so tests of the same crate link.
#[macro_export]
macro_rules! export_measure {
    ($driver:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = $crate::__bindings::MeasureExport<$driver>;
            $crate::__bindings::measure_world::export_measure_world!(Component with_types_in $crate::__bindings::measure_world);
        };
    };
}

/// Makes a type that implements [`Adjust`] the driver of this component.
///
/// Use it once, in a crate whose `crate-type` includes `cdylib`. In a native
/// build it does nothing, so tests of the same crate link.
#[macro_export]
macro_rules! export_adjust {
    ($driver:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = $crate::__bindings::AdjustExport<$driver>;
            $crate::__bindings::adjust_world::export_adjust_world!(Component with_types_in $crate::__bindings::adjust_world);
        };
    };
}
