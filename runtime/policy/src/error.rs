//! What can be wrong with a policy, in words that say where and what to do.
//!
//! These errors are about the operator's own text, read before any driver
//! runs, so they quote it. What a *driver* did wrong is a [`crate::Denial`].

use std::fmt;

/// A rule that does not follow the grammar. Its message has three lines: what
/// is wrong, the rule with a caret under the first offending byte, and a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The rule as it was read, placeholders filled.
    pub rule: String,
    /// Offset in bytes of the first offending byte of `rule`.
    pub offset: usize,
    /// What is wrong there.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

impl RuleError {
    pub(crate) fn new(
        rule: &str,
        offset: usize,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            rule: rule.to_owned(),
            offset,
            problem: problem.into(),
            hint: hint.into(),
        }
    }
}

impl std::error::Error for RuleError {}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Control characters would move the caret, or the reader's terminal.
        let shown: String = self
            .rule
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        let column = self
            .rule
            .char_indices()
            .take_while(|(at, _)| *at < self.offset)
            .count();
        write!(
            f,
            "{} (byte {})\n  {shown}\n  {:column$}^\n  {}",
            self.problem, self.offset, "", self.hint
        )
    }
}

/// A policy that cannot be used; nothing runs under it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A rule does not follow the grammar.
    #[error("{key}: {error}")]
    Rule {
        /// Where it stands, such as `grants.http[0].rule`.
        key: String,
        /// What is wrong with it.
        error: RuleError,
    },
    /// A placeholder could not be filled.
    #[error("{key}: the rule {rule:?} needs `{placeholder}`, but {problem}")]
    Placeholder {
        /// Where the rule stands.
        key: String,
        /// The rule as it was written.
        rule: String,
        /// The placeholder, such as `config.endpoint`.
        placeholder: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// Two rules say different things about the same requests.
    #[error(
        "{key}: this rule and {other} are about the same requests ({rule}); \
         merge the two into one, so that the order of the rules cannot matter"
    )]
    Overlap {
        /// Where the second rule stands.
        key: String,
        /// Where the first one stands.
        other: String,
        /// The second rule.
        rule: String,
    },
    /// A grant that makes no sense as it stands.
    #[error("{key}: {problem}")]
    Grant {
        /// Where it stands.
        key: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// A limit outside its range.
    #[error("grants.limits.{key}: {value} is out of range; use a value from {low} to {high}")]
    Limit {
        /// The limit's key.
        key: &'static str,
        /// The value given.
        value: String,
        /// The smallest value allowed.
        low: String,
        /// The largest value allowed.
        high: String,
    },
    /// A folder grant that is refused.
    #[error("{key}: {problem}")]
    Folder {
        /// Where it stands.
        key: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
}

impl PolicyError {
    /// The key it is about, such as `grants.http[0].rule`.
    pub fn key(&self) -> String {
        match self {
            Self::Rule { key, .. }
            | Self::Placeholder { key, .. }
            | Self::Overlap { key, .. }
            | Self::Grant { key, .. }
            | Self::Folder { key, .. } => key.clone(),
            Self::Limit { key, .. } => format!("grants.limits.{key}"),
        }
    }
}

/// Everything that is wrong with a policy, at least one thing. A person who
/// repairs a file wants to hear all of it at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.first)]
pub struct PolicyErrors(Box<AtLeastOne>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct AtLeastOne {
    first: PolicyError,
    rest: Vec<PolicyError>,
}

impl PolicyErrors {
    /// The first of them, in the order of the policy.
    pub fn into_first(self) -> PolicyError {
        self.0.first
    }

    /// All of them, in the order of the policy.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyError> {
        std::iter::once(&self.0.first).chain(&self.0.rest)
    }

    /// None when there are none.
    pub(crate) fn of(errors: Vec<PolicyError>) -> Option<Self> {
        let mut errors = errors.into_iter();
        errors.next().map(|first| {
            Self(Box::new(AtLeastOne {
                first,
                rest: errors.collect(),
            }))
        })
    }
}
