//! What a guest finds on the other side of its imports: the data of one store
//! and the host's half of `servo:driver`.
//!
//! Nothing here trusts its arguments. Text is cut before it is kept, numbers
//! are checked before they are used, and a function that has nothing granted
//! answers with a typed refusal rather than a trap, so that a driver can say
//! what it lacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use servo_audit::{Attempts, Capability, Reason};
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::bindings::{actions, config, log, model, progress, state};
use crate::disk::{Disk, Quota};
use crate::dry_run::held_back;
use crate::fixed;
use crate::http::{Hooks, Refusal};
use crate::limiter::MemoryLimiter;
use crate::meter::CpuMeter;
use crate::records::{Once, Records, clean};
use crate::state_store::{StateError, StateStore};

/// How far a call is, as its driver told. Numbers are finite and in range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Percent of the whole call: 0 to 100.
    pub percent: Option<f64>,
    /// What is going on.
    pub message: Option<String>,
    /// Name of the present stage.
    pub stage: Option<String>,
    /// Percent of the stage: 0 to 100.
    pub stage_percent: Option<f64>,
    /// Estimate of the time left, in seconds.
    pub time_remaining: Option<f64>,
}

/// How important a driver finds a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Fine detail.
    Trace,
    /// Detail.
    Debug,
    /// Normal events.
    Info,
    /// Something odd.
    Warn,
    /// Something that makes the call fail.
    Error,
}

/// Who hears what a running call says.
pub trait CallObserver: Send + Sync {
    /// The driver told how far it is.
    fn progress(&self, progress: Progress);
    /// The driver logged a line. Bounded in number and size by the budget.
    fn log(&self, level: LogLevel, target: &str, message: &str);
}

/// Hears nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl CallObserver for Silent {
    fn progress(&self, _: Progress) {}
    fn log(&self, _: LogLevel, _: &str, _: &str) {}
}

/// What is left of a call's log budget; shared by all its steps.
#[derive(Debug)]
pub(crate) struct LogMeter {
    lines: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
}

impl LogMeter {
    pub(crate) fn new(lines: u32, bytes: u64) -> Self {
        Self {
            lines: AtomicU64::new(u64::from(lines)),
            bytes: AtomicU64::new(bytes),
            dropped: AtomicU64::new(0),
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Takes a line out of the budget, or says what is used up.
    fn take(&self, bytes: usize) -> Result<(), Once> {
        let take = |left: &AtomicU64, amount: u64| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(amount)
            })
            .is_ok()
        };
        let taken = if !take(&self.lines, 1) {
            Err(Once::LogLines)
        } else if !take(&self.bytes, bytes as u64) {
            Err(Once::LogBytes)
        } else {
            Ok(())
        };
        if taken.is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

/// What all steps of one call share with its host functions.
pub(crate) struct CallShared {
    pub(crate) observer: Arc<dyn CallObserver>,
    pub(crate) cancel: CancellationToken,
    pub(crate) log: LogMeter,
    pub(crate) records: Arc<Records>,
    /// What the call may still put into the granted folders.
    pub(crate) folders: Arc<Quota>,
}

/// The data of one store.
pub(crate) struct CallState {
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) http: WasiHttpCtx,
    pub(crate) hooks: Hooks,
    pub(crate) disk: Disk,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) cpu: Arc<CpuMeter>,
    pub(crate) config: Arc<str>,
    pub(crate) store: Arc<dyn StateStore>,
    /// In a dry run: takes what is held back.
    pub(crate) attempts: Option<Attempts>,
    pub(crate) shared: Arc<CallShared>,
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// The longest prefix of `text` of at most `limit` bytes.
fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
    }
    text
}

fn percent(value: Option<f64>) -> Option<f64> {
    value
        .filter(|value| value.is_finite())
        .map(|value| value.clamp(0.0, 100.0))
}

impl CallState {
    /// Lists an attempt to change something if this is a dry run, and says
    /// whether it is one.
    fn held_back(&self, capability: Capability, what: &str, bytes: u64) -> bool {
        if let Some(attempts) = &self.attempts {
            attempts.note(capability, what, bytes);
        }
        self.attempts.is_some()
    }

    fn verdict(&self) -> progress::Verdict {
        if self.shared.cancel.is_cancelled() {
            progress::Verdict::Cancel
        } else {
            progress::Verdict::Proceed
        }
    }
}

/// A guest's seconds as a length of time. The step's own time limit ends any
/// wait that is too long; this only keeps the arithmetic in range.
pub(crate) fn in_range(seconds: f64) -> Duration {
    const LONGEST: f64 = 7.0 * 24.0 * 3600.0;
    // What is not a number stays so when clamped, and is no wait at all.
    Duration::try_from_secs_f64(seconds.clamp(0.0, LONGEST)).unwrap_or_default()
}

impl model::Host for CallState {}

impl config::Host for CallState {
    async fn get(&mut self) -> wasmtime::Result<String> {
        Ok(self.config.to_string())
    }
}

impl progress::Host for CallState {
    async fn update(&mut self, report: progress::Report) -> wasmtime::Result<progress::Verdict> {
        let text = |text: Option<String>| text.map(|text| cut(text, fixed::PROGRESS_TEXT));
        self.shared.observer.progress(Progress {
            percent: percent(report.percent),
            message: text(report.message),
            stage: text(report.stage),
            stage_percent: percent(report.stage_percent),
            time_remaining: report
                .time_remaining
                .filter(|seconds| seconds.is_finite() && *seconds >= 0.0),
        });
        Ok(self.verdict())
    }

