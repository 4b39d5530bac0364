//! Which headers a request may have, and who may set them: one table.
//!
//! Grants ask it for the names they may allow and for the names a credential may
//! have, the gate for what a guest sends, the sandbox for what a guest may set at
//! all. So no two of them can be of different opinion about a name.
//!
//! **A guest may set what is in the table as harmless, and what its rule names.**
//! Servers and what stands before them give meaning to more headers than anyone
//! can list: whose request it is, which path and method are really meant, from
//! where it comes. A list of the bad ones is always too short; a list of the good
//! ones is at worst a line to add. Harmless is what only says how the body is
//! written, which form of the answer is wanted, under which condition, or under
//! which number the request is logged; none of it changes who asks, for what, or
//! where the message ends.
//!
//! **Underscores are hyphens.** CGI and what grew from it turns both into `_`, so
//! to such a server `x_forwarded_for` is `X-Forwarded-For`, and a proxy that
//! takes one away leaves the other. Names are compared in one spelling here; what
//! is sent is what the guest wrote.
//!
//! **Some are never sent**, whoever names them: they say where the message ends or
//! what the connection is, and the gate decides both. Those that merely wish
//! something of a connection are left out in silence, since every HTTP library
//! adds some.

use std::fmt;

use self::HeaderClass::{ByName, Dropped, Gate, Harmless, Refused};
use crate::{Advice, Credential};

/// The name of a header, in lower case and with hyphens for underscores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderName(Box<str>);

impl HeaderName {
    /// Reads a name in any spelling.
    ///
    /// # Errors
    /// It is not a token of HTTP (RFC 9110, section 5.6.2): the problem and the
    /// remedy.
    pub fn parse(text: &str) -> Result<Self, Advice> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if text.is_empty() || text.len() > 256 || !text.bytes().all(token) {
            let shown: String = text.chars().take(40).collect();
            return Err(Advice::new(
                format!("{shown:?} is not a name of a header"),
                "use letters, digits and hyphens",
            ));
        }
        Ok(Self(text.to_ascii_lowercase().replace('_', "-").into()))
    }

    /// The name, in its one spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is `name` this one, in whatever spelling?
    pub fn is(&self, name: &str) -> bool {
        same(&self.0, name)
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Are these two spellings of one name?
fn same(ours: &str, name: &str) -> bool {
    ours.len() == name.len() && ours.bytes().zip(name.bytes()).all(|(a, b)| a == folded(b))
}

fn folded(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    }
}

/// What becomes of a header that a guest sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderClass {
    /// Any guest may set it.
    Harmless,
    /// Read by the gate, which writes it itself: `connection: close`, and a
    /// `content-length` that is that of the body.
    Gate,
    /// A wish about the connection, or what the gate writes in any case: not sent.
    Dropped,
    /// Never sent, whatever a rule says.
    Refused,
    /// Sent only where the rule names it.
    ByName,
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderRow {
    /// The name; with a star at its end, every name that begins so.
    pub name: &'static str,
    /// What becomes of it.
    pub class: HeaderClass,
    /// Why, after "because it".
    pub reason: &'static str,
}

/// What is said of a name that is not in the table.
const UNKNOWN: HeaderRow = HeaderRow {
    name: "*",
    class: HeaderClass::ByName,
    reason: "means what the server takes it to mean",
};

const CONTENT: &str = "only says how the body is written";
const WANTED: &str = "only says which form of the answer is wanted";
const CONDITION: &str = "only makes the request conditional";
const TRACE: &str = "only names the request in logs and traces";
const CONNECTION: &str = "wishes something of the connection, which is the host's";
const CREDENTIAL: &str =
    "says who asks; a secret belongs to the rule, whose credential the host adds";
const SOMEBODY: &str =
    "says on whose behalf the request comes, and servers behind proxies believe it";
const METHOD: &str = "asks for another method than the one that was granted";
const PATH: &str = "asks for another path or host than the one that was granted";
const PROXY: &str = "speaks to a proxy on the way";
const FRAMING: &str = "would say in a second way where the message ends";
const UPGRADE: &str = "would turn the connection into something else";

const fn row(name: &'static str, class: HeaderClass, reason: &'static str) -> HeaderRow {
    HeaderRow {
        name,
        class,
        reason,
    }
}

