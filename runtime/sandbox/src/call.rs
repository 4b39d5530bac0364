//! One step of a call, from a fresh store to its drop.
//!
//! Every step gets a store of its own, always: a kept instance would answer
//! faster, but there is no way to clean one, and drivers talk to networks for
//! longer than an instance takes to make. Whatever ends a step (its answer, a
//! trap, a limit, a cancel, a panic of the host) ends in the same place: the
//! future is dropped first, then the store with everything the guest held.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use servo_artifact::CancelSupport;
use servo_audit::{AttemptList, CallAudit};
use servo_egress::CallMeter;
use servo_policy::{Access, Budget, ByteSize, Grants, Span};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::{FsPerms, ResourceTableError, WasiCtx};
use wasmtime_wasi_http::WasiHttpCtx;

use crate::bindings::adjust::{self, AdjustRequest, AdjustStep, Interruption};
use crate::bindings::measure::{self, MeasureRequest, MeasureStep};
use crate::bindings::model::{Application, Metric};
use crate::check::{self, Bounds, Violation};
use crate::clocks;
use crate::disk::{Account, Disk, HeldBack, Quota, SCRATCH, Scratch};
use crate::driver::{Bound, BoundDriver};
use crate::dry_run::DryRun;
use crate::engine::GUEST_STACK;
use crate::entry::{self, Answered, Entered, Entry, Returned};
use crate::fixed;
use crate::host::{CallObserver, CallShared, CallState, LogMeter};
use crate::http::{Hooks, LastDenial, Refusal};
use crate::limiter::MemoryLimiter;
use crate::meter::{CpuExhausted, CpuMeter, Metered, cooperative};
use crate::outcome::{End, Failed, Limit, Step, StepReport};
use crate::output::{Capture, Output};
use crate::records::{Once, Records};

/// Characters of a guest's standard error that go into the text of a trap.
const TRAP_EXCERPT: usize = 600;

/// What the steps of a call are for. Each part has a budget of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What was asked.
    Act,
    /// Undoing it, since it was cancelled.
    Undo,
}

/// One part of a call of a bound driver: one or more steps under one budget.
pub struct Call {
    part: Part,
    driver: BoundDriver,
    shared: Arc<CallShared>,
    meter: CallMeter,
    deadline: Instant,
    /// Steps begun.
    steps: AtomicU32,
    /// There as soon as the call is known to be a dry run, and to its end.
    dry_run: OnceLock<Arc<DryRun>>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

impl Call {
    pub(crate) fn new(
        driver: BoundDriver,
        part: Part,
        id: String,
        observer: Arc<dyn CallObserver>,
        cancel: CancellationToken,
    ) -> Self {
        let budget = &driver.0.grants.budget;
        let audit = CallAudit::new(
            driver.0.driver.sandbox.audit.clone(),
            Arc::clone(&driver.0.owner),
            id,
            u64::from(budget.audit_records),
        );
        let wall = match part {
            Part::Act => budget.wall,
            Part::Undo => budget.undo_wall,
        };
        Self {
            part,
            steps: AtomicU32::new(0),
            dry_run: driver.1.clone().map_or_else(OnceLock::new, OnceLock::from),
            shared: Arc::new(CallShared {
                observer,
                cancel,
                log: LogMeter::new(budget.log_lines, budget.log_bytes),
                records: Arc::new(Records::new(audit.clone())),
                folders: folder_quota(budget),
            }),
            meter: CallMeter::new(budget).audited(audit),
            deadline: Instant::now() + wall,
            driver,
        }
    }

    /// From here on nothing of this call changes anything, if the request says
    /// so.
    fn keep_dry(&self, request: &AdjustRequest) {
        if request.dry_run {
            let state = &self.driver.0.state;
            self.dry_run
                .get_or_init(|| Arc::new(DryRun::new(Arc::clone(state))));
        }
    }

    /// Whether nothing of it changes anything.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run.get().is_some()
    }

    /// What a dry run has kept from happening until now.
    pub fn attempts(&self) -> AttemptList {
        let dry_run = self.dry_run.get();
        dry_run.map_or_else(AttemptList::default, |dry_run| dry_run.attempts.list())
    }

    /// The metrics a measure driver can report.
    pub async fn describe_metrics(&self, app: &str) -> Step<Vec<Metric>> {
        self.step(entry::DescribeMetrics { app }).await
    }

    /// The application as an adjust driver sees it.
    pub async fn describe_application(&self, app: &str) -> Step<Application> {
        self.step(entry::DescribeApplication { app }).await
    }

