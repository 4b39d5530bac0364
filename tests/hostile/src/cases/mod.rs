//! The cases, one file for each group of the catalogue.
//!
//! A case is a function over a host; its name begins with its row. A suite
//! calls every one of them in a test of the same name.

pub mod a;
pub mod b;
pub mod c;
pub mod d;
pub mod e;
pub mod f;
pub mod g;
pub mod h;
