//! The sample application that servos are tried on, and what a run on it says
//! in the end.
//!
//! A tool that promises to find better settings must be able to show it on any
//! laptop, with nothing else installed. So the project carries an application
//! whose speed really depends on its settings, and one main job that improves
//! it.

#![forbid(unsafe_code)]

pub mod app;
pub mod job;
pub mod report;
