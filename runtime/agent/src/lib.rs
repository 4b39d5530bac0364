//! One servo: asks the service what to do, runs drivers, reports.
//!
//! The seams, each a trait: [`MeasureDriver`] and [`AdjustDriver`] are what
//! runs, `Transport` is the way to the service, `Observer` sees what happens,
//! `Journal` keeps what must survive a crash. The loop knows none of their
//! implementations.
#![forbid(unsafe_code)]

mod driver;
mod progress;

pub use driver::{
    AdjustDriver, AdjustRequest, CallContext, CallId, CancelSupport, DriverFacts, DriverFailure,
    MeasureDriver, MeasureRequest, Pause, Step,
};
pub use progress::{ProgressReport, ProgressSink, Verdict};
