//! What the end-to-end suites stand on: launchers of real programs, and a place
//! to run the built `servo` in.
//!
//! A stub says what its author believes of a server; the real one says what is
//! so. Where a real server can be had from the distribution, the suites use it,
//! on loopback and a port of its own, and it is gone with the test.
//!
//! What is not `async` blocks; call it from a plain test, or from a test with a
//! runtime of more than one thread.

#![forbid(unsafe_code)]

pub mod ab;
pub mod clients;
pub mod components;
pub mod daemon;
pub mod faulty_proxy;
pub mod moto;
pub mod nginx;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod service;
pub mod tap;
pub mod workspace;
