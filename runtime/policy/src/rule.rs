//! One line of a grant: `GET,POST https://api.example.com:8443/v1/`.
//!
//! The grammar has no optional meaning. Methods are listed, there is no "any";
//! a missing port is the scheme's own port and never "any port"; the path is
//! required, because a rule that ends after the host would have to mean the
//! whole host by omission; and it is that path alone unless more is written. Every error knows the byte it is about.

use std::fmt;
use std::str::FromStr;

use crate::error::RuleError;
use crate::{Advice, HostPattern, PathPattern, Target};

/// A method a rule can grant. CONNECT and TRACE are absent: one makes a tunnel
/// past every other check, the other echoes what the host added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Method {
    /// GET
    Get = 1,
    /// HEAD
    Head = 1 << 1,
    /// POST
    Post = 1 << 2,
    /// PUT
    Put = 1 << 3,
    /// PATCH
    Patch = 1 << 4,
    /// DELETE
    Delete = 1 << 5,
    /// OPTIONS
    Options = 1 << 6,
}

impl Method {
    const ALL: [Self; 7] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Options,
    ];

    /// The method by its exact, upper-case name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// A set of methods, never empty in a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Methods(u8);

impl Methods {
    /// Is this method in the set?
    pub fn contains(self, method: Method) -> bool {
        self.0 & method as u8 != 0
    }

    /// Have the two sets a method in common?
    pub fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The methods in the set, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |m| self.contains(*m))
    }

    fn insert(&mut self, method: Method) -> bool {
        let fresh = !self.contains(method);
        self.0 |= method as u8;
        fresh
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, method) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(method.as_str())?;
        }
        Ok(())
    }
}

/// Plain or protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// http, port 80
    Http,
    /// https, port 443
    Https,
}

impl Scheme {
    /// The scheme by its name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else if text.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else {
            None
        }
    }

    /// Its name, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port meant when none is written.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// One rule, parsed. Its `Display` is its canonical text, which parses to the
/// same rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The methods granted.
    pub methods: Methods,
    /// The scheme granted.
    pub scheme: Scheme,
    /// The hosts granted.
    pub host: HostPattern,
    /// The one port granted.
    pub port: u16,
    /// The paths granted.
    pub path: PathPattern,
}

impl Rule {
    /// Does this rule allow everything that `other` allows?
    pub fn covers(&self, other: &Self) -> bool {
        other.methods.iter().all(|m| self.methods.contains(m)) && self.covers_target(other)
    }

    /// Does it allow the request? `path` is the decoded path of the target.
    #[inline]
    pub(crate) fn allows(&self, method: Method, target: &Target, path: &str) -> bool {
        self.port == target.port
            && self.scheme == target.scheme
            && self.methods.contains(method)
            && self.host.matches(&target.host)
            && self.path.matches(path)
    }

    /// As [`Rule::covers`], methods aside.
    pub(crate) fn covers_target(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.host.covers(&other.host)
            && self.path.covers(&other.path)
    }

    /// Is there a request that both allow, methods included?
    pub(crate) fn touches(&self, other: &Self) -> bool {
        self.methods.overlaps(other.methods)
            && (self.scheme, self.port) == (other.scheme, other.port)
            && (self.host.covers(&other.host) || other.host.covers(&self.host))
            && self.path.touches(&other.path)
    }

    /// The same rule for some of its methods.
    pub fn only(&self, methods: impl IntoIterator<Item = Method>) -> Self {
        let mut some = Methods::default();
        for method in methods {
            some.insert(method);
        }
        Self {
            methods: Methods(some.0 & self.methods.0),
            ..self.clone()
        }
    }

    /// What is wrong with saying of it that its requests only read.
    pub fn reads_in_vain(&self) -> Option<Advice> {
        let changing = [Method::Put, Method::Patch, Method::Delete];
        let mut changing = changing.into_iter();
        match changing.find(|method| self.methods.contains(*method)) {
            Some(method) => Some(Advice::new(
                format!("{} changes things by its definition", method.as_str()),
                "give it a rule of its own, without `reads`",
            )),
            None if self.methods.contains(Method::Post) => None,
            None => Some(Advice::new(
                "these methods only read in any case",
                "remove `reads`, or add the POST that it is for",
            )),
        }
    }

    /// Scheme, host and, when it is not the scheme's own, port.
    pub fn origin(&self) -> String {
        let mut out = format!("{}://{}", self.scheme.as_str(), self.host);
        if self.port != self.scheme.default_port() {
            out.push_str(&format!(":{}", self.port));
        }
        out
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.methods, self.origin(), self.path)
    }
}

