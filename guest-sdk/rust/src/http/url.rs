//! Addresses. A URL library would weigh more than the rest of the client
//! (international names), and the host judges the address anyway: here it only
//! has to be taken apart in the one way that leaves nothing to interpretation.

use std::fmt;

/// An absolute `http` or `https` address in the three parts WASI wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) https: bool,
    pub(crate) authority: String,
    /// Begins with `/`.
    pub(crate) path_and_query: String,
}

impl Url {
    /// Takes an address apart. Characters that must not stand in a path or
    /// query are percent-encoded; a fragment is dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            format!("{text:?} is not an absolute address: it must begin with http:// or https://")
        })?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => {
                return Err(format!(
                    "{scheme}:// is not supported, only http:// and https://"
                ));
            }
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("an address must not hold a user name or password: \
                 the operator adds credentials to the grant"
                .to_owned());
        }
        let bad = |c: char| {
            c.is_whitespace() || c.is_control() || !c.is_ascii() || "\\\"<>^`{|}%".contains(c)
        };
        if authority.is_empty() || authority.starts_with(':') || authority.contains(bad) {
            return Err(format!("{text:?} has no usable host name"));
        }
        let mut path_and_query = String::with_capacity(path.len() + 1);
        if !path.starts_with('/') {
            path_and_query.push('/');
        }
        push_path(&mut path_and_query, path);
        Ok(Self {
            https,
            authority: authority.to_ascii_lowercase(),
            path_and_query,
        })
    }

    /// The address of something below this one, which is taken as a folder:
    /// `http://h/api` and `/v1/x` make `http://h/api/v1/x`.
    pub(crate) fn join(&self, below: &str) -> Result<Self, String> {
        if below.contains("://") {
            return Self::parse(below);
        }
        if below.is_empty() {
            return Ok(self.clone());
        }
        let below = below.split('#').next().unwrap_or_default();
        let path = self.path();
        let mut joined = if below.starts_with('?') {
            path.to_owned()
        } else {
            format!("{}/", path.trim_end_matches('/'))
        };
        push_path(&mut joined, below.strip_prefix('/').unwrap_or(below));
        Ok(Self {
            path_and_query: joined,
            ..self.clone()
        })
    }

    /// What a reference in an answer to this address means (RFC 3986, without
    /// steps upwards): `?b` keeps the path, `/b` replaces it, `b` its last part.
    pub(crate) fn resolve(&self, reference: &str) -> Result<Self, String> {
        let reference = reference.split('#').next().unwrap_or_default();
        if reference.contains("://") {
            return Self::parse(reference);
        }
        let kept = match reference.bytes().next() {
            _ if reference.starts_with("//") => {
                let scheme = if self.https { "https:" } else { "http:" };
                return Self::parse(&format!("{scheme}{reference}"));
            }
            None => &self.path_and_query,
            Some(b'?') => self.path(),
            Some(b'/') => "",
            Some(_) => self.path().rsplit_once('/').map_or("/", |(folder, last)| {
                let path = self.path();
                path.get(..path.len() - last.len()).unwrap_or(folder)
            }),
        };
        let mut joined = kept.to_owned();
        push_path(&mut joined, reference);
        Ok(Self {
            path_and_query: joined,
            ..self.clone()
        })
    }

    /// The whole address.
    pub(crate) fn whole(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path_and_query)
    }

    pub(crate) fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or("/")
    }

    /// Puts the value there instead of those of the same name.
    pub(crate) fn set_query(&mut self, name: &str, value: &str) {
        let encoded = segment(name);
        if let Some((path, query)) = self.path_and_query.split_once('?') {
            let others: Vec<_> = query
                .split('&')
                .filter(|pair| {
                    let other = pair.split('=').next().unwrap_or_default();
                    !pair.is_empty() && other != encoded && other != name
                })
                .collect();
            let mark = if others.is_empty() { "" } else { "?" };
            self.path_and_query = format!("{path}{mark}{}", others.join("&"));
        }
        self.push_query(name, value);
    }

    pub(crate) fn push_query(&mut self, name: &str, value: &str) {
        let mark = if self.path_and_query.contains('?') {
            '&'
        } else {
            '?'
        };
        self.path_and_query.push(mark);
        push_encoded(&mut self.path_and_query, name);
        self.path_and_query.push('=');
        push_encoded(&mut self.path_and_query, value);
    }
}

/// Without the query, which may hold what is nobody's business.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path())
    }
}

/// Names and values as the body of a form.
pub(super) fn form<N: AsRef<str>, V: ToString>(fields: impl IntoIterator<Item = (N, V)>) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        if !body.is_empty() {
            body.push('&');
        }
        push_encoded(&mut body, name.as_ref());
        body.push('=');
        push_encoded(&mut body, &value.to_string());
    }
    body
}

