//! Lines for `grants.http`, as they are suggested to an operator.
//!
//! Denials and the check before a start suggest the same line in the same words,
//! since they print the same value.

use std::fmt;

use crate::{CredentialKind, HeaderName, Rule};

/// A line for `grants.http`. `Display` writes it as it is to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantLine {
    rule: Rule,
    private: bool,
    networks: Vec<String>,
    headers: Vec<HeaderName>,
    reads: bool,
    credential: Option<CredentialKind>,
}

impl GrantLine {
    /// A line with this rule and nothing else.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            private: false,
            networks: Vec::new(),
            headers: Vec::new(),
            reads: false,
            credential: None,
        }
    }

    /// The same line; it reaches private addresses if they are needed.
    #[must_use]
    pub fn private(mut self, needed: bool) -> Self {
        self.private = needed;
        self
    }

    pub(crate) fn networks(mut self, networks: Vec<String>) -> Self {
        self.networks = networks;
        self
    }

    /// The same line; its guest may set these headers.
    #[must_use]
    pub fn headers(mut self, headers: Vec<HeaderName>) -> Self {
        self.headers = headers;
        self
    }

    pub(crate) fn reads(mut self, reads: bool) -> Self {
        self.reads = reads;
        self
    }

    /// The same line; the host adds a credential, whose example is written.
    pub(crate) fn credential(mut self, kind: Option<CredentialKind>) -> Self {
        self.credential = kind;
        self
    }

    /// Its rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

impl fmt::Display for GrantLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "- {{ rule: \"{}\"", self.rule)?;
        if self.private {
            f.write_str(", private: true")?;
        }
        if !self.networks.is_empty() {
            write!(f, ", networks: [{}]", self.networks.join(", "))?;
        }
        if !self.headers.is_empty() {
            let names: Vec<&str> = self.headers.iter().map(HeaderName::as_str).collect();
            write!(f, ", headers: [{}]", names.join(", "))?;
        }
        if self.reads {
            f.write_str(", reads: true")?;
        }
        if let Some(kind) = self.credential {
            write!(f, ", {}", kind.example())?;
        }
        f.write_str(" }")
    }
}
