//! The same host, its guests sending through the other interface.
//!
//! A request that a guest writes part by part leaves through `wasi:http`, or as
//! a whole through `servo:driver/fetch`. What a case says of the outside holds
//! for both, so it is written once, and run with either host.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::host::{Function, HostUnderTest, Listener, Start, Step, Terms};

/// A host whose guests send by `servo:driver/fetch`.
#[derive(Debug, Clone)]
pub struct Fetching<H>(H);

impl<H: HostUnderTest> HostUnderTest for Fetching<H> {
    type Driver = H::Driver;
    type Bound = H::Bound;
    type Call = H::Call;

    fn start(start: Start) -> Self {
        Self(H::start(start))
    }

    async fn load(&self, artifact: &[u8]) -> Result<Self::Driver, String> {
        self.0.load(artifact).await
    }

    async fn load_file(&self, file: &Path) -> Result<Self::Driver, String> {
        self.0.load_file(file).await
    }

    fn is_from_cache(&self, driver: &Self::Driver) -> bool {
        self.0.is_from_cache(driver)
    }

    fn digest(&self, driver: &Self::Driver) -> String {
        self.0.digest(driver)
    }

    fn refused_cache(folder: &Path) -> Option<String> {
        H::refused_cache(folder)
    }

    fn bind(&self, driver: &Self::Driver, mut terms: Terms) -> Result<Self::Bound, String> {
        terms.config["through"] = json!("fetch");
        self.0.bind(driver, terms)
    }

    fn begin(&self, bound: &Self::Bound, listener: Arc<Listener>) -> Self::Call {
        self.0.begin(bound, listener)
    }

    async fn step(&self, call: &Self::Call, function: Function) -> Step {
        self.0.step(call, function).await
    }

    fn cancel(&self, call: &Self::Call) {
        self.0.cancel(call);
    }

    fn denied(&self, capability: &str) -> u64 {
        self.0.denied(capability)
    }

    fn limit_hits(&self, limit: &str) -> u64 {
        self.0.limit_hits(limit)
    }

    fn counts_limits(&self) -> bool {
        self.0.counts_limits()
    }

    fn metrics(&self) -> String {
        self.0.metrics()
    }
}
