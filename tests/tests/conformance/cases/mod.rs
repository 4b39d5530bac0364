//! The cases, by what they are about.

pub mod cancel;
pub mod drivers;
pub mod environment;
pub mod native;
pub mod process;
pub mod requests;
