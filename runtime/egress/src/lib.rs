//! The one way out: every request of a driver, and of ourselves, leaves here.
//!
//! A guest's request is decided on in canonical form ([`servo_policy`]),
//! metered, given a vetted address, rebuilt, and only then sent; what comes
//! back is capped and timed. One module does each step, and one function of
//! [`Lane`] is the only place that puts them in order, so that no second path can
//! forget one: [`Lane::send`], for bodies that are streamed, and [`Lane::fetch`],
//! for whole ones, both end there. A [`Gate`] is made once per process, a [`Lane`] once per driver of a
//! servo: connections, TLS sessions and counters belong to a lane and to one
//! of its rules, and are never shared with another owner.

#![forbid(unsafe_code)]

mod account;
mod ask;
mod body;
mod classify;
mod client;
mod credential;
mod dry_run;
mod error;
mod exchange;
mod fetch;
mod file;
mod gate;
mod headers;
mod lane;
mod ledger;
mod meter;
mod own;
mod pace;
mod redirect;
mod resolver;
mod route;
mod shared;
mod tls;

pub use body::{Body, empty, full};
pub use client::STREAM_BYTES;
pub use error::{
    BodyError, Coding, ConnectFailure, CredentialFailure, EgressError, Phase, ProtocolFailure,
    Quota, SendError,
};
pub use fetch::{FetchError, WholeRequest, WholeResponse};
pub use file::FileError;
pub use gate::{Gate, GateBuilder, HOST_REQUESTS};
pub use lane::Lane;
pub use ledger::{DenialCount, Ledger, LedgerSnapshot, RuleUse};
pub use meter::{CallMeter, Timeouts, Usage};
pub use own::{OwnAnswer, OwnError, OwnLane};
pub use resolver::{Resolver, SystemResolver};
pub use servo_audit::Owner;
pub use tls::failure::TlsFailure;
pub use tls::identity::{IdentityError, IdentityProblem};
pub use url::Url;
