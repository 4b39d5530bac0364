//! Hosts in one spelling.
//!
//! A host that can be written in two ways can be matched in one and dialled in
//! the other. So there is one: names in lower-case ASCII without the final dot,
//! addresses as RFC 5952 and plain dotted decimal print them. Everything that
//! a lenient parser would *also* take for an address (`2130706433`, `0x7f.1`,
//! `127.1`, `[::ffff:7f00:1]`, zone ids) is refused by its look, before any
//! rule is tried. Names beyond ASCII are refused: the punycode form says which
//! of several look-alikes is meant.
//!
//! A rule may name a network as its host. It stands in braces, since its slash
//! would otherwise begin the path: `http://{10.20.0.0/16}:8080/metrics`. It is
//! about requests whose host is an address literal; a name never matches it,
//! whatever the name resolves to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::network;

/// A host in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name: lower-case labels of letters, digits, `-` and `_`.
    Name(Box<str>),
    /// An address literal.
    Ip(IpAddr),
}

/// The hosts a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name and no other.
    Exact(Box<str>),
    /// This address literal and no other spelling of it.
    Ip(IpAddr),
    /// `{10.20.0.0/16}`: every address literal in this network, no name.
    Network(IpNet),
    /// `*.example.com`: exactly one label in front. Holds `.example.com`, with
    /// its dot, so that a match cannot begin in the middle of a label.
    OneLevelWildcard(Box<str>),
}

/// Why a host is refused: offset in its text, problem, hint.
pub(crate) type HostError = (usize, String, &'static str);

impl Host {
    /// Parses the host of a request or a rule (no port, IPv6 in brackets).
    pub(crate) fn parse(text: &str) -> Result<Self, HostError> {
        if let Some(rest) = text.strip_prefix('[') {
            return bracketed(rest).map(|ip| Self::Ip(IpAddr::V6(ip)));
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            // The standard parser takes plain dotted decimal only.
            return Ok(Self::Ip(IpAddr::V4(ip)));
        }
        name(text).map(Self::Name)
    }
}

impl HostPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, HostError> {
        if let Some(rest) = text.strip_prefix('{') {
            let inner = rest.strip_suffix('}').ok_or((
                text.len(),
                "a network must end with `}`".to_owned(),
                "write the network in braces, as in {10.20.0.0/16}",
            ))?;
            return network::parse(inner)
                .map(Self::Network)
                .map_err(|(at, problem, hint)| (at + 1, problem, hint));
        }
        let Some(rest) = text.strip_prefix("*.") else {
            if let Some(at) = text.find('*') {
                return Err((
                    at,
                    "a wildcard may only be the whole first label".to_owned(),
                    "write `*.example.com`, or list the names in rules of their own",
                ));
            }
            return Ok(match Host::parse(text)? {
                Host::Name(name) => Self::Exact(name),
                Host::Ip(ip) => Self::Ip(ip),
            });
        };
        let base = name(rest).map_err(|(at, problem, hint)| (at + 2, problem, hint))?;
        if !base.contains('.') {
            return Err((
                0,
                format!("`*.{base}` would match every name under a top-level domain"),
                "name the domain: `*.example.com`",
            ));
        }
        Ok(Self::OneLevelWildcard(format!(".{base}").into()))
    }

    /// Is `host` one of these?
    #[inline]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(rule), Host::Name(name)) => rule == name,
            (Self::Ip(rule), Host::Ip(ip)) => rule == ip,
            (Self::Network(net), Host::Ip(ip)) => net.contains(ip),
            (Self::OneLevelWildcard(suffix), Host::Name(name)) => name
                .strip_suffix(&**suffix)
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
            _ => false,
        }
    }

    /// Does every host of `other` belong to this pattern?
    pub fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Exact(name) => self.matches(&Host::Name(name.clone())),
            Self::Ip(ip) => self.matches(&Host::Ip(*ip)),
            Self::Network(inner) => match self {
                Self::Network(net) => net.contains(inner),
                Self::Ip(ip) => inner.prefix_len() == inner.max_prefix_len() && inner.addr() == *ip,
                Self::Exact(_) | Self::OneLevelWildcard(_) => false,
            },
            Self::OneLevelWildcard(_) => self == other,
        }
    }

    /// Grows with how narrow the pattern is, and is equal for two patterns that
    /// match one host only when they are the same pattern.
    pub(crate) fn specificity(&self) -> u8 {
        match self {
            Self::Exact(_) | Self::Ip(_) => u8::MAX,
            Self::Network(net) => net.prefix_len() + 1,
            Self::OneLevelWildcard(_) => 0,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Network(net) => write!(f, "{{{net}}}"),
            Self::OneLevelWildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

const LITERAL: &str = "write an address as its plain form: 127.0.0.1, or [2001:db8::1]";
const NAME: &str = "a name is labels of letters, digits, `-` and `_` joined by dots";

fn bracketed(rest: &str) -> Result<Ipv6Addr, HostError> {
    let refuse = |problem: &str| (0, problem.to_owned(), LITERAL);
    let inner = rest
        .strip_suffix(']')
        .ok_or_else(|| refuse("an IPv6 address must end with `]`"))?;
    if inner.contains('%') {
        return Err(refuse("zone identifiers are refused"));
    }
    let ip: Ipv6Addr = inner
        .parse()
        .map_err(|_| refuse("this is not an IPv6 address"))?;
    if ip.to_ipv4_mapped().is_some() {
        return Err(refuse("an IPv4 address written as IPv6 is refused"));
    }
    if !ip.to_string().eq_ignore_ascii_case(inner) {
        return Err(refuse("this is not the canonical spelling of the address"));
    }
    Ok(ip)
}

fn name(text: &str) -> Result<Box<str>, HostError> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.is_empty() {
        return Err((0, "the host is empty".to_owned(), NAME));
    }
    if let Some(at) = bare.bytes().position(|b| !b.is_ascii()) {
        return Err((
            at,
            "a name beyond ASCII is refused".to_owned(),
            "write its punycode form, `xn--...`",
        ));
    }
    if bare.len() > 253 {
        return Err((
            253,
            "the name is longer than 253 characters".to_owned(),
            NAME,
        ));
    }
    let mut at = 0;
    let mut last = "";
    for label in bare.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err((at, "a label must have 1 to 63 characters".to_owned(), NAME));
        }
        if let Some(bad) = label
            .bytes()
            .position(|b| !(b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))
        {
            let found = label.get(bad..=bad).unwrap_or_default();
            return Err((
                at + bad,
                format!("{found:?} cannot be part of a name"),
                NAME,
            ));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err((at, "a label may not begin or end with `-`".to_owned(), NAME));
        }
        last = label;
        at += label.len() + 1;
    }
    if ends_in_number(last) {
        return Err((
            0,
            "a host that ends in a number would be read as an address".to_owned(),
            LITERAL,
        ));
    }
    Ok(bare.to_ascii_lowercase().into())
}

/// The rule by which URL parsers decide that a host is an IPv4 address: its last
/// label is decimal, octal or hexadecimal.
fn ends_in_number(label: &str) -> bool {
    let hex = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|b| b.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
