//! Duration texts such as `2h45m` (protocol section 19.4).
//!
//! The grammar is strict and anchored: a run of `<decimal><unit>` pieces and
//! nothing else. servox searches for pieces and ignores what lies between
//! them, so that a typing error silently becomes another duration.

use std::time::Duration;

use thiserror::Error;

/// Longest duration accepted: a thousand years. Above it nobody means it, and
/// arithmetic on it would overflow.
const LONGEST: f64 = 1000.0 * 365.0 * 86_400.0;

/// Units and their length in seconds, longest name first where one begins
/// with another.
const UNITS: &[(&str, f64)] = &[
    ("ns", 1e-9),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("\u{3bc}s", 1e-6),
    ("ms", 1e-3),
    ("mm", 30.0 * 86_400.0),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
    ("w", 7.0 * 86_400.0),
    ("y", 365.0 * 86_400.0),
];

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationTextError {
    /// It does not follow the grammar.
    #[error("`{0}` is not a duration; write for example 90s, 1.5m or 2h45m")]
    Syntax(String),
    /// It is below zero.
    #[error("`{0}` is below zero; a duration is zero or more")]
    Negative(String),
    /// It is longer than a thousand years.
    #[error("`{0}` is longer than a thousand years")]
    TooLong(String),
}

/// Reads a duration text. `0` needs no unit.
///
/// # Errors
/// The text breaks the grammar, is negative or is absurdly long.
pub fn parse_duration_text(text: &str) -> Result<Duration, DurationTextError> {
    let syntax = || DurationTextError::Syntax(text.to_owned());
    let mut rest = text.trim();
    if let Some(positive) = rest.strip_prefix('-') {
        if positive == "0" {
            return Ok(Duration::ZERO);
        }
        return Err(DurationTextError::Negative(text.to_owned()));
    }
    rest = rest.strip_prefix('+').unwrap_or(rest);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(syntax());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(syntax)?;
        let (digits, tail) = rest.split_at(end);
        let amount: f64 = digits.parse().map_err(|_| syntax())?;
        let (name, length) = UNITS
            .iter()
            .find(|(name, _)| tail.starts_with(name))
            .ok_or_else(syntax)?;
        total += amount * length;
        rest = tail.strip_prefix(name).unwrap_or_default();
    }
    if total > LONGEST {
        return Err(DurationTextError::TooLong(text.to_owned()));
    }
    Duration::try_from_secs_f64(total).map_err(|_| syntax())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_their_length() {
        for (text, seconds) in [
            ("0", 0.0),
            ("+0", 0.0),
            ("-0", 0.0),
            ("5s", 5.0),
            ("2h45m", 9900.0),
            ("1.5m", 90.0),
            ("300ms", 0.3),
            ("1mm", 2_592_000.0),
            ("1y1w1d", 365.0 * 86_400.0 + 8.0 * 86_400.0),
            ("2\u{b5}s", 2e-6),
            ("+1m", 60.0),
        ] {
            assert_eq!(
                parse_duration_text(text),
                Ok(Duration::from_secs_f64(seconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn texts_that_are_refused() {
        for text in [
            "", " ", "5", "5s junk", "junk 5s", "s", "1..5s", ".s", "5 s", "1x", "++1s", "1e3s",
        ] {
            assert!(
                matches!(parse_duration_text(text), Err(DurationTextError::Syntax(_))),
                "{text}"
            );
        }
        assert!(matches!(
            parse_duration_text("-5s"),
            Err(DurationTextError::Negative(_))
        ));
        assert!(matches!(
            parse_duration_text("2000y"),
            Err(DurationTextError::TooLong(_))
        ));
    }
}
