//! The outcomes as assertions, each in all its parts.

use std::path::PathBuf;

use serde_json::json;

use crate::host::{HostUnderTest, Step};
use crate::stage::{Bound, Stage, TENANT};
use crate::tree;
use crate::witness::Recorded;

/// A driver that does nothing, to be called while others misbehave.
pub async fn canary<H: HostUnderTest>(stage: &Stage<H>) -> Bound<H> {
    let driver = stage.driver().await;
    let bound = stage.bind_for("canary", &driver, json!({}), json!({}));
    bound.measure().await.assert_answered();
    bound
}

/// Runs `hostile` to its end and calls a canary until then; at least one of the
/// canary's calls is answered before the end.
///
/// # Panics
/// None is, or one of the two crashes.
pub async fn beside_a_canary<H: HostUnderTest, T: Send + 'static>(
    stage: &Stage<H>,
    hostile: impl Future<Output = T> + Send + 'static,
) -> T {
    let canary = canary(stage).await;
    let hostile = tokio::spawn(hostile);
    let ended = hostile.abort_handle();
    // A task like the other: a runtime treats its first future differently.
    let answered = tokio::spawn(async move {
        let mut answered = 0;
        while !ended.is_finished() {
            canary.measure().await.assert_answered();
            answered += usize::from(!ended.is_finished());
            tokio::task::yield_now().await;
        }
        answered
    });
    let outcome = hostile.await.unwrap();
    let answered = answered.await.unwrap();
    assert!(answered > 0, "no call was answered while the guest ran");
    outcome
}

/// KILL: the step ended at `limit`, the host counted that, and the driver works
/// when it is called again.
///
/// # Panics
/// One of the three is not so.
#[track_caller]
pub fn assert_killed<H: HostUnderTest>(stage: &Stage<H>, step: &Step, limit: &str) {
    step.assert_limit(limit);
    if stage.host.counts_limits() {
        assert!(
            stage.host.limit_hits(limit) > 0,
            "the limit {limit:?} was hit and not counted"
        );
    }
}

/// DENY: as many records as `count`, each about `capability` with `reason` and
/// naming the tenant, and a counter that went up as often.
///
/// # Panics
/// It is not so.
#[track_caller]
pub fn assert_denied<H: HostUnderTest>(
    stage: &Stage<H>,
    capability: &str,
    reason: &str,
    count: usize,
) -> Vec<Recorded> {
    let records = stage.records.refusals();
    let matching: Vec<_> = records
        .iter()
        .filter(|record| record.capability == capability && record.reason == reason)
        .cloned()
        .collect();
    assert_eq!(
        matching.len(),
        count,
        "records of {capability} {reason}: {records:#?}"
    );
    for record in &matching {
        assert_eq!(record.verdict, "denied", "{record:?}");
        assert_eq!(record.tenant, TENANT, "{record:?}");
        assert_eq!(record.driver, "measure", "{record:?}");
        assert!(
            !stage.host.counts_limits() || !record.call.is_empty(),
            "{record:?}"
        );
        assert!(!record.what.is_empty(), "{record:?}");
    }
    assert!(stage.host.denied(capability) >= count as u64);
    matching
}

/// What a guest is told of a request that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// No rule allows it.
    Denied,
    /// The address behind the name is refused.
    Address,
    /// The certificate is refused.
    Certificate,
    /// The call has used up its requests.
    Exhausted,
    /// The rule is used too fast.
    TooFast,
}

impl Told {
    /// The code of `wasi:http`, and the error of `servo:driver/fetch`.
    fn words(self) -> [&'static str; 2] {
        match self {
            Self::Denied => ["HttpRequestDenied", "Error::Denied("],
            Self::Address => ["DestinationIpProhibited", "Error::Denied("],
            Self::Certificate => ["TlsCertificateError", "Error::Tls("],
            Self::Exhausted => ["HttpRequestDenied", "Error::Exhausted("],
            Self::TooFast => ["ConnectionLimitReached", "Error::RateLimited("],
        }
    }
}

/// The guest was told this, through whichever interface it asked.
///
/// # Panics
/// It was told something else.
#[track_caller]
pub fn assert_told(told: &str, expected: Told) {
    let words = expected.words();
    assert!(
        words.iter().any(|word| told.contains(word)),
        "{words:?}: {told}"
    );
}

/// The texts that a driver author sees are kept in files and reviewed like
/// code: `text` must be what `tests/hostile/texts/<name>.txt` holds. With
/// `SERVO_HOSTILE_TEXTS=write` the file is written instead.
///
/// # Panics
/// It is another text.
#[track_caller]
pub fn assert_text(name: &str, text: &str) {
    let file: PathBuf = tree().join(format!("tests/hostile/texts/{name}.txt"));
    let text = format!("{}\n", text.trim_end());
    if std::env::var_os("SERVO_HOSTILE_TEXTS").is_some_and(|value| value == "write") {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        text,
        kept,
        "{} holds another text; SERVO_HOSTILE_TEXTS=write writes it anew",
        file.display()
    );
}
