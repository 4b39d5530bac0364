//! The clock by which guests are stopped.
//!
//! Epochs cost a load and a compare at loop heads and function entries, and
//! need somebody to advance them. That is one thread which does nothing else:
//! were it a task on the workers, guests that spin there could keep it from
//! running, which is the very thing it is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use wasmtime::Engine;

use crate::SandboxError;
use crate::engine::TICK;

/// Advances the engine's epoch until it is dropped.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts ticking. Fails when the thread cannot be started: without it no
    /// limit on computing time could be enforced.
    pub(crate) fn start(engine: &Engine) -> Result<Self, SandboxError> {
        let stop = Arc::new(AtomicBool::new(false));
        let engine = engine.weak();
        let seen = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("servo-ticker".into())
            .spawn(move || {
                while !seen.load(Ordering::Relaxed) {
                    std::thread::park_timeout(TICK);
                    match engine.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => return,
                    }
                }
            })
            .map_err(|error| SandboxError::Engine(format!("cannot start the ticker: {error}")))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread cannot panic; there is nothing to report if it did.
            let _ = thread.join();
        }
    }
}
