//! What the suites of several crates stand on: servers that say what reached
//! them, authorities and certificates, and the shortest binding of a driver.
//!
//! A suite looks at these from outside, so nothing here knows the code under
//! test, but for [`binding`], which only fills in what a case does not care for.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the whole crate is for tests, where a panic is the report"
)]

#[cfg(feature = "sandbox")]
pub mod binding;
pub mod server;
pub mod tls;