/// The table, sorted by name. A name that is not in it is sent only where the
/// rule names it, as the ones that are listed as such for their reason.
static TABLE: &[HeaderRow] = &[
    row("accept", Harmless, WANTED),
    row("accept-charset", Harmless, WANTED),
    row("accept-encoding", Harmless, WANTED),
    row("accept-language", Harmless, WANTED),
    row("authorization", ByName, CREDENTIAL),
    row("cache-control", Harmless, WANTED),
    row("cf-connecting-ip", ByName, SOMEBODY),
    row("client-ip", ByName, SOMEBODY),
    row(
        "connection",
        Gate,
        "asks for a connection of its own by `close`",
    ),
    row("content-encoding", Harmless, CONTENT),
    row("content-language", Harmless, CONTENT),
    row(
        "content-length",
        Gate,
        "is the length of the body, and is checked against it",
    ),
    row("content-type", Harmless, CONTENT),
    row("cookie", ByName, CREDENTIAL),
    row("expect", Dropped, CONNECTION),
    row("fastly-client-ip", ByName, SOMEBODY),
    row("forwarded", ByName, SOMEBODY),
    row("host", Dropped, "is made of the address that was matched"),
    row("http2-settings", Refused, UPGRADE),
    row(
        "idempotency-key",
        Harmless,
        "only says that a repetition is one",
    ),
    row("if-match", Harmless, CONDITION),
    row("if-modified-since", Harmless, CONDITION),
    row("if-none-match", Harmless, CONDITION),
    row("if-range", Harmless, CONDITION),
    row("if-unmodified-since", Harmless, CONDITION),
    row("keep-alive", Dropped, CONNECTION),
    row("origin", ByName, "says from which page the request comes"),
    row("pragma", Harmless, WANTED),
    row("prefer", Harmless, WANTED),
    row("proxy-authenticate", ByName, PROXY),
    row("proxy-authorization", ByName, PROXY),
    row("proxy-connection", Refused, UPGRADE),
    row("range", Harmless, WANTED),
    row("referer", ByName, "says from which page the request comes"),
    row("remote-user", ByName, SOMEBODY),
    row("te", Dropped, CONNECTION),
    row("traceparent", Harmless, TRACE),
    row("tracestate", Harmless, TRACE),
    row("trailer", Dropped, CONNECTION),
    row("transfer-encoding", Refused, FRAMING),
    row("true-client-ip", ByName, SOMEBODY),
    row("upgrade", Refused, UPGRADE),
    row("user-agent", Harmless, "only says which program asks"),
    row("via", ByName, PROXY),
    row("x-client-ip", ByName, SOMEBODY),
    row("x-cluster-client-ip", ByName, SOMEBODY),
    row("x-correlation-id", Harmless, TRACE),
    row("x-forwarded-*", ByName, SOMEBODY),
    row("x-host", ByName, PATH),
    row("x-http-method", ByName, METHOD),
    row("x-http-method-override", ByName, METHOD),
    row("x-method-override", ByName, METHOD),
    row("x-original-*", ByName, PATH),
    row("x-real-ip", ByName, SOMEBODY),
    row("x-remote-user", ByName, SOMEBODY),
    row("x-request-id", Harmless, TRACE),
    row("x-rewrite-url", ByName, PATH),
];

/// The table, for people.
pub fn header_table() -> &'static [HeaderRow] {
    TABLE
}

/// What is decided about a name, in whatever spelling.
pub fn header_row(name: &str) -> &'static HeaderRow {
    let at = TABLE.partition_point(|row| {
        let text = row.name.trim_end_matches('*');
        text.bytes().lt(name.bytes().map(folded)) || same(text, name)
    });
    let found = at
        .checked_sub(1)
        .and_then(|at| TABLE.get(at))
        .filter(|row| match row.name.strip_suffix('*') {
            Some(start) => name
                .get(..start.len())
                .is_some_and(|head| same(start, head)),
            None => same(row.name, name),
        });
    match found {
        // The gate reads this spelling and no other.
        Some(row) if row.class == Gate && row.name != name.to_ascii_lowercase() => &SPELLED,
        Some(row) => row,
        None => &UNKNOWN,
    }
}

/// `content_length` and its like.
static SPELLED: HeaderRow = row("content_length", Refused, FRAMING);

impl HeaderRow {
    /// May a credential be its value? What any guest may set, what the gate owns
    /// and what means something to proxies may not.
    pub fn may_be_secret(&self) -> bool {
        !self.is_listed() || self.reason == CREDENTIAL
    }

    /// Does the table say something of this name, and not of all others?
    pub(crate) fn is_listed(&self) -> bool {
        self.name != UNKNOWN.name
    }
}

/// The headers that say who asks. Where the host says it, a guest does not.
const WHO: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

impl Credential {
    /// Does the host alone set this header where it adds the credential?
    pub fn reserves(&self, name: &str) -> bool {
        let own = match self {
            Self::Bearer(_) | Self::Basic { .. } | Self::OAuth2 { .. } => false,
            Self::Header { name: own, .. } => own.replace('_', "-") == folded_name(name),
            Self::SigV4 { .. } => {
                let name = folded_name(name);
                name == "date" || (name.starts_with("x-amz-") && name != "x-amz-target")
            }
        };
        own || WHO.iter().any(|who| same(who, name))
    }
}

fn folded_name(name: &str) -> String {
    name.bytes().map(|byte| char::from(folded(byte))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_table_is_sorted_and_in_one_spelling() {
        for pair in TABLE.windows(2) {
            let [one, other] = pair else { unreachable!() };
            assert!(one.name < other.name, "{} {}", one.name, other.name);
        }
        for row in TABLE {
            assert!(!row.name.contains('_') && !row.reason.is_empty());
            let name = row.name.replace('*', "x");
            assert_eq!(header_row(&name), row, "{name}");
            assert_eq!(header_row(&name.to_ascii_uppercase()), row, "{name}");
            let spelled = header_row(&name.replace('-', "_"));
            let refused = row.class == Gate && name.contains('-');
            assert_eq!(*spelled, if refused { SPELLED } else { *row }, "{name}");
            // One letter more or less is another name.
            for near in [format!("{name}x"), format!("x{name}")] {
                assert!(header_row(&near).class == ByName, "{near}");
            }
        }
    }

    #[test]
    fn a_name_has_one_spelling() {
        let name = HeaderName::parse("X_Scope-OrgID").unwrap();
        assert_eq!(name.as_str(), "x-scope-orgid");
        assert!(name.is("X-SCOPE_ORGID") && !name.is("x-scope-orgid2") && !name.is("x-scope"));
        for wrong in ["", "a b", "a:", "\u{fc}", "a\r\nb"] {
            assert!(HeaderName::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
