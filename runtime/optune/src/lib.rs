//! The local optimization service: the remote half of the protocol, for people
//! who have none.
//!
//! A servo that speaks the protocol (ours, the original script, servox) asks
//! it what to do; it measures the application as it stands, tries other
//! settings one after the other, and ends by restoring the best ones it has
//! seen, or those it found when nothing was better. It is a library with a
//! [`Service`] that listens on one address, keeps everything in one SQLite
//! file, and shows a page. [`Service::offline`] is the same without a socket.
//!
//! The parts, from the inside out: [`space`] is what may be changed,
//! [`sampler`] chooses points of it, [`objective`] scores measurements,
//! [`machine`] is one application's study as a pure state machine, [`store`]
//! keeps it, and the HTTP side brings events in.
#![forbid(unsafe_code)]

mod auth;
mod clock;
mod http;
mod hub;
pub mod machine;
pub mod objective;
mod options;
pub mod sampler;
mod service;
pub mod space;
pub mod store;
mod text;
mod wire;

pub use auth::{Auth, Tokens};
pub use clock::{Clock, SystemClock};
pub use hub::{HubError, ServiceEvent};
pub use machine::{
    Drift, InForce, Notice, Origin, Pause, Scored, StudySummary, Trial, TrialCounts, TrialState,
    Verification,
};
pub use objective::ObjectiveSpec;
pub use options::{AppKey, NameError, ServiceOptions, StudyOptions};
pub use sampler::SamplerKind;
pub use service::{Service, StartError};
pub use space::Settings;
