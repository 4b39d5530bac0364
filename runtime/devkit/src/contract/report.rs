//! What a test of the contract found, for people and for programs.

use std::fmt;

use serde::Serialize;
use servo_text::shown;

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The driver keeps this part of the contract.
    Pass,
    /// It does something odd that a service survives.
    Warn,
    /// It breaks the contract.
    Fail,
    /// There was nothing to try.
    Skip,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
            Verdict::Skip => "skip",
        }
    }
}

/// One check and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name, for example `describe-valid`.
    pub id: &'static str,
    /// What it is about where there are several, for example `web/replicas`.
    pub subject: Option<String>,
    /// What the contract says, in one sentence.
    pub what: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen, unless all was well.
    pub detail: Option<String>,
}

/// All checks of one driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The driver's name and version.
    pub driver: String,
    /// The checks in the order in which they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether nothing failed. Warnings do not count.
    pub fn passed(&self) -> bool {
        self.count(Verdict::Fail) == 0
    }

    /// How many checks ended so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.driver)?;
        for check in &self.checks {
            let name = match &check.subject {
                Some(subject) => format!("{} {}", check.id, shown(subject)),
                None => check.id.to_owned(),
            };
            writeln!(
                f,
                "  {}  {name:<28}  {}",
                check.verdict.as_str(),
                check.what
            )?;
            if let Some(detail) = &check.detail {
                writeln!(f, "        {}", shown(detail))?;
            }
        }
        let counted = [Verdict::Pass, Verdict::Warn, Verdict::Fail, Verdict::Skip]
            .map(|verdict| self.count(verdict));
        let [pass, warn, fail, skip] = counted;
        write!(
            f,
            "{pass} passed, {warn} with a warning, {fail} failed, {skip} skipped"
        )
    }
}
