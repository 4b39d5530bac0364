//! Paths in one spelling.
//!
//! `/v1/%2e%2e/admin` is under `/v1` to a matcher that compares text and
//! outside it to a server that decodes first. So a path has one canonical form
//! here (RFC 3986 section 6.2.2: escapes in upper case, none for characters
//! that need none), matching is done on its decoded segments, and the canonical
//! form is what is sent. What servers are known to disagree about is refused
//! and not repaired: dot segments in any spelling, encoded `/` and `\`, `;`
//! (which some servers cut away *before* they resolve `..`), empty segments,
//! escapes inside escapes, escapes that are not UTF-8 (overlong forms).

/// The longest path and query together, in bytes. Servers refuse requests of
/// 8 KiB by default; a longer one is an attack on somebody's buffers.
pub(crate) const MAX_PATH_AND_QUERY: usize = 8 * 1024;

/// A path in canonical form, with the decoded form that rules are matched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CanonicalPath {
    pub(crate) text: String,
    /// Only when it differs from `text`.
    decoded: Option<String>,
}

/// Why a path is refused: offset in its text, problem.
pub(crate) type PathError = (usize, &'static str);

impl CanonicalPath {
    pub(crate) fn decoded(&self) -> &str {
        self.decoded.as_deref().unwrap_or(&self.text)
    }

    /// The canonical text, and the decoded form when it differs.
    pub(crate) fn into_parts(self) -> (String, Option<String>) {
        (self.text, self.decoded)
    }

    /// Parses the path of a request (before any `?`). An empty path is `/`.
    pub(crate) fn parse(path: &str) -> Result<Self, PathError> {
        if path.is_empty() {
            return Ok(Self {
                text: "/".to_owned(),
                decoded: None,
            });
        }
        if !path.starts_with('/') {
            return Err((0, "a path must begin with `/`"));
        }
        // Most paths are canonical as they come.
        if path.bytes().all(|byte| byte == b'/' || is_pchar(byte)) {
            let path = Self {
                text: path.to_owned(),
                decoded: None,
            };
            path.check_segments()?;
            return Ok(path);
        }
        let mut text = String::with_capacity(path.len());
        let mut decoded: Vec<u8> = Vec::new();
        let mut escaped = false;
        let mut bytes = path.bytes().enumerate();
        while let Some((at, byte)) = bytes.next() {
            let value = match byte {
                b'%' => {
                    let value = hex_pair(bytes.next(), bytes.next())
                        .ok_or((at, "`%` must be followed by two hexadecimal digits"))?;
                    match value {
                        b'/' | b'\\' => return Err((at, "an encoded separator is refused")),
                        b'%' if escape_follows(path, at + 3) => {
                            return Err((at, "an escape inside an escape is refused"));
                        }
                        _ => {}
                    }
                    value
                }
                b'\\' => return Err((at, "a backslash is refused")),
                b'?' | b'#' => return Err((at, "`?` and `#` cannot be part of a path")),
                byte => byte,
            };
            match value {
                0..=0x1f | 0x7f => return Err((at, "a control character is refused")),
                b';' => return Err((at, "`;` is refused: servers disagree about what it cuts")),
                _ if !byte.is_ascii() => {
                    return Err((at, "characters beyond ASCII must be escaped"));
                }
                _ => {}
            }
            let plain = if byte == b'%' {
                is_unreserved(value)
            } else {
                value == b'/' || is_pchar(value)
            };
            if !plain && !escaped {
                escaped = true;
                decoded.extend_from_slice(text.as_bytes());
            }
            if escaped {
                decoded.push(value);
            }
            if plain {
                text.push(char::from(value));
            } else {
                push_escape(&mut text, value);
            }
        }
        let decoded = if escaped {
            Some(String::from_utf8(decoded).map_err(|_| (0, "an escape is not UTF-8"))?)
        } else {
            None
        };
        let path = Self { text, decoded };
        path.check_segments()?;
        Ok(path)
    }

    fn check_segments(&self) -> Result<(), PathError> {
        let mut at = 1;
        let mut segments = self.decoded().split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            if segment.is_empty() && segments.peek().is_some() {
                return Err((at, "an empty segment (`//`) is refused"));
            }
            if !segment.is_empty() && segment.bytes().all(|b| b == b'.' || b == b' ') {
                return Err((at, "a dot segment is refused"));
            }
            at += segment.len() + 1;
        }
        Ok(())
    }
}

/// Appends the query, `?` included, in canonical form: what RFC 3986 does not
/// allow in a query is escaped, and so is `'`, which URL parsers escape there;
/// what is sent is then the same text whoever parses it next.
pub(crate) fn push_query(out: &mut String, query: &str) -> Result<(), PathError> {
    out.push('?');
    if query.bytes().all(|byte| byte != b'\'' && is_pchar(byte)) {
        out.push_str(query);
        return Ok(());
    }
    for (at, byte) in query.bytes().enumerate() {
        match byte {
            0..=0x1f | 0x7f => return Err((at, "a control character is refused")),
            b'#' => return Err((at, "a fragment is refused")),
            _ if !byte.is_ascii() => return Err((at, "characters beyond ASCII must be escaped")),
            b'%' if !escape_follows(query, at + 1) => {
                return Err((at, "`%` must be followed by two hexadecimal digits"));
            }
            b'%' | b'/' | b'?' => out.push(char::from(byte)),
            b'\'' => push_escape(out, byte),
            _ if is_pchar(byte) || byte == b';' => out.push(char::from(byte)),
            _ => push_escape(out, byte),
        }
    }
    Ok(())
}

fn push_escape(out: &mut String, value: u8) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    out.push('%');
    for digit in [value >> 4, value & 15] {
        out.extend(HEX.get(usize::from(digit)));
    }
}

/// Do two hexadecimal digits stand at `at`?
fn escape_follows(text: &str, at: usize) -> bool {
    text.as_bytes()
        .get(at..at + 2)
        .is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
}

fn hex_pair(high: Option<(usize, u8)>, low: Option<(usize, u8)>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(high?.1)? * 16 + digit(low?.1)?;
    u8::try_from(value).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 `pchar` without escapes, and without `;` (see the module header).
fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
        )
}
