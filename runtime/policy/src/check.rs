//! What the keys of one rule are read against, and where what is wrong goes.

use std::path::Path;

use crate::{Advice, PolicyError, SecretSource, SecretSpec};

/// The reading of one rule.
pub(crate) struct Check<'a> {
    pub(crate) config: &'a serde_json::Value,
    pub(crate) base: &'a Path,
    /// The rule's key, such as `grants.http[0]`.
    pub(crate) key: &'a str,
    pub(crate) wrong: &'a mut Vec<PolicyError>,
}

impl Check<'_> {
    pub(crate) fn refuse(&mut self, name: &str, advice: Advice) {
        self.wrong.push(PolicyError::Grant {
            key: format!("{}.{name}", self.key),
            advice,
        });
    }

    /// The source of a secret that stands under `name`.
    pub(crate) fn secret(&mut self, name: &str, spec: &SecretSpec) -> Option<SecretSource> {
        match spec.resolve(self.base) {
            Ok(source) => Some(source),
            Err(advice) => {
                self.refuse(name, advice);
                None
            }
        }
    }
}

/// A token of HTTP (RFC 9110, section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// The beginning of what was written, for a message.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
