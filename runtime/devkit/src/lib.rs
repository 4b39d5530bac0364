//! What a driver's author works with: a new project, its build, and the test
//! of the finished driver against the contract.
//!
//! The commands of `servo driver` are thin shells over this crate, and so can
//! be every other tool: results are data, and nothing here prints except
//! through [`build::machine::Machine::say`].
#![forbid(unsafe_code)]

pub mod build;
pub mod contract;
pub mod scaffold;

pub use build::{BuildError, BuildOptions, Built, Route, build};
