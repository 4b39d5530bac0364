//! The types of the wire and the checks on them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

mod check;
mod identity;
mod wire;
