//! The driver's configuration section, as the operator writes it.

use std::collections::BTreeMap;

use serde::Deserialize;
use servo_driver::model::Scalar;

/// The whole section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address of the settings document.
    pub endpoint: String,
    /// How it is written.
    #[serde(default)]
    pub method: WriteMethod,
    /// What is written; if nothing is said, `changed` for PATCH and `whole`
    /// for the others.
    pub write: Option<WriteForm>,
    /// Name of the component the settings are shown under.
    #[serde(default = "app")]
    pub component: String,
    /// Headers to send. Credentials do not belong here.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The settings by name.
    pub settings: BTreeMap<String, Setting>,
    /// When the application counts as adjusted.
    #[serde(default)]
    pub ready: Ready,
    /// How long to watch it afterwards, in seconds, when the service does not
    /// say so itself (`control.settlement`).
    #[serde(default)]
    pub settle: f64,
}

fn app() -> String {
    "app".to_owned()
}

/// How the document is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WriteMethod {
    /// With PUT.
    #[default]
    Put,
    /// With POST.
    Post,
    /// With PATCH.
    Patch,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteForm {
    /// The document as it was read, with the new values in it.
    Whole,
    /// A document with the changed members only.
    Changed,
}

/// One setting.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its kind.
    #[serde(rename = "type", default)]
    pub kind: Kind,
    /// Range: smallest value.
    pub min: Option<f64>,
    /// Range: largest value.
    pub max: Option<f64>,
    /// Range: distance between two values.
    pub step: Option<f64>,
    /// Enum: all values.
    pub values: Option<Vec<Scalar>>,
    /// Unit for display.
    pub unit: Option<String>,
    /// The value that is assumed when the document has none.
    pub default: Option<Scalar>,
    /// Shown to the service but not to be changed.
    #[serde(default)]
    pub pinned: bool,
    /// Where it stands in the document, as a JSON pointer; `/NAME` if nothing
    /// is said.
    pub path: Option<String>,
}

/// The kind of a setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A number from `min` to `max`.
    #[default]
    Range,
    /// One of `values`.
    Enum,
}

/// When the application counts as adjusted: the settings read back as written,
/// and if `url` is given, that answers as expected too.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ready {
    /// An address to ask.
    pub url: Option<String>,
    /// The status it must answer with; any success if nothing is said.
    pub status: Option<u16>,
    /// A place in its JSON answer, as a JSON pointer.
    pub path: Option<String>,
    /// The value that must stand there.
    pub equals: Option<serde_json::Value>,
    /// How long the change may take, in seconds.
    pub timeout: f64,
    /// How long to wait between two looks, in seconds.
    pub interval: f64,
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            url: None,
            status: None,
            path: None,
            equals: None,
            timeout: 60.0,
            interval: 1.0,
        }
    }
}
