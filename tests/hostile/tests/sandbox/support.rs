//! What the tests of this host alone stand on: one sandbox for all, and a short
//! way from a behaviour to its end.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use servo_artifact::{Artifact, CancelSupport, CodeCache, DEFAULT_CACHE_LIMIT};
use servo_egress::Gate;
use servo_hostile::guest;
pub use servo_hostile::guest::artifact;
use servo_hostile::host::Compiling;
pub use servo_hostile::server::Server;
use servo_sandbox::{
    BoundDriver, Call, CallObserver, Driver, End, Limit, LogLevel, Progress, Sandbox, SandboxError,
    SandboxOptions, Silent, Step, measure,
};
pub use servo_test_support::binding::{binding, measurement};
use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;

use crate::servo::Resolving;

pub type Measured = Step<measure::MeasureStep>;

/// The sandbox of most tests; its compiled code is kept from run to run.
pub fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| sandbox_of(32))
}

pub fn sandbox_of(concurrent_steps: u32) -> Sandbox {
    let cache = CodeCache::open(guest::code_folder(), DEFAULT_CACHE_LIMIT).unwrap();
    Sandbox::new(SandboxOptions {
        concurrent_steps,
        cache: Some(cache),
        compiler: crate::servo::compiler(&Compiling::default()),
        ..SandboxOptions::default()
    })
    .unwrap()
}

/// The hostile driver, ready to be bound.
pub async fn driver() -> Driver {
    static DRIVER: OnceCell<Driver> = OnceCell::const_new();
    let load = || async { sandbox().load(artifact()).await.unwrap() };
    DRIVER.get_or_init(load).await.clone()
}

/// The hostile driver with another word on cancelling in its manifest.
pub async fn driver_with(cancel: CancelSupport) -> Driver {
    let artifact = Artifact::from_bytes(guest::with_cancel(cancel)).unwrap();
    sandbox().load(&artifact).await.unwrap()
}

/// A gate whose names are all this machine.
pub fn gate() -> Arc<Gate> {
    Gate::new(Arc::new(Resolving(Arc::default()))).unwrap()
}

pub fn bind(driver: &Driver, behaviour: Value, grants: Value) -> BoundDriver {
    try_bind(driver, behaviour, grants).unwrap()
}

pub fn try_bind(
    driver: &Driver,
    behaviour: Value,
    grants: Value,
) -> Result<BoundDriver, SandboxError> {
    driver.bind(&gate(), binding(json!({ "behaviour": behaviour }), grants))
}

pub fn begin(bound: &BoundDriver) -> Call {
    bound.begin(Arc::new(Silent), CancellationToken::new())
}

/// One call of one step.
pub async fn measure(bound: &BoundDriver) -> Measured {
    begin(bound).measure(&measurement(), None).await
}

/// The hostile driver does `behaviour` under `grants`.
pub async fn run(behaviour: Value, grants: Value) -> Measured {
    measure(&bind(&driver().await, behaviour, grants)).await
}

/// The notes of a step that ended well.
pub fn notes(step: &Measured) -> BTreeMap<String, String> {
    match &step.end {
        End::Ok(measure::MeasureStep::Done(done)) => done
            .notes
            .iter()
            .map(|note| (note.name.clone(), note.text.clone()))
            .collect(),
        other => panic!("expected an answer, got {other:?}"),
    }
}

#[track_caller]
pub fn assert_limit<T: std::fmt::Debug>(step: &Step<T>, expected: Limit) {
    match &step.end {
        End::Limit { limit, .. } => assert_eq!(*limit, expected),
        other => panic!("expected {expected:?}, got {other:?}"),
    }
}

#[track_caller]
pub fn assert_ok<T: std::fmt::Debug>(step: &Step<T>) {
    assert!(matches!(step.end, End::Ok(_)), "{:?}", step.end);
}

/// A driver that does nothing, to be called while others misbehave.
pub async fn canary() -> BoundDriver {
    let bound = bind(&driver().await, json!({ "do": "nothing" }), json!({}));
    assert_ok(&measure(&bound).await);
    bound
}

/// Lets a test wait for what a call says.
#[derive(Default)]
pub struct Recorder {
    progress: Notify,
}

impl Recorder {
    /// Returns once the guest has reported progress: it is in the middle.
    pub async fn began(&self) {
        self.progress.notified().await;
    }
}

impl CallObserver for Recorder {
    fn progress(&self, _: Progress) {
        self.progress.notify_one();
    }

    fn log(&self, _: LogLevel, _: &str, _: &str) {}
}
