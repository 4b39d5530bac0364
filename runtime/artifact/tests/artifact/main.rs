//! A driver's bytes and its compiled code, before anything runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

mod code_cache;
mod common;
mod manifests;
mod refusals;
