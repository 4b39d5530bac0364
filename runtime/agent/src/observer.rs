//! Seeing what a servo does, without reading its log.
//!
//! Notices are plain data, so that a command line can print them, a page can
//! draw them and a test can compare them. An observer must return at once: it
//! is called in the middle of the loop.

use std::time::Duration;

use servo_protocol::{CommandName, Descriptor, EventName, Failure, Measurement, Operation, State};
use tokio::sync::mpsc;

use crate::driver::CallId;
use crate::progress::ProgressReport;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// The service took the greeting.
    Greeted,
    /// The servo goes on with what was in hand before it ended.
    Recovered {
        /// What that was.
        what: String,
    },
    /// The service gave a command.
    Command {
        /// Which.
        name: CommandName,
        /// Its id.
        cmd_uid: Option<String>,
    },
    /// The service's answer to WHATS_NEXT was not understood.
    Malformed {
        /// What is wrong with it.
        problem: String,
        /// How long until the servo asks again.
        wait: Duration,
    },
    /// The service has nothing to do.
    Sleeping {
        /// For how long.
        wait: Duration,
        /// Why, in the service's words.
        reason: Option<String>,
    },
    /// A driver described something odd that is no error.
    Odd {
        /// What.
        finding: String,
    },
    /// A call is about to begin.
    Started {
        /// Its id.
        call: CallId,
        /// What it does.
        operation: Operation,
        /// Name and version of the driver.
        driver: String,
    },
    /// The newest progress of a call is about to be sent.
    Progress {
        /// The call.
        call: CallId,
        /// How far it is.
        report: ProgressReport,
        /// Since the call began.
        runtime: Duration,
    },
    /// A step ended and the driver wants to be called again.
    Paused {
        /// The call.
        call: CallId,
        /// After how long.
        wait: Duration,
        /// What is being waited for.
        message: Option<String>,
    },
    /// A call is no longer wanted.
    Cancelling {
        /// The call.
        call: CallId,
        /// Why.
        why: String,
    },
    /// The undo step of a cancelled call failed.
    UndoFailed {
        /// The call.
        call: CallId,
        /// How.
        problem: String,
    },
    /// The journal could not keep something.
    Unrecorded {
        /// Why.
        problem: String,
    },
    /// An operation has ended; its report is about to be sent.
    Ended {
        /// What it did.
        operation: Operation,
        /// What it brought.
        outcome: Result<Brought, Failure>,
    },
    /// The service has the report.
    Delivered {
        /// About what.
        operation: Operation,
    },
    /// A report was given up because the servo stops.
    Undelivered {
        /// About what.
        operation: Operation,
    },
    /// A request failed.
    Retrying {
        /// Which.
        event: EventName,
        /// How often it has failed now.
        failures: u32,
        /// How.
        problem: String,
        /// How long until it is repeated; none when it is given up.
        wait: Option<Duration>,
    },
    /// The service says that the servo is out of step; it greets again.
    OutOfStep {
        /// Why, in the service's words.
        reason: String,
    },
    /// The servo has said farewell.
    Goodbye {
        /// The reason it gave.
        reason: String,
        /// Whether the service took it.
        delivered: bool,
    },
}

/// What an operation brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Brought {
    /// DESCRIBE.
    Descriptor(Box<Descriptor>),
    /// MEASURE.
    Measurement(Measurement),
    /// ADJUST.
    State(State),
}

/// Sees what happens. Must return at once.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn notice(&self, notice: Notice);
}

/// Looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn notice(&self, _: Notice) {}
}

/// Passes notices on through a channel. A closed channel is no error.
impl Observer for mpsc::UnboundedSender<Notice> {
    fn notice(&self, notice: Notice) {
        let _closed = self.send(notice);
    }
}
