//! Where the agent meets the sandbox.
//!
//! The agent knows drivers as traits and the sandbox knows nothing of the
//! protocol, so that each can be built and tested without the other. This crate
//! joins them: [`DriverHost`] is what all drivers of a process share, and turns
//! an operator's words into [`Sandboxed`] drivers for a servo. Running many
//! servos in one process will stand on the same two types.

#![forbid(unsafe_code)]

mod app;
mod assemble;
mod error;
mod explanation;
mod hosted;
mod metrics;
mod sandboxed;
mod silence;
mod site;
mod ungranted;

pub use app::{AppId, AppIdError};
pub use assemble::{DriverHost, default_code_folder, environment};
pub use error::{AssembleError, AssembleErrors, Fault};
pub use explanation::Explanation;
pub use hosted::{Hosted, Natives, Terms};
pub use metrics::MetricsPage;
pub use sandboxed::Sandboxed;
pub use site::{Located, Site, SiteError};
pub use ungranted::Ungranted;
