//! The one way out, from outside. One binary, since each of the files alone would
//! link the same. Three have a process of their own: `bomb` measures its memory,
//! `wire` counts its panics, and `credentials` reads all that it logs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

mod addresses;
mod audit;
mod bodies;
mod common;
mod decide;
mod decode;
mod fetch;
mod framing;
mod limits;
mod only_way;
mod own;
mod redirects;
mod time;
mod tls;
mod tls_failures;
mod traffic;
