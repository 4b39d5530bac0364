//! Where the agent meets the sandbox.
//!
//! The agent knows drivers as traits and the sandbox knows nothing of the
//! protocol, so that each can be built and tested without the other. This crate
//! joins them: [`DriverHost`] is what all drivers of a process share, and turns
//! an operator's words into [`Sandboxed`] drivers for a servo. Running many
//! servos in one process will stand on the same two types.

#![forbid(unsafe_code)]

mod assemble;
mod sandboxed;

pub use assemble::{AssembleError, DriverHost, default_code_folder};
pub use sandboxed::Sandboxed;