const SHAPE: &str = "a rule reads `GET,POST https://api.example.com/v1/`";

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let refuse =
            |at: usize, problem: String, hint: &str| RuleError::new(text, at, problem, hint);
        if let Some((at, c)) = text
            .char_indices()
            .find(|(_, c)| c.is_control() || (c.is_whitespace() && *c != ' '))
        {
            return Err(refuse(at, format!("{c:?} cannot be part of a rule"), SHAPE));
        }
        let (methods_text, url) = text.split_once(' ').ok_or_else(|| {
            refuse(
                text.len(),
                "methods and URL must be separated by one space".into(),
                SHAPE,
            )
        })?;
        let methods = parse_methods(text, methods_text)?;
        let url_at = methods_text.len() + 1;
        if let Some(at) = url.find(' ') {
            return Err(refuse(
                url_at + at,
                "only one space is allowed".into(),
                SHAPE,
            ));
        }
        let (scheme_text, rest) = url.split_once("://").ok_or_else(|| {
            refuse(
                url_at,
                "the URL must begin with `http://` or `https://`".into(),
                SHAPE,
            )
        })?;
        let scheme = Some(scheme_text)
            .filter(|s| !s.bytes().any(|b| b.is_ascii_uppercase()))
            .and_then(Scheme::parse)
            .ok_or_else(|| {
                refuse(
                    url_at,
                    format!("the scheme {scheme_text:?} is refused"),
                    "write `http` or `https`, in lower case",
                )
            })?;
        let authority_at = url_at + scheme_text.len() + 3;
        // The slash of a network in braces does not begin the path.
        let literal = match rest.starts_with('{') {
            true => rest.find('}').map_or(0, |at| at + 1),
            false => 0,
        };
        let end = rest
            .get(literal..)
            .and_then(|tail| tail.find(['/', '?', '#', '\\']))
            .map_or(rest.len(), |at| at + literal);
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let path_at = authority_at + end;
        if !path.starts_with('/') {
            return Err(refuse(
                path_at,
                "the path is missing".into(),
                "end the rule with a path; `/` alone means the whole host",
            ));
        }
        let (host, port) = split_authority(authority)
            .map_err(|(at, problem, hint)| refuse(authority_at + at, problem, hint))?;
        let host = HostPattern::parse(host)
            .map_err(|(at, problem, hint)| refuse(authority_at + at, problem, hint))?;
        let path = PathPattern::parse(path)
            .map_err(|(at, problem, hint)| refuse(path_at + at, problem.to_owned(), hint))?;
        Ok(Self {
            methods,
            scheme,
            host,
            port: port.unwrap_or_else(|| scheme.default_port()),
            path,
        })
    }
}

fn parse_methods(rule: &str, text: &str) -> Result<Methods, RuleError> {
    let mut methods = Methods::default();
    let mut at = 0;
    for word in text.split(',') {
        let hint = "list methods in upper case, separated by commas: GET, HEAD, POST, PUT, PATCH, \
                    DELETE, OPTIONS; there is no `any`";
        let Some(method) = Method::parse(word) else {
            return Err(RuleError::new(
                rule,
                at,
                format!("{word:?} is not a method that can be granted"),
                hint,
            ));
        };
        if !methods.insert(method) {
            return Err(RuleError::new(
                rule,
                at,
                format!("{word} is listed twice"),
                hint,
            ));
        }
        at += word.len() + 1;
    }
    Ok(methods)
}

/// Splits `host[:port]`. User information, an empty port and a port in any but
/// its plain decimal form are refused.
pub(crate) fn split_authority(
    text: &str,
) -> Result<(&str, Option<u16>), (usize, String, &'static str)> {
    if let Some(at) = text.find('@') {
        return Err((
            at,
            "user information before `@` is refused".to_owned(),
            "leave it out; it hides which host is meant",
        ));
    }
    let after_literal = text.find([']', '}']).map_or(0, |at| at + 1);
    let Some(colon) = text
        .get(after_literal..)
        .and_then(|tail| tail.find(':'))
        .map(|at| at + after_literal)
    else {
        return Ok((text, None));
    };
    let (host, port_text) = (
        text.get(..colon).unwrap_or_default(),
        text.get(colon + 1..).unwrap_or_default(),
    );
    let plain = !port_text.starts_with('0') && port_text.bytes().all(|b| b.is_ascii_digit());
    match port_text.parse::<u16>() {
        Ok(port) if plain => Ok((host, Some(port))),
        _ => Err((
            colon + 1,
            format!(
                "{:?} is not a port",
                port_text.chars().take(12).collect::<String>()
            ),
            "write a number from 1 to 65535, or leave the colon out for the scheme's own port",
        )),
    }
}
