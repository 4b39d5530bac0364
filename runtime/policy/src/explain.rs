//! Grants in plain words, for the person who must answer for them.
//!
//! Made from the resolved grants that are enforced, never from the text they
//! came from, so that the page cannot promise less than the gate allows.

use crate::{Access, Budget, Grants, HostPattern, HttpGrant, Scheme};

impl HttpGrant {
    /// The rule in plain words, one sentence.
    pub fn explain(&self) -> String {
        let methods = self
            .rule
            .methods
            .iter()
            .map(crate::Method::as_str)
            .collect::<Vec<_>>();
        let host = match &self.rule.host {
            HostPattern::OneLevelWildcard(suffix) => {
                format!("any host of one label before `{suffix}`")
            }
            host => host.to_string(),
        };
        let path = match self.rule.prefix.as_str() {
            "/" => "every path".to_owned(),
            prefix if prefix.ends_with('/') => format!("paths under {prefix}"),
            prefix => format!("{prefix} and paths under it"),
        };
        let transport = match (self.rule.scheme, &self.ca) {
            (Scheme::Http, _) => "over plain http".to_owned(),
            (Scheme::Https, None) => "over https".to_owned(),
            (Scheme::Https, Some(ca)) => format!("over https, trusting only {}", ca.display()),
        };
        let reach = if self.private {
            "addresses of this machine and of private networks included"
        } else {
            "public addresses only"
        };
        format!(
            "may send {} to {host} port {}, {path}, {transport}; {reach}",
            methods.join(", "),
            self.rule.port
        )
    }
}

impl Grants {
    /// What a driver with these grants may do, one sentence a line, and the
    /// limits that differ from the defaults.
    pub fn explain(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        if self.http.is_empty() {
            lines.push("may not use the network".to_owned());
        }
        lines.extend(self.http.iter().map(HttpGrant::explain));
        if self.folders.is_empty() {
            lines.push("may not see any folder of this machine".to_owned());
        }
        lines.extend(self.folders.iter().map(|folder| {
            let verb = match folder.access {
                Access::Read => "read",
                Access::Write => "read and change",
            };
            format!(
                "may {verb} the folder {} (it sees it as /{})",
                folder.path.display(),
                folder.name
            )
        }));
        lines.push(match self.scratch {
            Some(size) => {
                format!("has a temporary folder /scratch of {size}, removed after the call")
            }
            None => "has no temporary folder".to_owned(),
        });
        let (ours, usual) = (self.budget.table(), Budget::default().table());
        for ((name, value), (_, default)) in ours.iter().zip(&usual) {
            if value != default {
                lines.push(format!("limit {name}: {value} (usually {default})"));
            }
        }
        lines.join("\n")
    }
}
