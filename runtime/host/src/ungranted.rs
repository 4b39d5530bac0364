//! What a driver asks for and does not get.
//!
//! Asking is not having, and granting less than was asked is the operator's
//! good right. So this tells two things apart: what is granted in part, or can
//! be done without, is worth a word; what is needed and not granted at all is
//! a driver that cannot work, and better found before it runs.

use std::fmt;

use serde_json::Value;
use servo_artifact::{HttpAsk, Manifest};
use servo_policy::{Access, AddressClass, Grants, HostPattern, PolicyError, Rule, address_class};

/// Something that a driver asks for and does not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ungranted {
    /// What it asks for, as far as the operator's configuration tells.
    pub ask: String,
    /// The key under `drivers.<role>` that decides about it.
    pub key: String,
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
    let http = asks
        .http
        .iter()
        .flat_map(|ask| requests(ask, config, grants));
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
            key: "grants.folders".to_owned(),
            line: format!("- {{ name: {name}, path: ./{name}, access: {access} }}"),
            note: ask.why.to_string(),
            needed: !ask.optional,
        })
    });
    let beyond = asks.limits.beyond(&grants.budget).into_iter();
    let limits = beyond.map(|(name, asked, granted)| Ungranted {
        ask: format!("use up to {asked} of the limit `{name}`"),
        key: "grants.limits".to_owned(),
        line: format!("{name}: {asked}"),
        note: format!("now {granted}"),
        needed: false,
    });
    http.chain(folders).chain(limits).collect()
}

/// What the grants lack of one wish to make requests.
fn requests(ask: &HttpAsk, config: &Value, grants: &Grants) -> Vec<Ungranted> {
    let why = ask.why.to_string();
    let asked = match ask.resolve(config, "asks.http") {
        Ok(Some(asked)) => asked,
        Ok(None) => return Vec::new(),
        Err(error) => {
            return vec![Ungranted {
                ask: format!("send requests as in `{}`", ask.rule),
                key: "config".to_owned(),
                line: unfilled(&error),
                note: why,
                needed: true,
            }];
        }
    };
    let rule = asked.lacking(&grants.http).map(|line| Ungranted {
        ask: asked.rule.explain(),
        key: "grants.http".to_owned(),
        line: line.private(needs_private(&asked.rule)).to_string(),
        note: why.clone(),
        needed: !ask.optional && !grants.http.touch(&asked.rule),
    });
    let keys = asked
        .lacks(&grants.http)
        .into_iter()
        .map(|(grant, lack)| Ungranted {
            ask: format!("{}, in what `{}` allows", lack.describe(), grant.rule),
            key: format!("grants.http[{}]", grant.id.0),
            line: lack.key(grant),
            note: why.clone(),
            needed: false,
        });
    rule.into_iter().chain(keys).collect()
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