    async fn check(&mut self) -> wasmtime::Result<progress::Verdict> {
        Ok(self.verdict())
    }

    async fn wait(&mut self, duration: f64) -> wasmtime::Result<progress::Verdict> {
        tokio::select! {
            () = tokio::time::sleep(in_range(duration)) => {}
            () = self.shared.cancel.cancelled() => {}
        }
        Ok(self.verdict())
    }
}

impl log::Host for CallState {
    async fn write(
        &mut self,
        level: log::Level,
        target: String,
        message: String,
    ) -> wasmtime::Result<()> {
        if let Err(used_up) = self.shared.log.take(target.len() + message.len()) {
            self.shared.records.cut(used_up);
        } else {
            let level = match level {
                log::Level::Trace => LogLevel::Trace,
                log::Level::Debug => LogLevel::Debug,
                log::Level::Info => LogLevel::Info,
                log::Level::Warn => LogLevel::Warn,
                log::Level::Error => LogLevel::Error,
            };
            self.shared.observer.log(level, &target, &message);
        }
        Ok(())
    }
}

impl From<StateError> for state::Error {
    fn from(error: StateError) -> Self {
        match error {
            StateError::TooLarge(text) => Self::TooLarge(text),
            // The text names the file; a guest need not know where it is.
            StateError::Unavailable(_) => {
                Self::Unavailable("the driver's state cannot be read or written now".to_owned())
            }
        }
    }
}

/// Runs a store operation where blocking on the disk holds no worker.
async fn on_store<T: Send + 'static>(
    state: &mut CallState,
    what: &str,
    changes: bool,
    operation: impl FnOnce(&dyn StateStore) -> Result<T, StateError> + Send + 'static,
) -> Result<T, state::Error> {
    let store = Arc::clone(&state.store);
    let result = tokio::task::spawn_blocking(move || operation(store.as_ref())).await;
    let result = result
        .unwrap_or_else(|_| Err(StateError::Unavailable("the state store failed".to_owned())));
    let records = &state.shared.records;
    match &result {
        Ok(_) if changes && state.attempts.is_some() => {
            records.denied(Capability::State, what, Reason::DryRun);
        }
        Ok(_) => records.allowed(Capability::State, what, ""),
        Err(StateError::TooLarge(_)) => {
            records.limit_hit("state_store");
            records.denied(Capability::State, what, Reason::Quota);
        }
        Err(error @ StateError::Unavailable(_)) => {
            tracing::warn!(%error, "state store");
            records.allowed(Capability::State, what, "unavailable");
        }
    }
    result.map_err(Into::into)
}

impl state::Host for CallState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, state::Error>> {
        let what = format!("get {}", clean(&key));
        Ok(on_store(self, &what, false, move |store| store.get(&key)).await)
    }

    async fn set(
        &mut self,
        key: String,
        value: String,
    ) -> wasmtime::Result<Result<(), state::Error>> {
        let what = format!("set {}", clean(&key));
        self.held_back(Capability::State, &what, value.len() as u64);
        Ok(on_store(self, &what, true, move |store| store.set(&key, &value)).await)
    }

    async fn remove(&mut self, key: String) -> wasmtime::Result<Result<(), state::Error>> {
        let what = format!("remove {}", clean(&key));
        self.held_back(Capability::State, &what, 0);
        Ok(on_store(self, &what, true, move |store| store.remove(&key)).await)
    }

    async fn keys(&mut self) -> wasmtime::Result<Result<Vec<String>, state::Error>> {
        Ok(on_store(self, "list keys", false, |store| store.keys()).await)
    }
}

impl actions::Host for CallState {
    /// No grant can name an action in this version, so every one is denied.
    async fn run(
        &mut self,
        name: String,
        _: Vec<(String, String)>,
    ) -> wasmtime::Result<Result<actions::Output, actions::Error>> {
        let name = cut(name, 64);
        if self.held_back(Capability::Action, &name, 0) {
            let (records, denial) = (&self.shared.records, &self.hooks.denial);
            records.denied(Capability::Action, &name, Reason::DryRun);
            let text = held_back(Capability::Action, &name);
            denial.set(Some(Refusal::held_back(text.clone())));
            return Ok(Err(actions::Error::Denied(text)));
        }
        self.shared
            .records
            .denied(Capability::Action, &name, Reason::NotGranted);
        Ok(Err(actions::Error::Denied(format!(
            "no action named {name:?} is granted to this driver"
        ))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g2_the_log_budget_counts_lines_and_bytes() {
        let meter = LogMeter::new(3, 10);
        assert!(meter.take(4).is_ok());
        assert!(meter.take(6).is_ok());
        assert!(matches!(meter.take(1), Err(Once::LogBytes)));
        assert!(matches!(meter.take(0), Err(Once::LogLines)));
        assert_eq!(meter.dropped(), 2);
    }

    #[test]
    fn a5_a_wait_is_never_shorter_for_being_too_long() {
        let week = Duration::from_secs(7 * 24 * 3600);
        for (seconds, duration) in [
            (0.0, Duration::ZERO),
            (-1.0, Duration::ZERO),
            (f64::NAN, Duration::ZERO),
            (f64::NEG_INFINITY, Duration::ZERO),
            (1.5, Duration::from_millis(1500)),
            (1e300, week),
            (f64::INFINITY, week),
        ] {
            assert_eq!(in_range(seconds), duration, "{seconds}");
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aé".to_owned(), 2), "a");
        assert_eq!(cut("aé".to_owned(), 3), "aé");
    }
}