    /// One step of a measurement.
    pub async fn measure(
        &self,
        request: &MeasureRequest,
        resume: Option<&str>,
    ) -> Step<MeasureStep> {
        self.step(entry::Measure { request, resume }).await
    }

    /// One step of an adjustment.
    pub async fn adjust(&self, request: &AdjustRequest, resume: Option<&str>) -> Step<AdjustStep> {
        self.keep_dry(request);
        self.step(entry::Adjust { request, resume }).await
    }

    /// Lets an adjust driver take up an adjustment that was cut short.
    pub async fn recover(
        &self,
        request: &AdjustRequest,
        interruption: &Interruption,
    ) -> Step<AdjustStep> {
        self.keep_dry(request);
        self.step(entry::Recover {
            request,
            interruption,
        })
        .await
    }

    /// One step in which a measure driver undoes what a cancelled call began.
    pub async fn measure_cancelled(
        &self,
        request: &MeasureRequest,
        state: &str,
        resume: Option<&str>,
    ) -> Step<measure::UndoStep> {
        self.step(entry::MeasureCancelled {
            request,
            state,
            resume,
        })
        .await
    }

    /// One step in which an adjust driver undoes what a cancelled call began.
    pub async fn adjust_cancelled(
        &self,
        request: &AdjustRequest,
        state: &str,
        resume: Option<&str>,
    ) -> Step<adjust::UndoStep> {
        self.keep_dry(request);
        self.step(entry::AdjustCancelled {
            request,
            state,
            resume,
        })
        .await
    }

    fn bounds(&self) -> Bounds {
        let budget = &self.driver.0.grants.budget;
        Bounds {
            result_bytes: budget.result_bytes,
            state_bytes: budget.state_bytes,
        }
    }

    /// The end at a limit, with what it was set to.
    fn over<T>(&self, limit: Limit) -> End<T> {
        let budget = &self.driver.0.grants.budget;
        let allowed = match limit {
            Limit::Memory => budget.memory.to_string(),
            Limit::Tables => format!("{} elements", budget.table_elements),
            Limit::Stack => ByteSize(GUEST_STACK as u64).to_string(),
            Limit::Cpu => Span(budget.cpu).to_string(),
            Limit::StepWall => Span(budget.step_wall).to_string(),
            Limit::CallWall => Span(budget.wall).to_string(),
            Limit::UndoWall => Span(budget.undo_wall).to_string(),
            Limit::Handles => budget.handles.to_string(),
            Limit::HostcallBytes => format!("{} bytes", budget.hostcall_bytes),
            Limit::ResultBytes => format!("{} bytes", budget.result_bytes),
            Limit::StateBytes => format!("{} bytes", budget.state_bytes),
            Limit::Steps => budget.steps.to_string(),
        };
        End::Limit { limit, allowed }
    }

    /// Whether the time of the whole call has passed, not only that of a step.
    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Which of the two times has passed.
    fn wall(&self) -> Limit {
        match (self.is_over(), self.part) {
            (false, _) => Limit::StepWall,
            (true, Part::Act) => Limit::CallWall,
            (true, Part::Undo) => Limit::UndoWall,
        }
    }

    /// Runs one step and records what of it is a decision of the host.
    async fn step<E: Entry>(&self, entry: E) -> Step<E::Answer> {
        let count = self.steps.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let (mut step, marks) = self.run::<E>(entry).await;
        // The agent counts steps too, and tells it its own way; the last pause
        // that is of no use any more ends here.
        if count >= self.driver.0.grants.budget.steps
            && matches!(&step.end, End::Ok(answer) if E::pauses(answer))
        {
            step.end = self.over(Limit::Steps);
        }
        self.record(E::NAME, &step, &marks);
        step
    }

    fn record<T>(&self, name: &str, step: &Step<T>, marks: &Marks) {
        let records = &self.shared.records;
        match &step.end {
            End::Limit { limit, .. } => records.ended(name, limit_key(*limit)),
            End::Cancelled => {
                let outcome = match marks.dropped_late {
                    true => {
                        records.limit_hit("cancel_grace");
                        "cancel_grace"
                    }
                    false => "",
                };
                records.cancelled(name, outcome);
            }
            _ => {}
        }
        let refused = marks.refused.map(limit_key);
        if let Some(key) = refused
            && !matches!(&step.end, End::Limit { limit, .. } if limit_key(*limit) == key)
        {
            records.limit_hit(key);
        }
        if step.report.output.dropped > 0 {
            records.cut(Once::Output);
        }
    }

