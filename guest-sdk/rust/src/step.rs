//! A step: done, or to be continued after a pause.

use std::{convert::Infallible, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How a step ended well.
///
/// ```
/// # use std::time::Duration;
/// # use servo_driver::{Step, Measurement};
/// let step: Step<Measurement, u32> =
///     Step::wait(Duration::from_secs(30), 1).progress(50.0).message("warming up");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Step<T, S> {
    /// The call is complete.
    Done(T),
    /// Call again later.
    Wait(Pause<S>),
}

/// A wish to be called again.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause<S> {
    /// How long to wait.
    pub wait: Duration,
    /// What the driver needs to go on; at most 64 KiB as JSON.
    pub state: S,
    /// Percent of the whole call done when the wait begins: 0 to 100, never
    /// less than before.
    pub progress: Option<f64>,
    /// What is being waited for, for people.
    pub message: Option<String>,
}

impl<T, S> Step<T, S> {
    /// The call is complete.
    pub fn done(result: T) -> Self {
        Self::Done(result)
    }

    /// Call `resume` with this state when the time has passed. Meanwhile the
    /// call holds no memory, survives a crash of the host, and can be
    /// cancelled at any moment.
    pub fn wait(wait: Duration, state: S) -> Self {
        Self::Wait(Pause {
            wait,
            state,
            progress: None,
            message: None,
        })
    }

    /// Tells how much of the whole call is done, in percent. A step that is
    /// done takes no notice.
    #[must_use]
    pub fn progress(mut self, percent: f64) -> Self {
        if let Self::Wait(pause) = &mut self {
            pause.progress = Some(percent);
        }
        self
    }

    /// Tells people what is being waited for. A step that is done takes no
    /// notice.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        if let Self::Wait(pause) = &mut self {
            pause.message = Some(text.into());
        }
        self
    }
}

/// Where an adjustment was cut short.
#[derive(Debug, Clone, PartialEq)]
pub struct Interruption<S> {
    /// State of its last pause; absent: it had not paused. After an update it
    /// was written by an older version of the driver.
    pub state: Option<S>,
    /// True: a step was running when the host ended, and what it did is not
    /// known. False: the call was waiting, and `state` is from another version
    /// of the driver.
    pub in_step: bool,
}

/// The state of a driver that never waits between steps: there is no value of
/// this type, so such a driver cannot return [`Step::Wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneStep(Infallible);

impl Serialize for OneStep {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match self.0 {}
    }
}

impl<'de> Deserialize<'de> for OneStep {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom(
            "this driver takes one step and has no state",
        ))
    }
}
