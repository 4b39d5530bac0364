//! End to end: the built binary, drivers as components, and real servers and
//! clients of others. One binary, since each of the files alone would link the
//! whole product. Three suites have one of their own: `conformance` and `readme`
//! are called by their names, and `ab_accuracy` compares times that nothing else
//! may disturb.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is the report"
)]

mod architecture;
mod check;
mod cli;
mod clients;
mod conversation;
mod credentials;
mod faults;
mod http_driver;
mod launchers;
mod limits;
mod main_job;
mod prom_driver;
mod prometheus;
mod run;
mod service_tls;
mod support;
