//! The application under study: settings, and how well it does with them.
//!
//! A write names the version it is based on, as Kubernetes and others want it:
//! without that nobody could tell a late double of an old write from a new
//! one, and no agent could promise on which values an application ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use servo_optune::Settings;
use servo_protocol::{AppliedApplication, Scalar};

use crate::log::Log;

/// A value as it is compared: `2` and `2.0` are one.
#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// Values by `component.setting`.
pub type Values = BTreeMap<String, Plain>;

/// The values of a command or of a report.
#[must_use]
pub fn applied(application: &AppliedApplication) -> Values {
    let plain = |scalar: &Scalar| match scalar {
        Scalar::Number(number) => Plain::Number(number.as_f64()),
        Scalar::Text(text) => Plain::Text(text.clone()),
    };
    application
        .values()
        .map(|(component, setting, value)| (format!("{component}.{setting}"), plain(value)))
        .collect()
}

/// The values that the service speaks of.
#[must_use]
pub fn settings(settings: &Settings) -> Values {
    let plain = |value: &Value| match value.as_f64() {
        Some(number) => Plain::Number(number),
        None => Plain::Text(value.as_str().unwrap_or_default().to_owned()),
    };
    let mut values = Values::new();
    for (component, named) in &settings.0 {
        for (setting, value) in named {
            values.insert(format!("{component}.{setting}"), plain(value));
        }
    }
    values
}

/// What it is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// How it stands.
    Look,
    /// To take these values, if nobody has changed it since this version.
    Write(u64, Values),
    /// How well it does.
    Measure,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// How it stands: version, values, whether it runs.
    Stands(u64, Values, bool),
    /// The write is done; the new version.
    Written(u64),
    /// Somebody has changed it; the version now.
    Conflict(u64),
    /// Version, and throughput; none when it does not run.
    Measured(u64, Option<f64>),
}

struct State {
    version: u64,
    values: Values,
}

/// The application.
pub struct Application {
    state: Mutex<State>,
    log: Arc<Log>,
}

impl Application {
    /// As it is found.
    #[must_use]
    pub fn new(log: Arc<Log>) -> Self {
        let values = [
            ("db.cache", Plain::Number(32.0)),
            ("web.cpu", Plain::Number(2.0)),
            ("web.gc", Plain::Text("serial".to_owned())),
        ];
        let values = values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Self {
            state: Mutex::new(State { version: 1, values }),
            log,
        }
    }

    /// What may be changed, with the values in force.
    #[must_use]
    pub fn description(version: &Values) -> Value {
        let value = |name: &str| match version.get(name) {
            Some(Plain::Number(number)) => json!(number),
            Some(Plain::Text(text)) => json!(text),
            None => Value::Null,
        };
        json!({"components": {
            "web": {"settings": {
                "cpu": {"type": "range", "min": 1, "max": 4, "step": 1, "value": value("web.cpu")},
                "gc": {"type": "enum", "values": ["serial", "parallel", "g1"], "value": value("web.gc")},
            }},
            "db": {"settings": {
                "cache": {"type": "range", "min": 16, "max": 64, "step": 16, "value": value("db.cache")},
            }},
        }})
    }

    /// How well it does with these values; none: it does not run with them.
    #[must_use]
    pub fn throughput(values: &Values) -> Option<f64> {
        let number = |name: &str| match values.get(name) {
            Some(Plain::Number(number)) => *number,
            _ => 0.0,
        };
        let (cpu, cache) = (number("web.cpu"), number("db.cache"));
        let gc = match values.get("web.gc") {
            Some(Plain::Text(gc)) => gc.as_str(),
            _ => "",
        };
        match gc {
            "serial" if cpu > 3.0 => None,
            "g1" => Some(100.0 * cpu + 70.0 - cache),
            "parallel" => Some(90.0 * cpu + cache),
            _ => Some(80.0 * cpu + cache / 4.0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The values in force.
    #[must_use]
    pub fn values(&self) -> Values {
        self.state().values.clone()
    }

    /// Does what it is asked.
    pub fn take(&self, ask: Ask) -> Told {
        let mut state = self.state();
        match ask {
            Ask::Look => {
                let runs = Self::throughput(&state.values).is_some();
                Told::Stands(state.version, state.values.clone(), runs)
            }
            Ask::Write(based_on, _) if based_on != state.version => {
                self.log
                    .note("application: refuses a write that comes too late");
                Told::Conflict(state.version)
            }
            Ask::Write(_, values) => {
                state.version += 1;
                self.log.note(format!(
                    "application: version {}, {values:?}",
                    state.version
                ));
                state.values = values;
                Told::Written(state.version)
            }
            Ask::Measure => Told::Measured(state.version, Self::throughput(&state.values)),
        }
    }
}
