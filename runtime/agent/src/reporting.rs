//! Telling the service how far a call is, and learning that it is no longer
//! wanted (protocol sections 7 and 8).
//!
//! Progress is best effort: a report that cannot be delivered never fails the
//! operation. It is tried once more after the retry wait, by then with the
//! newest content; what fails twice is dropped, and the next one is due no
//! sooner than the retry wait. At most one report a second, at least one every
//! half minute: a service that hears nothing takes the servo for lost, and the
//! answer to a report is its only way to cancel.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use servo_protocol::{Reason, Status};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::compat::Compat;
use crate::driver::DriverFailure;
use crate::observer::Notice;
use crate::operation::{Call, Waiting};
use crate::progress::{ProgressReport, ProgressSink};

/// How long the result of a call may wait for a report that is under way. It
/// waits at all because the service shall not get two requests at once.
const LAST_REPORT: Duration = Duration::from_secs(5);

/// How often progress is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Shortest time between two reports.
    pub gap: Duration,
    /// Longest time between two reports.
    pub heartbeat: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            gap: Duration::from_secs(1),
            heartbeat: Duration::from_secs(30),
        }
    }
}

impl Pacing {
    /// As the original: each report at once, and none that nobody asked for.
    pub(crate) const PLAIN: Self = Self {
        gap: Duration::ZERO,
        heartbeat: Duration::from_secs(365 * 86_400),
    };
}

/// What the service answered to a progress report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Carry on.
    Proceed,
    /// Stop, for this reason.
    Cancel(String),
    /// The service does not know the command: stop and report nothing.
    Abandon(String),
}

/// A progress report did not reach the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undelivered {
    /// How long to leave the service in peace.
    pub wait: Duration,
}

/// Where progress goes: the service, or a terminal.
#[async_trait]
pub trait Reporter: Send + Sync {
    /// Delivers one report.
    ///
    /// # Errors
    /// It was not delivered.
    async fn report(
        &self,
        report: &ProgressReport,
        runtime: Duration,
    ) -> Result<Answer, Undelivered>;
}

/// Delivers nothing and never cancels.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReporter;

#[async_trait]
impl Reporter for NoReporter {
    async fn report(&self, _: &ProgressReport, _: Duration) -> Result<Answer, Undelivered> {
        Ok(Answer::Proceed)
    }
}

/// Why a call is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The service said so.
    Cancelled(String),
    /// The service does not know the command.
    Abandoned(String),
    /// Progress cannot be delivered, and the call must not go on without.
    Unheard,
    /// The servo stops.
    Stopping,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled(reason) => write!(f, "cancelled by the service: {reason}"),
            Self::Abandoned(reason) => write!(f, "abandoned by the service: {reason}"),
            Self::Unheard => f.write_str("two progress reports in a row were lost"),
            Self::Stopping => f.write_str("the servo stops"),
        }
    }
}

impl Cause {
    /// How a call fails that was cancelled at this moment.
    pub(crate) fn failure(&self, moment: &str) -> DriverFailure {
        let (status, reason) = match self {
            Self::Stopping => (Status::Cancelled, Reason::Stopping),
            Self::Unheard => (Status::Failed, Reason::Unknown),
            Self::Cancelled(_) | Self::Abandoned(_) => (Status::Cancelled, Reason::Cancelled),
        };
        DriverFailure::new(status, reason, format!("{self} ({moment})"))
    }
}

/// Whether a call is still wanted, and why not. The first cause counts.
#[derive(Debug)]
pub(crate) struct Unwanted {
    cause: Mutex<Option<Cause>>,
    cancel: CancellationToken,
    stop: CancellationToken,
}

impl Unwanted {
    pub(crate) fn new(cancel: CancellationToken, stop: CancellationToken) -> Self {
        Self {
            cause: Mutex::new(None),
            cancel,
            stop,
        }
    }

    /// Why the call is not wanted, if it is not.
    pub(crate) fn cause(&self) -> Option<Cause> {
        let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        if cause.is_none() && self.stop.is_cancelled() {
            *cause = Some(Cause::Stopping);
        }
        cause.clone()
    }

