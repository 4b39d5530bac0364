//! From an artifact to a driver that can be called.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use servo_artifact::{Artifact, CodeCache, Digest, DriverKind, Manifest};
use servo_audit::Auditor;
use servo_egress::{Gate, Lane, LedgerSnapshot, Owner};
use servo_policy::{Advice, FolderGrant, Grants, check_overlap};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::bindings::{adjust, measure};
use crate::call::{Call, Part};
use crate::compile::{Cached, CodeOrigin, CodeSource};
use crate::compiler::Compiler;
use crate::dry_run::DryRun;
use crate::engine::{self, MAX_MEMORY_BYTES, MAX_TABLE_ELEMENTS};
use crate::fixed;
use crate::host::{CallObserver, CallState};
use crate::schedule::{Load, Turns};
use crate::state_store::StateStore;
use crate::ticker::{self, Pause, Ticker};
use crate::{SandboxError, linker};

/// How a sandbox is set up.
#[derive(Debug, Default)]
pub struct SandboxOptions {
    /// Steps that may run at the same time; further ones wait. Zero: 128.
    pub concurrent_steps: u32,
    /// Where compiled code is kept; absent: it is compiled anew in each process.
    pub cache: Option<CodeCache>,
    /// What compiles, and how much it may use.
    pub compiler: Compiler,
    /// Guests that may be on a worker at the same time. Zero: as many as the
    /// machine runs threads at once.
    pub turns: usize,
    /// Who takes records and counts.
    pub audit: Auditor,
}

/// The engine and what every driver shares. One for each process; cheap to clone.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) slots: Semaphore,
    pub(crate) turns: Turns,
    pub(crate) ticker: Ticker,
    pub(crate) audit: Auditor,
    code: CodeSource,
    plain: Linker<CallState>,
    with_sockets: Linker<CallState>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("fingerprint", &self.0.code.fingerprint)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Sets up the engine, its clock and the imports.
    ///
    /// # Errors
    /// The machine cannot give what the engine needs (address space, threads).
    pub fn new(options: SandboxOptions) -> Result<Self, SandboxError> {
        Self::with_pause(options, ticker::pause())
    }

    /// As [`Sandbox::new`], with another clock: `pause` returns whenever a tick
    /// has passed. For tests of what happens when ticks are late.
    ///
    /// # Errors
    /// As [`Sandbox::new`].
    #[doc(hidden)]
    pub fn with_pause(options: SandboxOptions, pause: Pause) -> Result<Self, SandboxError> {
        let slots = match options.concurrent_steps {
            0 => fixed::STEPS_AT_ONCE,
            slots => slots,
        };
        let engine = engine::build(slots)?;
        let linked = |linker: wasmtime::Result<Linker<CallState>>| {
            linker.map_err(|error| SandboxError::Engine(format!("{error:#}")))
        };
        let turns = Turns::new(match options.turns {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            turns => turns,
        });
        let ticking = turns.clone();
        Ok(Self(Arc::new(Shared {
            slots: Semaphore::new(slots as usize),
            ticker: Ticker::start(&engine, pause, move || ticking.tick())?,
            turns,
            code: CodeSource::new(
                engine::fingerprint(&engine),
                options.cache,
                options.compiler,
                options.audit.clone(),
            ),
            audit: options.audit,
            plain: linked(linker::drivers(&engine))?,
            with_sockets: linked(linker::drivers_with_dead_sockets(&engine))?,
            engine,
        })))
    }

    /// Who takes records and counts.
    pub fn auditor(&self) -> &Auditor {
        &self.0.audit
    }

    /// How many steps there are, and how many of them wait for a worker.
    pub fn busy(&self) -> Load {
        self.0.turns.load()
    }

    /// Gives `tenant` so many parts where others have one when guests of
    /// several tenants compute at the same time.
    pub fn set_weight(&self, tenant: &str, weight: NonZeroU32) {
        self.0.turns.set_weight(&Arc::from(tenant), weight);
    }

    /// Compiles an artifact, or loads its code from the cache, and checks that
    /// every import exists. Nothing of the artifact runs.
    ///
    /// # Errors
    /// The engine refuses the component, or compiling it takes too much.
    pub async fn load(&self, artifact: &Artifact) -> Result<Driver, SandboxError> {
        let refused = |problem: String| SandboxError::Refused {
            driver: artifact.manifest().name.to_string(),
            problem,
        };
        let (component, origin) = self.component(artifact).await?;
        // What it needs of the pool was compared with what each call has when
        // its code was loaded. That can be told of what it contains alone.
        if component.resources_required().is_none() {
            return Err(refused("it takes core modules from outside".to_owned()));
        }
        let linker = if artifact.imports_package("wasi:sockets") {
            &self.0.with_sockets
        } else {
            &self.0.plain
        };
        let pre = linker
            .instantiate_pre(&component)
            .map_err(|error| refused(format!("{error:#}")))?;
        let exports = match artifact.kind() {
            DriverKind::Measure => measure::GuestIndices::new(&pre).map(Exports::Measure),
            DriverKind::Adjust => adjust::GuestIndices::new(&pre).map(Exports::Adjust),
        }
        .map_err(|error| refused(format!("{error:#}")))?;
        Ok(Driver(Arc::new(Loaded {
            sandbox: Arc::clone(&self.0),
            manifest: artifact.manifest().clone(),
            digest: artifact.digest(),
            origin,
            pre,
            exports,
        })))
    }

    /// The code of an artifact. One that is cached does not wait for others
    /// that are compiled.
    async fn component(
        &self,
        artifact: &Artifact,
    ) -> Result<(Component, CodeOrigin), SandboxError> {
        let cached = self.blocking(artifact, |shared, artifact| {
            Ok(shared.code.cached(&shared.engine, artifact))
        });
        let look_again = match cached.await? {
            Cached::Code(component) => return Ok((component, CodeOrigin::Cached)),
            Cached::Absent => true,
            Cached::Refused => false,
        };
        let turn = self.0.code.turn().await;
        self.blocking(artifact, move |shared, artifact| {
            // Held until it is done, also when nobody waits for it any more.
            let _turn = turn;
            // Whoever had the turn before may have compiled the same.
            if look_again
                && let Cached::Code(component) = shared.code.cached(&shared.engine, artifact)
            {
                return Ok((component, CodeOrigin::Cached));
            }
            let component = shared.code.compiled(&shared.engine, artifact)?;
            Ok((component, CodeOrigin::Compiled))
        })
        .await
    }

    /// Does what blocks where it may.
    async fn blocking<T: Send + 'static>(
        &self,
        artifact: &Artifact,
        work: impl FnOnce(&Shared, &Artifact) -> Result<T, SandboxError> + Send + 'static,
    ) -> Result<T, SandboxError> {
        let (shared, source) = (Arc::clone(&self.0), artifact.clone());
        let done = tokio::task::spawn_blocking(move || work(&shared, &source)).await;
        done.unwrap_or_else(|_| {
            Err(SandboxError::Refused {
                driver: artifact.manifest().name.to_string(),
                problem: "loading its code crashed".to_owned(),
            })
        })
    }
}

