//! What a driver asks for and does not get.
//!
//! Asking is not having, and granting less than was asked is the operator's
//! good right. So this tells two things apart: what is granted in part, or can
//! be done without, is worth a word; what is needed and not granted at all is
//! a driver that cannot work, and better found before it runs.

use std::fmt;

use serde_json::Value;
use servo_artifact::Manifest;
use servo_policy::{
    Access, AddressClass, Grants, HostPattern, Method, PolicyError, Rule, address_class,
    resolve_ask,
};

/// Something that a driver asks for and does not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ungranted {
    /// What it asks for, as far as the operator's configuration tells.
    pub ask: String,
    /// The key under `drivers.<role>` that decides about it.
    pub key: &'static str,
    /// What to write there.
    pub line: String,
    /// What the driver says it is for, or how things stand now.
    pub note: String,
    /// The driver cannot do its work without it, as far as its manifest tells.
    pub needed: bool,
}

/// The remedy: what to add, and where.
impl fmt::Display for Ungranted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` to `{}` ({})", self.line, self.key, self.note)
    }
}

/// What the manifest asks for and the grants lack.
pub(crate) fn ungranted(manifest: &Manifest, config: &Value, grants: &Grants) -> Vec<Ungranted> {
    let asks = &manifest.asks;
    let http = asks.http.iter().filter_map(|ask| {
        let text = ask.rule.to_string();
        match resolve_ask(&text, ask.optional, config, "asks.http") {
            Ok(None) => None,
            Ok(Some(rule)) => requests(&rule, grants).map(|line| Ungranted {
                ask: rule.explain(),
                key: "grants.http",
                line,
                note: ask.why.to_string(),
                needed: !ask.optional && !grants.http.touch(&rule),
            }),
            Err(error) => Some(Ungranted {
                ask: format!("send requests as in `{text}`"),
                key: "config",
                line: unfilled(&error),
                note: ask.why.to_string(),
                needed: true,
            }),
        }
    });
    let folders = asks.folder.iter().filter_map(|ask| {
        let name = ask.name.as_str();
        let (verb, access) = match ask.access {
            Access::Read => ("read", "read"),
            Access::Write => ("read and change", "write"),
        };
        let granted = grants.folders.iter().find(|folder| folder.name == name);
        if granted.is_some_and(|granted| granted.access == ask.access || ask.access == Access::Read)
        {
            return None;
        }
        Some(Ungranted {
            ask: format!("{verb} a folder that it sees as /{name}"),
            key: "grants.folders",
            line: format!("- {{ name: {name}, path: ./{name}, access: {access} }}"),
            note: ask.why.to_string(),
            needed: !ask.optional,
        })
    });
    let beyond = asks.limits.beyond(&grants.budget).into_iter();
    let limits = beyond.map(|(name, asked, granted)| Ungranted {
        ask: format!("use up to {asked} of the limit `{name}`"),
        key: "grants.limits",
        line: format!("{name}: {asked}"),
        note: format!("now {granted}"),
        needed: false,
    });
    http.chain(folders).chain(limits).collect()
}

/// The line for the methods of a rule that nothing grants. Those that are
/// granted are left out: two rules about the same requests are refused.
fn requests(rule: &Rule, grants: &Grants) -> Option<String> {
    let single = |method: Method| {
        let text = format!("{} {}{}", method.as_str(), rule.origin(), rule.prefix);
        text.parse::<Rule>()
            .is_ok_and(|rule| grants.http.cover(&rule))
    };
    let lacking: Vec<&str> = rule
        .methods
        .iter()
        .filter(|method| !single(*method))
        .map(Method::as_str)
        .collect();
    if lacking.is_empty() {
        return None;
    }
    let private = if needs_private(rule) {
        ", private: true"
    } else {
        ""
    };
    Some(format!(
        "- {{ rule: \"{} {}{}\"{private} }}",
        lacking.join(","),
        rule.origin(),
        rule.prefix
    ))
}

/// What the configuration lacks for a rule to be filled in.
fn unfilled(error: &PolicyError) -> String {
    match error {
        PolicyError::Placeholder { placeholder, .. } => {
            let name = placeholder.strip_prefix("config.").unwrap_or(placeholder);
            format!("{name}: ...")
        }
        other => other.to_string(),
    }
}

/// Whether a rule grants nothing without `private: true`, as far as its text
/// tells: what a name leads to is only known when it is asked for.
fn needs_private(rule: &Rule) -> bool {
    match &rule.host {
        HostPattern::Ip(ip) => address_class(*ip) != AddressClass::Public,
        HostPattern::Exact(name) => name.as_ref() == "localhost",
        HostPattern::Network(net) => address_class(net.addr()) != AddressClass::Public,
        HostPattern::OneLevelWildcard(_) => false,
    }
}
