//! An answer.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{
    error::{Error, Kind, beginning},
    message::Reply,
};
use crate::{json, text::shown};

/// An answer, whatever its status: ask [`ok`](Self::ok) for a success.
#[derive(Debug, Clone)]
pub struct Response {
    request: Arc<str>,
    reply: Reply,
}

impl Response {
    pub(super) fn new(request: &Arc<str>, reply: Reply) -> Self {
        Self {
            request: Arc::clone(request),
            reply,
        }
    }

    /// The status, for example 200.
    pub fn status(&self) -> u16 {
        self.reply.status
    }

    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.reply.status)
    }

    /// The answer itself when its status is a success.
    ///
    /// # Errors
    ///
    /// [`Kind::Status`] with the beginning of the body, and for 300 to 399
    /// [`Kind::Redirect`] with the place it leads to.
    pub fn ok(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let status = self.reply.status;
        let kind = if (300..400).contains(&status) {
            let location = self.header("location").map(str::to_owned);
            Kind::Redirect { status, location }
        } else {
            Kind::Status {
                status,
                body: self.encoding().map_or_else(
                    || beginning(&self.reply.body),
                    |coding| format!("a body with the encoding {:?}", shown(coding, 50)),
                ),
            }
        };
        Err(Error::new(&self.request, kind))
    }

    /// The first header of this name, if there is one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.reply.headers.iter();
        named
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The address that the head links to with this relation, for example
    /// `next` (`link: <https://api/hosts?page=2>; rel="next"`).
    pub fn link(&self, relation: &str) -> Option<&str> {
        self.headers("link").find_map(|links| link(links, relation))
    }

    /// The coding of the body, if it has one.
    fn encoding(&self) -> Option<&str> {
        self.header("content-encoding")
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
    }

    /// The body, if it is not encoded.
    fn plain(&self) -> Result<&[u8], Error> {
        match self.encoding() {
            None => Ok(&self.reply.body),
            Some(coding) => Err(Error::new(&self.request, Kind::Encoded(shown(coding, 50)))),
        }
    }

    /// The body as a value of this type.
    ///
    /// # Errors
    ///
    /// [`Kind::Json`] with the path inside the document and the beginning of
    /// the body; [`Kind::Encoded`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        json::from_slice(self.plain()?).map_err(|error| {
            let body = beginning(&self.reply.body);
            Error::new(
                &self.request,
                Kind::Json {
                    message: shown(&error.to_string(), 500),
                    body,
                },
            )
        })
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// [`Kind::Protocol`] when it is not UTF-8; [`Kind::Encoded`].
    pub fn text(self) -> Result<String, Error> {
        self.plain()?;
        String::from_utf8(self.reply.body).map_err(|_| {
            Error::new(
                &self.request,
                Kind::Protocol("the body is not UTF-8".to_owned()),
            )
        })
    }

    /// The body as it arrived, in whatever encoding.
    pub fn bytes(&self) -> &[u8] {
        &self.reply.body
    }

    /// The body as it arrived, in whatever encoding.
    pub fn into_bytes(self) -> Vec<u8> {
        self.reply.body
    }

    /// How many bytes the body had, also where it was not kept.
    pub fn received(&self) -> u64 {
        self.reply.received
    }
}

/// The target of the first of these links that has the relation (RFC 8288).
fn link<'a>(links: &'a str, relation: &str) -> Option<&'a str> {
    let mut rest = links;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let end = end_of_link(after);
        let (parameters, left) = after.split_at(end);
        let fits = parameters.split(';').any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else {
                return false;
            };
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .split_ascii_whitespace()
                    .any(|one| one.eq_ignore_ascii_case(relation))
        });
        if fits {
            return Some(target);
        }
        rest = left;
    }
}

/// Where the parameters of a link end: at a comma outside of quotes.
fn end_of_link(text: &str) -> usize {
    let mut quoted = false;
    let comma = text.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ',' && !quoted
    });
    comma.map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::link;

    #[test]
    fn links_are_found_by_their_relation() {
        for (text, target) in [
            (
                r#"<http://a/?page=2>; rel="next""#,
                Some("http://a/?page=2"),
            ),
            (r#"<a>; rel=prev, <b>; rel=next"#, Some("b")),
            (
                r#"<a>; title="x, rel=next"; rel="last", <b?x=1,2>; REL="up next""#,
                Some("b?x=1,2"),
            ),
            (r#"<a>; rel="nextish""#, None),
            ("a; rel=next", None),
            ("", None),
        ] {
            assert_eq!(link(text, "next"), target, "{text}");
        }
    }
}
