//! Drivers as the original ran them: ordinary programs.
//!
//! They have every privilege of the person who runs the servo, so they exist
//! only where the operator says `--allow-native-drivers`. They stand in a
//! crate of their own because this is the one place of the runtime that starts
//! programs: a reader who wants to know what can be started reads this crate.
//! It speaks the calling convention of the protocol, section 13, and behaves as
//! sections 22.3 and 22.4 recommend; with [`NativeOptions::compat`] what
//! reaches the service is what the original would have sent.
//!
//! What such a driver has:
//! - The servo's environment, whole, as in the original: drivers find their
//!   backends by it, and hiding some of it from a program that can read
//!   `/proc` would only look like protection. Nothing is added to it: where the
//!   service's token lies is not handed out.
//! - The folder of the servo as its current directory.
//! - A process group of its own, which dies with the call: when it ends, when
//!   it is cancelled or too late, and when its future is dropped. A program
//!   that shall outlive the call has to leave the group (`setsid`), and what
//!   leaves it is out of our reach. So is everything when the servo itself is
//!   killed by SIGKILL: its drivers then run on until they next write.
//!
//! What the agent is protected from is not malice but the ordinary faults of
//! programs: output without end, output that is no JSON, silence, hanging on.
//! Every buffer and every wait here is bounded, and no part of a driver's output
//! can keep a call from ending.

#![forbid(unsafe_code)]

mod answer;
mod capture;
mod convert;
mod driver;
mod environment;
mod info;
mod kind;
mod lines;
mod message;
mod options;
mod process;
mod run;

pub use driver::NativeDriver;
pub use environment::NativeEnvironment;
pub use info::Info;
pub use options::{NativeError, NativeLimits, NativeOptions, StderrShare, parse_io_timeout};
