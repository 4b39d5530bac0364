//! The operator's file `servo.yaml`.
//!
//! The file is read into types in one step, and whatever does not fit is an
//! error: an unknown key is a typing error that would otherwise grant nothing
//! or limit nothing without a word. Each error names file, line, column, key
//! and remedy, because the reader is a person with an editor open. Anchors
//! and merge keys are refused: a grant must stand where it is read.
#![forbid(unsafe_code)]

mod ceiling;
mod error;
mod explain;
mod file;
mod grants;
mod places;
mod read;
pub mod reference;
mod role;
mod schema;
mod sections;

pub use ceiling::Ceilings;
pub use error::{ConfigError, ConfigErrors, Excerpt};
pub use explain::misplaced;
pub use file::{ConfigFile, DriverSection, DriversSection, OptuneSection};
pub use role::DriverRole;
pub use sections::DriverSections;
