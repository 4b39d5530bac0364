//! What the service wants, typed.
//!
//! `load` and `userdata` are whatever driver and service agree on; a driver
//! names its own serde type for them and gets a failure that names the member
//! when the service sends something else.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::{failure::Failure, json, model::SettingValue};

/// What the service wants measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeasureRequest {
    /// The application's id.
    pub app: String,
    /// Names of the metrics wanted; empty: all there are.
    pub metrics: Vec<String>,
    /// How to measure.
    pub control: Control,
}

impl MeasureRequest {
    /// A request for all metrics of an application.
    pub fn new(app: impl Into<String>) -> Self {
        Self {
            app: app.into(),
            ..Self::default()
        }
    }

    /// Whether this metric is among those wanted.
    pub fn wants(&self, metric: &str) -> bool {
        self.metrics.is_empty() || self.metrics.iter().any(|name| name == metric)
    }

    /// Sets how to measure.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }
}

/// What the service wants changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AdjustRequest {
    /// The application's id.
    pub app: String,
    /// The settings to bring into force. The host has checked that each was
    /// described and that its value lies within what was described.
    pub settings: Vec<SettingValue>,
    /// How to adjust.
    pub control: Control,
    /// Nothing is to be changed: tell by progress or log what would be, and
    /// answer with the settings that would be in force. The host lets nothing
    /// but reads through, whatever the driver does.
    pub dry_run: bool,
}

impl AdjustRequest {
    /// A request to bring these settings into force.
    pub fn new(app: impl Into<String>, settings: impl IntoIterator<Item = SettingValue>) -> Self {
        Self {
            app: app.into(),
            settings: settings.into_iter().collect(),
            control: Control::default(),
            dry_run: false,
        }
    }

    /// The value requested for a setting, if it is among those to change.
    pub fn value(&self, component: &str, setting: &str) -> Option<&crate::model::Scalar> {
        self.settings
            .iter()
            .find(|one| one.component == component && one.setting == setting)
            .map(|one| &one.value)
    }

    /// Asks for a dry run.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Sets how to adjust.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }
}

/// How the service wants a call to be done. A driver honours what it can and
/// says so in its README.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Control {
    /// How long to wait before the measured window begins.
    pub warmup: Option<Duration>,
    /// Length of the measured window.
    pub duration: Option<Duration>,
    /// How long to wait after the window until the backend has all data.
    pub delay: Option<Duration>,
    /// Older name for a similar shift of the window.
    pub past: Option<Duration>,
    /// Adjust only: how long to watch the application after a change.
    pub settlement: Option<Duration>,
    /// Parameters of a load generator as JSON text; see [`load`](Self::load).
    pub raw_load: Option<String>,
    /// Anything else as JSON text; see [`userdata`](Self::userdata).
    pub raw_userdata: Option<String>,
}

impl Control {
    /// The parameters of a load generator as the driver's own type; nothing
    /// when the service sent none.
    ///
    /// # Errors
    ///
    /// A failure with reason `invalid-input` that names the member.
    pub fn load<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        member(self.raw_load.as_deref(), "control.load")
    }

    /// What else the service sent, as the driver's own type; nothing when it
    /// sent none.
    ///
    /// # Errors
    ///
    /// A failure with reason `invalid-input` that names the member.
    pub fn userdata<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        member(self.raw_userdata.as_deref(), "control.userdata")
    }
}

fn member<T: DeserializeOwned>(text: Option<&str>, name: &str) -> Result<Option<T>, Failure> {
    let Some(text) = text else { return Ok(None) };
    json::from_slice(text.as_bytes())
        .map_err(|error| Failure::failed(error.within(name)).reason("invalid-input"))
}
