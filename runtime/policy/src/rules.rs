//! The decision about one request.
//!
//! Rules only allow; nothing denies, so their order cannot matter. When more
//! than one rule allows a request, the most specific one answers for it (exact
//! host before network, the longer one first, before wildcard; then the path: from
//! the left, a segment that is written out before a star, a star before everything
//! below), because rules carry properties (`private`, `ca`) and the narrow one
//! was written with more thought. Two rules about the same requests are refused at load.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::denial::{Denial, Problem};
use crate::index::Index;
use crate::network;
use crate::path::{CanonicalPath, MAX_PATH_AND_QUERY, push_query};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rule::split_authority;
use crate::{
    AddressClass, Asked, ClientCertificate, Credential, HeaderClass, HeaderName, Host, HostPattern,
    Method, PolicyError, Rule, RuleLimits, Scheme, address_class, header_row, is_allowed,
};

/// Index of a rule in its [`HttpRules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub usize);

/// Which redirects the host follows for a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Redirects {
    /// None: a redirect is an answer like any other.
    #[default]
    None,
    /// Those to the same scheme, host and port that the same rule allows; of
    /// GET and HEAD, at most five in a row.
    SameOrigin,
}

/// One granted rule with its properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGrant {
    /// Its index, as the operator listed it.
    pub id: RuleId,
    /// What it allows.
    pub rule: Rule,
    /// May it reach addresses that are not public?
    pub private: bool,
    /// The networks it may reach beside public addresses. With `private` there
    /// are none: that opens more.
    pub networks: Vec<IpNet>,
    /// The only certificate authority trusted for it; the system's when absent.
    pub ca: Option<PathBuf>,
    /// What it may use.
    pub limits: RuleLimits,
    /// Which redirects the host follows for it.
    pub redirects: Redirects,
    /// The certificate with which its connections are made.
    pub identity: Option<ClientCertificate>,
    /// What the host adds to its requests.
    pub credential: Option<Credential>,
    /// What its guest may set beside the harmless headers.
    pub headers: Vec<HeaderName>,
    /// Its requests only read, whatever their method.
    pub reads: bool,
}

/// A rule with its `private` flag and its authority, and nothing else.
impl From<(Rule, bool, Option<PathBuf>)> for HttpGrant {
    fn from((rule, private, ca): (Rule, bool, Option<PathBuf>)) -> Self {
        Self {
            id: RuleId(0),
            rule,
            private,
            networks: Vec::new(),
            ca,
            limits: RuleLimits::default(),
            redirects: Redirects::None,
            identity: None,
            credential: None,
            headers: Vec::new(),
            reads: false,
        }
    }
}

impl HttpGrant {
    /// May this rule dial `ip`?
    ///
    /// # Errors
    /// The class of the address, when it may not.
    pub fn admits(&self, ip: IpAddr) -> Result<(), AddressClass> {
        let class = address_class(ip);
        let spelled_out = class == AddressClass::Metadata
            && self.private
            && self.rule.host == HostPattern::Ip(ip);
        let opened = self.private || network::within(&self.networks, ip);
        if spelled_out || is_allowed(class, opened) {
            Ok(())
        } else {
            Err(class)
        }
    }

    /// May its guest set a header of this name? For those that the gate sends:
    /// what it reads itself, and what it leaves out, is not asked here.
    pub fn admits_header(&self, name: &str) -> bool {
        match header_row(name).class {
            HeaderClass::Harmless | HeaderClass::Gate => true,
            HeaderClass::Dropped | HeaderClass::Refused => false,
            HeaderClass::ByName => {
                self.headers.iter().any(|named| named.is(name)) && !self.reserves(name)
            }
        }
    }

    /// Does the host alone set this header in the requests of the rule?
    pub(crate) fn reserves(&self, name: &str) -> bool {
        let credential = self.credential.as_ref();
        credential.is_some_and(|credential| credential.reserves(name))
    }

