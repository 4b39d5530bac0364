//! One application's study as a pure state machine.
//!
//! Events go in; what comes out is the answer, the changes to be stored and
//! the news for subscribers. There is no I/O, no clock and no chance in here, so
//! that every path can be played in tests and the whole state can be rebuilt
//! from the store after a crash.
//!
//! The protocol gives two rules that shape it. First, a command lives from the
//! moment it is first answered to WHATS_NEXT until its final report is stored;
//! until then the same command with the same id is answered again. So a command is made
//! only when it is asked for, and there is never one that nobody has seen; a final report that comes
//! while there is none can only be a repetition. Second, the original never
//! gives an id in a report, so a report is matched by its kind, and by its id
//! only where it has one.
//!
//! The application is never left on a point that was not measured well: after
//! every failed trial the next command goes back to the last good settings, and
//! a study that has changed anything ends by restoring the best settings or
//! those it found, whatever ended it.
//!
//! What the machine does not do by itself is on the side: [`silence`] is a
//! servo that is no longer there, [`check`] an application that is no longer
//! what it was, [`renew`] another study of the same application.

mod check;
mod description;
mod event;
mod failure;
mod finish;
mod model;
mod renew;
mod silence;
mod state;
mod steps;
mod study;
mod trials;
mod turn;
mod verify;
mod view;

pub use self::event::{Input, Notice, Outcome, Reaction, Reply, Write};
pub use self::model::Machine;
pub use self::state::{Command, Core, Drift, End, Pause, Phase, Progress, ServoSeen, Snapshot};
pub(crate) use self::study::cut;
pub use self::study::{Origin, Study, Trial, TrialState, Verification};
pub use self::turn::{MAX_DELIVERIES, MAX_DROPPED};
pub use self::view::{InForce, Scored, StudySummary, TrialCounts};

#[cfg(test)]
mod tests;
