//! The watch over a step that shows no sign of life (`OPTUNE_IO_TIMEOUT`).
//!
//! The original gave a driver up that neither read nor wrote for a while. A
//! component has no pipes; what can be seen of it from outside is what it
//! reports, what it logs, and what goes through its lane of the gate. So the
//! watch looks at counters of these, a few times in each limit, and costs a
//! running step nothing. Between two steps there is nothing to watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use servo_agent::DriverFailure;
use servo_egress::LedgerSnapshot;
use servo_protocol::{Reason, Status};
use tokio::time::{Instant, sleep};

/// How often in each limit the watch looks: a step is given up at most an
/// eighth too late.
const LOOKS: u32 = 8;

/// Counts what a step says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Voice(Arc<AtomicU64>);

impl Voice {
    /// It said something.
    pub(crate) fn heard(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// All it said, and all that went through its lane, as one number that
    /// only grows.
    pub(crate) fn signs(&self, ledger: &LedgerSnapshot) -> u64 {
        let rules = ledger.rules.iter();
        let traffic = rules.map(|rule| {
            rule.requests
                .saturating_add(rule.bytes_out)
                .saturating_add(rule.bytes_in)
        });
        let traffic = traffic.fold(0, u64::saturating_add);
        self.0.load(Ordering::Relaxed).saturating_add(traffic)
    }
}

/// Runs a step, and drops it once `signs` has stood still for `limit`.
pub(crate) async fn watched<T>(
    step: impl Future<Output = T>,
    limit: Option<Duration>,
    signs: impl Fn() -> u64,
) -> Result<T, DriverFailure> {
    let Some(limit) = limit else {
        return Ok(step.await);
    };
    tokio::pin!(step);
    let (mut seen, mut since) = (signs(), Instant::now());
    loop {
        tokio::select! {
            biased;
            done = &mut step => return Ok(done),
            () = sleep(limit / LOOKS) => {}
        }
        let now = signs();
        if now != seen {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() >= limit {
            let message = format!(
                "no progress, no log line and no byte of the driver for {limit:?}; raise \
                 OPTUNE_IO_TIMEOUT if it needs longer"
            );
            let (status, reason) = (Status::Failed, Reason::Timeout);
            return Err(DriverFailure::new(status, reason, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step that gives a sign each `pause`, `signs` times, and then takes
    /// `rest` to end.
    async fn step(voice: Voice, pause: Duration, signs: u32, rest: Duration) {
        for _ in 0..signs {
            sleep(pause).await;
            voice.heard();
        }
        sleep(rest).await;
    }

    #[tokio::test(start_paused = true)]
    async fn only_silence_ends_a_step() {
        let seconds = Duration::from_secs;
        let nothing = LedgerSnapshot {
            rules: Vec::new(),
            denials: Vec::new(),
            more_denials: 0,
        };
        for (limit, pause, signs, rest, ends_after) in [
            (Some(5), 4, 100, 4, Ok(404)),
            (None, 1, 0, 86_400, Ok(86_400)),
            (Some(5), 1, 0, 60, Err(5)),
            (Some(5), 4, 3, 60, Err(17)),
        ] {
            let voice = Voice::default();
            let begun = Instant::now();
            let step = step(voice.clone(), seconds(pause), signs, seconds(rest));
            let ended = watched(step, limit.map(seconds), || voice.signs(&nothing)).await;
            let took = begun.elapsed();
            match (ended, ends_after) {
                (Ok(()), Ok(after)) => assert_eq!(took, seconds(after)),
                (Err(failure), Err(after)) => {
                    assert!(
                        took >= seconds(after) && took <= seconds(after + 1),
                        "{took:?}"
                    );
                    assert_eq!(failure.reason, Some(Reason::Timeout));
                }
                (ended, _) => panic!("{ended:?} after {took:?}"),
            }
        }
    }
}
