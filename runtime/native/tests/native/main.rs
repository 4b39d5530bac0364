//! Programs as drivers, from outside. One binary, since each would link the same;
//! `misuse` measures the memory of its process and has one of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

mod answers;
mod convention;
mod endings;
mod environment;
mod servo;
mod support;
