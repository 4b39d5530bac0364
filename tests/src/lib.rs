//! What the end-to-end suites stand on: launchers of real programs, and a place
//! to run the built `servo` in.
//!
//! A stub says what its author believes of a server; the real one says what is
//! so. Where a real server can be had from the distribution, the suites use it,
//! on loopback and a port of its own, and it is gone with the test.
//!
//! Everything here blocks; call it from a plain test, or from
//! `tokio::task::spawn_blocking`.

#![forbid(unsafe_code)]

pub mod ab;
pub mod components;
pub mod nginx;
pub mod program;
pub mod workspace;
