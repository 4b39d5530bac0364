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

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl Advice {
    /// A problem and its remedy.
    pub fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

/// What is wrong with a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceholderFault {
    /// `${` without `}`.
    #[error("it is not closed")]
    Open,
    /// It is not about the driver's config.
    #[error("only values of the driver's config can be used")]
    NotConfig,
    /// The config has no such key.
    #[error("the driver's config has no such key")]
    Missing,
    /// A list, a mapping, or true or false.
    #[error("its value is neither text nor a number")]
    Kind,
    /// It stands where the methods do.
    #[error("a placeholder cannot stand for methods")]
    Methods,
    /// Its value would not be one plain word of a URL.
    #[error("its value is empty, or holds a space, a control character, `*`, `{{` or `}}`")]
    Characters,
    /// Its value would move the rule to another host or folder.
    #[error("its value holds one of `/ \\ ? # @ %`")]
    Structure,
    /// Its value holds a user name or a password.
    #[error("its value holds a user name or a password")]
    UserInformation,
}

impl PlaceholderFault {
    /// What to write instead, in a rule whose config is `section`.
    pub fn remedy(self, placeholder: &str, section: &str) -> String {
        match self {
            Self::Open | Self::NotConfig => "write `${config.key}`".to_owned(),
            Self::Missing => {
                let name = placeholder.strip_prefix("config.").unwrap_or(placeholder);
                format!("add `{name}` to `{section}`, or write what it stands for into the rule")
            }
            Self::Kind => "give it a text or a number".to_owned(),
            Self::Methods => "list the methods".to_owned(),
            Self::Characters => "write one plain URL, name or number".to_owned(),
            Self::Structure => {
                "put the placeholder at the beginning of the URL, or give it a plain name"
                    .to_owned()
            }
            Self::UserInformation => "write the URL without them".to_owned(),
        }
    }
}

/// A policy that cannot be used; nothing runs under it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    #[error(
        "{key}: the rule {rule:?} needs `{placeholder}`, but {fault}; {}",
        fault.remedy(placeholder, "the driver's config")
    )]
    Placeholder {
        /// Where the rule stands.
        key: String,
        /// The rule as it was written.
        rule: String,
        /// The placeholder, such as `config.endpoint`.
        placeholder: String,
        /// What is wrong with it.
        fault: PlaceholderFault,
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
    #[error("{key}: {advice}")]
    Grant {
        /// Where it stands.
        key: String,
        /// What is wrong, and what to do.
        advice: Advice,
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
    #[error("{key}: {advice}")]
    Folder {
        /// Where it stands.
        key: String,
        /// What is wrong, and what to do.
        advice: Advice,
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
