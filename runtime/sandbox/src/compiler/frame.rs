//! What goes to the child and what comes back, as bytes.
//!
//! An answer names the bytes that it is for and has a digest of its own, so
//! that an answer cut short, mixed up or written by something else on the same
//! pipe is none. That is a guard against accidents: a compiler that a component
//! has taken over can write a good frame, which is why it is locked up.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

/// Begins every answer; the number changes with its form.
const MAGIC: &[u8; 16] = b"servo-compiled-1";
/// Magic, digest of the input, kind, length, digest of the content.
const HEADER: usize = 16 + 32 + 1 + 8 + 32;

const CODE: u8 = 0;
const REFUSAL: u8 = 1;

/// The longest refusal that is passed on.
const MAX_REFUSAL: usize = 4096;

/// What the child answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Compiled code.
    Code(Vec<u8>),
    /// The engine does not take the component, in its own words.
    Refusal(String),
}

/// What comes before a component's bytes: their number.
pub(super) fn request(component: &[u8]) -> [u8; 8] {
    (component.len() as u64).to_le_bytes()
}

/// Reads a component in the child.
pub(crate) fn read_request(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut component = Vec::with_capacity(usize::try_from(length).map_err(io::Error::other)?);
    from.take(length).read_to_end(&mut component)?;
    if component.len() as u64 == length {
        Ok(component)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// The largest answer with code of at most `code` bytes.
pub(super) fn max_size(code: u64) -> u64 {
    code.max(MAX_REFUSAL as u64).saturating_add(HEADER as u64)
}

impl Answer {
    /// Writes it in the child: the answer to `component`.
    pub(crate) fn write(&self, component: &[u8], to: &mut impl Write) -> io::Result<()> {
        let (kind, content) = match self {
            Self::Code(code) => (CODE, code.as_slice()),
            Self::Refusal(text) => {
                let end = text.floor_char_boundary(MAX_REFUSAL);
                (REFUSAL, text.get(..end).unwrap_or_default().as_bytes())
            }
        };
        to.write_all(MAGIC)?;
        to.write_all(&Sha256::digest(component))?;
        to.write_all(&[kind])?;
        to.write_all(&(content.len() as u64).to_le_bytes())?;
        to.write_all(&Sha256::digest(content))?;
        to.write_all(content)?;
        to.flush()
    }

    /// Reads a whole answer, which must be one to `component`.
    pub(super) fn read(answer: Vec<u8>, component: &[u8]) -> Result<Self, &'static str> {
        let mut rest = answer.as_slice();
        let mut take = |length| rest.split_off(..length).ok_or("it is cut short");
        if take(MAGIC.len())? != MAGIC {
            return Err("it is no answer of the compiler");
        }
        if *take(32)? != *Sha256::digest(component) {
            return Err("it is for another component");
        }
        let kind = take(1)?;
        let length = take(8)?;
        let digest = take(32)?;
        if length != (rest.len() as u64).to_le_bytes() {
            return Err("its length is not the one it names");
        }
        if *digest != *Sha256::digest(rest) {
            return Err("its digest does not match");
        }
        match kind {
            [CODE] => {
                let mut code = answer;
                code.drain(..HEADER);
                Ok(Self::Code(code))
            }
            [REFUSAL] => Ok(Self::Refusal(String::from_utf8_lossy(rest).into_owned())),
            _ => Err("it is of an unknown kind"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: &Answer) -> Vec<u8> {
        let mut bytes = Vec::new();
        answer.write(b"component", &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn answers_come_back() {
        for answer in [
            Answer::Code(b"code".to_vec()),
            Answer::Refusal("no memory64".to_owned()),
        ] {
            assert_eq!(Answer::read(written(&answer), b"component"), Ok(answer));
        }
        let long = written(&Answer::Refusal("é".repeat(MAX_REFUSAL)));
        assert!(long.len() as u64 <= max_size(0));
        assert!(Answer::read(long, b"component").is_ok());
    }

    #[test]
    fn h4_an_answer_to_another_component_is_none() {
        let answer = written(&Answer::Code(b"code".to_vec()));
        assert_eq!(
            Answer::read(answer, b"componenT"),
            Err("it is for another component")
        );
    }

    #[test]
    fn h4_no_bit_of_an_answer_can_differ_and_no_byte_can_lack() {
        let answer = written(&Answer::Code(b"code".to_vec()));
        for bit in 0..answer.len() * 8 {
            let mut other = answer.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            // The kind alone is not covered by a digest: code that is shown as
            // a refusal is not used.
            match Answer::read(other, b"component") {
                Err(_) | Ok(Answer::Refusal(_)) => {}
                Ok(Answer::Code(_)) => panic!("bit {bit}"),
            }
        }
        for length in 0..answer.len() {
            assert!(Answer::read(answer[..length].to_vec(), b"component").is_err());
        }
        let longer = [&answer[..], b"x"].concat();
        assert!(Answer::read(longer, b"component").is_err());
    }

    #[test]
    fn a_component_that_is_cut_short_is_not_compiled() {
        let whole = [&request(b"component")[..], b"component"].concat();
        assert_eq!(read_request(&mut &whole[..]).unwrap(), b"component");
        assert!(read_request(&mut &whole[..whole.len() - 1]).is_err());
        assert!(read_request(&mut &whole[..5]).is_err());
    }
}
