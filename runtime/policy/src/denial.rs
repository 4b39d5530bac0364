//! A refusal that teaches.
//!
//! It is read by an operator who wants the driver to work and is in a hurry, so
//! it holds the exact line to add, and beside it the reason to think twice. It
//! may reach the driver too, so it says nothing that the driver does not know:
//! its own request, its own rules, and the *class* of an address, never the
//! address a name resolved to. Queries are left out: they may hold secrets.

use std::fmt;

use ipnet::IpNet;

use crate::address::judged;
use crate::{
    AddressClass, GrantLine, HeaderClass, HeaderName, Host, HostPattern, HttpGrant, HttpRules,
    Method, RequestHead, Rule, RuleLimits, Scheme, Target, address_class, header_row, is_allowed,
};

/// Bytes of a path that a denial repeats.
const PATH_SHOWN: usize = 200;

/// A request that was refused. `Display` gives the whole story in several
/// lines, [`Denial::summary`] the first of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    request: String,
    reason: DenialReason,
    suggestion: Option<String>,
    caution: Vec<String>,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenialReason {
    /// No rule can allow it: its method, scheme, host or path is not acceptable
    /// in any spelling.
    Malformed(String),
    /// No rule allows it. With what the nearest rule differs in, if any is near.
    NoRule(Option<String>),
    /// A rule allows it, but the host's address is of a class it may not reach.
    Address(AddressClass),
    /// A rule allows it, but not with these headers.
    Headers(Vec<String>),
}

pub(crate) enum Problem {
    Method,
    Scheme,
    Authority(String),
    Path(&'static str),
}

impl Denial {
    /// Why it was refused.
    pub fn reason(&self) -> &DenialReason {
        &self.0.reason
    }

    /// Method, origin and path (cut to 200 bytes), for a ledger or a log. Holds
    /// no query and no control characters.
    pub fn request(&self) -> &str {
        &self.0.request
    }

    /// The line to add to `grants.http`, when there is one that would help.
    pub fn suggestion(&self) -> Option<&str> {
        self.0.suggestion.as_deref()
    }

    /// What was refused and why, in one line.
    pub fn summary(&self) -> String {
        let Inner {
            request, reason, ..
        } = &*self.0;
        match reason {
            DenialReason::Malformed(problem) => {
                format!("{request} is refused: {problem}; no rule can allow this form")
            }
            DenialReason::NoRule(Some(near)) => format!("{request} is not granted; {near}"),
            DenialReason::NoRule(None) => format!("{request} is not granted"),
            DenialReason::Address(class) => {
                format!(
                    "{request} is granted, but its address is refused: it is {}",
                    class.describe()
                )
            }
            DenialReason::Headers(names) => {
                let word = if names.len() == 1 {
                    "header"
                } else {
                    "headers"
                };
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                format!(
                    "{request} is granted, but not with the {word} {}",
                    names.join(", ")
                )
            }
        }
    }

    /// What was refused and what to write instead, in one line; the whole story is
    /// what `Display` tells.
    pub fn short(&self) -> String {
        let summary = match &self.0.reason {
            DenialReason::NoRule(_) => format!("{} is not granted", self.0.request),
            _ => self.summary(),
        };
        let metadata = self.0.caution.iter().any(|caution| caution == METADATA);
        match &self.0.suggestion {
            // Who needs this is told the better way before the dangerous one.
            Some(_) if metadata => format!("{summary}; {METADATA}"),
            Some(line) if self.changes_a_line() => {
                format!("{summary}; to allow it, change its line in `grants.http` to `{line}`")
            }
            Some(line) => format!("{summary}; to allow it, add `{line}` to `grants.http`"),
            None => summary,
        }
    }

    /// A rule is there already, and lacks something.
    fn changes_a_line(&self) -> bool {
        matches!(
            self.0.reason,
            DenialReason::Address(_) | DenialReason::Headers(_)
        )
    }

    pub(crate) fn malformed(request: &RequestHead<'_>, problem: Problem) -> Self {
        let problem = match problem {
            Problem::Method => "the method is not one that can be granted".to_owned(),
            Problem::Scheme => "the scheme is neither http nor https".to_owned(),
            Problem::Authority(problem) => problem,
            Problem::Path(problem) => problem.to_owned(),
        };
        let path = request
            .path_and_query
            .split(['?', '#'])
            .next()
            .unwrap_or_default();
        // What stands before `@` may be a password.
        let host = request.authority.rsplit('@').next().unwrap_or_default();
        Self(Box::new(Inner {
            request: format!(
                "{} {}://{}{}",
                shown(request.method, 20),
                shown(request.scheme, 20),
                shown(host, 100),
                shown(path, PATH_SHOWN)
            ),
            reason: DenialReason::Malformed(problem),
            suggestion: None,
            caution: Vec::new(),
        }))
    }

