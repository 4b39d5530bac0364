//! The sandbox: one call of one driver, from start to drop.
//!
//! A [`Sandbox`] owns the process's one engine. It [loads](Sandbox::load) an
//! artifact into a [`Driver`], which is shared by everybody who uses the same
//! bytes; [`Driver::bind`] joins it with one operator's configuration and
//! grants into a [`BoundDriver`], which shares nothing with anybody. Every step
//! of a call runs in a store of its own, under one budget, and ends in one of
//! six typed [outcomes](End).
//!
//! Everything is denied unless a grant names it. What a guest can reach:
//! `wasi:http` through the egress crate's gate, the granted folders, clocks,
//! random numbers, and the few imports of `servo:driver`. It has no
//! environment, no arguments, an empty standard input and no sockets.

mod bindings;
mod call;
mod check;
mod clocks;
mod compile;
pub mod compile_child;
mod compiler;
mod disk;
mod driver;
mod dry_run;
mod engine;
mod entry;
mod errors;
mod fetch;
mod fixed;
mod host;
mod http;
mod limiter;
mod linker;
mod meter;
mod outcome;
mod output;
mod records;
mod schedule;
mod sockets;
mod state_store;
mod ticker;

pub use bindings::{adjust, measure, model};
pub use call::{Call, Part};
pub use compile::CodeOrigin;
pub use compiler::{CompileError, CompileLimit, CompileLimits, Compiler, compile_limits};
pub use driver::{Binding, BoundDriver, Driver, Sandbox, SandboxOptions};
pub use engine::ENGINE_VERSION;
pub use fixed::{FixedLimit, fixed_limits, worst_case};
pub use host::{CallObserver, LogLevel, Progress, Silent};
pub use outcome::{DRY_RUN, End, Failed, Limit, Step, StepReport};
pub use output::Output;
pub use schedule::Load;
pub use state_store::{
    FileState, MAX_KEY_BYTES, MAX_STORE_BYTES, MemoryState, StateError, StateStore,
};

/// Why the sandbox, or a driver in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine cannot be set up on this machine.
    #[error("cannot set up the engine: {0}")]
    Engine(String),
    /// The engine does not take the component.
    #[error("driver {driver:?} is refused by the engine: {problem}")]
    Refused {
        /// Name of the driver.
        driver: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no code of the component, and no answer of the engine to it.
    #[error("driver {driver:?}: {source}")]
    Compile {
        /// Name of the driver.
        driver: String,
        /// Why.
        source: CompileError,
    },
    /// A grant asks for what this sandbox cannot give or enforce.
    #[error("driver {driver:?}: {key}: {advice}")]
    Grant {
        /// Name of the driver.
        driver: String,
        /// Which grant, such as `grants.folders[0].path`.
        key: String,
        /// What is wrong, and what to change.
        advice: servo_policy::Advice,
    },
    /// The network side could not be prepared.
    #[error(transparent)]
    Egress(#[from] servo_egress::EgressError),
}
