//! The operator's file from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

mod ceiling;
mod errors;
mod file;
mod reference;
mod schema;
