//! The value of a secret: kept in one buffer, wiped when the last user is done.
//!
//! A value is taken as it is or not at all. What is cut, decoded or trimmed
//! would be another value than the operator's, and the server's refusal of it
//! would look like a fault of the driver. So what cannot be one line of a
//! header field is refused, with a reason that does not repeat it.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// The longest value. Servers refuse fields of more than 8 to 16 KiB.
pub(super) const LONGEST: usize = 8 * 1024;

/// A secret. Clones share the one buffer.
#[derive(Clone)]
pub(super) struct Secret(Arc<Zeroizing<Vec<u8>>>);

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSecret {
    #[error("the secret is empty")]
    Empty,
    #[error("the secret is longer than 8 KiB")]
    TooLong,
    #[error("the secret has more than one line; one final line end is allowed")]
    Lines,
    #[error("the secret has a control character in it")]
    Control,
    #[error("the secret has a character in it that is not ASCII")]
    NotAscii,
    #[error("the secret begins or ends with a space, which header fields lose on the way")]
    Space,
}

impl Secret {
    /// Takes a value as its source gave it. One final line end is not part of it.
    pub(super) fn new(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadSecret> {
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err(BadSecret::Empty);
        };
        if bytes.len() > LONGEST {
            return Err(BadSecret::TooLong);
        }
        if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return Err(BadSecret::Lines);
        }
        if bytes.iter().any(u8::is_ascii_control) {
            return Err(BadSecret::Control);
        }
        if !bytes.is_ascii() {
            return Err(BadSecret::NotAscii);
        }
        if *first == b' ' || *last == b' ' {
            return Err(BadSecret::Space);
        }
        Ok(Self(Arc::new(bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as text; it is ASCII.
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Is this the same buffer? Values are not compared.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    #[cfg(test)]
    pub(super) fn watch(&self) -> std::sync::Weak<Zeroizing<Vec<u8>>> {
        Arc::downgrade(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn secret(text: &str) -> Result<Secret, BadSecret> {
        Secret::new(Zeroizing::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn e8_what_is_no_secret() {
        for (text, why) in [
            ("", BadSecret::Empty),
            ("\n", BadSecret::Empty),
            ("\r\n", BadSecret::Empty),
            ("one\ntwo", BadSecret::Lines),
            ("one\n\n", BadSecret::Lines),
            ("one\rtwo", BadSecret::Lines),
            ("one\ttwo", BadSecret::Control),
            ("one\0", BadSecret::Control),
            ("one\u{7f}", BadSecret::Control),
            ("ünf", BadSecret::NotAscii),
            (" one", BadSecret::Space),
            ("one \n", BadSecret::Space),
            (&"x".repeat(LONGEST + 1), BadSecret::TooLong),
            (&"x".repeat(64 << 10), BadSecret::TooLong),
        ] {
            assert_eq!(secret(text).unwrap_err(), why, "{:.20?}", text);
        }
    }

    #[test]
    fn e8_one_final_line_end_is_not_part_of_it() {
        for text in ["one two", "one two\n", "one two\r\n"] {
            assert_eq!(secret(text).unwrap().text(), "one two");
        }
        let longest = "x".repeat(LONGEST);
        assert_eq!(secret(&format!("{longest}\n")).unwrap().text(), longest);
    }

    #[test]
    fn e5_debug_hides_it() {
        assert_eq!(format!("{:?}", secret("hunter2").unwrap()), "Secret(..)");
    }
}
