//! What a driver asks for, as far as the operator's configuration tells.
//!
//! Asking gives nothing. It is kept beside the rules so that a denial can
//! suggest the rule the author had in mind, where that is one for many requests,
//! and not a line for each of them; and so that what is asked and not granted can
//! be said before anything runs.

use crate::suggestion::GrantLine;
use crate::{CredentialKind, HeaderName, HttpGrant, HttpRules, Rule};

/// One wish of a driver to make requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The requests.
    pub rule: Rule,
    /// The credential that the server wants.
    pub credential: Option<CredentialKind>,
    /// Headers that the driver sets beside the harmless ones.
    pub headers: Vec<HeaderName>,
    /// The requests only read, whatever their method.
    pub reads: bool,
}

/// What a granted rule lacks of what is asked for its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// These headers are not named.
    Headers(Vec<HeaderName>),
    /// No credential is added.
    Credential(CredentialKind),
    /// It does not say that its requests only read.
    Reads,
}

impl Lack {
    /// What is asked for, after "the driver asks to".
    pub fn describe(&self) -> String {
        match self {
            Self::Headers(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                format!("set {}", names.join(", "))
            }
            Self::Credential(kind) => format!("have {} added by the host", kind.describe()),
            Self::Reads => "read by POST in a dry run, too".to_owned(),
        }
    }

    /// The key of the rule, as it is to be written.
    pub fn key(&self, grant: &HttpGrant) -> String {
        match self {
            Self::Headers(lacking) => {
                let names = grant.headers.iter().chain(lacking).map(HeaderName::as_str);
                format!("headers: [{}]", names.collect::<Vec<_>>().join(", "))
            }
            Self::Credential(kind) => kind.example().to_owned(),
            Self::Reads => "reads: true".to_owned(),
        }
    }
}

impl From<Rule> for Asked {
    /// These requests and nothing beside them.
    fn from(rule: Rule) -> Self {
        Self {
            rule,
            credential: None,
            headers: Vec::new(),
            reads: false,
        }
    }
}

impl Asked {
    /// The line that would grant what `granted` lacks of it; none when all of it
    /// is granted. Methods that are granted are left out: two rules about the same
    /// requests are refused.
    pub fn lacking(&self, granted: &HttpRules) -> Option<GrantLine> {
        let lacking = self.rule.methods.iter();
        let lacking: Vec<_> = lacking
            .filter(|method| !granted.cover(&self.rule.only([*method])))
            .collect();
        (!lacking.is_empty()).then(|| {
            let rule = self.rule.only(lacking);
            // What was asked for all methods may be in vain for those that are left.
            let reads = self.reads && rule.reads_in_vain().is_none();
            GrantLine::new(rule)
                .headers(self.headers.clone())
                .reads(reads)
                .credential(self.credential)
        })
    }

    /// What the rules lack that are there for its requests.
    pub fn lacks<'a>(&self, granted: &'a HttpRules) -> Vec<(&'a HttpGrant, Lack)> {
        let touched = granted
            .iter()
            .filter(|grant| grant.rule.touches(&self.rule));
        touched
            .flat_map(|grant| {
                self.lacks_of(grant)
                    .into_iter()
                    .map(move |lack| (grant, lack))
            })
            .collect()
    }

    fn lacks_of(&self, grant: &HttpGrant) -> Vec<Lack> {
        let reserved = |name: &HeaderName| grant.reserves(name.as_str());
        let headers: Vec<HeaderName> = self
            .headers
            .iter()
            .filter(|name| !grant.headers.contains(name) && !reserved(name))
            .cloned()
            .collect();
        let credential = self.credential.filter(|kind| match kind {
            CredentialKind::ClientCertificate => grant.identity.is_none(),
            _ => grant.credential.is_none(),
        });
        let reads = self.reads && !grant.reads && grant.rule.reads_in_vain().is_none();
        [
            (!headers.is_empty()).then_some(Lack::Headers(headers)),
            credential.map(Lack::Credential),
            reads.then_some(Lack::Reads),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
