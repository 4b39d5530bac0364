//! The bounded queue and the worker threads behind it.
//!
//! Workers are real threads that block, as those of many applications do: what
//! is tuned here is their number. Queue, settings and the list of workers stand
//! under one lock, so a change of settings is seen whole or not at all: a pass
//! takes its settings together with its requests, and ends with what it began.
//!
//! A pass is: take up to `batch` requests, lingering a while for more; agree
//! with the other workers; look all of them up in the cache; ask the database
//! once for those that were not there.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::oneshot;

use super::catalogue::{Cache, Item, Quote};
use super::meters::{Meters, add};
use super::pace::{Cost, Pace};
use super::settings::{Settings, SettingsError, WORKERS};

/// Requests that may wait. Far more than the clients of a sensible load test,
/// and few enough that the last of them is still answered within seconds.
const QUEUE: usize = 256;

/// Why a change of settings did not happen.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("no further worker thread can be started, the settings are as before: {0}")]
    Thread(std::io::Error),
}

struct Job {
    item: Item,
    answer: oneshot::Sender<Quote>,
}

/// What one worker does at once, and the settings it does it with.
struct Pass {
    settings: Settings,
    jobs: Vec<Job>,
}

struct State {
    queue: VecDeque<Job>,
    settings: Settings,
    /// Which worker numbers have a thread.
    running: [bool; WORKERS.max as usize],
    threads: Vec<JoinHandle<()>>,
    stopping: bool,
}

struct Shared {
    state: Mutex<State>,
    /// A request came, the settings changed, or it is time to stop.
    changed: Condvar,
    agreement: Mutex<()>,
    cache: Mutex<Cache>,
    pace: Arc<dyn Pace>,
    meters: Arc<Meters>,
}

/// The pool. Dropping it stops the workers after what they have.
pub(super) struct Pool {
    shared: Arc<Shared>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Pool {
    pub(super) fn start(pace: Arc<dyn Pace>, meters: Arc<Meters>) -> Result<Self, ApplyError> {
        let pool = Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    queue: VecDeque::with_capacity(QUEUE),
                    settings: Settings::default(),
                    running: [false; WORKERS.max as usize],
                    threads: Vec::new(),
                    stopping: false,
                }),
                changed: Condvar::new(),
                agreement: Mutex::new(()),
                cache: Mutex::default(),
                pace,
                meters,
            }),
        };
        pool.apply(&Value::Object(serde_json::Map::new()))?;
        Ok(pool)
    }

    pub(super) fn settings(&self) -> Settings {
        lock(&self.shared.state).settings
    }

    /// Puts the members of `document` in force, all of them or none.
    pub(super) fn apply(&self, document: &Value) -> Result<Settings, ApplyError> {
        let mut state = lock(&self.shared.state);
        let settings = state.settings.patched(document)?;
        self.staff(&mut state, settings.workers())
            .map_err(ApplyError::Thread)?;
        if settings.cache() != lock(&self.shared.cache).entries() {
            *lock(&self.shared.cache) = Cache::of(settings.cache());
        }
        state.settings = settings;
        self.shared.changed.notify_all();
        Ok(settings)
    }

    /// Starts the threads that are missing. They wait for the lock that the
    /// caller holds; those above the number go again by themselves.
    fn staff(&self, state: &mut State, workers: u32) -> std::io::Result<()> {
        state.threads.retain(|thread| !thread.is_finished());
        for (number, running) in (0..workers).zip(&mut state.running) {
            if *running {
                continue;
            }
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new()
                .name(format!("quote-{number}"))
                .spawn(move || {
                    while let Some(pass) = shared.next_pass(number) {
                        shared.serve(pass);
                    }
                })?;
            *running = true;
            state.threads.push(thread);
        }
        Ok(())
    }

    /// Queues a request. `None`: the queue is full, or the pool is stopping.
    pub(super) fn submit(&self, item: Item) -> Option<oneshot::Receiver<Quote>> {
        let mut state = lock(&self.shared.state);
        if state.stopping || state.queue.len() >= QUEUE {
            return None;
        }
        let (answer, receiver) = oneshot::channel();
        state.queue.push_back(Job { item, answer });
        self.shared.changed.notify_one();
        Some(receiver)
    }

    /// Lets the workers finish what is queued, and refuses anything new.
    fn stop(&self) -> Vec<JoinHandle<()>> {
        let mut state = lock(&self.shared.state);
        state.stopping = true;
        self.shared.changed.notify_all();
        std::mem::take(&mut state.threads)
    }

    /// Stops, and blocks until the last worker has gone.
    pub(super) fn stop_and_wait(&self) {
        for thread in self.stop() {
            if thread.join().is_err() {
                tracing::error!("a worker thread of the sample application panicked");
            }
        }
    }
}

impl Shared {
    /// Waits for work. `None`: this worker is no longer needed.
    fn next_pass(&self, number: u32) -> Option<Pass> {
        let mut state = lock(&self.state);
        loop {
            let idle = state.queue.is_empty();
            if number >= state.settings.workers() || (state.stopping && idle) {
                if let Some(running) = state.running.get_mut(number as usize) {
                    *running = false;
                }
                return None;
            }
            if !idle {
                break;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let settings = state.settings;
        let full = settings.batch() as usize;
        let mut jobs = Vec::with_capacity(full);
        let patience = Instant::now() + self.pace.linger(settings.batch());
        loop {
            // A client that has gone needs no answer.
            let waiting = std::iter::from_fn(|| state.queue.pop_front());
            let wanted = waiting.filter(|job| !job.answer.is_closed());
            jobs.extend(wanted.take(full - jobs.len()));
            let left = patience.saturating_duration_since(Instant::now());
            if jobs.len() >= full || left.is_zero() || state.stopping {
                break;
            }
            (state, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !state.queue.is_empty() {
            // The notice of what is left may have come to this worker.
            self.changed.notify_one();
        }
        Some(Pass { settings, jobs })
    }

    fn serve(&self, Pass { settings, jobs }: Pass) {
        if jobs.is_empty() {
            return;
        }
        self.meters.passes.fetch_add(1, Relaxed);
        {
            let _one_at_a_time = lock(&self.agreement);
            let workers = settings.workers();
            self.pace.spend(Cost::Agreement { workers });
        }
        let (found, missing) = self.look_up(jobs);
        add(&self.meters.hits, found.len());
        add(&self.meters.misses, missing.len());
        for (job, quote) in found {
            // It fails when the client has gone, which harms nobody.
            let _ = job.answer.send(quote);
        }
        if missing.is_empty() {
            return;
        }
        self.meters.round_trips.fetch_add(1, Relaxed);
        let rows = u32::try_from(missing.len()).unwrap_or(u32::MAX);
        self.pace.spend(Cost::RoundTrip { rows });
        for job in missing {
            let _ = job.answer.send(Quote::of(job.item));
        }
    }

    fn look_up(&self, jobs: Vec<Job>) -> (Vec<(Job, Quote)>, Vec<Job>) {
        let cache = lock(&self.cache);
        let entries = cache.entries();
        if entries == 0 {
            return (Vec::new(), jobs);
        }
        self.pace.spend(Cost::Sweep { entries });
        let mut found = Vec::with_capacity(jobs.len());
        let mut missing = Vec::new();
        for job in jobs {
            match cache.get(job.item) {
                Some(quote) => found.push((job, quote)),
                None => missing.push(job),
            }
        }
        (found, missing)
    }
}

/// A worker that panicked leaves nothing half done under any of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
