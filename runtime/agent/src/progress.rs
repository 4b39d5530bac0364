//! Where a driver tells how far it is.
//!
//! The sink keeps the newest report and nothing else (protocol section 7.3,
//! recommendation), so a driver may report as often as it likes: reporting
//! never waits, never grows, and the sender takes what is there when it is
//! its turn. Percentages never go backwards; some services refuse those.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Most characters of a message or stage that travel on. They are for a line on
/// a page; a driver that sends more is careless or hostile.
const MAX_TEXT: usize = 4096;

/// Most items of a log that wait to be sent; of more, the newest.
const MAX_LOG: usize = 100;

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
    /// Items worth keeping. Those of reports that were never sent travel with
    /// the next one.
    pub log: Vec<String>,
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
    /// The highest percentage so far.
    floor: Arc<Mutex<f64>>,
    cancel: CancellationToken,
}

impl ProgressSink {
    /// A sink, and where its newest report can be watched.
    #[must_use]
    pub fn new(cancel: CancellationToken) -> (Self, watch::Receiver<ProgressReport>) {
        let (newest, watched) = watch::channel(ProgressReport::default());
        let sink = Self {
            newest: Arc::new(newest),
            floor: Arc::default(),
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
        report.log.iter_mut().for_each(shorten);
        report.percent = report.percent.map(|percent| self.lift(percent));
        self.newest.send_modify(|newest| {
            let mut log = std::mem::take(&mut newest.log);
            log.append(&mut report.log);
            log.drain(..log.len().saturating_sub(MAX_LOG));
            report.log = log;
            *newest = report;
        });
        self.verdict()
    }

    /// The highest percentage so far, this one included.
    fn lift(&self, percent: f64) -> f64 {
        let mut floor = self.floor.lock().unwrap_or_else(PoisonError::into_inner);
        *floor = floor.max(percent);
        *floor
    }

    /// Raises the percentage of the newest report, which is not new thereby.
    pub(crate) fn raise(&self, percent: f64) {
        let percent = self.lift(percent);
        self.newest.send_if_modified(|newest| {
            newest.percent = Some(percent);
            false
        });
    }

    /// The newest report, to be sent now.
    pub(crate) fn take(&self) -> ProgressReport {
        let mut taken = ProgressReport::default();
        self.newest.send_if_modified(|newest| {
            taken = newest.clone();
            newest.log.clear();
            false
        });
        taken
    }

    /// The same sink with another token: the undo of a cancelled call reports
    /// where the call did, and is not cancelled itself.
    pub(crate) fn under(&self, cancel: CancellationToken) -> Self {
        Self {
            cancel,
            ..self.clone()
        }
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
