//! Grants in plain words, for the person who must answer for them.
//!
//! Made from the resolved grants that are enforced, never from the text they
//! came from, so that the page cannot promise less than the gate allows.

use crate::{Access, Budget, FolderGrant, Grants, HostPattern, HttpGrant, Rule};

/// A limit that differs from its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedLimit {
    /// Its key in `grants.limits`.
    pub name: &'static str,
    /// What is granted.
    pub value: String,
    /// What is usual.
    pub default: String,
}

impl Rule {
    /// What the rule allows in plain words, after "may" or "to": `send GET to
    /// http://a.example, paths under /x/`.
    pub fn explain(&self) -> String {
        let methods = self
            .methods
            .iter()
            .map(crate::Method::as_str)
            .collect::<Vec<_>>();
        let host = match &self.host {
            HostPattern::OneLevelWildcard(suffix) => {
                format!(" (any host of one label before `{suffix}`)")
            }
            HostPattern::Exact(_) | HostPattern::Ip(_) => String::new(),
        };
        let path = match self.prefix.as_str() {
            "/" => "every path".to_owned(),
            prefix if prefix.ends_with('/') => format!("paths under {prefix}"),
            prefix => format!("{prefix} and paths under it"),
        };
        format!(
            "send {} to {}{host}, {path}",
            methods.join(", "),
            self.origin()
        )
    }
}

impl HttpGrant {
    /// What the grant allows in plain words, after "may".
    pub fn explain(&self) -> String {
        let mut reach = vec![if self.private {
            "private addresses allowed".to_owned()
        } else {
            "public addresses only".to_owned()
        }];
        if let Some(ca) = &self.ca {
            reach.push(format!("trusting only {}", ca.display()));
        }
        format!("{} ({})", self.rule.explain(), reach.join("; "))
    }
}

impl FolderGrant {
    /// What the grant allows in plain words, after "may".
    pub fn explain(&self) -> String {
        let verb = match self.access {
            Access::Read => "read",
            Access::Write => "read and change",
        };
        format!("{verb} folder {} ({})", self.name, self.path.display())
    }
}

impl Grants {
    /// Everything that a driver with these grants may touch, in plain words, each
    /// to be read after "may". Empty: nothing at all.
    pub fn permissions(&self) -> Vec<String> {
        let scratch = self.scratch.map(|size| {
            format!("keep up to {size} in a temporary folder, removed after each call")
        });
        let http = self.http.iter().map(HttpGrant::explain);
        let folders = self.folders.iter().map(FolderGrant::explain);
        http.chain(folders).chain(scratch).collect()
    }

    /// The limits that differ from the defaults, in the order of the budget.
    pub fn changed_limits(&self) -> Vec<ChangedLimit> {
        let (ours, usual) = (self.budget.table(), Budget::default().table());
        ours.into_iter()
            .zip(usual)
            .filter(|(ours, usual)| ours != usual)
            .map(|((name, value), (_, default))| ChangedLimit {
                name,
                value,
                default,
            })
            .collect()
    }
}

impl std::fmt::Display for ChangedLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} (usually {})", self.name, self.value, self.default)
    }
}
