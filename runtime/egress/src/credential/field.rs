//! Credentials that are the value of one field: bearer, basic, or any other.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use servo_policy::SecretSource;
use zeroize::Zeroizing;

use super::authorize::{Authorize, Cache, Draft, Prepared};
use super::error::AuthorizeError;
use super::scrub::Patterns;
use super::secret::Secret;
use super::source::Source;

pub(super) struct Field {
    name: HeaderName,
    form: Form,
    source: Source,
}

pub(super) enum Form {
    /// The secret between two texts.
    Between { before: String, after: String },
    /// User and password (RFC 7617).
    Basic { user: String },
    /// A client's id and its secret, each as in a form first (RFC 6749, section
    /// 2.3.1).
    Client { id: String },
}

impl Form {
    /// The secret between two texts.
    pub(super) fn between(before: &str, after: &str) -> Self {
        Self::Between {
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }

    /// # Errors
    /// It could not be the value of a field.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Basic { user } if user.contains(|c: char| c == ':' || c.is_control()) => {
                Err("the user's name has a colon or a control character".to_owned())
            }
            Self::Between { before, after } => {
                let plain = |text: &String| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
                if plain(before) && plain(after) {
                    Ok(())
                } else {
                    Err("the template has a character that is not ASCII".to_owned())
                }
            }
            Self::Basic { .. } | Self::Client { .. } => Ok(()),
        }
    }
}

#[async_trait]
impl Authorize for Field {
    async fn authorize(
        &self,
        draft: &mut Draft<'_>,
        cache: &Cache,
    ) -> Result<Arc<Prepared>, AuthorizeError> {
        let secret = self.source.current(draft.until).await?;
        let prepared = cache.get(vec![secret], |secrets| self.prepare(secrets))?;
        prepared.insert(draft, self.name.clone())?;
        Ok(prepared)
    }

    fn refused(&self, secret: &Secret) {
        self.source.refused(secret);
    }
}

impl Field {
    /// # Errors
    /// The problem, without the value.
    pub(super) fn load(
        name: HeaderName,
        form: Form,
        secret: &SecretSource,
    ) -> Result<Self, String> {
        form.check()?;
        let source = Source::load(secret).map_err(|error| error.to_string())?;
        Ok(Self { name, form, source })
    }

    /// The field's value, and what to look for in the answer.
    fn prepare(&self, secrets: &[Secret]) -> Option<(Option<HeaderValue>, Patterns)> {
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
        let field = Field::load(http::header::AUTHORIZATION, form, &source).unwrap();
        let secret = Secret::new(Zeroizing::new(secret.as_bytes().to_vec())).unwrap();
        field.prepare(&[secret]).unwrap().0.unwrap()
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
        let value = value(Form::between("Key ", "!"), "hunter22");
        assert_eq!(value, "Key hunter22!");
        assert_eq!(format!("{value:?}"), "Sensitive");
    }
}
