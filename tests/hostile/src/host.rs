//! What a host must offer to be put under these tests.
//!
//! Three things stand between a host and the cases: [`HostUnderTest`], which
//! starts a host and runs drivers on it; [`Names`], the only resolver that host
//! may use; and [`Records`], where it writes what it decided. A case never asks
//! the host what it did: it looks at the names that were asked for, at the
//! connections a listener saw, at folders, records and counters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;

use crate::witness::{Names, Records};

/// What a host is started with.
#[derive(Debug, Clone)]
pub struct Start {
    /// Steps that may run at the same time; further ones wait.
    pub places: u32,
    /// The only way to look a name up.
    pub names: Arc<Names>,
    /// Where each decision goes.
    pub records: Arc<Records>,
    /// Where it keeps compiled code, where a case wants a place of its own.
    pub cache: Option<PathBuf>,
    /// How drivers are compiled, where a case wants it otherwise.
    pub compiling: Compiling,
}

/// How drivers are compiled. What is absent is as usual.
#[derive(Debug, Clone, Default)]
pub struct Compiling {
    /// A script of the shell in the place of the process that compiles.
    pub script: Option<String>,
    /// Its computing time, in seconds.
    pub cpu: Option<u64>,
    /// Its whole time.
    pub wall: Option<Duration>,
}

/// Who uses a driver, with which configuration and grants.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The owner of the driver's connections, secrets and records.
    pub tenant: String,
    /// The driver's section of the configuration.
    pub config: Value,
    /// The grants, with the keys an operator writes.
    pub grants: Value,
}

/// An exported function of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Function {
    /// `measure.describe`
    DescribeMetrics,
    /// `measure.measure`, first step.
    Measure,
    /// `adjust.describe`
    DescribeApplication,
    /// `adjust.adjust`, first step.
    Adjust,
}

/// A host under test. One value is one started host; clones are the same host.
pub trait HostUnderTest: Clone + Send + Sync + 'static {
    /// A driver that was accepted.
    type Driver: Clone + Send + Sync + 'static;
    /// A driver with terms, ready to be called.
    type Bound: Clone + Send + Sync + 'static;
    /// One call: steps that share a budget.
    type Call: Send + Sync + 'static;

    /// Starts one.
    fn start(start: Start) -> Self;

    /// Takes an artifact, or says why not. Nothing of it runs.
    fn load(&self, artifact: &[u8]) -> impl Future<Output = Result<Self::Driver, String>> + Send;

    /// Takes the artifact in a file, or says why not.
    fn load_file(&self, file: &Path) -> impl Future<Output = Result<Self::Driver, String>> + Send;

    /// Whether the code of a driver was kept from earlier.
    fn is_from_cache(&self, driver: &Self::Driver) -> bool;

    /// The digest of a driver's bytes.
    fn digest(&self, driver: &Self::Driver) -> String;

    /// Why no code can be kept in this folder; nothing where it can.
    fn refused_cache(folder: &Path) -> Option<String>;

    /// Joins a driver with terms, or says why that cannot be.
    fn bind(&self, driver: &Self::Driver, terms: Terms) -> Result<Self::Bound, String>;

    /// Begins a call.
    fn begin(&self, bound: &Self::Bound, listener: Arc<Listener>) -> Self::Call;

    /// One step of it. To drop the future is to give the step up.
    fn step(&self, call: &Self::Call, function: Function) -> impl Future<Output = Step> + Send;

    /// Asks the call to end.
    fn cancel(&self, call: &Self::Call);

    /// How often a use of this capability was denied.
    fn denied(&self, capability: &str) -> u64;

    /// How often this limit ended or cut something.
    fn limit_hits(&self, limit: &str) -> u64;

    /// Whether the limits of a step are counted yet.
    fn counts_limits(&self) -> bool {
        true
    }

    /// All counters in the form in which they are published.
    fn metrics(&self) -> String;
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// The driver answered, and the answer was accepted.
    Answered(Answer),
    /// The driver says that it failed.
    Failed(String),
    /// It failed after something was denied to it; what, and what would allow it.
    Denied(String),
    /// It was stopped at a limit.
    Limit {
        /// The limit, by the key that sets it; a name of its own where none does.
        name: String,
        /// What the operator is told.
        text: String,
    },
    /// It crashed, or its answer broke the contract.
    Trap(String),
    /// It was cancelled.
    Cancelled,
}

/// What a driver answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The notes of a measurement.
    pub notes: BTreeMap<String, String>,
    /// The names of described metrics.
    pub metrics: Vec<String>,
    /// Whether it asked to be called again later.
    pub pause: bool,
}

/// What a step used, as the host counted it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// Time on a worker.
    pub cpu: Duration,
    /// Bytes of linear memory at the end.
    pub memory: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Requests that were refused.
    pub denied: u64,
    /// Bytes of request bodies.
    pub bytes_out: u64,
    /// Bytes of response bodies.
    pub bytes_in: u64,
    /// What was kept of its output.
    pub output: Vec<u8>,
    /// Bytes of output that were thrown away.
    pub output_dropped: u64,
    /// Log lines that were thrown away.
    pub log_lines_dropped: u64,
}

/// A step's end together with what it used.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// How it ended.
    pub end: Ended,
    /// What it used.
    pub used: Used,
}

/// Hears what a call says, and lets a case wait for it.
#[derive(Debug, Default)]
pub struct Listener {
    lines: AtomicUsize,
    texts: std::sync::Mutex<Vec<String>>,
    progress: Notify,
}

impl Listener {
    /// The host passes on that the driver reported progress.
    pub fn progress(&self, message: Option<&str>) {
        if let Some(message) = message {
            self.texts.lock().unwrap().push(message.to_owned());
        }
        self.progress.notify_one();
    }

    /// The host passes a log line on.
    pub fn log(&self, message: &str) {
        self.lines.fetch_add(1, Ordering::SeqCst);
        self.texts.lock().unwrap().push(message.to_owned());
    }

    /// Returns once the driver has reported progress: it is in the middle.
    pub async fn began(&self) {
        self.progress.notified().await;
    }

    /// Log lines that were passed on.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.lines.load(Ordering::SeqCst)
    }

    /// Everything that was passed on as text.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.texts.lock().unwrap().clone()
    }
}
