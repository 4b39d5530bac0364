//! Values of settings, exactly as they were written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use servo_protocol::AppliedApplication;

/// Values of settings: component, then setting, then a number or a text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(pub BTreeMap<String, BTreeMap<String, Value>>);

impl From<&AppliedApplication> for Settings {
    fn from(applied: &AppliedApplication) -> Self {
        let mut settings = Self::default();
        for (component, setting, value) in applied.values() {
            if let Ok(value) = serde_json::to_value(value) {
                settings.set(component, setting, value);
            }
        }
        settings
    }
}

impl Settings {
    /// Sets one value.
    pub fn set(&mut self, component: &str, setting: &str, value: Value) {
        self.0
            .entry(component.to_owned())
            .or_default()
            .insert(setting.to_owned(), value);
    }

    /// One value.
    #[must_use]
    pub fn get(&self, component: &str, setting: &str) -> Option<&Value> {
        self.0.get(component)?.get(setting)
    }

    /// The `state` of an ADJUST command (protocol 5.3).
    #[must_use]
    pub fn to_state(&self) -> Value {
        let components: Map<String, Value> = self
            .0
            .iter()
            .map(|(component, settings)| {
                let settings: Map<String, Value> = settings
                    .iter()
                    .map(|(name, value)| (name.clone(), json!({ "value": value })))
                    .collect();
                (component.clone(), json!({ "settings": settings }))
            })
            .collect();
        json!({ "application": { "components": components } })
    }
}
