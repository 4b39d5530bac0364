//! The clock by which guests are stopped.
//!
//! Epochs cost a load and a compare at loop heads and function entries, and
//! need somebody to advance them. That is one thread which does nothing else:
//! were it a task on the workers, guests that spin there could keep it from
//! running, which is the very thing it is for.
//!
//! A tick that comes late comes once: nothing is caught up, since computing
//! time is measured and not counted in ticks. A thread that has ended, or does
//! not come at all, would make guests unstoppable; the time of the last tick
//! tells ([`Ticker::fault`]), and no step begins then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wasmtime::Engine;

use crate::SandboxError;
use crate::engine::TICK;

/// Silence after which the thread is taken for stuck. A busy machine may delay
/// it for some ticks, never for a thousand.
const SILENCE: Duration = Duration::from_secs(5);

/// How the ticker lets a tick pass. Tests have their own.
pub(crate) type Pause = Box<dyn FnMut() + Send>;

/// Sleeps for one tick, or less.
pub(crate) fn pause() -> Pause {
    Box::new(|| std::thread::park_timeout(TICK))
}

/// Advances the engine's epoch until it is dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    origin: Instant,
    /// Milliseconds after `origin` of the last tick.
    last: AtomicU64,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Ticker {
    /// Starts ticking; `each` runs at every tick. Fails when the thread cannot
    /// be started: without it no limit on computing time could be enforced.
    pub(crate) fn start(
        engine: &Engine,
        mut pause: Pause,
        each: impl Fn() + Send + 'static,
    ) -> Result<Self, SandboxError> {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            origin: Instant::now(),
            last: AtomicU64::new(0),
        });
        let engine = engine.weak();
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("servo-ticker".into())
            .spawn(move || {
                while !seen.stop.load(Ordering::Relaxed) {
                    pause();
                    match engine.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => return,
                    }
                    each();
                    seen.last.store(seen.now(), Ordering::Relaxed);
                }
            })
            .map_err(|error| SandboxError::Engine(format!("cannot start the ticker: {error}")))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Why no guest may run now: nothing would stop it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        let silence = self
            .shared
            .now()
            .saturating_sub(self.shared.last.load(Ordering::Relaxed));
        if ended {
            Some("the thread that stops guests has ended; restart servo")
        } else if u128::from(silence) > SILENCE.as_millis() {
            Some("the thread that stops guests does not run; is this machine overloaded?")
        } else {
            None
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to say, whether it came to its end or panicked.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a9_a_ticker_that_ended_is_noticed() {
        let engine = crate::engine::build(1).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let pause = Box::new(move || wait.recv().unwrap());
        let ticker = Ticker::start(&engine, pause, || {}).unwrap();
        go.send(()).unwrap();
        assert_eq!(ticker.fault(), None);
        drop(go);
        let thread = ticker.thread.as_ref().unwrap();
        while !thread.is_finished() {
            std::thread::yield_now();
        }
        assert!(ticker.fault().is_some());
    }

    #[test]
    fn a9_a_ticker_that_hangs_is_noticed() {
        let engine = crate::engine::build(1).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let pause = Box::new(move || wait.recv().unwrap_or_default());
        let mut ticker = Ticker::start(&engine, pause, || {}).unwrap();
        assert_eq!(ticker.fault(), None);
        // As if it had been started a minute ago.
        let shared = Shared {
            stop: AtomicBool::new(false),
            origin: Instant::now() - Duration::from_secs(60),
            last: AtomicU64::new(54_000),
        };
        let real = std::mem::replace(&mut ticker.shared, Arc::new(shared));
        assert!(ticker.fault().is_some());
        ticker.shared.last.store(57_000, Ordering::Relaxed);
        assert_eq!(ticker.fault(), None, "late is not gone");
        ticker.shared = real;
        drop(go);
    }
}
