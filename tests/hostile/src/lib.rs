//! What a hostile driver tries, and what a host must make of it.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole crate is for tests, where a panic is the report"
)]

pub mod cases;
pub mod catalogue;
pub mod components;
pub mod ears;
pub mod expect;
pub mod fetching;
pub mod guest;
pub mod host;
pub mod memory;
pub mod shapes;
pub mod sigv4;
pub mod stage;
pub mod witness;

use std::path::Path;

pub use servo_test_support::{server, tls};

/// The root of the source tree.
#[must_use]
pub fn tree() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}