    fn set(&self, new: Cause) {
        let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        cause.get_or_insert(new);
        self.cancel.cancel();
    }

    /// Waits until the call is no longer wanted.
    pub(crate) async fn wait(&self) -> Cause {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {}
            () = self.stop.cancelled() => {}
        }
        self.cause().unwrap_or(Cause::Stopping)
    }
}

/// The reports of one call.
pub(crate) struct Reporting<'a> {
    pub(crate) call: &'a Call<'a>,
    pub(crate) compat: Compat,
    pub(crate) unwanted: &'a Unwanted,
    pub(crate) progress: &'a ProgressSink,
    pub(crate) watched: watch::Receiver<ProgressReport>,
    pub(crate) waiting: &'a Waiting,
    pub(crate) began: Instant,
    pub(crate) ended: &'a CancellationToken,
    /// When the last report was sent.
    pub(crate) last: Instant,
    /// How long to leave the service in peace, and how often in a row a report failed.
    pub(crate) failed: Option<(Duration, u32)>,
}

impl Reporting<'_> {
    /// Sends the first report; a driver is not started before it was answered
    /// or lost. Where a lost one is fatal, it is lost only when it failed twice.
    pub(crate) async fn first(&mut self) {
        self.send().await;
        if self.compat.fatal_progress
            && let Some((wait, _)) = self.failed
        {
            sleep(wait).await;
            self.send().await;
        }
    }

    /// Sends reports until the call has ended.
    pub(crate) async fn rest(mut self) {
        loop {
            // Nobody listens to what follows, such as an undo.
            if matches!(
                self.unwanted.cause(),
                Some(Cause::Abandoned(_) | Cause::Unheard)
            ) {
                return self.ended.cancelled().await;
            }
            let over = tokio::select! {
                biased;
                () = self.ended.cancelled() => true,
                () = Self::due(&mut self.watched, self.last, self.failed, self.call.pacing) => false,
            };
            let unsent = self.watched.has_changed().unwrap_or(false);
            if over && !(self.compat.plain_progress && unsent && self.unwanted.cause().is_none()) {
                return;
            }
            let ended = self.ended;
            let too_late = async {
                ended.cancelled().await;
                sleep(LAST_REPORT).await;
            };
            tokio::select! {
                biased;
                () = self.send() => {}
                () = too_late => return,
            }
            if over {
                return;
            }
        }
    }

    async fn due(
        watched: &mut watch::Receiver<ProgressReport>,
        last: Instant,
        failed: Option<(Duration, u32)>,
        pacing: Pacing,
    ) {
        let peace = failed.map_or(pacing.gap, |(wait, _)| wait.max(pacing.gap));
        sleep_until(last + peace).await;
        if failed.is_some_and(|(_, times)| times == 1) {
            return;
        }
        tokio::select! {
            Ok(()) = watched.changed() => {}
            () = sleep_until(last + peace.max(pacing.heartbeat)) => {}
        }
    }

    async fn send(&mut self) {
        self.watched.mark_unchanged();
        self.waiting.count(self.progress);
        let report = self.progress.take();
        let runtime = self.began.elapsed();
        self.call.observer.notice(Notice::Progress {
            call: self.call.id.clone(),
            report: report.clone(),
            runtime,
        });
        let answer = self.call.reporter.report(&report, runtime).await;
        self.last = Instant::now();
        self.failed = match answer {
            Ok(Answer::Proceed) => None,
            Ok(Answer::Cancel(reason)) => {
                self.unwanted.set(Cause::Cancelled(reason));
                None
            }
            Ok(Answer::Abandon(reason)) => {
                self.unwanted.set(Cause::Abandoned(reason));
                None
            }
            Err(Undelivered { wait }) => {
                let times = self.failed.map_or(0, |(_, times)| times).saturating_add(1);
                if self.compat.fatal_progress && times > 1 {
                    self.unwanted.set(Cause::Unheard);
                }
                Some((wait, times))
            }
        };
    }
}
