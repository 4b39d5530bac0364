//! HTTP for drivers: blocking, small, and quick to give up when the call is no
//! longer wanted.
//!
//! ```
//! # use servo_driver::{Context, Failure, http};
//! # #[derive(serde::Deserialize)] struct Settings { workers: u32 }
//! # fn f(cx: &Context) -> Result<(), Failure> {
//! let api = cx.http().base("http://app:9000/api/v1")?.header("accept", "application/json");
//! let settings: Settings = api.get("settings").query("of", "shop & co").fetch_json()?;
//! api.put("settings").json(&serde_json::json!({"workers": settings.workers + 1})).fetch()?;
//! # Ok(()) }
//! ```
//!
//! The operator decides where requests may go and the host adds credentials to
//! them, so a driver needs neither. A refused request is
//! [`Kind::Denied`]; its message says what the operator could add. Redirects
//! are not followed.
//!
//! Connections are kept by the host and used again. The request header
//! `connection: close` asks for a fresh one that is closed afterwards.
//!
//! A request is one call of the host: whole request in, whole answer out. Many
//! at once, in a [`Batch`], stand on WASI's HTTP interface directly: existing
//! clients for it weigh two to five times as much, and some lose answers when a
//! request has no body.

mod batch;
mod client;
mod date;
mod defaults;
pub(crate) mod error;
pub(crate) mod message;
mod paging;
mod prepared;
mod request;
mod response;
mod retry;
pub(crate) mod url;

pub use self::{
    batch::{Batch, Completed},
    client::Client,
    error::{Error, Kind},
    message::Method,
    paging::{Next, Page},
    prepared::Prepared,
    request::Request,
    response::Response,
    retry::Retry,
    url::{basic_credentials, segment},
};
