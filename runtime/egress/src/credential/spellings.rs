//! The spellings in which a server may give a secret back.
//!
//! A page repeats what it was sent, or prints it as its own format wants it: in
//! a URL, in JSON, in HTML, or as base64, alone or in the middle of a longer
//! text. Anything beyond (hex, a hash, the text reversed, compressed, cut in
//! pieces) is not found. No list can be complete: it is made for servers that
//! echo by mistake, and a server that works together with a driver can hand it
//! any secret that it is sent.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// Base64 of a shorter secret in the middle of something else is so short that
/// it would be found where it is not.
const SHORTEST_EMBEDDED: usize = 8;

type Spelling = Zeroizing<Vec<u8>>;

/// Every spelling of `secret` that is looked for, each once.
pub(super) fn spellings(secret: &[u8]) -> Vec<Spelling> {
    let mut all: Vec<Spelling> = Vec::new();
    let mut add = |spelling: Spelling| {
        if !spelling.is_empty() && !all.contains(&spelling) {
            all.push(spelling);
        }
    };
    add(Zeroizing::new(secret.to_vec()));
    for digits in [b"0123456789ABCDEF", b"0123456789abcdef"] {
        for keep in [unreserved, component, query, nothing] {
            add(percent(secret, digits, keep));
        }
        // A form's space.
        let form = percent(secret, digits, |byte| unreserved(byte) || byte == b' ');
        add(map(&form, |byte| (byte == b' ').then_some(&b"+"[..])));
    }
    for escapes in [JSON, JSON_SLASH, JSON_HTML, HTML, HTML_HEX] {
        add(map(secret, |byte| {
            escapes.iter().find(|(from, _)| *from == byte).map(|e| e.1)
        }));
    }
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        add(Zeroizing::new(engine.encode(secret).into_bytes()));
        if secret.len() >= SHORTEST_EMBEDDED {
            for before in 0..3 {
                add(embedded(secret, before, engine));
            }
        }
    }
    all
}

type Escapes = &'static [(u8, &'static [u8])];

const JSON: Escapes = &[(b'"', b"\\\""), (b'\\', b"\\\\")];
const JSON_SLASH: Escapes = &[(b'"', b"\\\""), (b'\\', b"\\\\"), (b'/', b"\\/")];
const JSON_HTML: Escapes = &[
    (b'"', b"\\\""),
    (b'\\', b"\\\\"),
    (b'<', b"\\u003c"),
    (b'>', b"\\u003e"),
    (b'&', b"\\u0026"),
];
const HTML: Escapes = &[
    (b'&', b"&amp;"),
    (b'<', b"&lt;"),
    (b'>', b"&gt;"),
    (b'"', b"&quot;"),
    (b'\'', b"&#39;"),
];
const HTML_HEX: Escapes = &[
    (b'&', b"&amp;"),
    (b'<', b"&lt;"),
    (b'>', b"&gt;"),
    (b'"', b"&#34;"),
    (b'\'', b"&#x27;"),
];

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What scripts leave as it is (`encodeURIComponent`).
fn component(byte: u8) -> bool {
    unreserved(byte) || b"!'()*".contains(&byte)
}

/// What may stand in a query as it is.
fn query(byte: u8) -> bool {
    unreserved(byte) || b"!$&'()*+,;=:@/?".contains(&byte)
}

fn nothing(_: u8) -> bool {
    false
}

fn percent(secret: &[u8], digits: &[u8; 16], keep: fn(u8) -> bool) -> Spelling {
    let digit = |nibble: u8| digits.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut out = Zeroizing::new(Vec::with_capacity(3 * secret.len()));
    for &byte in secret {
        if keep(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

fn map(secret: &[u8], escape: impl Fn(u8) -> Option<&'static [u8]>) -> Spelling {
    let mut out = Zeroizing::new(Vec::with_capacity(6 * secret.len()));
    for &byte in secret {
        match escape(byte) {
            Some(text) => out.extend_from_slice(text),
            None => out.push(byte),
        }
    }
    out
}

/// What base64 of a longer text surely has in it when `before` bytes (by three)
/// stand before the secret: its characters that hold bits of the secret alone.
fn embedded(secret: &[u8], before: usize, engine: &dyn Encode) -> Spelling {
    let mut bytes = Zeroizing::new(vec![0; before]);
    bytes.reserve_exact(secret.len());
    bytes.extend_from_slice(secret);
    let text = Zeroizing::new(engine.text(&bytes));
    let first = (before * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    Zeroizing::new(text.as_bytes().get(first..end).unwrap_or_default().to_vec())
}

/// Base64 in one of its alphabets.
trait Encode {
    fn text(&self, bytes: &[u8]) -> String;
}

impl<E: base64::Engine> Encode for E {
    fn text(&self, bytes: &[u8]) -> String {
        self.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    fn has(secret: &str, spelled: &str) {
        let all = spellings(secret.as_bytes());
        assert!(
            all.iter().any(|one| ***one == *spelled.as_bytes()),
            "{secret}: no {spelled}"
        );
    }

    #[test]
    fn e2_the_spellings_that_are_looked_for() {
        let secret = r#"a/b+c d"e\f<g>&'h~"#;
        has(secret, secret);
        has(secret, "a%2Fb%2Bc%20d%22e%5Cf%3Cg%3E%26%27h~");
        has(secret, "a%2fb%2bc%20d%22e%5cf%3cg%3e%26%27h~");
        has(secret, "a%2Fb%2Bc%20d%22e%5Cf%3Cg%3E%26'h~");
        has(secret, "a/b+c%20d%22e%5Cf%3Cg%3E&'h~");
        has(secret, "a%2Fb%2Bc+d%22e%5Cf%3Cg%3E%26%27h~");
        has("a/b", "%61%2F%62");
        has("a/b", "%61%2f%62");
        has(secret, &serde_json::to_string(secret).unwrap()[1..][..20]);
        has(secret, r#"a\/b+c d\"e\\f<g>&'h~"#);
        has(secret, r#"a/b+c d\"e\\f\u003cg\u003e\u0026'h~"#);
        has(secret, r#"a/b+c d&quot;e\f&lt;g&gt;&amp;&#39;h~"#);
        has(secret, STANDARD.encode(secret).trim_end_matches('='));
        has(secret, URL_SAFE.encode(secret).trim_end_matches('='));
    }

    #[test]
    fn e2_base64_of_a_longer_text_holds_a_spelling() {
        let secret = b"hunter22>?x";
        for before in 0..7 {
            for after in 0..7 {
                let mut text = vec![b'q'; before];
                text.extend_from_slice(secret);
                text.extend(vec![b'z'; after]);
                for coded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                    let found = spellings(secret)
                        .iter()
                        .any(|one| coded.as_bytes().windows(one.len()).any(|w| *w == ***one));
                    assert!(found, "{before} {after} {coded}");
                }
            }
        }
    }

    #[test]
    fn short_secrets_are_looked_for_too_but_not_in_the_middle_of_base64() {
        has("ab", "ab");
        has("ab", "YWI");
        assert!(spellings(b"ab").iter().all(|one| one.len() >= 2));
    }
}
