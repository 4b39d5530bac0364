//! A value that is fetched when it is needed, kept for a while, and fetched by
//! one at a time, whoever waits for it.
//!
//! The fetch runs in a task of its own. Were it part of the request that began
//! it, a driver that gives its requests up at once could start the operator's
//! program, or ask the token's server, as often as it likes. For the same
//! reason a failure is remembered for a moment, and a value that a server
//! refuses is fetched anew only when it is not a fresh one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How long a failure is the answer to whoever asks.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

/// A refusal of a value that is younger says nothing about its age.
const SETTLED: Duration = Duration::from_secs(10);

pub(super) type Fetch<T, E> =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Fetched<T>, E>> + Send>> + Send + Sync>;

/// A value, and for how long it is good.
pub(super) struct Fetched<T> {
    pub(super) value: T,
    pub(super) good_for: Duration,
}

pub(super) struct Renewed<T, E> {
    fetch: Fetch<T, E>,
    state: Arc<Mutex<State<T, E>>>,
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unavailable<E> {
    /// The fetch failed.
    Failed(E),
    /// It did not end before the one who waits had to go.
    Late,
}

struct State<T, E> {
    kept: Option<Kept<T>>,
    failed: Option<(E, Instant)>,
    flight: Option<Flight<T, E>>,
}

struct Kept<T> {
    value: T,
    since: Instant,
    until: Instant,
}

type Landing<T, E> = watch::Receiver<Option<Result<T, E>>>;

struct Flight<T, E> {
    landing: Landing<T, E>,
    task: tokio::task::AbortHandle,
}

impl<T, E> Drop for Flight<T, E> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task knows the state, so the state alone would never be dropped.
impl<T, E> Drop for Renewed<T, E> {
    fn drop(&mut self) {
        lock(&self.state).flight = None;
    }
}

fn lock<T, E>(state: &Mutex<State<T, E>>) -> MutexGuard<'_, State<T, E>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T, E> Renewed<T, E>
where
    T: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    pub(super) fn new(fetch: Fetch<T, E>) -> Self {
        Self {
            fetch,
            state: Arc::new(Mutex::new(State {
                kept: None,
                failed: None,
                flight: None,
            })),
        }
    }

    /// The value, fetched when there is none or its time is over.
    pub(super) async fn get(&self, until: Instant) -> Result<T, Unavailable<E>> {
        let mut landing = match self.known() {
            Ok(known) => return known.map_err(Unavailable::Failed),
            Err(landing) => landing,
        };
        match timeout_at(until, landing.wait_for(Option::is_some)).await {
            Ok(Ok(landed)) => match &*landed {
                Some(Ok(value)) => Ok(value.clone()),
                Some(Err(error)) => Err(Unavailable::Failed(error.clone())),
                None => Err(Unavailable::Late),
            },
            Ok(Err(_)) | Err(_) => Err(Unavailable::Late),
        }
    }

    /// A server refused this value: it is dropped, unless it was only just got.
    pub(super) fn refused(&self, is_it: impl FnOnce(&T) -> bool) {
        let mut state = lock(&self.state);
        if state
            .kept
            .as_ref()
            .is_some_and(|kept| kept.since.elapsed() >= SETTLED && is_it(&kept.value))
        {
            state.kept = None;
        }
    }

    fn known(&self) -> Result<Result<T, E>, Landing<T, E>> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        if state.kept.as_ref().is_some_and(|kept| kept.until <= now) {
            state.kept = None;
        }
        if state
            .failed
            .as_ref()
            .is_some_and(|(_, until)| *until <= now)
        {
            state.failed = None;
        }
        if let Some(kept) = &state.kept {
            return Ok(Ok(kept.value.clone()));
        }
        if let Some((error, _)) = &state.failed {
            return Ok(Err(error.clone()));
        }
        if let Some(flight) = &state.flight
            && flight.landing.has_changed().is_ok()
        {
            return Err(flight.landing.clone());
        }
        let flight = self.start();
        let landing = flight.landing.clone();
        state.flight = Some(flight);
        Err(landing)
    }

    fn start(&self) -> Flight<T, E> {
        let (land, landing) = watch::channel(None);
        let fetching = (self.fetch)();
        let state = Arc::clone(&self.state);
        let task = tokio::spawn(async move {
            let fetched = fetching.await;
            let mut state = lock(&state);
            let now = Instant::now();
            let landed = match fetched {
                Ok(Fetched { value, good_for }) => {
                    state.kept = Some(Kept {
                        value: value.clone(),
                        since: now,
                        until: now + good_for,
                    });
                    Ok(value)
                }
                Err(error) => {
                    state.failed = Some((error.clone(), now + FAILURE_KEPT));
                    Err(error)
                }
            };
            let _ = land.send(Some(landed));
            state.flight = None;
        });
        Flight {
            landing,
            task: task.abort_handle(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Fetches 1, 2, 3..; a multiple of `bad` is a failure. Takes one second.
    fn counting(bad: usize) -> (Renewed<usize, usize>, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let shared = Arc::clone(&count);
        let renewed = Renewed::new(Box::new(move || {
            let number = shared.fetch_add(1, Ordering::SeqCst) + 1;
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if number.is_multiple_of(bad) {
                    return Err(number);
                }
                Ok(Fetched {
                    value: number,
                    good_for: Duration::from_secs(60),
                })
            })
        }));
        (renewed, count)
    }

    fn in_seconds(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_share_one_fetch_and_its_time() {
        let (renewed, count) = counting(100);
        let wait = || renewed.get(in_seconds(5));
        assert_eq!(tokio::join!(wait(), wait(), wait()), (Ok(1), Ok(1), Ok(1)));
        assert_eq!(wait().await, Ok(1));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(wait().await, Ok(2));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_outlives_the_one_who_began_it_and_ends_with_its_owner() {
        let (renewed, count) = counting(100);
        for _ in 0..10 {
            assert_eq!(renewed.get(Instant::now()).await, Err(Unavailable::Late));
        }
        assert_eq!(renewed.get(in_seconds(5)).await, Ok(1));
        assert_eq!(count.load(Ordering::SeqCst), 1);

        let (renewed, _) = counting(100);
        assert_eq!(renewed.get(Instant::now()).await, Err(Unavailable::Late));
        let state = Arc::downgrade(&renewed.state);
        drop(renewed);
        while state.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_remembered_for_a_moment() {
        let (renewed, count) = counting(1);
        for _ in 0..10 {
            assert_eq!(
                renewed.get(in_seconds(5)).await,
                Err(Unavailable::Failed(1))
            );
        }
        tokio::time::advance(FAILURE_KEPT).await;
        assert_eq!(
            renewed.get(in_seconds(5)).await,
            Err(Unavailable::Failed(2))
        );
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_value_is_fetched_anew_unless_it_is_fresh_or_another() {
        let (renewed, _) = counting(100);
        let get = || renewed.get(in_seconds(5));
        assert_eq!(get().await, Ok(1));
        renewed.refused(|_| true);
        assert_eq!(get().await, Ok(1), "it is fresh");
        tokio::time::advance(SETTLED).await;
        renewed.refused(|value| *value == 7);
        assert_eq!(get().await, Ok(1), "another one was refused");
        renewed.refused(|value| *value == 1);
        assert_eq!(get().await, Ok(2));
    }
}
