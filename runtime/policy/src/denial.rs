//! A refusal that teaches.
//!
//! It is read by an operator who wants the driver to work and is in a hurry, so
//! it holds the exact line to add, and beside it the reason to think twice. It
//! may reach the driver too, so it says nothing that the driver does not know:
//! its own request, its own rules, and the *class* of an address, never the
//! address a name resolved to. Queries are left out: they may hold secrets.

use std::fmt;

use crate::{AddressClass, Host, HttpGrant, HttpRules, Method, RequestHead, Scheme, Target};
use crate::{address_class, is_allowed};

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
                private,
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
                caution.push("a metadata service hands out this machine's own credentials");
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
        Self(Box::new(Inner {
            request: request(method, target),
            reason: DenialReason::Address(class),
            suggestion: helps.then(|| line(&grant.rule.to_string(), true)),
            caution: if helps { vec![PRIVATE] } else { Vec::new() },
        }))
    }
}

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
                 a driver that needs a cloud's credentials should get them from its operator",
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

fn line(rule: &str, private: bool) -> String {
    let private = if private { ", private: true" } else { "" };
    format!("- {{ rule: \"{rule}\"{private} }}")
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
        .filter(|grant| grant.rule.host.matches(&target.host))
        .map(|grant| {
            let rule = &grant.rule;
            let mut differs = Vec::new();
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
            (differs, grant)
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
