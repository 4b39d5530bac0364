//! Characters to tokens.

use super::{FormulaError, MAX_LENGTH, shorten};

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Name(String),
    Symbol(&'static str),
}

/// Symbols, longer ones first so that `**` is not read as two `*`.
const SYMBOLS: [&str; 19] = [
    "**", "//", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "<", ">", "(", ")", "[", "]", ",",
    ".",
];

/// A token with its position, counted in characters from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

pub(super) fn syntax(text: &str, at: usize, problem: impl Into<String>) -> FormulaError {
    FormulaError::Syntax {
        text: shorten(text, 120),
        at,
        problem: problem.into(),
    }
}

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, FormulaError> {
    if text.len() > MAX_LENGTH {
        return Err(syntax(
            text,
            MAX_LENGTH,
            format!("it is longer than {MAX_LENGTH} bytes"),
        ));
    }
    let mut found = Vec::new();
    let mut rest = text;
    let mut at = 1;
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first.is_whitespace() {
            (None, first.len_utf8())
        } else if first.is_ascii_digit() || (first == '.' && digit_follows(rest)) {
            let length = number_length(rest);
            let (written, _) = rest.split_at(length);
            let value = written
                .parse()
                .map_err(|_| syntax(text, at, format!("`{written}` is not a number")))?;
            (Some(Token::Number(value)), length)
        } else if first.is_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let (name, _) = rest.split_at(length);
            (Some(Token::Name(name.to_owned())), length)
        } else if first == '"' || first == '\'' {
            let (content, length) = quoted(rest, first)
                .ok_or_else(|| syntax(text, at, "the quotation mark is not closed"))?;
            (Some(Token::Text(content)), length)
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            (Some(Token::Symbol(symbol)), symbol.len())
        } else {
            return Err(syntax(
                text,
                at,
                format!("`{}` has no meaning here", first.escape_default()),
            ));
        };
        if let Some(token) = token {
            found.push(Placed { token, at });
        }
        let (taken, left) = rest.split_at(length);
        at += taken.chars().count();
        rest = left;
    }
    Ok(found)
}

fn digit_follows(rest: &str) -> bool {
    rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit())
}

/// Digits, a fraction, an exponent.
fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        bytes
            .iter()
            .skip(from)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

/// The content of a quoted text and its whole length; a backslash takes the
/// next character as it is.
fn quoted(rest: &str, mark: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        if c == mark {
            return Some((content, at + c.len_utf8()));
        }
        content.push(if c == '\\' { characters.next()?.1 } else { c });
    }
    None
}
