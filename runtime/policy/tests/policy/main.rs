//! The words of an operator and what they decide. One binary: cases are many and
//! none needs a process.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

#[path = "../support/bodies.rs"]
mod bodies;
#[path = "../support/matcher.rs"]
mod matcher;

mod action;
mod addresses;
mod ceiling;
mod decisions;
mod described;
mod fuzz_bodies;
mod reference;
mod rule_keys;
mod spec;
