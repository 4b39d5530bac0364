//! Our sandbox under the kit of hostile cases.
//!
//! Every test looks at the outside: the typed end of a step, the connections a
//! listener saw, the names a resolver was asked for, the files in a folder, the
//! records of the host. What the guest says of itself is a hint for the reader
//! of a failure. Names begin with the row of the catalogue that the test stands
//! for.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod clock;
mod dry_run;
mod groups;
mod lifecycle;
mod rows;
mod servo;
mod shapes;
mod slots;
mod store;
mod support;