    /// Runs one exported function in a fresh store and judges how it ended.
    async fn run<E: Entry>(&self, entry: E) -> (Step<E::Answer>, Marks) {
        let bound = &self.driver.0;
        let shared = &bound.driver.sandbox;
        // Its place in the queue is part of the call's time, and to be given up
        // when the call is.
        let _slot = tokio::select! {
            biased;
            slot = shared.slots.acquire() => match slot {
                Ok(slot) => slot,
                Err(_) => return unmarked(refused("the sandbox is shutting down".to_owned())),
            },
            () = self.shared.cancel.cancelled() => return unmarked(unstarted(End::Cancelled)),
            () = tokio::time::sleep_until(self.deadline) => {
                return unmarked(unstarted(self.over(self.wall())));
            }
        };
        if let Some(fault) = shared.ticker.fault() {
            tracing::error!("{fault}");
            return unmarked(refused(fault.to_owned()));
        }
        let denial = Arc::new(LastDenial::default());
        let capture = Capture::new(bound.grants.budget.output_bytes);
        let cpu = CpuMeter::new(bound.grants.budget.cpu);
        let scratch = match bound.scratch() {
            Ok(scratch) => scratch,
            Err(problem) => return unmarked(refused(problem)),
        };
        let store = self.store(bound, &capture, &cpu, &denial, scratch.as_ref());
        let mut store = match store {
            Ok(store) => store,
            Err(problem) => return unmarked(refused(problem)),
        };

        let ran = {
            let running = Metered::new(
                AssertUnwindSafe(enter_guest(&mut store, bound, entry)).catch_unwind(),
                Arc::clone(&cpu),
                shared.turns.runnable(&bound.tenant),
            );
            cooperative(self.run_to_end::<E>(running), &cpu).await
        };
        let limiter = &store.data().limiter;
        let (refused, memory) = (limiter.refused(), limiter.memory_used());
        // The store goes before anything is reported: with it go requests in
        // flight, timers and files, whatever the guest left behind.
        drop(store);
        if let Some(scratch) = scratch {
            // Nothing is lost if the thread panics: it says what it left.
            let _ = tokio::task::spawn_blocking(move || drop(scratch)).await;
        }

        let report = StepReport {
            cpu: cpu.used(),
            memory: memory as u64,
            network: self.meter.usage(),
            output: capture.take(),
            log_lines_dropped: self.shared.log.dropped(),
        };
        let judge = Judge {
            call: self,
            refused,
            denial: denial.take(),
            output: &report.output,
        };
        let marks = Marks {
            refused,
            dropped_late: matches!(ran, Ran::Cancelled) && !self.grace().is_zero(),
        };
        let end = judge.end::<E>(ran, &self.bounds());
        (Step { end, report }, marks)
    }

    /// How long a guest that is told to stop may go on.
    fn grace(&self) -> Duration {
        match self.driver.manifest().cancel {
            CancelSupport::Report | CancelSupport::Step => self.driver.0.grants.budget.cancel_grace,
            CancelSupport::None => Duration::ZERO,
        }
    }

    /// Polls the guest until it answers or something else ends it.
    async fn run_to_end<E: Entry>(
        &self,
        running: impl Future<Output = Result<std::thread::Result<Answered<E>>, CpuExhausted>>,
    ) -> Ran<E::Answer> {
        let budget = &self.driver.0.grants.budget;
        let deadline = self.deadline.min(Instant::now() + budget.step_wall);
        let grace = self.grace();
        let cancelled = async {
            self.shared.cancel.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            biased;
            ran = running => match ran {
                Ok(Ok(answered)) => Ran::Returned(answered.into()),
                Ok(Err(_)) => Ran::Panicked,
                Err(CpuExhausted) => Ran::Stopped(Limit::Cpu),
            },
            () = cancelled => Ran::Cancelled,
            () = tokio::time::sleep_until(deadline) => Ran::Stopped(self.wall()),
        }
    }

    fn account(&self, quota: Arc<Quota>, denial: &Arc<LastDenial>) -> Account {
        Account::new(quota, Arc::clone(denial), Arc::clone(&self.shared.records))
    }

