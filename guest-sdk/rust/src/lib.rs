//! Write drivers for `servo`: small components that measure an application or
//! adjust it.
//!
//! A driver is a type that implements [`Measure`] or [`Adjust`], in a crate of
//! its own that is compiled to a WebAssembly component. It can touch nothing
//! the operator did not grant, and everything it can reach is in the
//! [`Context`] it is handed.
//!
//! # Steps
//!
//! Measuring and rolling out are mostly waiting. So a call is cut into steps:
//! `start` and every `resume` answer [`Step::done`] or [`Step::wait`] with the
//! state to go on from. Between two steps the driver does not exist: no memory
//! is held, a crash of the servo loses nothing, and a cancel needs no help. A
//! driver that works all the time, such as a load generator, may take one long
//! step instead; it then reports with [`Context::progress`], whose error says
//! that the call is no longer wanted.
//!
//! # After a crash
//!
//! The servo may be killed at any moment and goes on from its journal. A call
//! that waited goes on with `resume`. A measurement that was cut short in a step
//! has that step run again, so it must stand being run twice. An adjustment that
//! was cut short in a step is not run again: it is reported as failed, what is
//! in force as unknown, unless the manifest says `recover = true`; then
//! [`Adjust::recover`] is asked, and it decides by what it finds. It is also
//! asked when an adjustment waited and the driver was updated meanwhile, since
//! the state is then another version's.
//!
//! # A whole driver, and its test
//!
//! ```
//! use std::time::Duration;
//!
//! use serde::{Deserialize, Serialize};
//! use servo_driver::{
//!     Context, Failure, Measure, MeasureRequest, Measurement, Step, export_measure,
//!     model::{Metric, Sample},
//! };
//!
//! /// Reads a counter before and after the measured window.
//! struct Orders;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// Address of a JSON document `{"orders": 123}`.
//!     url: String,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! enum State {
//!     WarmingUp,
//!     Measuring { orders: u64 },
//! }
//!
//! #[derive(Deserialize)]
//! struct Counters {
//!     orders: u64,
//! }
//!
//! fn orders(config: &Config, cx: &Context) -> Result<u64, Failure> {
//!     let counters: Counters = cx.http().get_json(&config.url)?;
//!     Ok(counters.orders)
//! }
//!
//! impl Measure for Orders {
//!     type Config = Config;
//!     type State = State;
//!
//!     fn describe(_: &Config, _: &Context) -> Result<Vec<Metric>, Failure> {
//!         Ok(vec![Metric::new("orders").unit("orders/second")])
//!     }
//!
//!     fn start(
//!         _: &Config,
//!         request: &MeasureRequest,
//!         _: &Context,
//!     ) -> Result<Step<Measurement, State>, Failure> {
//!         let warmup = request.control.warmup.unwrap_or_default();
//!         Ok(Step::wait(warmup, State::WarmingUp).message("warming up"))
//!     }
//!
//!     fn resume(
//!         config: &Config,
//!         request: &MeasureRequest,
//!         state: State,
//!         cx: &Context,
//!     ) -> Result<Step<Measurement, State>, Failure> {
//!         let window = request.control.duration.unwrap_or(Duration::from_secs(60));
//!         let now = orders(config, cx)?;
//!         Ok(match state {
//!             State::WarmingUp => {
//!                 Step::wait(window, State::Measuring { orders: now }).progress(10.0)
//!             }
//!             State::Measuring { orders } => {
//!                 let rate = (now - orders) as f64 / window.as_secs_f64();
//!                 Step::done(Measurement::new([Sample::single("orders", rate)]))
//!             }
//!         })
//!     }
//! }
//!
//! export_measure!(Orders);
//!
//! // In a crate of its own this is `#[test] fn orders_are_counted()`.
//! use servo_driver::{http::Method, testing::{Host, Reply}};
//!
//! let run = Host::new()
//!     .config(serde_json::json!({"url": "http://shop/counters"}))
//!     .on(Method::Get, "http://shop/counters", Reply::json(serde_json::json!({"orders": 100})))
//!     .on(Method::Get, "http://shop/counters", Reply::json(serde_json::json!({"orders": 700})))
//!     .measure::<Orders>(&MeasureRequest::new("shop"));
//!
//! assert_eq!(run.steps, 3);
//! assert!(run.elapsed >= Duration::from_secs(60), "by the test's clock; no time has passed");
//! assert_eq!(run.result.unwrap().value("orders"), Some(&10.0.into()));
//! ```
//!
//! The crate's manifest needs `crate-type = ["cdylib"]`, and beside it
//! stands a `driver.toml` that says what the driver is and what it asks for.
//! `servo driver new` writes both, `servo driver build` makes the component.
//!
//! # Logging
//!
//! The macros of the `log` crate write to the operator's log, from `debug`
//! upwards; nothing of it reaches the service. Crates that use `tracing` join
//! in when its `log` feature is on and no subscriber is installed:
//!
//! ```toml
//! [dependencies]
//! log = "0.4"
//! tracing = { version = "0.1", default-features = false, features = ["std", "log"] }
//! ```
//!
//! ```
//! # fn f(attempt: u32) {
//! log::info!("attempt {attempt}");
//! // tracing::info!(attempt, "trying again");
//! # }
//! ```
//!
//! # Errors
//!
//! Everything a driver returns with `?` becomes a [`Failure`]: errors of this
//! crate, of JSON, of I/O, of parsing numbers. They mean `failed`. Whether the
//! settings are to blame only the driver can know: [`Failure::rejected`] tells
//! the service never to try this point again. A configuration that does not fit
//! [`Measure::Config`] fails every call with the path of the key.

#![deny(unsafe_code)]

mod access;
pub mod actions;
mod bindings;
mod context;
mod driver;
pub mod failure;
pub mod folder;
mod host;
pub mod http;
mod json;
mod logger;
pub mod model;
mod report;
mod request;
mod step;
pub mod store;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod text;
pub mod time;
#[cfg(target_arch = "wasm32")]
mod wasm;

pub use context::Context;
pub use driver::{Adjust, Measure};
pub use failure::{Cancelled, Failure, FailureContext};
pub use model::{Adjustment, Application, Measurement};
pub use report::Report;
pub use request::{AdjustRequest, Control, MeasureRequest};
pub use step::{Interruption, OneStep, Pause, Step};

/// What the export macros need; not for use.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod __bindings {
    pub use crate::{
        bindings::{adjust_world, measure_world, servo::driver::fetch},
        wasm::export::{AdjustExport, MeasureExport},
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
