//! Credentials that are the value of one field: bearer, basic, or any other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use servo_policy::{Credential, SecretSource};
use zeroize::Zeroizing;

use super::scrub::Patterns;
use super::secret::Secret;
use super::source::Source;
use crate::headers::belongs_to_host;

pub(super) struct Field {
    name: HeaderName,
    form: Form,
    source: Source,
}

enum Form {
    /// The secret between two texts.
    Between { before: String, after: String },
    /// User and password (RFC 7617).
    Basic { user: String },
    /// A client's id and its secret, each as in a form first (RFC 6749, section
    /// 2.3.1).
    Client { id: String },
}

impl Field {
    /// # Errors
    /// The problem, without the value.
    pub(super) fn load(credential: &Credential) -> Result<Self, String> {
        let authorization = header::AUTHORIZATION;
        match credential {
            Credential::Bearer(secret) => {
                let form = Form::Between {
                    before: "Bearer ".to_owned(),
                    after: String::new(),
                };
                Self::new(authorization, form, secret)
            }
            Credential::Basic { user, password } => {
                if user.contains(|c: char| c == ':' || c.is_control()) {
                    return Err("the user's name has a colon or a control character".to_owned());
                }
                let form = Form::Basic { user: user.clone() };
                Self::new(authorization, form, password)
            }
            Credential::Header {
                name,
                before,
                secret,
                after,
            } => {
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| format!("{name:?} is not the name of a field"))?;
                if belongs_to_host(&name) {
                    return Err(format!("`{name}` is the host's to set"));
                }
                for text in [before, after] {
                    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                        return Err("the template has a character that is not ASCII".to_owned());
                    }
                }
                let form = Form::Between {
                    before: before.trim_start().to_owned(),
                    after: after.trim_end().to_owned(),
                };
                Self::new(name, form, secret)
            }
            Credential::SigV4 { .. } | Credential::OAuth2 { .. } => {
                Err("it is not the value of a field".to_owned())
            }
        }
    }

    /// How a client of a token's server proves itself.
    pub(super) fn client(id: &str, secret: &SecretSource) -> Result<Self, String> {
        let form = Form::Client { id: id.to_owned() };
        Self::new(header::AUTHORIZATION, form, secret)
    }

    fn new(name: HeaderName, form: Form, secret: &SecretSource) -> Result<Self, String> {
        let source = Source::load(secret).map_err(|error| error.to_string())?;
        Ok(Self { name, form, source })
    }

    pub(super) fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// The field's value, and what to look for in the answer.
    pub(super) fn dress(&self, secrets: &[Secret]) -> Option<(Option<HeaderValue>, Patterns)> {
        let secret = secrets.first()?.bytes();
        let (value, patterns) = match &self.form {
            Form::Between { before, after } => {
                let value = [before.as_bytes(), secret, after.as_bytes()];
                (joined(&value), Patterns::new([secret])?)
            }
            Form::Basic { user } => basic(user.as_bytes(), secret, &[secret])?,
            Form::Client { id } => {
                let coded = form_coded(secret);
                basic(&form_coded(id.as_bytes()), &coded, &[secret, &coded])?
            }
        };
        Some((Some(sensitive(value)?), patterns))
    }
}

fn basic(
    user: &[u8],
    password: &[u8],
    secrets: &[&[u8]],
) -> Option<(Zeroizing<Vec<u8>>, Patterns)> {
    let pair = Zeroizing::new(STANDARD.encode(joined(&[user, b":", password])));
    let patterns = Patterns::new(secrets.iter().copied().chain([pair.as_bytes()]))?;
    Some((joined(&[b"Basic ", pair.as_bytes()]), patterns))
}

/// One buffer that does not grow.
fn joined(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut all = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        all.extend_from_slice(part);
    }
    all
}

/// A value that is not shown by `Debug`, and wiped when its last clone is gone.
pub(super) fn sensitive(value: Zeroizing<Vec<u8>>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `application/x-www-form-urlencoded`, as RFC 6749 (appendix B) asks for.
pub(super) fn form_coded(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let digit = |nibble: u8| b"0123456789ABCDEF".get(usize::from(nibble)).copied();
    let mut coded = Zeroizing::new(Vec::with_capacity(3 * text.len()));
    for &byte in text {
        match byte {
            b' ' => coded.push(b'+'),
            _ if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) => coded.push(byte),
            _ => {
                coded.push(b'%');
                coded.extend([digit(byte >> 4), digit(byte & 15)].into_iter().flatten());
            }
        }
    }
    coded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn value(form: Form, secret: &str) -> HeaderValue {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, secret).unwrap();
        let source = SecretSource::File(path);
        let field = Field::new(header::AUTHORIZATION, form, &source).unwrap();
        let secret = Secret::new(Zeroizing::new(secret.as_bytes().to_vec())).unwrap();
        field.dress(&[secret]).unwrap().0.unwrap()
    }

    /// The examples of RFC 7617 (section 2) and RFC 6749 (section 2.3.1).
    #[test]
    fn the_values_of_the_standards() {
        let basic = Form::Basic {
            user: "Aladdin".to_owned(),
        };
        let aladdin = value(basic, "open sesame");
        assert_eq!(aladdin, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let client = Form::Client {
            id: "s6BhdRkqt3".to_owned(),
        };
        let rfc = value(client, "7Fjfp0ZBr1KtDRbnfVdmIw");
        assert_eq!(rfc, "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
        assert_eq!(&**form_coded(b"a b+c:%&*~"), b"a+b%2Bc%3A%25%26*%7E");
    }

    #[test]
    fn e5_the_value_is_sensitive() {
        let form = Form::Between {
            before: "Key ".to_owned(),
            after: "!".to_owned(),
        };
        let value = value(form, "hunter22");
        assert_eq!(value, "Key hunter22!");
        assert_eq!(format!("{value:?}"), "Sensitive");
    }

    #[test]
    fn fields_of_the_host_are_refused() {
        for name in [
            "host",
            "Content-Length",
            "connection",
            "x-forwarded-for",
            "range",
            "a b",
        ] {
            let credential = Credential::Header {
                name: name.to_owned(),
                before: String::new(),
                secret: SecretSource::Env("PATH".to_owned()),
                after: String::new(),
            };
            let problem = Field::load(&credential).err().unwrap();
            assert!(
                problem.contains("field") || problem.contains("host's"),
                "{problem}"
            );
        }
    }
}
