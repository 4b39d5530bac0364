//! How far a call is.

use std::time::Duration;

/// What the service is told while a call runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Percent of the whole call that is done: 0 to 100, never less than before.
    pub percent: Option<f64>,
    /// What is going on, for people.
    pub message: Option<String>,
    /// Name of the present stage.
    pub stage: Option<String>,
    /// Percent of the stage that is done: 0 to 100.
    pub stage_percent: Option<f64>,
    /// Estimate of the time that is left.
    pub time_remaining: Option<Duration>,
}

impl Report {
    /// Percent of the whole call that is done: 0 to 100.
    pub fn percent(percent: f64) -> Self {
        Self {
            percent: Some(percent),
            ..Self::default()
        }
    }

    /// Says what is going on, for people.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.message = Some(text.into());
        self
    }

    /// Names the present stage and how much of it is done, in percent.
    #[must_use]
    pub fn stage(mut self, name: impl Into<String>, percent: f64) -> Self {
        self.stage = Some(name.into());
        self.stage_percent = Some(percent);
        self
    }

    /// Estimates the time that is left.
    #[must_use]
    pub fn time_remaining(mut self, time: Duration) -> Self {
        self.time_remaining = Some(time);
        self
    }
}

impl From<f64> for Report {
    fn from(percent: f64) -> Self {
        Self::percent(percent)
    }
}
