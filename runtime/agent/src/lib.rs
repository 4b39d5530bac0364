//! One servo: asks the service what to do, runs drivers, reports.
//!
//! The seams, each a trait: [`MeasureDriver`] and [`AdjustDriver`] are what
//! runs, `Transport` is the way to the service, `Observer` sees what happens,
//! `Journal` keeps what must survive a crash. The loop knows none of their
//! implementations.
#![forbid(unsafe_code)]

mod compat;
mod description;
mod driver;
mod environment;
mod exchange;
mod journal;
mod message;
mod observer;
mod operation;
mod pace;
mod progress;
mod recovery;
mod reporting;
mod retry;
mod round;
mod servo;
mod shutdown;
mod transport;

pub use compat::Compat;
pub use description::{admitted, fitted};
pub use driver::{
    AdjustDriver, AdjustRequest, CallContext, CallId, CancelSupport, DriverFacts, DriverFailure,
    Interruption, MeasureDriver, MeasureRequest, Pause, Step,
};
pub use environment::EnvironmentCheck;
pub use journal::{
    Accepted, Began, BegunCall, CallInHand, Clock, DriverId, FileJournal, Journal, JournalError,
    JournalOpenError, NoJournal, PauseInHand, Recovered, Room, Standing, UndoInHand, UndoRecord,
    Undoing, UnsentReport,
};
pub use observer::{Brought, NoObserver, Notice, Observer};
pub use operation::{Call, CallLimits, Ended, Start};
pub use pace::{Pace, Prompt};
pub use progress::{ProgressReport, ProgressSink, Verdict};
pub use reporting::{Answer, NoReporter, Pacing, Reporter, Undelivered};
pub use retry::{FailureKind, RequestKind, RetryDelayError, RetryPolicy};
pub use servo::{DEFAULT_AGENT, Drivers, Servo, ServoConfig};
pub use shutdown::{ServoHandle, StopReason};
pub use transport::{
    HttpAnswer, HttpConfig, HttpTransport, Token, Transport, TransportError, TransportSetupError,
    parse_url, service_url,
};
