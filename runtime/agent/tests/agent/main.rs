//! The agent from outside: a scripted service and drivers, and no engine. One
//! binary, since each of the files alone would link the same. Two are apart,
//! `kill` and `http`: they start processes, and for a moment such a process has
//! the locks of the journals that are open in this one.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

mod calls;
mod cases;
mod ceiling;
mod compat;
mod crashes;
mod description;
mod environment;
mod journal;
mod requests;
mod restart;
mod seams;
mod stops;
mod support;
mod undo;
