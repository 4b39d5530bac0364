//! The sandbox against a driver that means harm.
//!
//! Every test looks at the outside: the typed end of a step, the connections a
//! listener saw, the names a resolver was asked for, the files in a folder.
//! What the guest says of itself is a hint for the reader of a failure. Names
//! begin with the row of the attack catalogue that the test stands for.
//!
//! Where a limit on time is shown, the guest would have gone on for ever, and
//! another driver's calls are answered while it runs.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod disk;
mod files;
mod lifecycle;
mod memory;
mod network;
mod output;
mod shapes;
mod slots;
mod support;
mod time;
mod wat;
