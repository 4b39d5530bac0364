//! What is wrong, with what, and what to do.

use std::fmt::Display;

use serde::Serialize;
use servo_agent::DriverFailure;
use servo_config::{ConfigError, ConfigFile, DriverRole};
use servo_host::{AssembleErrors, Explanation, Fault, SiteError, Ungranted};
use servo_policy::Advice;

use servo_optune::objective::ObjectiveError;

use super::config_fault::ConfigFault;

use crate::exit::{Failed, Message};
use crate::output::shown;

/// One thing that is wrong, or odd.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    severity: Severity,
    /// What is to be repaired.
    about: About,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    problem: String,
    remedy: String,
    /// The same as a person reads it.
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// It will not work.
    Error,
    /// It works, but somebody should know.
    Warning,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum About {
    Configuration,
    Driver,
}

impl Finding {
    fn new(about: About, problem: &str, remedy: &str) -> Self {
        // Drivers and backends have their words in both.
        let (problem, remedy) = (shown(problem).to_string(), shown(remedy).to_string());
        Self {
            severity: Severity::Error,
            about,
            driver: None,
            file: None,
            line: None,
            column: None,
            key: None,
            text: format!("{problem}; {remedy}"),
            problem,
            remedy,
        }
    }

    fn from_advice(about: About, advice: &Advice) -> Self {
        Self::new(about, &advice.problem, &advice.remedy)
    }

    /// Each thing that an error has to say.
    fn explained(about: About, explanation: &Explanation) -> Vec<Self> {
        match explanation {
            Explanation::Places(places) => {
                let one = |place| Self {
                    about,
                    ..Self::from_config(place)
                };
                places.iter().map(one).collect()
            }
            Explanation::Advice(advice) => vec![Self::from_advice(about, advice)],
        }
    }

    fn from_config(error: &ConfigError) -> Self {
        Self {
            file: Some(error.file.display().to_string()),
            line: error.place.map(|(line, _)| line),
            column: error.place.map(|(_, column)| column),
            key: error.key.clone(),
            text: error.to_string(),
            ..Self::new(About::Configuration, &error.problem, &error.remedy)
        }
    }

    fn of(mut self, role: DriverRole) -> Self {
        self.driver = Some(role.to_string());
        if self.file.is_none() {
            self.text = format!("{role}: {}", self.text);
        }
        self
    }

    fn for_role(self, role: Option<DriverRole>) -> Self {
        match role {
            Some(role) => self.of(role),
            None => self,
        }
    }

    fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// A role for which there is no driver.
    pub(super) fn absent(file: &ConfigFile, role: DriverRole) -> Self {
        Self::from_config(&file.error(
            "drivers",
            format!("there is no driver to {role}"),
            format!("add `{role}:` if this servo is to {role}"),
        ))
        .of(role)
        .warning()
    }

    /// What a driver asks for and does not get.
    pub(super) fn ungranted(file: &ConfigFile, role: DriverRole, lack: &Ungranted) -> Self {
        let key = format!("drivers.{role}.{}", lack.key);
        let degree = if lack.needed {
            "and needs, but does not get it"
        } else {
            "but does not get all of it"
        };
        let finding = Self::from_config(&file.error(
            &key,
            format!("the driver asks to {}, {degree} ({})", lack.ask, lack.note),
            format!("to allow it, add `{}`", lack.line),
        ))
        .of(role);
        if lack.needed {
            finding
        } else {
            finding.warning()
        }
    }

    /// Values that a driver describes and a ceiling refuses.
    pub(super) fn above(role: DriverRole, problem: &str) -> Self {
        let problem = format!("it describes what the ceiling does not allow now: {problem}");
        let remedy = "a command that keeps this value is refused; widen `ceiling.settings` if it \
                      should not be";
        Self::new(About::Configuration, &problem, remedy)
            .of(role)
            .warning()
    }

    /// Metrics of which nobody says what to make of them. The service decides
    /// whether it can do without.
    pub(super) fn objective(problem: &ObjectiveError) -> Self {
        Self::new(
            About::Configuration,
            &problem.problem(),
            &format!(
                "{}; the service decides whether it is needed",
                problem.remedy()
            ),
        )
        .of(DriverRole::Measure)
        .warning()
    }

