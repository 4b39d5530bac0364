//! What the tests stand on: one sandbox for all, servers and resolvers that
//! count, and a short way from a behaviour to its end.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use serde_json::{Value, json};
use servo_artifact::{Artifact, CancelSupport, CodeCache, DEFAULT_CACHE_LIMIT, manifest};
use servo_egress::{Gate, Owner, Resolver};
use servo_hostile::guest;
pub use servo_hostile::guest::artifact;
use servo_hostile::host::Compiling;
use servo_policy::GrantsSpec;
use servo_sandbox::{
    Binding, BoundDriver, Call, CallObserver, Driver, End, Limit, LogLevel, MemoryState, Progress,
    Sandbox, SandboxError, SandboxOptions, Silent, Step, measure, model,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, OnceCell, watch};
use tokio_util::sync::CancellationToken;

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
    let mut changed = artifact().manifest().clone();
    changed.cancel = cancel;
    let bytes = manifest::embed(artifact().bytes(), &changed).unwrap();
    let artifact = Artifact::from_bytes(bytes).unwrap();
    sandbox().load(&artifact).await.unwrap()
}

/// A resolver that notes every name it is asked for.
#[derive(Default)]
pub struct Names(Mutex<Vec<String>>);

impl Names {
    pub fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.lock().unwrap().push(host.to_owned());
        Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
    }
}

pub fn gate() -> (Arc<Gate>, Arc<Names>) {
    let names = Arc::new(Names::default());
    let gate = Gate::new(Arc::clone(&names) as Arc<dyn Resolver>).unwrap();
    (gate, names)
}

pub fn binding(config: Value, grants: Value) -> Binding {
    let spec: GrantsSpec = serde_json::from_value(grants).unwrap();
    Binding {
        owner: Owner {
            tenant: "acme".to_owned(),
            servo: "shop".to_owned(),
            driver: "measure".to_owned(),
            ..Owner::default()
        },
        grants: spec.resolve(&config, Path::new("/")).unwrap(),
        config,
        state: Arc::new(MemoryState::default()),
    }
}

pub fn bind(driver: &Driver, behaviour: Value, grants: Value) -> BoundDriver {
    try_bind(driver, behaviour, grants).unwrap()
}

pub fn try_bind(
    driver: &Driver,
    behaviour: Value,
    grants: Value,
) -> Result<BoundDriver, SandboxError> {
    driver.bind(
        &gate().0,
        binding(json!({ "behaviour": behaviour }), grants),
    )
}

pub fn begin(bound: &BoundDriver) -> Call {
    bound.begin(Arc::new(Silent), CancellationToken::new())
}

pub fn request() -> measure::MeasureRequest {
    measure::MeasureRequest {
        app: "shop".to_owned(),
        metrics: vec![],
        control: model::Control {
            warmup: None,
            duration: None,
            delay: None,
            past: None,
            settlement: None,
            load: None,
            userdata: None,
        },
    }
}

/// One call of one step.
pub async fn measure(bound: &BoundDriver) -> Measured {
    begin(bound).measure(&request(), None).await
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

/// Hears what a call says, and lets a test wait for it.
#[derive(Default)]
pub struct Recorder {
    pub lines: AtomicUsize,
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

    fn log(&self, _: LogLevel, _: &str, _: &str) {
        self.lines.fetch_add(1, Ordering::SeqCst);
    }
}

/// A server on loopback that counts its connections.
pub struct Server {
    pub address: SocketAddr,
    /// Connections opened, and how many of them the client has closed.
    pub seen: watch::Receiver<(usize, usize)>,
}

impl Server {
    /// Answers every request with 200 and nothing.
    pub async fn answering() -> Self {
        Self::start(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await
    }

    /// Reads and never answers.
    pub async fn silent() -> Self {
        Self::start(b"").await
    }

    /// Begins a body that never ends.
    pub async fn half() -> Self {
        Self::start(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhalf").await
    }

    async fn start(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, seen) = watch::channel((0, 0));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.send_modify(|(opened, _)| *opened += 1);
                let count = count.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    let mut head = Vec::new();
                    while let Ok(1..) = stream.read(&mut buffer).await.inspect(|read| {
                        head.extend_from_slice(&buffer[..*read]);
                    }) {
                        while let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                            head.drain(..end + 4);
                            if stream.write_all(answer).await.is_err() {
                                break;
                            }
                        }
                    }
                    count.send_modify(|(_, closed)| *closed += 1);
                });
            }
        });
        Self { address, seen }
    }

    pub fn opened(&self) -> usize {
        self.seen.borrow().0
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// A grant of this server.
    pub fn grant(&self) -> Value {
        json!([{ "rule": format!("GET {}", self.url()), "private": true }])
    }

    /// Returns once `reached` holds for connections opened and closed.
    pub async fn until(&self, reached: impl FnMut(&(usize, usize)) -> bool) {
        self.seen.clone().wait_for(reached).await.unwrap();
    }
}
