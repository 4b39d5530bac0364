//! What a check tells: for each driver what it is, may touch and describes.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};
use servo_config::DriverRole;
use servo_host::Hosted;
use servo_policy::ChangedLimit;
use servo_protocol::{Application, Metrics, Scalar, Setting, SettingKind};

use super::finding::Findings;
use crate::output::shown;

/// The result of a check.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) file: Option<String>,
    pub(super) drivers: Vec<(DriverRole, DriverReport)>,
    pub(super) findings: Findings,
    /// What no grant may exceed: each file with its lines.
    pub(super) ceilings: Vec<(String, Vec<String>)>,
}

/// One driver.
#[derive(Debug, Serialize)]
pub(super) struct DriverReport {
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// A program: nothing is kept from it.
    unconfined: bool,
    may: Vec<String>,
    limits: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    describes: Option<Value>,
    /// For a person.
    #[serde(skip)]
    changed: Vec<ChangedLimit>,
    #[serde(skip)]
    described: Option<String>,
}

impl DriverReport {
    /// What is known without calling it. Folders are shown relative to `here`.
    pub(super) fn of(driver: &Hosted, here: &Path) -> Self {
        let facts = driver.facts();
        let (may, changed, unconfined) = match driver {
            Hosted::Sandboxed(driver) => {
                let mut grants = driver.bound().grants().clone();
                for folder in &mut grants.folders {
                    if let Ok(below) = folder.path.strip_prefix(here) {
                        folder.path = Path::new(".").join(below);
                    }
                }
                (grants.permissions(), grants.changed_limits(), false)
            }
            Hosted::Native(..) => {
                let everything = "do everything that servo itself may: it is an ordinary program";
                (vec![everything.to_owned()], Vec::new(), true)
            }
        };
        Self {
            name: facts.name.clone(),
            version: facts.version.clone(),
            digest: facts.digest.clone(),
            unconfined,
            limits: changed
                .iter()
                .map(|limit| {
                    let value = json!({ "value": limit.value, "usual": limit.default });
                    (limit.name.to_owned(), value)
                })
                .collect(),
            may,
            changed,
            describes: None,
            described: None,
        }
    }

    /// With the metrics it describes.
    pub(super) fn metrics(&mut self, metrics: &Metrics) {
        self.describes = Some(json!({ "metrics": metrics }));
        let words = metrics.iter().map(|(name, metric)| match &metric.unit {
            Some(unit) if !unit.is_empty() => format!("{} ({})", shown(name), shown(unit)),
            _ => shown(name).to_string(),
        });
        self.described = Some(words.collect::<Vec<_>>().join(", "));
    }

    /// With the settings it describes.
    pub(super) fn application(&mut self, application: &Application) {
        self.describes = Some(json!({ "application": application }));
        let words = application
            .components
            .iter()
            .flat_map(|(component, described)| {
                let settings = described.settings.iter();
                settings.map(move |(name, setting)| {
                    format!("{}.{} {}", shown(component), shown(name), words(setting))
                })
            });
        self.described = Some(words.collect::<Vec<_>>().join(", "));
    }

    fn text(&self, role: DriverRole) -> String {
        let digest = self.digest.as_deref();
        let digest = digest.map_or_else(String::new, |digest| format!(" ({digest})"));
        let mut out = format!("{role}: {} {}{digest} may:\n", self.name, self.version);
        // Writing to a string cannot fail.
        for may in &self.may {
            let _ = writeln!(out, "  {may}");
        }
        if !self.unconfined {
            let _ = writeln!(out, "  nothing else");
        }
        if !self.changed.is_empty() {
            let limits: Vec<String> = self.changed.iter().map(ToString::to_string).collect();
            let _ = writeln!(out, "  limits: {}", limits.join(", "));
        }
        if let Some(described) = &self.described {
            let _ = writeln!(out, "  describes: {described}");
        }
        out
    }
}

fn words(setting: &Setting) -> String {
    let kind = match &setting.kind {
        SettingKind::Range { min, max, step, .. } => {
            let step = step.map_or_else(String::new, |step| format!(" by {step}"));
            format!("{min} to {max}{step}")
        }
        SettingKind::Enum { values, .. } => {
            let values: Vec<String> = values.iter().map(value_shown).collect();
            format!("one of {}", values.join(" | "))
        }
    };
    match setting.value() {
        Some(value) => format!("{kind} (now {})", shown(&value.to_string())),
        None => kind,
    }
}

fn value_shown(value: &Scalar) -> String {
    shown(&value.to_string()).to_string()
}

impl Report {
    /// One object for a program.
    pub(super) fn json(&self) -> Value {
        let (errors, warnings) = self.findings.count();
        let drivers: Map<String, Value> = self
            .drivers
            .iter()
            .map(|(role, driver)| (role.to_string(), json!(driver)))
            .collect();
        let ceilings: Map<String, Value> = self
            .ceilings
            .iter()
            .map(|(file, lines)| (file.clone(), json!(lines)))
            .collect();
        json!({
            "ok": errors == 0,
            "file": self.file,
            "drivers": drivers,
            "ceilings": ceilings,
            "errors": errors,
            "warnings": warnings,
            "findings": self.findings,
        })
    }

    /// A page for a person.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for (role, driver) in &self.drivers {
            let _ = writeln!(out, "{}", driver.text(*role));
        }
        for (file, lines) in &self.ceilings {
            let _ = writeln!(out, "nothing may exceed the ceiling in {file}:");
            for line in lines {
                let _ = writeln!(out, "  {line}");
            }
            out.push('\n');
        }
        for finding in self.findings.iter() {
            let _ = writeln!(out, "{}", finding.text());
        }
        let plural = |count: usize, word: &str| match count {
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        };
        let _ = match self.findings.count() {
            (0, 0) => writeln!(out, "all is well"),
            (0, warnings) => writeln!(out, "all is well, with {}", plural(warnings, "warning")),
            (errors, warnings) => writeln!(
                out,
                "{}, {}",
                plural(errors, "error"),
                plural(warnings, "warning")
            ),
        };
        out
    }
}