    fn store(
        &self,
        bound: &Bound,
        capture: &Capture,
        cpu: &Arc<CpuMeter>,
        denial: &Arc<LastDenial>,
        scratch: Option<&Scratch>,
    ) -> Result<Store<CallState>, String> {
        let budget = &bound.grants.budget;
        let handles = budget.handles as usize;
        let mut table = ResourceTable::new();
        table.set_max_capacity(handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(fixed::FIELDS);
        let dry_run = self.dry_run.get();
        let meter = self.meter.clone();
        let meter = match dry_run {
            Some(dry_run) => meter.dry_run(dry_run.attempts.clone()),
            None => meter,
        };
        let state = CallState {
            wasi: wasi(bound, capture, scratch, dry_run.is_some())?,
            table,
            http,
            hooks: Hooks {
                lane: bound.lane.clone(),
                meter,
                denial: Arc::clone(denial),
                room: budget.memory.bytes(),
            },
            disk: Disk::new(
                self.account(bound.scratch_quota(), denial),
                self.account(Arc::clone(&self.shared.folders), denial),
                Arc::clone(&self.shared.records),
                dry_run.map(|dry_run| HeldBack {
                    attempts: dry_run.attempts.clone(),
                    folders: written_folders(&bound.grants),
                }),
            ),
            limiter: MemoryLimiter::new(budget.memory.bytes(), budget.table_elements),
            cpu: Arc::clone(cpu),
            config: Arc::clone(&bound.config),
            store: Arc::clone(dry_run.map_or(&bound.state, |dry_run| &dry_run.state)),
            attempts: dry_run.map(|dry_run| dry_run.attempts.clone()),
            shared: Arc::clone(&self.shared),
        };
        let mut store = Store::try_new(&bound.driver.sandbox.engine, state)
            .map_err(|error| format!("{error:#}"))?;
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(usize::try_from(budget.hostcall_bytes).unwrap_or(usize::MAX));
        store.set_max_component_handles(handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            if context.data().cpu.exhausted_in_poll() {
                return Err(Stop(Limit::Cpu).into());
            }
            Ok(UpdateDeadline::Yield(1))
        });
        Ok(store)
    }
}

async fn enter_guest<E: Entry>(
    store: &mut Store<CallState>,
    bound: &Bound,
    entry: E,
) -> Answered<E> {
    let instance = bound.driver.pre.instantiate_async(&mut *store).await?;
    let entered = Entered {
        instance,
        exports: bound.driver.exports.clone(),
    };
    entry.enter(store, &entered).await
}

fn wasi(
    bound: &Bound,
    capture: &Capture,
    scratch: Option<&Scratch>,
    dry_run: bool,
) -> Result<WasiCtx, String> {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(capture.clone())
        .stderr(capture.clone())
        .wall_clock(clocks::Wall)
        .monotonic_clock(clocks::Monotonic::new())
        .max_random_size(fixed::RANDOM);
    for folder in &bound.grants.folders {
        let access = match folder.access {
            Access::Write if !dry_run => FsPerms::ReadWrite,
            Access::Read | Access::Write => FsPerms::ReadOnly,
        };
        wasi.preopened_dir(&folder.path, format!("/{}", folder.name), access)
            .map_err(|error| format!("folder {}: {error}", folder.path.display()))?;
    }
    if let Some(scratch) = scratch {
        wasi.preopened_dir(scratch.path(), SCRATCH, FsPerms::ReadWrite)
            .map_err(|error| format!("scratch folder: {error}"))?;
    }
    Ok(wasi.build())
}

impl Bound {
    fn scratch(&self) -> Result<Option<Scratch>, String> {
        self.grants
            .scratch
            .map(|_| Scratch::new())
            .transpose()
            .map_err(|error| format!("scratch folder: {error}"))
    }

    fn scratch_quota(&self) -> Arc<Quota> {
        let size = self.grants.scratch.unwrap_or(ByteSize(0));
        let entries = self.grants.budget.disk_entries;
        let remedy = format!(
            "{SCRATCH} takes no more ({size} and {entries} files and folders); the operator may \
             raise `grants.scratch` and `grants.limits.disk_entries`"
        );
        Quota::new("scratch", size.bytes(), entries, remedy)
    }
}

/// The folders that may be written, as the guest sees them.
fn written_folders(grants: &Grants) -> Vec<String> {
    let folders = grants.folders.iter();
    folders
        .filter(|folder| folder.access == Access::Write)
        .map(|folder| format!("/{}", folder.name))
        .collect()
}

fn folder_quota(budget: &Budget) -> Arc<Quota> {
    let (size, entries) = (ByteSize(budget.disk_bytes), budget.disk_entries);
    let remedy = format!(
        "the folders granted for writing take no more of this call ({size} and {entries} files \
         and folders); the operator may raise `grants.limits.disk_bytes` and \
         `grants.limits.disk_entries`"
    );
    Quota::new("disk_bytes", size.bytes(), entries, remedy)
}

/// An error that carries the limit which ended the guest through the engine.
#[derive(Debug, thiserror::Error)]
#[error("stopped at its {0}")]
struct Stop(Limit);

