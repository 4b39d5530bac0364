//! The words that a servo and the service exchange.
//!
//! The crate is types and pure functions: no I/O, no clock, no async. The same
//! types are written by the agent and read by the local service, so that the
//! two cannot drift apart; every reader is tolerant (unknown members are kept
//! or ignored, unknown statuses survive) and every writer is strict.
//!
//! Reading happens in two stages. [`Envelope`] and [`Command::parse`] say what a
//! message is; [`Event::from_envelope`] and the typed parameters say whether
//! its content can be used. A reader can therefore answer a message that it
//! recognises but cannot use.
#![forbid(unsafe_code)]

pub mod check;
mod command;
mod control;
mod descriptor;
mod duration;
mod event;
mod measurement;
mod reply;
mod scalar;
mod settings;
mod vocabulary;

pub use command::{
    AdjustParam, Command, CommandBody, CommandError, CommandName, DEFAULT_SLEEP, DescribeParam,
    MeasureParam, Operation, SleepParam,
};
pub use control::{Control, Seconds, SecondsError};
pub use descriptor::{
    Application, Component, Descriptor, Metric, Metrics, MetricsDescriptor, Optimization, Setting,
    SettingKind,
};
pub use duration::{DurationTextError, parse_duration_text};
pub use event::{
    Envelope, Event, EventError, EventName, Failure, Goodbye, Hello, Progress, Report, Success,
};
pub use measurement::{Annotation, Instance, Measurement, Point, Reading, Sample};
pub use reply::{NotAnObject, StatusReply};
pub use scalar::{Number, Scalar, Steps};
pub use settings::{AppliedApplication, AppliedComponent, AppliedSetting, State};
pub use vocabulary::{Reason, Status};

/// Members that a type does not know, kept so that they travel on.
pub type Members = serde_json::Map<String, serde_json::Value>;

/// Entries by name, in the order in which they were written.
pub type Named<T> = indexmap::IndexMap<String, T>;