    /// A driver that does not describe, or contradicts itself.
    pub(super) fn description(
        file: &ConfigFile,
        role: DriverRole,
        failure: &DriverFailure,
    ) -> Self {
        if let Some(fault) = ConfigFault::of(failure) {
            let key = format!("drivers.{role}.{}", fault.key);
            return Self::from_config(&file.error(&key, fault.problem, fault.remedy)).of(role);
        }
        let denied = failure
            .reason
            .as_ref()
            .is_some_and(|reason| reason.as_str() == "denied");
        let remedy = if denied {
            "or, if it should not reach that, correct its `config`"
        } else {
            "see that the application and its backend can be reached, or ask the driver's author"
        };
        let problem = format!("it cannot describe: {}", failure.message);
        Self::new(About::Driver, &problem, remedy).of(role)
    }

    /// A description that is odd but usable.
    pub(super) fn odd(role: DriverRole, odd: &impl Display) -> Self {
        let problem = format!("it describes something odd: {odd}");
        Self::new(
            About::Driver,
            &problem,
            "ask the driver's author whether it is meant",
        )
        .of(role)
        .warning()
    }

    /// For a person: the severity, and all there is to say.
    pub(super) fn text(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        format!("{severity}: {}", self.text)
    }
}

/// Everything that was found, in the order in which it was.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// What is wrong with a key of the file.
    pub(super) fn key(&mut self, file: &ConfigFile, key: &str, advice: Advice) {
        let error = file.error(key, advice.problem, advice.remedy);
        self.push(Finding::from_config(&error));
    }

    /// Arguments or variables that cannot be used.
    pub(super) fn usage(&mut self, failed: &Failed) {
        match failed {
            Failed::Ran(Message::Explained(explanation))
            | Failed::Usage(Message::Explained(explanation)) => {
                self.0
                    .extend(Finding::explained(About::Configuration, explanation));
            }
            other => self.push(Finding::new(
                About::Configuration,
                &other.to_string(),
                "correct it",
            )),
        }
    }

    /// What keeps a driver, or the environment check, from being called.
    pub(super) fn assembly(&mut self, role: Option<DriverRole>, errors: &AssembleErrors) {
        for error in errors.iter() {
            self.explained(role, about(error.fault()), &error.explain());
        }
    }

    /// What is wrong with the folder.
    pub(super) fn site(&mut self, role: Option<DriverRole>, error: &SiteError) {
        self.explained(role, About::Configuration, &error.explain());
    }

    fn explained(&mut self, role: Option<DriverRole>, about: About, explanation: &Explanation) {
        for finding in Finding::explained(about, explanation) {
            self.push(finding.for_role(role));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// How many errors and how many warnings.
    pub(super) fn count(&self) -> (usize, usize) {
        let errors = self.errors().count();
        (errors, self.0.len() - errors)
    }

    fn errors(&self) -> impl Iterator<Item = &Finding> {
        let error = |finding: &&Finding| finding.severity == Severity::Error;
        self.0.iter().filter(error)
    }

    /// How the command ends; all has been said by then.
    pub(super) fn exit(&self) -> Option<Failed> {
        let mut errors = self.errors().peekable();
        errors.peek()?;
        Some(
            if errors.any(|finding| finding.about == About::Configuration) {
                Failed::Usage(Message::Said)
            } else {
                Failed::Ran(Message::Said)
            },
        )
    }
}

fn about(fault: Fault) -> About {
    match fault {
        Fault::Configuration => About::Configuration,
        Fault::Driver => About::Driver,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use servo_protocol::{Reason, Status};

    use super::*;

    #[test]
    fn field_18_a_key_of_a_drivers_own_section_is_pointed_at_in_the_file() {
        let text = "drivers:\n  adjust:\n    source: a\n    config:\n      settings:\n        cpu: { minn: 1 }\n";
        let file = ConfigFile::parse(text, Path::new("servo.yaml")).unwrap();
        let failure = DriverFailure::new(
            Status::Failed,
            Reason::from("invalid-config"),
            "config.settings.cpu.minn: unknown field `minn`, expected `min` or `max`",
        );
        let finding = Finding::description(&file, DriverRole::Adjust, &failure);
        assert_eq!(finding.line, Some(6));
        let key = Some("drivers.adjust.config.settings.cpu.minn");
        assert_eq!(finding.key.as_deref(), key);
        let first = finding.text.lines().next();
        assert_eq!(
            first,
            Some(
                "servo.yaml:6:22: drivers.adjust.config.settings.cpu.minn: the driver knows no such key; \
                 did you mean `min`? the keys here are min, max"
            )
        );
    }
}