/// Encodes a text so that it stands for itself in one segment of a path.
///
/// ```
/// assert_eq!(servo_driver::http::segment("a/b c"), "a%2Fb%20c");
/// ```
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_encoded(&mut out, text);
    out
}

fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            push_percent(out, byte);
        }
    }
}

/// What is legal stays, including the percent signs of what is encoded already.
fn push_path(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            push_percent(out, byte);
        }
    }
}

fn push_percent(out: &mut String, byte: u8) {
    out.push('%');
    for digit in [byte >> 4, byte & 15] {
        out.push(
            char::from_digit(digit.into(), 16)
                .unwrap_or('0')
                .to_ascii_uppercase(),
        );
    }
}

/// The value of an `authorization` header for basic authentication. Prefer to
/// have the host add credentials: then the driver never sees them.
///
/// ```
/// assert_eq!(servo_driver::http::basic_credentials("u", "p"), "Basic dTpw");
/// ```
pub fn basic_credentials(user: &str, password: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::from("Basic ");
    for chunk in format!("{user}:{password}").as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4_usize {
            let index = (bits >> (18 - 6 * at)) & 63;
            let letter = ALPHABET.get(index as usize).copied().unwrap_or(b'=');
            out.push(if at > chunk.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, https, authority, path) in [
            ("http://app:9000", false, "app:9000", "/"),
            ("HTTPS://App/", true, "app", "/"),
            ("http://app?x=1", false, "app", "/?x=1"),
            (
                "http://app/a b/ü?q=\"#frag",
                false,
                "app",
                "/a%20b/%C3%BC?q=%22",
            ),
            ("http://[::1]:80/x%20y", false, "[::1]:80", "/x%20y"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.https, &*url.authority, &*url.path_and_query),
                (https, authority, path),
                "{text}"
            );
        }
    }

    #[test]
    fn odd_addresses_are_refused() {
        for text in [
            "app/x",
            "ftp://app/",
            "http:///x",
            "http://:80/",
            "http://u:p@app/",
            "http://a b/",
            "http://a%2fb/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_base_is_a_folder() {
        for (base, below, whole) in [
            ("http://h/api", "settings", "/api/settings"),
            ("http://h/api/", "/settings", "/api/settings"),
            ("http://h", "", "/"),
            ("http://h/api?key=1", "x?y=2", "/api/x?y=2"),
            ("http://h/api", "?y=2", "/api?y=2"),
            ("http://h/api", "http://other/z", "/z"),
        ] {
            let url = Url::parse(base).unwrap().join(below).unwrap();
            assert_eq!(url.path_and_query, whole, "{base} {below}");
        }
    }

    #[test]
    fn query_values_stand_for_themselves() {
        let mut url = Url::parse("http://h/q").unwrap();
        url.push_query("of", "a&b=c d");
        url.push_query("é", "%");
        assert_eq!(url.path_and_query, "/q?of=a%26b%3Dc%20d&%C3%A9=%25");
        assert_eq!(url.to_string(), "http://h/q");
    }

    #[test]
    fn references_are_resolved() {
        for (reference, whole) in [
            ("", "http://h/api/x?page=1"),
            ("?page=2", "http://h/api/x?page=2"),
            ("/other?page=2#top", "http://h/other?page=2"),
            ("y", "http://h/api/y"),
            ("//g/z", "http://g/z"),
            ("https://g:1/z", "https://g:1/z"),
        ] {
            let url = Url::parse("http://h/api/x?page=1").unwrap();
            assert_eq!(
                url.resolve(reference).unwrap().whole(),
                whole,
                "{reference}"
            );
        }
        assert!(
            Url::parse("http://h/")
                .unwrap()
                .resolve("ftp://x/")
                .is_err()
        );
    }

    #[test]
    fn a_value_of_the_query_is_replaced() {
        for (before, after) in [
            ("http://h/x", "/x?c%26=2"),
            ("http://h/x?c%26=1", "/x?c%26=2"),
            ("http://h/x?a=1&c%26=1&b=2", "/x?a=1&b=2&c%26=2"),
        ] {
            let mut url = Url::parse(before).unwrap();
            url.set_query("c&", "2");
            assert_eq!(url.path_and_query, after, "{before}");
        }
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(
            form([("a", "x=1&y"), ("b c", "ü")]),
            "a=x%3D1%26y&b%20c=%C3%BC"
        );
    }

    #[test]
    fn base64_is_padded() {
        for (user, password, text) in [
            (
                "Aladdin",
                "open sesame",
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            ),
            ("a", "b", "Basic YTpi"),
            ("a", "bc", "Basic YTpiYw=="),
        ] {
            assert_eq!(basic_credentials(user, password), text);
        }
    }
}