    pub(crate) fn no_rule(
        rules: &HttpRules,
        method: Method,
        target: &Target,
        decoded: &str,
    ) -> Self {
        let private = looks_private(&target.host);
        let reachable = match &target.host {
            Host::Name(_) => true,
            Host::Ip(ip) => {
                let class = address_class(*ip);
                class == AddressClass::Metadata || is_allowed(class, true)
            }
        };
        let line = reachable.then(|| {
            let asked = rules.asked().iter();
            let line = asked
                .filter(|asked| asked.rule.allows(method, target, decoded))
                .find_map(|asked| asked.lacking(rules))
                .or_else(|| exact(method, target).map(GrantLine::new));
            line.map(|line| line.private(private))
        });
        let line = line.flatten();
        let mut caution = Vec::new();
        let mut warn = |text: &str| caution.push(text.to_owned());
        if let Some(line) = &line {
            if line.rule().path.is_below() {
                warn(BELOW);
            }
            if target.scheme == Scheme::Http {
                warn("plain http can be read and changed by anyone on the way");
            }
            if let Host::Ip(ip) = target.host
                && address_class(ip) == AddressClass::Metadata
            {
                warn(METADATA);
            } else if private {
                warn(PRIVATE);
            }
            if !matches!(method, Method::Get | Method::Head | Method::Options) {
                warn("this method changes things at the other side");
            }
        }
        Self(Box::new(Inner {
            request: request(method, target),
            reason: DenialReason::NoRule(nearest(rules, method, target, decoded)),
            suggestion: line.map(|line| line.to_string()),
            caution,
        }))
    }

    /// The refusal of an address that the host of an allowed request has.
    pub fn address(
        grant: &HttpGrant,
        method: Method,
        target: &Target,
        class: AddressClass,
    ) -> Self {
        let helps = !grant.private && is_allowed(class, true);
        let mut nets: Vec<String> = grant.networks.iter().map(ToString::to_string).collect();
        let line = GrantLine::new(grant.rule.clone());
        let (line, caution) = match &target.host {
            _ if nets.is_empty() => (line.private(true), PRIVATE),
            // The guest wrote this address itself.
            Host::Ip(ip) => {
                nets.push(IpNet::from(judged(*ip)).to_string());
                (line.networks(nets), NETWORK)
            }
            Host::Name(_) => {
                nets.push("NETWORK".to_owned());
                (line.networks(nets), NAMED)
            }
        };
        let others = has_other_keys(grant) || !grant.headers.is_empty();
        let suggestion = helps.then(|| line.to_string());
        let cautions = [Some(caution), others.then_some(OTHERS)];
        let caution = cautions.into_iter().flatten().filter(|_| helps);
        Self(Box::new(Inner {
            request: request(method, target),
            reason: DenialReason::Address(class),
            suggestion,
            caution: caution.map(str::to_owned).collect(),
        }))
    }