/// What ended a step.
enum Ran<T> {
    /// The guest, or the engine that ran it.
    Returned(Returned<T>),
    /// A panic of the host.
    Panicked,
    /// A limit.
    Stopped(Limit),
    /// A cancel that it did not obey within its grace.
    Cancelled,
}

/// The name of a limit in `servo limits`.
fn limit_key(limit: Limit) -> &'static str {
    limit.key().unwrap_or("stack")
}

fn refused<T>(problem: String) -> Step<T> {
    unstarted(End::Trap(problem))
}

/// What a step's end does not tell of itself.
#[derive(Debug, Default)]
struct Marks {
    /// The limit that was last refused to the guest.
    refused: Option<Limit>,
    /// It was told to stop, and did not within its grace.
    dropped_late: bool,
}

fn unmarked<T>(step: Step<T>) -> (Step<T>, Marks) {
    (step, Marks::default())
}

/// A step whose guest never ran.
fn unstarted<T>(end: End<T>) -> Step<T> {
    Step {
        end,
        report: StepReport::default(),
    }
}

/// Decides what a step's end is called.
struct Judge<'a> {
    call: &'a Call,
    refused: Option<Limit>,
    denial: Option<Refusal>,
    output: &'a Output,
}

impl Judge<'_> {
    fn end<E: Entry>(self, ran: Ran<E::Answer>, bounds: &Bounds) -> End<E::Answer> {
        match ran {
            Ran::Stopped(limit) => self.call.over(limit),
            Ran::Cancelled => End::Cancelled,
            Ran::Panicked => {
                tracing::error!("a host function panicked; the step is over");
                End::Trap("an internal error of the host".to_owned())
            }
            Ran::Returned(Returned::Error(error)) => self.broken(&error),
            Ran::Returned(Returned::Failure(failed)) => self.failed(failed, bounds),
            Ran::Returned(Returned::Answer(_)) if self.call.shared.cancel.is_cancelled() => {
                End::Cancelled
            }
            Ran::Returned(Returned::Answer(answer)) => match E::check(bounds, &answer) {
                Ok(()) => End::Ok(answer),
                Err(violation) => self.violated(violation),
            },
        }
    }

    fn violated<T>(&self, violation: Violation) -> End<T> {
        match violation {
            Violation::Limit(limit) => self.call.over(limit),
            Violation::Contract(text) => {
                End::Trap(format!("its answer breaks the contract: {text}"))
            }
        }
    }

    fn failed<T>(self, failed: Failed, bounds: &Bounds) -> End<T> {
        let settings = failed.in_force.as_deref().unwrap_or_default();
        if let Err(violation) = check::in_force(bounds, settings) {
            return self.violated(violation);
        }
        match self.denial {
            Some(denial) => End::Denied {
                denial: denial.text,
                held_back: denial.held_back,
                failure: failed.failure.message,
                in_force: failed.in_force,
            },
            None => End::Failure(failed),
        }
    }

    /// Names the limit or the fault behind an error of the engine.
    fn broken<T>(self, error: &wasmtime::Error) -> End<T> {
        if let Some(limit) = limit_of(error).or(self.refused) {
            return self.call.over(limit);
        }
        let text = self.trap_text(error);
        match self.denial {
            Some(denial) => End::Denied {
                denial: denial.text,
                held_back: denial.held_back,
                failure: format!("the driver crashed: {text}"),
                in_force: None,
            },
            None => End::Trap(text),
        }
    }

    fn trap_text(&self, error: &wasmtime::Error) -> String {
        let cause = error
            .downcast_ref::<Trap>()
            .map_or_else(|| error.root_cause().to_string(), ToString::to_string);
        let printed = self.output.text();
        let printed = printed.trim();
        if printed.is_empty() {
            return cause;
        }
        let from = printed.floor_char_boundary(printed.len().saturating_sub(TRAP_EXCERPT));
        let excerpt = printed.get(from..).unwrap_or_default();
        format!("{cause}; it printed: {excerpt}")
    }
}

/// The limit that an error of the engine stands for, if it is one.
fn limit_of(error: &wasmtime::Error) -> Option<Limit> {
    if let Some(Stop(limit)) = error.downcast_ref() {
        return Some(*limit);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => return Some(Limit::Stack),
        Some(Trap::Interrupt) => return Some(Limit::Cpu),
        _ => {}
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return Some(Limit::Handles);
    }
    // The engine reports these two as text only.
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls") {
        Some(Limit::HostcallBytes)
    } else if text.contains("resource table has no free keys")
        || text.contains("store handle limit exceeded")
    {
        Some(Limit::Handles)
    } else {
        None
    }
}
