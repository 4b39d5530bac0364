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
    AddressClass, Host, HostPattern, HttpGrant, HttpRules, Method, RequestHead, RuleLimits, Scheme,
    Target, address_class, is_allowed,
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
    caution: Vec<&'static str>,
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
        }
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
        let suggestion = reachable.then(|| {
            line(
                &format!(
                    "{} {}{}",
                    method.as_str(),
                    target.origin(),
                    prefix(target.path())
                ),
                if private {
                    Reach::Private
                } else {
                    Reach::Public
                },
            )
        });
        let mut caution = Vec::new();
        if suggestion.is_some() {
            if target.scheme == Scheme::Http {
                caution.push("plain http can be read and changed by anyone on the way");
            }
            if let Host::Ip(ip) = target.host
                && address_class(ip) == AddressClass::Metadata
            {
                caution.push(METADATA);
            } else if private {
                caution.push(PRIVATE);
            }
            if !matches!(method, Method::Get | Method::Head | Method::Options) {
                caution.push("this method changes things at the other side");
            }
        }
        Self(Box::new(Inner {
            request: request(method, target),
            reason: DenialReason::NoRule(nearest(rules, method, target, decoded)),
            suggestion,
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
        let (reach, caution) = match &target.host {
            _ if nets.is_empty() => (Reach::Private, PRIVATE),
            // The guest wrote this address itself.
            Host::Ip(ip) => {
                nets.push(IpNet::from(judged(*ip)).to_string());
                (Reach::Networks(nets), NETWORK)
            }
            Host::Name(_) => {
                nets.push("NETWORK".to_owned());
                (Reach::Networks(nets), NAMED)
            }
        };
        let others = grant.ca.is_some()
            || grant.identity.is_some()
            || grant.credential.is_some()
            || grant.limits != RuleLimits::default();
        let suggestion = helps.then(|| line(&grant.rule.to_string(), reach));
        let cautions = [Some(caution), others.then_some(OTHERS)];
        let caution = cautions.into_iter().flatten().filter(|_| helps).collect();
        Self(Box::new(Inner {
            request: request(method, target),
            reason: DenialReason::Address(class),
            suggestion,
            caution,
        }))
    }
}

const NETWORK: &str = "a network lets the driver reach every service in it that the rule's host leads \
                       to, many of which ask for no password";

const NAMED: &str = "NETWORK stands for the one that the host's address is in, which drivers are not \
                     told; look the name up, and ask whether it should lead there";

const OTHERS: &str = "the line in `grants.http` has other keys; keep them";

const METADATA: &str = "a metadata service hands out this machine's own credentials; for a \
                        cloud's API, give its rule `sigv4` or `oauth2`, and the host adds them";

const PRIVATE: &str = "`private: true` lets the driver reach services of this machine and its \
                       networks, many of which ask for no password";

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        match (&self.0.suggestion, &self.0.reason) {
            (Some(line), DenialReason::Address(_)) => {
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
            write!(f, "\nbefore you do: {caution}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Denial {}

/// Which addresses a suggested rule reaches.
enum Reach {
    Public,
    Private,
    Networks(Vec<String>),
}

fn line(rule: &str, reach: Reach) -> String {
    let reach = match reach {
        Reach::Public => String::new(),
        Reach::Private => ", private: true".to_owned(),
        Reach::Networks(nets) => {
            format!(", networks: [{}]", nets.join(", "))
        }
    };
    format!("- {{ rule: \"{rule}\"{reach} }}")
}

fn request(method: Method, target: &Target) -> String {
    format!(
        "{} {}{}",
        method.as_str(),
        target.origin(),
        shown(target.path(), PATH_SHOWN)
    )
}

/// The path to suggest: the very one asked for, or, when it is too long to
/// repeat, the folder it lies in.
fn prefix(path: &str) -> &str {
    if path.len() <= PATH_SHOWN {
        return path;
    }
    let cut = path.get(..PATH_SHOWN).unwrap_or(path);
    cut.rfind('/').and_then(|at| cut.get(..=at)).unwrap_or("/")
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
            if !rule.prefix.matches(decoded) {
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