    /// The refusal of headers that the guest of an allowed request may not set.
    pub(crate) fn headers(
        grant: &HttpGrant,
        method: Method,
        target: &Target,
        names: &[&str],
    ) -> Self {
        let mut named = grant.headers.clone();
        let mut caution = Vec::new();
        for name in names {
            let row = header_row(name);
            match HeaderName::parse(name) {
                _ if grant.reserves(name) => {
                    caution.push(format!(
                        "`{name}` is set by the host with the rule's credential"
                    ));
                }
                Ok(name) if row.class == HeaderClass::ByName => {
                    if row.is_listed() {
                        caution.push(format!("`{name}` {}", row.reason));
                    }
                    named.push(name);
                }
                _ => {}
            }
        }
        named.sort();
        named.dedup();
        let helps = named.len() > grant.headers.len();
        if helps && has_other_keys(grant) {
            caution.push(OTHERS.to_owned());
        }
        let line = GrantLine::new(grant.rule.clone())
            .private(grant.private)
            .networks(grant.networks.iter().map(ToString::to_string).collect())
            .headers(named);
        Self(Box::new(Inner {
            request: request(method, target),
            reason: DenialReason::Headers(names.iter().map(|name| shown(name, 60)).collect()),
            suggestion: helps.then(|| line.to_string()),
            caution,
        }))
    }
}

const NETWORK: &str = "a network lets the driver reach every service in it that the rule's host leads \
                       to, many of which ask for no password";

const NAMED: &str = "NETWORK stands for the one that the host's address is in, which drivers are not \
                     told; look the name up, and ask whether it should lead there";

const OTHERS: &str = "the line in `grants.http` has other keys; keep them";

const BELOW: &str = "the path ends with `/`, so the rule allows everything below it";

const METADATA: &str = "a metadata service hands out this machine's own credentials; for a \
                        cloud's API, give its rule `sigv4` or `oauth2`, and the host adds them";

const PRIVATE: &str = "`private: true` lets the driver reach services of this machine and its \
                       networks, many of which ask for no password";

/// Has its line keys that a suggestion does not repeat?
fn has_other_keys(grant: &HttpGrant) -> bool {
    grant.ca.is_some()
        || grant.identity.is_some()
        || grant.credential.is_some()
        || grant.reads
        || grant.limits != RuleLimits::default()
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        match (&self.0.suggestion, &self.0.reason) {
            (Some(line), _) if self.changes_a_line() => {
                write!(
                    f,
                    "\nto allow it, change the line in `grants.http` to:\n  {line}"
                )?;
            }
            (Some(line), _) => write!(f, "\nto allow it, add to `grants.http`:\n  {line}")?,
            (None, DenialReason::Address(AddressClass::Metadata)) => f.write_str(
                "\nonly a rule whose host is that very address, with `private: true`, reaches it; \
                 a driver needs no credentials of a cloud: give the rule of the cloud's API `sigv4` \
                 or `oauth2`, and the host adds them",
            )?,
            (None, _) => {}
        }
        for caution in &self.0.caution {
            match self.0.suggestion {
                Some(_) => write!(f, "\nbefore you do: {caution}")?,
                None => write!(f, "\n{caution}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Denial {}

fn request(method: Method, target: &Target) -> String {
    format!(
        "{} {}{}",
        method.as_str(),
        target.origin(),
        shown(target.path(), PATH_SHOWN)
    )
}

/// The rule about this very request or, when its path is too long to repeat, about
/// the folder it lies in. A star of the request is a letter and not a pattern.
fn exact(method: Method, target: &Target) -> Option<Rule> {
    let path = target.path();
    let path = if path.len() <= PATH_SHOWN {
        path
    } else {
        let cut = path.get(..PATH_SHOWN).unwrap_or(path);
        cut.rfind('/').and_then(|at| cut.get(..=at)).unwrap_or("/")
    };
    let path = path.replace('*', "%2A");
    let text = format!("{} {}{path}", method.as_str(), target.origin());
    text.parse().ok()
}

fn shown(text: &str, most: usize) -> String {
    let mut out: String = text
        .chars()
        .take(most)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

/// Names that mean this machine or its network by convention.
fn looks_private(host: &Host) -> bool {
    match host {
        Host::Ip(ip) => address_class(*ip) != AddressClass::Public,
        Host::Name(name) => {
            !name.contains('.')
                || [
                    ".localhost",
                    ".local",
                    ".internal",
                    ".svc",
                    ".lan",
                    ".home.arpa",
                ]
                .iter()
                .any(|suffix| name.ends_with(suffix))
        }
    }
}

/// What the rule that comes nearest differs in.
fn nearest(rules: &HttpRules, method: Method, target: &Target, decoded: &str) -> Option<String> {
    rules
        .iter()
        .filter_map(|grant| {
            let rule = &grant.rule;
            let mut differs = Vec::new();
            match (&rule.host, &target.host) {
                (host, target) if host.matches(target) => {}
                // Beside its network is near; beside its name is elsewhere.
                (HostPattern::Network(net), Host::Ip(ip))
                    if net.addr().is_ipv4() == ip.is_ipv4() =>
                {
                    differs.push("the network");
                }
                _ => return None,
            }
            if !rule.methods.contains(method) {
                differs.push("the method");
            }
            if rule.scheme != target.scheme {
                differs.push("the scheme");
            }
            if rule.port != target.port {
                differs.push("the port");
            }
            if !rule.path.matches(decoded) {
                differs.push("the path");
            }
            Some((differs, grant))
        })
        .min_by_key(|(differs, _)| differs.len())
        .map(|(differs, grant)| {
            format!(
                "the nearest rule, `{}`, differs in {}",
                grant.rule,
                differs.join(" and ")
            )
        })
}
