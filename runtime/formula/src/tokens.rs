//! The words of an expression.

use crate::Fault;

/// Words that are no names.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Operators and punctuation, longer ones before those they begin with.
const SYMBOLS: [&str; 45] = [
    "...", "**=", "//=", "<<=", ">>=", "**", "//", "<<", ">>", "<=", ">=", "==", "!=", ":=", "->",
    "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=", "+", "-", "*", "/", "%", "@", "&", "|",
    "^", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ":",
];

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    Name,
    Keyword(&'a str),
    Number,
    Text,
    Symbol(&'static str),
    /// The end of a line that is not within brackets.
    Line,
    End,
}

/// A word, as it is written, and the byte where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind<'a>,
    pub(crate) at: usize,
    pub(crate) written: &'a str,
}

/// The words of a text; the last one is its end.
pub(crate) fn read(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut tokens = Vec::new();
    let mut brackets = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        let (kind, length) = match first {
            ' ' | '\t' | '\u{c}' | '\r' => (None, 1),
            '\n' if brackets > 0 => (None, 1),
            '\n' => (Some(Kind::Line), 1),
            '#' => (None, rest.find('\n').unwrap_or(rest.len())),
            '\\' if rest.starts_with("\\\n") => (None, 2),
            '\\' if rest.starts_with("\\\r\n") => (None, 3),
            _ => {
                let (kind, length) = word(rest, first).map_err(|what| Fault::new(at, what))?;
                (Some(kind), length)
            }
        };
        match kind {
            Some(Kind::Symbol("(" | "[" | "{")) => brackets += 1,
            Some(Kind::Symbol(")" | "]" | "}")) => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        let written = rest.get(..length).unwrap_or(rest);
        tokens.extend(kind.map(|kind| Token { kind, at, written }));
        at += length;
    }
    tokens.push(Token {
        kind: Kind::End,
        at: text.len(),
        written: "",
    });
    Ok(tokens)
}

fn word(rest: &str, first: char) -> Result<(Kind<'_>, usize), String> {
    if let Some(length) = text(rest)? {
        return Ok((Kind::Text, length));
    }
    let digit_follows = || rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
    if first.is_ascii_digit() || (first == '.' && digit_follows()) {
        return Ok((Kind::Number, number(rest)?));
    }
    if begins_name(first) {
        let end = rest.find(|c| !continues_name(c)).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or(rest);
        let keyword = KEYWORDS.contains(&name);
        let kind = if keyword {
            Kind::Keyword(name)
        } else {
            Kind::Name
        };
        return Ok((kind, end));
    }
    // Alone, since `1.` and `...` are read before.
    let symbols = SYMBOLS.iter().copied().chain(["."]);
    for symbol in symbols {
        if rest.starts_with(symbol) {
            return Ok((Kind::Symbol(symbol), symbol.len()));
        }
    }
    Err(format!("`{}` has no meaning here", first.escape_default()))
}

fn begins_name(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn continues_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Length of the string that begins here, if one does.
fn text(rest: &str) -> Result<Option<usize>, String> {
    let prefix = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (letters, quoted) = rest.split_at(prefix);
    let known = matches!(
        letters.to_ascii_lowercase().as_str(),
        "" | "r" | "u" | "b" | "f" | "br" | "rb" | "fr" | "rf"
    );
    let Some(quote @ ('"' | '\'')) = quoted.chars().next().filter(|_| known) else {
        return Ok(None);
    };
    let triple = [quote; 3].iter().collect::<String>();
    let (end, many) = if quoted.starts_with(&triple) {
        (triple, true)
    } else {
        (quote.to_string(), false)
    };
    let mut at = end.len();
    while let Some(rest) = quoted.get(at..)
        && let Some(c) = rest.chars().next()
    {
        if rest.starts_with(&end) {
            return Ok(Some(prefix + at + end.len()));
        }
        if c == '\n' && !many {
            break;
        }
        at += c.len_utf8();
        if c == '\\' {
            at += rest.chars().nth(1).map_or(0, char::len_utf8);
        }
    }
    Err("this text has no end".to_owned())
}

/// Length of the number that begins here.
fn number(rest: &str) -> Result<usize, String> {
    let bad = || "this is no number".to_owned();
    let lower = rest.get(..2).unwrap_or_default().to_ascii_lowercase();
    let radix = match lower.as_str() {
        "0x" => Some(16),
        "0o" => Some(8),
        "0b" => Some(2),
        _ => None,
    };
    let mut at = 0;
    if let Some(radix) = radix {
        at = 2;
        if rest.get(at..).is_some_and(|rest| rest.starts_with('_')) {
            at += 1;
        }
        at += digits(rest, at, radix).ok_or_else(bad)?;
    } else {
        let whole = digits(rest, 0, 10).unwrap_or(0);
        at += whole;
        let fraction = rest.get(at..).is_some_and(|rest| rest.starts_with('.'));
        if fraction {
            at += 1;
            at += digits(rest, at, 10).unwrap_or(0);
        }
        let exponent = exponent(rest, at);
        at += exponent;
        let imaginary = rest
            .get(at..)
            .is_some_and(|rest| rest.starts_with(['j', 'J']));
        at += usize::from(imaginary);
        let leading = rest.get(..whole).unwrap_or_default();
        let octal = leading.starts_with('0') && leading.contains(|c| !matches!(c, '0' | '_'));
        if octal && !fraction && exponent == 0 && !imaginary {
            return Err("a number does not begin with 0".to_owned());
        }
    }
    let after = rest.get(at..).unwrap_or_default();
    let follows = after.find(|c| !continues_name(c)).unwrap_or(after.len());
    let glued = after.get(..follows).unwrap_or_default();
    let words = ["if", "else", "and", "or", "in", "is", "not"];
    if glued.is_empty() || words.contains(&glued) {
        Ok(at)
    } else {
        Err(bad())
    }
}

/// Length of an exponent, or nothing.
fn exponent(rest: &str, at: usize) -> usize {
    let Some(tail) = rest.get(at..).filter(|rest| rest.starts_with(['e', 'E'])) else {
        return 0;
    };
    let sign = usize::from(
        tail.get(1..)
            .is_some_and(|rest| rest.starts_with(['+', '-'])),
    );
    digits(tail, 1 + sign, 10).map_or(0, |digits| 1 + sign + digits)
}

/// Length of digits with single underscores between them.
fn digits(text: &str, at: usize, radix: u32) -> Option<usize> {
    let mut length = 0;
    let mut underscore = true;
    for c in text.get(at..)?.chars() {
        if c.is_digit(radix) {
            underscore = false;
        } else if c == '_' && !underscore {
            underscore = true;
        } else {
            break;
        }
        length += 1;
    }
    (length > 0 && !underscore).then_some(length)
}
