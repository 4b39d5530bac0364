//! The sandbox by itself, under components written by hand, and the child that
//! compiles. One binary, since each of the files alone would link the engine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

mod bombs;
mod by_hand;
mod cached_code;
mod common;
mod compiling;
mod engine_settings;
mod frozen;
mod locks;
