//! One module for each verb.

pub(crate) mod demo;
pub(crate) mod driver;
pub(crate) mod optune;
pub(crate) mod run;
