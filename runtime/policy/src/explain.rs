//! Grants in plain words, for the person who must answer for them.
//!
//! Made from the resolved grants that are enforced, never from the text they
//! came from, so that the page cannot promise less than the gate allows.

use crate::{
    Access, Budget, ByteSize, FolderGrant, Grants, HostPattern, HttpGrant, Rule, RuleLimits, Span,
};

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
    /// http://a.example, every path below /x/`.
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
            HostPattern::Network(net) => format!(" (any address in {net}, no name)"),
            HostPattern::Exact(_) | HostPattern::Ip(_) => String::new(),
        };
        let star = match self.path.has_star() {
            true => " (`*`: any one segment)",
            false => "",
        };
        let path = match self.path.as_str() {
            "/" => "every path".to_owned(),
            path if self.path.is_below() => format!("every path below {path}{star}"),
            path => format!("path {path}{star}"),
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
        } else if self.networks.is_empty() {
            "public addresses only".to_owned()
        } else {
            let nets: Vec<String> = self.networks.iter().map(ToString::to_string).collect();
            format!("public addresses, and those in {}", nets.join(", "))
        }];
        if let Some(ca) = &self.ca {
            reach.push(format!("trusting only {}", ca.display()));
        }
        if let Some(identity) = &self.identity {
            let certificate = identity.certificate.display();
            reach.push(format!("as the holder of the certificate {certificate}"));
        }
        if let Some(credential) = &self.credential {
            let clear = match self.rule.scheme {
                crate::Scheme::Http => ", which anyone on the way can read",
                crate::Scheme::Https => "",
            };
            reach.push(format!("the host adds {}{clear}", credential.explain()));
        }
        if !self.headers.is_empty() {
            let names: Vec<String> = self.headers.iter().map(|n| format!("`{n}`")).collect();
            reach.push(format!("with {} as it likes", names.join(", ")));
        }
        if self.reads {
            reach.push("a dry run may, too: it only reads".to_owned());
        }
        if self.redirects == crate::Redirects::SameOrigin {
            reach.push("redirects within the host are followed".to_owned());
        }
        reach.extend(self.limits.explain());
        format!("{} ({})", self.rule.explain(), reach.join("; "))
    }
}

impl RuleLimits {
    /// What is limited here, in plain words; none when nothing is.
    pub fn explain(&self) -> Option<String> {
        let size =
            |bytes: Option<u64>, of: &str| bytes.map(|bytes| format!("{} {of}", ByteSize(bytes)));
        let parts: Vec<String> = [
            self.rate.map(|rate| format!("{rate} requests")),
            self.concurrency.map(|most| format!("{most} at once")),
            size(self.request_bytes, "a request"),
            size(self.response_bytes, "a response"),
            size(
                self.decompressed_bytes,
                "a response once it is decompressed",
            ),
            self.time.map(|time| format!("{} each", Span(time))),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| format!("at most {}", parts.join(", ")))
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
        let actions = self.actions.iter().map(crate::Action::explain);
        http.chain(folders).chain(scratch).chain(actions).collect()
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