    /// May its guest set these headers?
    ///
    /// # Errors
    /// The denial, which names those that it may not.
    pub fn admits_headers<'a>(
        &self,
        method: Method,
        target: &Target,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Denial> {
        let names = names.into_iter();
        let refused: Vec<&str> = names.filter(|name| !self.admits_header(name)).collect();
        if refused.is_empty() {
            return Ok(());
        }
        Err(Denial::headers(self, method, target, &refused))
    }

    /// Does a request of this method only read? GET, HEAD and OPTIONS do by their
    /// definition (RFC 9110, section 9.2.1), others where the rule says so. The one
    /// answer that a dry run goes by.
    pub fn is_read(&self, method: Method) -> bool {
        self.reads || matches!(method, Method::Get | Method::Head | Method::Options)
    }
}

/// The rules of one driver. Cheap to clone; the default has none and allows
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRules(Arc<Inner>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Inner {
    grants: Box<[HttpGrant]>,
    index: Index,
    asked: Box<[Asked]>,
}

/// A request as it came from a guest: nothing in it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method's name.
    pub method: &'a str,
    /// The scheme.
    pub scheme: &'a str,
    /// `host[:port]`.
    pub authority: &'a str,
    /// Path and query in origin form.
    pub path_and_query: &'a str,
}

/// Where a request goes, in canonical form: what was matched, and what must be
/// sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The scheme.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port, always known.
    pub port: u16,
    /// Path and query in origin form.
    pub path_and_query: String,
}

impl Target {
    /// `host[:port]`, the port only when it is not the scheme's own. This is
    /// the value of the Host header.
    pub fn authority(&self) -> String {
        let mut out = String::with_capacity(64);
        self.write_authority(&mut out);
        out
    }

    /// `scheme://host[:port]`.
    pub fn origin(&self) -> String {
        let mut out = String::with_capacity(72);
        self.write_origin(&mut out);
        out
    }

    /// The whole URL.
    pub fn url(&self) -> String {
        let mut out = String::with_capacity(72 + self.path_and_query.len());
        self.write_origin(&mut out);
        out.push_str(&self.path_and_query);
        out
    }

    fn write_origin(&self, out: &mut String) {
        out.push_str(self.scheme.as_str());
        out.push_str("://");
        self.write_authority(out);
    }

    fn write_authority(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = match &self.host {
            Host::Name(name) => out.write_str(name),
            host => write!(out, "{host}"),
        };
        if self.port != self.scheme.default_port() {
            let _ = write!(out, ":{}", self.port);
        }
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.path_and_query
            .split_once('?')
            .map_or(&*self.path_and_query, |(path, _)| path)
    }
}

/// A request that a rule allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The rule that answers for it.
    pub rule: RuleId,
    /// The rule's own `private` flag.
    pub private: bool,
    /// The method.
    pub method: Method,
    /// What to send, and where.
    pub target: Target,
}

impl HttpRules {
    /// No rules: nothing is allowed.
    pub fn none() -> Self {
        Self::default()
    }

    /// Rules in the operator's order, which also gives each its id.
    ///
    /// # Errors
    /// Two rules about the same requests.
    pub fn new(rules: impl IntoIterator<Item: Into<HttpGrant>>) -> Result<Self, PolicyError> {
        let grants: Vec<HttpGrant> = rules
            .into_iter()
            .enumerate()
            .map(|(index, grant)| HttpGrant {
                id: RuleId(index),
                ..grant.into()
            })
            .collect();
        for (index, grant) in grants.iter().enumerate() {
            let same = |earlier: &&HttpGrant| {
                let (a, b) = (&earlier.rule, &grant.rule);
                a.methods.overlaps(b.methods)
                    && (a.scheme, &a.host, a.port, &a.path) == (b.scheme, &b.host, b.port, &b.path)
            };
            if let Some(earlier) = grants.iter().take(index).find(same) {
                return Err(PolicyError::Overlap {
                    key: format!("grants.http[{index}]"),
                    other: format!("grants.http[{}]", earlier.id.0),
                    rule: grant.rule.to_string(),
                });
            }
        }
        Ok(Self(Arc::new(Inner {
            index: Index::new(&grants),
            grants: grants.into(),
            asked: Box::default(),
        })))
    }