/// Where the exported functions are, by kind of driver.
#[derive(Clone)]
pub(crate) enum Exports {
    Measure(measure::GuestIndices),
    Adjust(adjust::GuestIndices),
}

/// A driver ready to be bound, shared by all who use the same bytes. Cheap to
/// clone.
#[derive(Clone)]
pub struct Driver(Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) sandbox: Arc<Shared>,
    pub(crate) manifest: Manifest,
    digest: Digest,
    origin: CodeOrigin,
    pub(crate) pre: InstancePre<CallState>,
    pub(crate) exports: Exports,
}

/// What one operator joins with a driver.
pub struct Binding {
    /// Whose driver it is; keys connections and records. The digest is the
    /// driver's own, whatever stands here.
    pub owner: Owner,
    /// The driver's section of the configuration: one JSON object.
    pub config: serde_json::Value,
    /// What it may touch and use.
    pub grants: Grants,
    /// Where it keeps what outlives a call.
    pub state: Arc<dyn StateStore>,
}

impl Driver {
    /// What the driver says it is.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Whether its code was compiled for this process or came from the cache.
    pub fn code_origin(&self) -> CodeOrigin {
        self.0.origin
    }

    /// Joins the driver with one operator's configuration and grants.
    ///
    /// # Errors
    /// A grant that cannot be honoured or enforced here: a folder that does not
    /// exist, a limit above what the engine has.
    pub fn bind(&self, gate: &Arc<Gate>, binding: Binding) -> Result<BoundDriver, SandboxError> {
        let refuse = |key: &str, advice: Advice| SandboxError::Grant {
            driver: self.0.manifest.name.to_string(),
            key: key.to_owned(),
            advice,
        };
        if !binding.grants.actions.is_empty() {
            let problem = "this version of servo does not run actions";
            return Err(refuse(
                "grants.actions",
                Advice::new(problem, "remove the key"),
            ));
        }
        let budget = &binding.grants.budget;
        let memory = budget.memory.bytes();
        if memory > MAX_MEMORY_BYTES as u64 {
            let most = MAX_MEMORY_BYTES >> 20;
            return Err(refuse(
                "grants.limits.memory",
                Advice::new(
                    format!(
                        "this host gives at most {most}MiB, and not {}",
                        budget.memory
                    ),
                    format!("write `memory: {most}MiB` or less"),
                ),
            ));
        }
        if budget.table_elements as usize > MAX_TABLE_ELEMENTS {
            return Err(refuse(
                "grants.limits.table_elements",
                Advice::new(
                    format!(
                        "this host gives at most {MAX_TABLE_ELEMENTS}, and not {}",
                        budget.table_elements
                    ),
                    format!("write `table_elements: {MAX_TABLE_ELEMENTS}` or less"),
                ),
            ));
        }
        let mut followed = Vec::with_capacity(binding.grants.folders.len());
        for (index, folder) in binding.grants.folders.iter().enumerate() {
            let follow = || -> Result<FolderGrant, Advice> {
                check_folder(&folder.path)?;
                canonical(folder)
            };
            let key = format!("grants.folders[{index}].path");
            followed.push(follow().map_err(|advice| refuse(&key, advice))?);
        }
        check_overlap(&followed).map_err(|overlap| refuse(&overlap.key, overlap.advice))?;
        let owner = Owner {
            digest: self.0.digest.to_string(),
            ..binding.owner
        };
        let asked = self.0.manifest.asks.requests(&binding.config);
        let rules = binding.grants.http.clone().with_asked(asked);
        let lane = gate.lane(owner.clone(), rules)?;
        let bound = Arc::new(Bound {
            tenant: Arc::from(owner.tenant.as_str()),
            owner: Arc::new(owner),
            driver: Arc::clone(&self.0),
            config: Arc::from(binding.config.to_string()),
            grants: binding.grants,
            state: binding.state,
            lane,
        });
        Ok(BoundDriver(bound, None))
    }
}

