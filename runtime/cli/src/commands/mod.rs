//! One module for each verb.

pub(crate) mod adjust;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod driver;
mod dry_run;
pub(crate) mod limits;
pub(crate) mod measure;
mod operation;
pub(crate) mod optune;
pub(crate) mod run;
mod workbench;
