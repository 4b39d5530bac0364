//! The alphabets in which a server may give a secret back.
//!
//! A page repeats what it was sent, or prints it as its own format wants it: as it
//! is, in hex, or as base64, alone or in the middle of a longer text. Escapes are
//! not spelled out here, they are undone ([`super::escapes`]). Anything beyond (a
//! hash, the text reversed, compressed, cut in pieces) is not found. No list can be
//! complete: it is made for servers that echo by mistake, and a server that works
//! together with a driver can hand it any secret that it is sent.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

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
        add(hex(secret, digits));
    }
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        add(Zeroizing::new(engine.encode(secret).into_bytes()));
        for before in 0..3 {
            add(embedded(secret, before, engine));
        }
    }
    all
}

fn hex(secret: &[u8], digits: &[u8; 16]) -> Spelling {
    let digit = |nibble: u8| digits.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut out = Zeroizing::new(Vec::with_capacity(2 * secret.len()));
    for &byte in secret {
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
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
}
