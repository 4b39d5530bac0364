//! Computing time of one step, as time spent on a worker.
//!
//! Wall time would charge a driver for waiting on a slow network; counting
//! epoch ticks would charge a whole tick for every short burst of work after a
//! wait. So the call's future is wrapped, and what is added up is the time
//! inside `poll`: everything the call does on a worker, host functions
//! included, and nothing else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Time on a worker that one step has used, readable from inside the step.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    origin: Instant,
    /// Nanoseconds used by finished polls.
    used: AtomicU64,
    /// Nanoseconds after `origin` at which the running poll began.
    began: AtomicU64,
    limit: Duration,
}

impl CpuMeter {
    pub(crate) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            origin: Instant::now(),
            used: AtomicU64::new(0),
            began: AtomicU64::new(0),
            limit,
        })
    }

    fn since_origin(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether the limit is used up. Called while the step's future is polled.
    pub(crate) fn exhausted_in_poll(&self) -> bool {
        let running = self
            .since_origin()
            .saturating_sub(self.began.load(Ordering::Relaxed));
        Duration::from_nanos(self.used.load(Ordering::Relaxed).saturating_add(running)) > self.limit
    }

    /// Time used by all polls so far.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }
}

/// The step's future never ended because its computing time did.
#[derive(Debug)]
pub(crate) struct CpuExhausted;

/// A future whose polls are charged to a meter. It ends as soon as a poll
/// returns with the limit used up, so that a guest which lives in host calls
/// cannot escape the limit either.
pub(crate) struct Metered<F> {
    future: Pin<Box<F>>,
    meter: Arc<CpuMeter>,
}

impl<F: Future> Metered<F> {
    pub(crate) fn new(future: F, meter: Arc<CpuMeter>) -> Self {
        Self {
            future: Box::pin(future),
            meter,
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = Result<F::Output, CpuExhausted>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let began = self.meter.since_origin();
        self.meter.began.store(began, Ordering::Relaxed);
        let polled = self.future.as_mut().poll(context);
        let spent = self.meter.since_origin().saturating_sub(began);
        let used = self.meter.used.fetch_add(spent, Ordering::Relaxed) + spent;
        match polled {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending if Duration::from_nanos(used) > self.meter.limit => {
                Poll::Ready(Err(CpuExhausted))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_is_not_charged() {
        let meter = CpuMeter::new(Duration::from_secs(1));
        let waited = Metered::new(
            tokio::time::sleep(Duration::from_secs(3600)),
            Arc::clone(&meter),
        );
        assert!(waited.await.is_ok());
        assert!(meter.used() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_future_that_only_polls_is_ended() {
        let meter = CpuMeter::new(Duration::ZERO);
        let busy = std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(Metered::new(busy, meter).await.is_err());
    }
}
