//! Events out, answers in: what counts as a failed request, and what is then
//! done (protocol section 6).
//!
//! Every transport error counts, not only broken connections, and an answer
//! that is JSON but no object counts as no answer. One exception: a final
//! report answered with 2xx and an unreadable body has arrived; sending it
//! again would report one result twice (section 22.1, item 4).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use servo_protocol::{Envelope, Event, StatusReply};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::compat::Compat;
use crate::observer::{Notice, Observer};
use crate::retry::{FailureKind, RequestKind, RetryPolicy, chance};
use crate::shutdown::ServoHandle;
use crate::transport::{HttpAnswer, Transport};

/// How long a final report may take once the servo has been told to stop now.
const LAST_FINAL: Duration = Duration::from_secs(5);

/// Time for GOODBYE, retries included (section 11, recommendation).
const GOODBYE_LIMIT: Duration = Duration::from_secs(10);

/// The same for a servo that takes its retries in full; four requests that
/// hang and the longest three waits.
const PATIENT_GOODBYE: Duration = Duration::from_secs(4 * 3600);

/// Attempts that must fit into [`GOODBYE_LIMIT`] (section 6).
const GOODBYE_ATTEMPTS: u32 = 4;

/// Most of an error's text that reaches the log.
const PROBLEM_LENGTH: usize = 500;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) kind: FailureKind,
    pub(crate) problem: String,
}

impl Lost {
    fn unanswered(problem: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Unanswered,
            problem: problem.into(),
        }
    }
}

