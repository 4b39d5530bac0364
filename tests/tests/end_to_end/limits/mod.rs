//! Every limit of a call that the sandbox enforces: when it bites, it is
//! counted under its key and recorded; and so is everything else that the
//! sandbox decides.
//!
//! The suites of attacks assert what a limit does to a guest. These assert what
//! the operator sees of it.

mod coverage;
mod kept;
mod records;

use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use servo_artifact::{Artifact, CancelSupport, CodeCache, DEFAULT_CACHE_LIMIT, manifest};
use servo_audit::{Auditor, Capability, Record, Sink};
use servo_egress::{Gate, SystemResolver};
use servo_sandbox::{BoundDriver, Driver, Part, Sandbox, SandboxOptions, Silent, Step, measure};
use servo_test_support::binding::{binding, measurement};
use servo_tests::components;
use tokio_util::sync::CancellationToken;

/// What a sandbox wrote down.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Vec<String>>>);

impl Book {
    /// Each record as one line.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Sink for Book {
    fn write(&self, record: &Record<'_>) {
        let Record {
            owner,
            call,
            capability,
            what,
            verdict,
            reason,
            outcome,
            ..
        } = record;
        if *capability == Capability::Code {
            return;
        }
        assert_eq!(
            (owner.tenant.as_str(), owner.servo.as_str()),
            ("acme", "shop")
        );
        assert!(owner.digest.starts_with("sha256:"), "{}", owner.digest);
        assert_eq!(*call, "the call");
        let line = format!("{capability} {verdict} {reason} {what} {outcome}");
        self.0.lock().unwrap().push(line.trim_end().to_owned());
    }
}

/// A sandbox of its own, whose records and counters can be read.
pub(crate) struct House {
    pub(crate) book: Book,
    pub(crate) audit: Auditor,
    pub(crate) sandbox: Sandbox,
}

impl House {
    pub(crate) fn open() -> Self {
        let book = Book::default();
        let audit = Auditor::new(book.clone());
        let cache = CodeCache::open(components::code_folder(), DEFAULT_CACHE_LIMIT).unwrap();
        let sandbox = Sandbox::new(SandboxOptions {
            concurrent_steps: 8,
            cache: Some(cache),
            audit: audit.clone(),
            ..SandboxOptions::default()
        })
        .unwrap();
        Self {
            book,
            audit,
            sandbox,
        }
    }

    /// The hostile driver, which says of itself that it can be cancelled so.
    pub(crate) async fn driver(&self, cancel: CancelSupport) -> Driver {
        static ARTIFACT: OnceLock<Artifact> = OnceLock::new();
        let read = || Artifact::read(components::component("hostile")).unwrap();
        let artifact = ARTIFACT.get_or_init(read);
        let mut about = artifact.manifest().clone();
        about.cancel = cancel;
        let bytes = manifest::embed(artifact.bytes(), &about).unwrap();
        let artifact = Artifact::from_bytes(bytes).unwrap();
        self.sandbox.load(&artifact).await.unwrap()
    }

    pub(crate) fn bind(&self, driver: &Driver, behaviour: &Value, grants: &Value) -> BoundDriver {
        self.bind_with(driver, json!({ "behaviour": behaviour }), grants)
    }

    pub(crate) fn bind_with(&self, driver: &Driver, config: Value, grants: &Value) -> BoundDriver {
        let gate = Gate::builder(Arc::new(SystemResolver))
            .auditor(self.audit.clone())
            .build()
            .unwrap();
        driver.bind(&gate, binding(config, grants.clone())).unwrap()
    }

    /// One step of `behaviour` under `grants`; `cancel` is set after it began.
    pub(crate) async fn run(
        &self,
        behaviour: &Value,
        grants: &Value,
        cancelled: bool,
    ) -> Step<measure::MeasureStep> {
        let driver = self.driver(CancelSupport::Report).await;
        let bound = self.bind(&driver, behaviour, grants);
        let cancel = CancellationToken::new();
        let call = bound.begin_as(
            Part::Act,
            "the call".to_owned(),
            Arc::new(Silent),
            cancel.clone(),
        );
        let asked = measurement();
        let mut step = std::pin::pin!(call.measure(&asked, None));
        if cancelled {
            // Polled once, so that it has begun.
            let began = futures_once(step.as_mut()).await;
            assert!(began.is_none(), "it ended at once");
            cancel.cancel();
        }
        step.await
    }

    /// How often the limit with this key was hit.
    pub(crate) fn hits(&self, key: &str) -> u64 {
        let hits = self.audit.counters().limit_hits();
        hits.get(key).copied().unwrap_or(0)
    }
}

async fn futures_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
