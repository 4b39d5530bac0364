//! Computing time of one step, as time spent on a worker.
//!
//! Wall time would charge a driver for waiting on a slow network; counting
//! epoch ticks would charge a whole tick for every short burst of work after a
//! wait. So the call's future is wrapped, and what is added up is the time
//! inside `poll`: everything the call does on a worker, host functions
//! included, and nothing else. To wait for a turn is not to be on a worker.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use crate::engine::TICK;
use crate::schedule::Runnable;

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

/// A future whose polls need turns and are charged to a meter. It ends as soon
/// as a poll returns with the limit used up, so that a guest which lives in
/// host calls cannot escape the limit either.
pub(crate) struct Metered<F> {
    future: Pin<Box<F>>,
    meter: Arc<CpuMeter>,
    runnable: Runnable,
}

impl<F: Future> Metered<F> {
    pub(crate) fn new(future: F, meter: Arc<CpuMeter>, runnable: Runnable) -> Self {
        Self {
            future: Box::pin(future),
            meter,
            runnable,
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = Result<F::Output, CpuExhausted>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            future,
            meter,
            runnable,
        } = &mut *self;
        let turn = ready!(runnable.poll_turn(context));
        let began = meter.since_origin();
        meter.began.store(began, Ordering::Relaxed);
        let polled = future.as_mut().poll(context);
        let spent = meter.since_origin().saturating_sub(began);
        turn.end(Duration::from_nanos(spent));
        let used = meter.used.fetch_add(spent, Ordering::Relaxed) + spent;
        match polled {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending if Duration::from_nanos(used) > meter.limit => {
                Poll::Ready(Err(CpuExhausted))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Runs a metered future so that those whose turn it is next do not run before
/// everything else on this worker. The runtime lets what a task has woken jump
/// its queue, as long as the task has left something of its budget; after a
/// poll as long as a tick, nothing is left.
pub(crate) async fn cooperative<F: Future>(metered: F, meter: &CpuMeter) -> F::Output {
    let mut metered = std::pin::pin!(metered);
    std::future::poll_fn(|context| {
        let before = meter.used();
        let polled = metered.as_mut().poll(context);
        if meter.used().saturating_sub(before) > TICK / 2 {
            use_up_task_budget();
        }
        polled
    })
    .await
}

fn use_up_task_budget() {
    use tokio::task::coop;

    /// More than any task has. Outside a task the budget has no end.
    const MOST: u32 = 1_000;
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..MOST {
        if !coop::has_budget_remaining() {
            return;
        }
        let _ = std::pin::pin!(coop::consume_budget()).poll(&mut context);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Turns;

    fn runnable() -> Runnable {
        Turns::new(1).runnable(&Arc::from("acme"))
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_not_charged() {
        let meter = CpuMeter::new(Duration::from_secs(1));
        let waited = Metered::new(
            tokio::time::sleep(Duration::from_secs(3600)),
            Arc::clone(&meter),
            runnable(),
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
        assert!(Metered::new(busy, meter, runnable()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a7_waiting_for_a_turn_is_not_charged() {
        let turns = Turns::new(1);
        let tenant = Arc::from("acme");
        let mut other = turns.runnable(&tenant);
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(turn) = other.poll_turn(&context) else {
            panic!("nobody else wants it");
        };
        let meter = CpuMeter::new(Duration::ZERO);
        let mut waits = Metered::new(async {}, Arc::clone(&meter), turns.runnable(&tenant));
        assert!(Pin::new(&mut waits).poll(&mut context).is_pending());
        assert_eq!(meter.used(), Duration::ZERO);
        turn.end(Duration::ZERO);
        assert!(waits.await.is_ok());
    }

    #[tokio::test]
    async fn a7_a_long_poll_leaves_nothing_of_its_task_s_budget() {
        let meter = CpuMeter::new(Duration::from_secs(1));
        let long = async {
            meter.used.fetch_add(5_000_000, Ordering::Relaxed);
        };
        cooperative(long, &meter).await;
        assert!(!tokio::task::coop::has_budget_remaining());
        tokio::task::yield_now().await;
        cooperative(async {}, &meter).await;
        assert!(tokio::task::coop::has_budget_remaining());
    }
}
