//! What is wrong, with what, and what to do.

use std::fmt::Display;

use serde::Serialize;
use servo_agent::DriverFailure;
use servo_config::{ConfigError, ConfigFile, DriverRole};
use servo_host::{AssembleError, AssembleErrors, Fault, SiteError, Ungranted};

use servo_optune::objective::ObjectiveError;

use crate::exit::Failed;

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
        Self {
            severity: Severity::Error,
            about,
            driver: None,
            file: None,
            line: None,
            column: None,
            key: None,
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
            text: format!("{problem}; {remedy}"),
        }
    }

    /// From words that hold their remedy after the first semicolon.
    fn from_words(about: About, words: &str) -> Self {
        let (problem, remedy) = words.split_once("; ").unwrap_or((words, "correct it"));
        Self::new(about, problem, remedy)
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

    /// Arguments or variables that cannot be used.
    pub(super) fn usage(failed: &Failed) -> Self {
        Self::from_words(About::Configuration, &failed.to_string())
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
    pub(super) fn description(role: DriverRole, failure: &DriverFailure) -> Self {
        let words = failure.message.as_str();
        let (problem, remedy) = words.split_once("\nto allow it, ").map_or_else(
            || {
                let remedy = "see that the application and its backend can be reached, or ask the \
                              driver's author";
                (words.to_owned(), remedy.to_owned())
            },
            |(problem, remedy)| (problem.to_owned(), format!("to allow it, {remedy}")),
        );
        let problem = format!("it cannot describe: {problem}");
        Self::new(About::Driver, &problem, &remedy).of(role)
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

    /// Words about a key of the file.
    pub(super) fn key(&mut self, file: &ConfigFile, key: &str, words: &impl Display) {
        let words = words.to_string();
        let (problem, remedy) = words.split_once("; ").unwrap_or((&words, "correct it"));
        self.push(Finding::from_config(&file.error(key, problem, remedy)));
    }

    /// What keeps a driver, or the environment check, from being called.
    pub(super) fn assembly(&mut self, role: Option<DriverRole>, errors: &AssembleErrors) {
        for error in errors.iter() {
            let found: Vec<Finding> = match error {
                AssembleError::Config(errors) => errors.iter().map(Finding::from_config).collect(),
                AssembleError::Site(error) => {
                    self.site(role, error);
                    continue;
                }
                AssembleError::Source { place, fault } => vec![Finding {
                    about: about(*fault),
                    ..Finding::from_config(place)
                }],
                other => {
                    let about = about(other.fault());
                    vec![Finding::from_words(about, &other.to_string())]
                }
            };
            for finding in found {
                self.push(finding.for_role(role));
            }
        }
    }

    /// What is wrong with the folder.
    pub(super) fn site(&mut self, role: Option<DriverRole>, error: &SiteError) {
        let finding = match error {
            SiteError::Config(error) => Finding::from_config(error),
            SiteError::Ceiling(errors) => {
                for error in errors.iter() {
                    self.push(Finding::from_config(error).for_role(role));
                }
                return;
            }
            other => Finding::from_words(About::Configuration, &other.to_string()),
        };
        self.push(finding.for_role(role));
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
                Failed::Usage(String::new())
            } else {
                Failed::Ran(String::new())
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
