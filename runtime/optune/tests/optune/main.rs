//! The service as its clients see it. One binary, since each of the files alone
//! would link the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

mod access;
mod crash;
mod offline;
mod study;
mod support;
