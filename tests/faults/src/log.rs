//! What happened in a run, for the reader of a failure.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// The record of a run.
#[derive(Debug)]
pub struct Log {
    began: Instant,
    lines: Mutex<Vec<(f64, String)>>,
}

impl Log {
    /// An empty one that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            lines: Mutex::default(),
        }
    }

    /// Seconds since the beginning.
    #[must_use]
    pub fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Something happened.
    pub fn note(&self, what: impl Into<String>) {
        let line = (self.now(), what.into());
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    /// All of it, a line each.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().fold(String::new(), |mut text, (at, what)| {
            let _ = writeln!(text, "{at:>10.3}  {what}");
            text
        })
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}
