//! What the operator decides: where to listen, who may speak, what to study.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use servo_protocol::Control;

use crate::auth::Auth;
use crate::clock::{Clock, SystemClock};
use crate::objective::ObjectiveSpec;
use crate::sampler::SamplerKind;

/// Longest account or application name: one path segment that people type.
const MAX_NAME: usize = 100;

/// An application: the two names in the URL of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AppKey {
    account: String,
    application: String,
}

/// A name that cannot stand in the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name of an account or an application: 1 to 100 letters, digits, `.`, `_` and `-`, not starting with `.`"
)]
pub struct NameError(String);

impl AppKey {
    /// An application by its names.
    ///
    /// # Errors
    /// When a name has other characters than letters, digits, `.`, `_`, `-`.
    pub fn new(account: &str, application: &str) -> Result<Self, NameError> {
        for name in [account, application] {
            let fits = (1..=MAX_NAME).contains(&name.len())
                && !name.starts_with('.')
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            if !fits {
                return Err(NameError(name.chars().take(MAX_NAME).collect()));
            }
        }
        Ok(Self {
            account: account.to_owned(),
            application: application.to_owned(),
        })
    }

    /// The account's name.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The application's name.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application
    }

    /// The application that the path `/servo` speaks for.
    #[must_use]
    pub(crate) fn single() -> Self {
        Self {
            account: "local".to_owned(),
            application: "app".to_owned(),
        }
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.application)
    }
}

/// How a study is done. Recorded with the study, so that a change of the
/// options does not change a study that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StudyOptions {
    /// Trials after the baseline.
    pub trials: u32,
    /// Seed of every random choice.
    pub seed: u64,
    /// What is optimized.
    pub objective: ObjectiveSpec,
    /// Whether a higher score is better.
    pub maximize: bool,
    /// `control` of every MEASURE: warmup, duration, delay, load, userdata.
    pub control: Control,
    /// `control` of every ADJUST: settlement, userdata.
    pub adjust_control: Control,
    /// Measurements of the settings found at the start; the baseline is their
    /// mean. At least one.
    pub baseline_repeats: u32,
    /// Rounds in which the best settings are measured against those found
    /// before they are kept; 0 keeps them as they are.
    pub verify: u32,
    /// How points are chosen.
    pub sampler: SamplerKind,
    /// Failed trials in a row that end the study: by then it is the
    /// application or the environment that is broken, not the settings.
    pub max_failed_in_a_row: u32,
    /// Seconds that an idle servo is told to sleep.
    pub idle_sleep: u32,
    /// Least seconds of silence after which a servo counts as lost; longer
    /// commands and sleeps give it more.
    pub lost_after: u32,
}

impl Default for StudyOptions {
    fn default() -> Self {
        Self {
            trials: 20,
            seed: 0,
            objective: ObjectiveSpec::Auto,
            maximize: true,
            control: Control::default(),
            adjust_control: Control::default(),
            baseline_repeats: 1,
            verify: 0,
            sampler: SamplerKind::Auto,
            max_failed_in_a_row: 10,
            idle_sleep: 60,
            lost_after: 180,
        }
    }
}

/// How the service runs.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// Address to bind; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder of the database, made when there is none; `None` keeps
    /// everything in memory.
    pub data: Option<PathBuf>,
    /// Who may speak.
    pub auth: Auth,
    /// How new studies are done.
    pub study: StudyOptions,
    /// Begins another study, with the present options, wherever one has ended.
    pub new_study: bool,
    /// Host names, beside `localhost` and loopback addresses, under which a
    /// service on a loopback address may be reached.
    pub hosts: Vec<String>,
    /// Most applications; another one is refused.
    pub max_applications: usize,
    /// Source of time stamps.
    pub clock: Arc<dyn Clock>,
}

impl Default for ServiceOptions {
    /// A free loopback port, in memory, no authentication.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: None,
            auth: Auth::None,
            study: StudyOptions::default(),
            new_study: false,
            hosts: Vec::new(),
            max_applications: 256,
            clock: Arc::new(SystemClock),
        }
    }
}