/// A granted folder must exist and must not be a link: the grant names a place,
/// and a link would let whoever can write beside it choose another.
fn check_folder(path: &Path) -> Result<(), Advice> {
    let found = std::fs::symlink_metadata(path).map_err(|error| out_of_reach(path, &error))?;
    let refuse = |what: &str, remedy: &str| {
        Err(Advice::new(format!("{} is {what}", path.display()), remedy))
    };
    if found.is_symlink() {
        return refuse("a symbolic link", "name the folder it points to");
    }
    if !found.is_dir() {
        return refuse("not a folder", "name a folder");
    }
    Ok(())
}

/// The folder with every link in its path followed. Two that are apart as
/// written may be one.
fn canonical(folder: &FolderGrant) -> Result<FolderGrant, Advice> {
    let path =
        std::fs::canonicalize(&folder.path).map_err(|error| out_of_reach(&folder.path, &error))?;
    Ok(FolderGrant {
        path,
        ..folder.clone()
    })
}

fn out_of_reach(path: &Path, error: &std::io::Error) -> Advice {
    Advice::new(
        format!("{}: {error}", path.display()),
        "create the folder, or correct the path",
    )
}

/// A driver with one operator's configuration and grants. Cheap to clone.
#[derive(Clone)]
pub struct BoundDriver(
    pub(crate) Arc<Bound>,
    /// There if all of its calls are dry runs.
    pub(crate) Option<Arc<DryRun>>,
);

pub(crate) struct Bound {
    /// Whose turns it uses.
    pub(crate) tenant: Arc<str>,
    /// Whose it is, in records.
    pub(crate) owner: Arc<Owner>,
    pub(crate) driver: Arc<Loaded>,
    pub(crate) config: Arc<str>,
    pub(crate) grants: Grants,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) lane: Lane,
}

impl std::fmt::Debug for BoundDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoundDriver")
            .field("name", &self.0.driver.manifest.name)
            .finish_non_exhaustive()
    }
}

impl BoundDriver {
    /// What the driver says it is.
    pub fn manifest(&self) -> &Manifest {
        &self.0.driver.manifest
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> Digest {
        self.0.driver.digest
    }

    /// What it may touch and use.
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    /// What it has touched so far, and what was refused.
    pub fn ledger(&self) -> LedgerSnapshot {
        self.0.lane.ledger().snapshot()
    }

    /// The same driver, none of whose calls changes anything, `describe`
    /// included. What one of them puts into the state store the next one finds.
    #[must_use]
    pub fn as_dry_run(&self) -> Self {
        let dry_run = DryRun::new(Arc::clone(&self.0.state));
        Self(Arc::clone(&self.0), Some(Arc::new(dry_run)))
    }

    /// Begins a call. Its steps share one budget of requests, log lines and
    /// wall time, which runs from here.
    pub fn begin(&self, observer: Arc<dyn CallObserver>, cancel: CancellationToken) -> Call {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.begin_as(Part::Act, format!("call-{number}"), observer, cancel)
    }

    /// As [`BoundDriver::begin`], for a part of a call, with the id that the call
    /// has elsewhere; its records bear it.
    pub fn begin_as(
        &self,
        part: Part,
        id: String,
        observer: Arc<dyn CallObserver>,
        cancel: CancellationToken,
    ) -> Call {
        Call::new(self.clone(), part, id, observer, cancel)
    }
}
