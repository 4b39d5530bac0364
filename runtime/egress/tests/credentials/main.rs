//! Credentials that the host holds, as the servers on the other side see them,
//! and what a driver sees of them: nothing. Every test also looks for its
//! secrets in everything that was logged meanwhile, at the finest level (E5).

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../egress/common/mod.rs"]
mod common;

mod bound;
mod echo;
mod identity;
mod load;
mod rotation;
mod signed;
mod token;
mod world;