/// The way to the service, with the rules for failed requests.
pub(crate) struct Exchange {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) retry: RetryPolicy,
    pub(crate) compat: Compat,
    pub(crate) servo_uid: Option<String>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Exchange {
    pub(crate) fn pack(&self, event: &Event) -> Result<Envelope, serde_json::Error> {
        event.to_envelope(self.compat.success(), self.servo_uid.clone())
    }

    /// Sends once.
    pub(crate) async fn once(&self, kind: RequestKind, event: &Envelope) -> Result<Value, Lost> {
        let answer = self
            .transport
            .post(event)
            .await
            .map_err(|error| Lost::unanswered(error.to_string()))?;
        if answer.status >= 400 {
            return Err(refusal(&answer));
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(value) if value.is_object() => Ok(value),
            _ if kind == RequestKind::Final
                && answer.status < 300
                && !self.compat.repeat_unreadable =>
            {
                tracing::warn!(event = %event.event, "the answer to a final report is unreadable; taken as delivered");
                Ok(Value::Object(serde_json::Map::new()))
            }
            Ok(_) => Err(Lost::unanswered("the answer is JSON but no object")),
            Err(error) => Err(Lost::unanswered(format!(
                "HTTP {} with a body that is no JSON: {error}",
                answer.status
            ))),
        }
    }

    /// Set when a request that is repeated is to be given up.
    fn enough<'a>(&self, stops: &'a ServoHandle) -> &'a CancellationToken {
        if self.compat.patient_stops {
            stops.now()
        } else {
            stops.any()
        }
    }

    /// Sends until it arrives. None: the servo was told to stop before.
    pub(crate) async fn insist(
        &self,
        kind: RequestKind,
        event: &Envelope,
        stops: &ServoHandle,
    ) -> Option<Value> {
        let enough = self.enough(stops);
        let mut failures: u32 = 0;
        loop {
            let lost = tokio::select! {
                biased;
                () = enough.cancelled() => return None,
                result = self.once(kind, event) => match result {
                    Ok(answer) => return Some(answer),
                    Err(lost) => lost,
                },
            };
            failures = failures.saturating_add(1);
            let wait = self.failed(kind, event, failures, &lost)?;
            tokio::select! {
                biased;
                () = enough.cancelled() => return None,
                () = sleep(wait) => {}
            }
        }
    }

    /// Sends a final report until it arrives. Being told to stop cuts the waits
    /// short; one attempt after that is the last. None: it did not arrive.
    pub(crate) async fn report(
        &self,
        event: &Envelope,
        stops: &ServoHandle,
    ) -> Option<StatusReply> {
        let kind = RequestKind::Final;
        let enough = self.enough(stops);
        let mut failures: u32 = 0;
        loop {
            let last = enough.is_cancelled();
            let too_late = async {
                stops.now().cancelled().await;
                sleep(LAST_FINAL).await;
            };
            let result = tokio::select! {
                biased;
                result = self.once(kind, event) => result,
                () = too_late => Err(Lost::unanswered("the servo stops and cannot wait longer")),
            };
            let lost = match result {
                Ok(answer) => return StatusReply::parse(&answer).ok(),
                Err(lost) => lost,
            };
            failures = failures.saturating_add(1);
            if last || stops.now().is_cancelled() {
                self.notice_lost(event, failures, &lost, None);
                return None;
            }
            let wait = self.failed(kind, event, failures, &lost)?;
            tokio::select! {
                biased;
                () = enough.cancelled() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Says farewell within its limit. Whether the service took it.
    pub(crate) async fn goodbye(&self, event: &Envelope) -> bool {
        let kind = RequestKind::Goodbye;
        let (limit, longest) = if self.compat.patient_stops {
            (PATIENT_GOODBYE, PATIENT_GOODBYE)
        } else {
            (GOODBYE_LIMIT, GOODBYE_LIMIT / GOODBYE_ATTEMPTS)
        };
        let deadline = Instant::now() + limit;
        let mut failures: u32 = 0;
        loop {
            let lost = match timeout_at(deadline, self.once(kind, event)).await {
                Ok(Ok(_)) => return true,
                Ok(Err(lost)) => lost,
                Err(_) => return false,
            };
            failures = failures.saturating_add(1);
            let lost = Lost::unanswered(lost.problem);
            let Some(wait) = self.failed(kind, event, failures, &lost) else {
                return false;
            };
            sleep(wait.min(longest)).await;
        }
    }

    /// How long to leave the service in peace after a lost progress report.
    pub(crate) fn after_lost_progress(&self, event: &Envelope, lost: &Lost) -> Duration {
        let wait = self
            .retry
            .wait(RequestKind::Progress, 1, lost.kind, chance())
            .unwrap_or_default();
        self.notice_lost(event, 1, lost, Some(wait));
        wait
    }

    fn failed(
        &self,
        kind: RequestKind,
        event: &Envelope,
        failures: u32,
        lost: &Lost,
    ) -> Option<Duration> {
        let wait = self.retry.wait(kind, failures, lost.kind, chance());
        self.notice_lost(event, failures, lost, wait);
        wait
    }

    fn notice_lost(&self, event: &Envelope, failures: u32, lost: &Lost, wait: Option<Duration>) {
        if lost.kind == FailureKind::Refused {
            tracing::error!(event = %event.event, failures, ?wait, "the service refuses: {}", lost.problem);
        } else {
            tracing::warn!(event = %event.event, failures, ?wait, "request failed: {}", lost.problem);
        }
        self.observer.notice(Notice::Retrying {
            event: event.event.clone(),
            failures,
            problem: lost.problem.clone(),
            wait,
        });
    }
}

/// What an answer of 400 or more means.
fn refusal(answer: &HttpAnswer) -> Lost {
    let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let member = |name: &str| body.get(name).and_then(Value::as_str);
    let superseded = answer.status == 410 && member("detail") == Some("unexpected servo_uid");
    let kind = match (answer.status, answer.retry_after) {
        _ if superseded => FailureKind::Superseded,
        (429 | 503, Some(wait)) => FailureKind::Busy(wait),
        (408 | 425 | 429, _) => FailureKind::Unanswered,
        (400..=499, _) => FailureKind::Refused,
        _ => FailureKind::Unanswered,
    };
    let mut problem = format!("HTTP {}", answer.status);
    if let Some(text) = member("message").or_else(|| member("detail")) {
        problem.push_str(": ");
        problem.extend(text.chars().take(PROBLEM_LENGTH));
    }
    if matches!(answer.status, 401 | 403) {
        problem.push_str("; check the token file and the account");
    }
    Lost { kind, problem }
}
