//! Where a driver tells how far it is.
//!
//! The sink keeps the newest report and nothing else (protocol section 7.3,
//! recommendation), so a driver may report as often as it likes: reporting
//! never waits, never grows, and the sender takes what is there when it is
//! its turn. Percentages never go backwards; some services refuse those.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Most characters of a message or stage that travel on. They are for a line on
/// a page; a driver that sends more is careless or hostile.
const MAX_TEXT: usize = 4096;

/// How far a call is. The default says nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProgressReport {
    /// Percent of the whole call that is done.
    pub percent: Option<f64>,
    /// What is going on, for people.
    pub message: Option<String>,
    /// Name of the present stage.
    pub stage: Option<String>,
    /// Percent of the stage that is done.
    pub stage_percent: Option<f64>,
    /// Estimate of the time that is left.
    pub time_remaining: Option<Duration>,
}

/// Whether a call is still wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Carry on.
    Proceed,
    /// Stop soon.
    Cancel,
}

/// Where a driver tells how far it is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProgressSink {
    newest: Arc<watch::Sender<ProgressReport>>,
    cancel: CancellationToken,
}

impl ProgressSink {
    /// A sink, and where its newest report can be watched.
    #[must_use]
    pub fn new(cancel: CancellationToken) -> (Self, watch::Receiver<ProgressReport>) {
        let (newest, watched) = watch::channel(ProgressReport::default());
        let sink = Self {
            newest: Arc::new(newest),
            cancel,
        };
        (sink, watched)
    }

    /// Replaces the newest report. What is not a number between 0 and 100
    /// counts as unknown; a percentage below an earlier one becomes the earlier one.
    pub fn report(&self, mut report: ProgressReport) -> Verdict {
        for text in [&mut report.message, &mut report.stage]
            .into_iter()
            .flatten()
        {
            shorten(text);
        }
        report.stage_percent = report.stage_percent.filter(|percent| plausible(*percent));
        report.percent = report.percent.filter(|percent| plausible(*percent));
        self.newest.send_modify(|newest| {
            if let (Some(now), Some(before)) = (report.percent, newest.percent) {
                report.percent = Some(now.max(before));
            }
            *newest = report;
        });
        self.verdict()
    }

    /// Whether the call is still wanted.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.cancel.is_cancelled() {
            Verdict::Cancel
        } else {
            Verdict::Proceed
        }
    }
}

fn plausible(percent: f64) -> bool {
    (0.0..=100.0).contains(&percent)
}

fn shorten(text: &mut String) {
    if let Some((cut, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(percent: f64) -> ProgressReport {
        ProgressReport {
            percent: Some(percent),
            ..ProgressReport::default()
        }
    }

    #[test]
    fn percentages_never_go_backwards_and_nonsense_is_unknown() {
        let (sink, watched) = ProgressSink::new(CancellationToken::new());
        for (reported, kept) in [
            (10.0, Some(10.0)),
            (5.0, Some(10.0)),
            (60.0, Some(60.0)),
            (100.0, Some(100.0)),
        ] {
            sink.report(percent(reported));
            assert_eq!(watched.borrow().percent, kept);
        }
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 100.5] {
            sink.report(percent(nonsense));
            assert_eq!(watched.borrow().percent, None);
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let (sink, watched) = ProgressSink::new(CancellationToken::new());
        sink.report(ProgressReport {
            message: Some("\u{e9}".repeat(10_000)),
            ..ProgressReport::default()
        });
        let kept = watched.borrow().message.clone().unwrap();
        assert_eq!(kept.chars().count(), MAX_TEXT);
    }

    #[test]
    fn the_verdict_follows_the_token() {
        let cancel = CancellationToken::new();
        let (sink, _watched) = ProgressSink::new(cancel.clone());
        assert_eq!(sink.report(percent(1.0)), Verdict::Proceed);
        cancel.cancel();
        assert_eq!(sink.report(percent(2.0)), Verdict::Cancel);
    }
}
