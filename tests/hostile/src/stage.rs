//! A short way from a behaviour to its end: one started host with what watches
//! it, and the drivers on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::guest;
use crate::host::{Compiling, Ended, Function, HostUnderTest, Listener, Start, Step, Terms};
use crate::shapes::Shape;
use crate::witness::{Names, Records};

/// Whose drivers they are, where a case does not say.
pub const TENANT: &str = "acme";

/// One started host and its witnesses.
#[derive(Debug, Clone)]
pub struct Stage<H> {
    /// The host.
    pub host: H,
    /// What it looked up.
    pub names: Arc<Names>,
    /// What it decided.
    pub records: Arc<Records>,
}

impl<H: HostUnderTest> Default for Stage<H> {
    fn default() -> Self {
        Self::with_places(8)
    }
}

impl<H: HostUnderTest> Stage<H> {
    /// A host with room for a few steps at a time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A host with room for so many steps at a time.
    #[must_use]
    pub fn with_places(places: u32) -> Self {
        Self::start(places, None, Compiling::default())
    }

    /// A host that keeps its compiled code in this folder.
    #[must_use]
    pub fn with_cache(folder: &Path) -> Self {
        Self::start(2, Some(folder.to_owned()), Compiling::default())
    }

    /// A host that compiles in this way, and keeps the code in this folder.
    #[must_use]
    pub fn compiling(folder: &Path, compiling: Compiling) -> Self {
        Self::start(2, Some(folder.to_owned()), compiling)
    }

    fn start(places: u32, cache: Option<PathBuf>, compiling: Compiling) -> Self {
        let (names, records) = (Arc::<Names>::default(), Arc::<Records>::default());
        let host = H::start(Start {
            places,
            names: Arc::clone(&names),
            records: Arc::clone(&records),
            cache,
            compiling,
        });
        Self {
            host,
            names,
            records,
        }
    }

    /// The driver with many behaviours.
    pub async fn driver(&self) -> H::Driver {
        self.host.load(guest::artifact().bytes()).await.unwrap()
    }

    /// A driver written by hand.
    pub async fn shape(&self, shape: &Shape) -> H::Driver {
        self.host.load(&shape.bytes().unwrap()).await.unwrap()
    }

    /// Joins a driver with a configuration and grants.
    ///
    /// # Panics
    /// The host refuses them.
    pub fn bind(&self, driver: &H::Driver, config: Value, grants: Value) -> Bound<H> {
        self.bind_for(TENANT, driver, config, grants)
    }

    /// The same for another tenant.
    ///
    /// # Panics
    /// The host refuses them.
    pub fn bind_for(
        &self,
        tenant: &str,
        driver: &H::Driver,
        config: Value,
        grants: Value,
    ) -> Bound<H> {
        let terms = Terms {
            tenant: tenant.to_owned(),
            config,
            grants,
        };
        Bound {
            bound: self.host.bind(driver, terms).unwrap(),
            host: self.host.clone(),
        }
    }

    /// The driver with many behaviours, with one for `measure`.
    pub async fn behaving(&self, behaviour: Value, grants: Value) -> Bound<H> {
        let config = json!({ "behaviour": behaviour });
        self.bind(&self.driver().await, config, grants)
    }

    /// A driver written by hand with these grants.
    pub async fn shaped(&self, shape: &Shape, grants: Value) -> Bound<H> {
        self.bind(&self.shape(shape).await, json!({}), grants)
    }

    /// Why the host does not bind the driver with these grants.
    ///
    /// # Panics
    /// It does.
    pub async fn unbindable(&self, grants: Value) -> String {
        let terms = Terms {
            tenant: TENANT.to_owned(),
            config: json!({}),
            grants,
        };
        match self.host.bind(&self.driver().await, terms) {
            Ok(_) => panic!("it was bound"),
            Err(why) => why,
        }
    }

    /// One measurement of one behaviour.
    pub async fn run(&self, behaviour: Value, grants: Value) -> Step {
        self.behaving(behaviour, grants).await.measure().await
    }
}

/// A driver with terms.
#[derive(Debug, Clone)]
pub struct Bound<H: HostUnderTest> {
    host: H,
    bound: H::Bound,
}

impl<H: HostUnderTest> Bound<H> {
    /// Begins a call.
    pub fn begin(&self, listener: &Arc<Listener>) -> Call<H> {
        Call {
            call: self.host.begin(&self.bound, Arc::clone(listener)),
            host: self.host.clone(),
        }
    }

    /// A call of one step.
    pub async fn call(&self, function: Function) -> Step {
        self.begin(&Arc::default()).step(function).await
    }

    /// A call of one step of `measure`.
    pub async fn measure(&self) -> Step {
        self.call(Function::Measure).await
    }

    /// A call of `describe`.
    pub async fn describe(&self) -> Step {
        self.call(Function::DescribeMetrics).await
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Call<H: HostUnderTest> {
    host: H,
    call: H::Call,
}

impl<H: HostUnderTest> Call<H> {
    /// One step.
    pub async fn step(&self, function: Function) -> Step {
        self.host.step(&self.call, function).await
    }

    /// One step of `measure`.
    pub async fn measure(&self) -> Step {
        self.step(Function::Measure).await
    }

    /// Asks it to end.
    pub fn cancel(&self) {
        self.host.cancel(&self.call);
    }
}

impl Step {
    /// The notes of a step that ended well.
    ///
    /// # Panics
    /// It did not.
    #[track_caller]
    #[must_use]
    pub fn notes(&self) -> &BTreeMap<String, String> {
        match &self.end {
            Ended::Answered(answer) => &answer.notes,
            other => panic!("expected an answer, got {other:?}"),
        }
    }

    /// One note.
    ///
    /// # Panics
    /// There is none of that name.
    #[track_caller]
    #[must_use]
    pub fn note(&self, name: &str) -> &str {
        let notes = self.notes();
        notes
            .get(name)
            .unwrap_or_else(|| panic!("no note {name:?} in {notes:?}"))
    }

    /// # Panics
    /// It did not end well.
    #[track_caller]
    pub fn assert_answered(&self) {
        assert!(matches!(self.end, Ended::Answered(_)), "{:?}", self.end);
    }

    /// # Panics
    /// It did not end in a crash.
    #[track_caller]
    pub fn assert_trapped(&self) {
        assert!(matches!(self.end, Ended::Trap(_)), "{:?}", self.end);
    }

    /// # Panics
    /// It did not end at this limit.
    #[track_caller]
    pub fn assert_limit(&self, expected: &str) {
        match &self.end {
            Ended::Limit { name, .. } => assert_eq!(name, expected),
            other => panic!("expected the limit {expected:?}, got {other:?}"),
        }
    }

    /// What was denied last, in the words of the host.
    ///
    /// # Panics
    /// It did not end by a denial.
    #[track_caller]
    #[must_use]
    pub fn denial(&self) -> &str {
        match &self.end {
            Ended::Denied(denial) => denial,
            other => panic!("expected a denial, got {other:?}"),
        }
    }
}