    /// The same rules, with what their driver asks for, which denials suggest.
    #[must_use]
    pub fn with_asked(self, asked: impl IntoIterator<Item = Asked>) -> Self {
        let Inner { grants, index, .. } = Arc::unwrap_or_clone(self.0);
        Self(Arc::new(Inner {
            grants,
            index,
            asked: asked.into_iter().collect(),
        }))
    }

    /// What the driver asks for.
    pub(crate) fn asked(&self) -> &[Asked] {
        &self.0.asked
    }

    /// The rules, in the operator's order.
    pub fn iter(&self) -> impl Iterator<Item = &HttpGrant> {
        self.0.grants.iter()
    }

    /// One rule by its id.
    pub fn get(&self, id: RuleId) -> Option<&HttpGrant> {
        self.0.grants.get(id.0)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.0.grants.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.grants.is_empty()
    }

    /// Does some rule allow everything that `rule` allows, method by method?
    pub fn cover(&self, rule: &Rule) -> bool {
        rule.methods.iter().all(|method| {
            self.iter()
                .any(|grant| grant.rule.methods.contains(method) && grant.rule.covers_target(rule))
        })
    }

    /// Does some rule allow anything of what `rule` allows?
    pub fn touch(&self, rule: &Rule) -> bool {
        self.iter().any(|grant| grant.rule.touches(rule))
    }

    /// Decides about one request.
    ///
    /// # Errors
    /// The denial, whose `Display` says what was refused and what to add.
    pub fn decide(&self, request: &RequestHead<'_>) -> Result<Allowed, Denial> {
        let (method, target, decoded) =
            canonical(request).map_err(|problem| Denial::malformed(request, problem))?;
        let path = decoded.as_deref().unwrap_or_else(|| target.path());
        let fits = |grant: &&HttpGrant| grant.rule.allows(method, &target, path);
        // The most specific one comes first.
        let best = self
            .0
            .index
            .candidates(&target.host)
            .filter_map(|at| self.0.grants.get(at))
            .find(fits);
        match best {
            Some(grant) => Ok(Allowed {
                rule: grant.id,
                private: grant.private,
                method,
                target,
            }),
            None => Err(Denial::no_rule(self, method, &target, path)),
        }
    }
}

/// Brings a request into canonical form. The decoded path comes along when it
/// differs from the path that is sent.
fn canonical(request: &RequestHead<'_>) -> Result<(Method, Target, Option<String>), Problem> {
    let method = Method::parse(request.method).ok_or(Problem::Method)?;
    let scheme = Scheme::parse(request.scheme).ok_or(Problem::Scheme)?;
    let (host, port) = split_authority(request.authority)
        .map_err(|(_, problem, _)| Problem::Authority(problem))?;
    let host = Host::parse(host).map_err(|(_, problem, _)| Problem::Authority(problem))?;
    if request.path_and_query.len() > MAX_PATH_AND_QUERY {
        return Err(Problem::Path("path and query are longer than 8 KiB"));
    }
    let (path, query) = match request.path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.path_and_query, None),
    };
    let (mut text, decoded) = CanonicalPath::parse(path)
        .map_err(|(_, problem)| Problem::Path(problem))?
        .into_parts();
    if let Some(query) = query {
        push_query(&mut text, query).map_err(|(_, problem)| Problem::Path(problem))?;
    }
    let target = Target {
        scheme,
        host,
        port: port.unwrap_or_else(|| scheme.default_port()),
        path_and_query: text,
    };
    Ok((method, target, decoded))
}
