//! What the keys of one rule are read against, and where what is wrong goes.

use std::path::Path;

use crate::{
    Advice, Credential, HeaderClass, HeaderName, PolicyError, SecretSource, SecretSpec, header_row,
};

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

    /// The headers that the guest may set beside the harmless ones.
    pub(crate) fn headers(
        &mut self,
        names: &[String],
        credential: Option<&Credential>,
    ) -> Vec<HeaderName> {
        let mut headers: Vec<HeaderName> = Vec::new();
        for (index, text) in names.iter().enumerate() {
            let row = header_row(text);
            let advice = match HeaderName::parse(text) {
                Err(advice) => advice,
                Ok(name) if headers.contains(&name) => {
                    Advice::new(format!("`{name}` is named twice"), "remove one of the two")
                }
                Ok(name) if credential.is_some_and(|c| c.reserves(text)) => Advice::new(
                    format!("`{name}` is the host's to set where it adds a credential"),
                    "remove one of the two",
                ),
                Ok(name) => match row.class {
                    HeaderClass::ByName => {
                        headers.push(name);
                        continue;
                    }
                    HeaderClass::Harmless => {
                        Advice::new(format!("any driver may set `{name}`"), "remove it")
                    }
                    HeaderClass::Gate | HeaderClass::Dropped | HeaderClass::Refused => Advice::new(
                        format!("`{name}` cannot be allowed, because it {}", row.reason),
                        "remove it",
                    ),
                },
            };
            self.refuse(&format!("headers[{index}]"), advice);
        }
        headers
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

/// The beginning of what was written, for a message.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
