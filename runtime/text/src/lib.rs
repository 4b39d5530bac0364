//! Text from outside, as it is shown.
//!
//! Drivers, the service, backends and the operator's own files all supply text
//! that ends up in a log, on a terminal or in a report, and none of them may
//! decide what a reader believes there. A line break forges a second line, an
//! escape sequence paints over the first one, a direction mark turns what is
//! read around, and a megabyte drowns everything else. So whatever came from
//! outside passes [`shown`], here and nowhere else: one line, printable
//! characters in their order, at most [`MAX_SHOWN`] bytes of it.
//!
//! What cannot be printed is spelled as Rust spells it (`\n`, `\u{1b}`) and not
//! dropped: who looks for an attack wants to see it. The result is for people;
//! what a machine reads is JSON, which passes [`json`] and keeps its value.

mod nearest;

use std::fmt::{self, Write};

pub use nearest::nearest;

/// Most bytes of one text that are shown; a longer one keeps both ends. The
/// texts that people write have one or two hundred, and a screen two thousand.
pub const MAX_SHOWN: usize = 2000;

/// What stands for the middle of a text that is too long takes less than this.
const GAP: usize = 40;

/// Most lines of a text from outside that are shown one by one.
pub const MAX_LINES: usize = 20;

/// A text from outside, fit to stand within a line.
#[must_use]
pub fn shown(text: &str) -> Shown<'_> {
    Shown {
        text,
        most: MAX_SHOWN,
    }
}

/// The same with a narrower cap, in bytes: for a text that stands among others.
#[must_use]
pub fn shown_within(text: &str, most: usize) -> Shown<'_> {
    Shown {
        text,
        most: most.min(MAX_SHOWN),
    }
}

/// A text of ours with several lines, in which a text from outside may stand:
/// the lines stay, and everything else that cannot be printed is spelled. The
/// last guard before a terminal, for what should have passed [`shown`] before.
#[must_use]
pub fn lines(text: &str) -> Lines<'_> {
    Lines { text }
}

/// Displays a text in one line of printable characters.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    text: &'a str,
    most: usize,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((head, left_out, tail)) = ends(self.text, self.most) else {
            return spell(f, self.text);
        };
        spell(f, head)?;
        write!(f, " ...({left_out} bytes)... ")?;
        spell(f, tail)
    }
}

/// Displays the lines of a text, each in printable characters.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    text: &'a str,
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.text.split('\n').enumerate() {
            if number > 0 {
                f.write_char('\n')?;
            }
            spell(f, line)?;
        }
        Ok(())
    }
}

/// Head, number of bytes left out and tail; none for what fits.
fn ends(text: &str, most: usize) -> Option<(&str, usize, &str)> {
    if text.len() <= most {
        return None;
    }
    let half = most.saturating_sub(GAP) / 2;
    let head = text.get(..text.floor_char_boundary(half))?;
    let tail = text.get(text.ceil_char_boundary(text.len().saturating_sub(half))..)?;
    Some((head, text.len() - head.len() - tail.len(), tail))
}

fn spell(out: &mut impl Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(unprintable) {
        let (plain, from) = rest.split_at(at);
        out.write_str(plain)?;
        let mut chars = from.chars();
        if let Some(c) = chars.next() {
            match c {
                '\n' => out.write_str("\\n")?,
                '\r' => out.write_str("\\r")?,
                '\t' => out.write_str("\\t")?,
                c => write!(out, "\\u{{{:x}}}", u32::from(c))?,
            }
        }
        rest = chars.as_str();
    }
    out.write_str(rest)
}

/// Whether a terminal or a reader would take a character for something else
/// than itself: control characters (C0, DEL, C1), line and paragraph
/// separators, marks and overrides of direction, what is invisible, and what is
/// no character at all.
#[must_use]
pub fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}'                      // soft hyphen
            | '\u{61c}'                   // Arabic letter mark
            | '\u{180e}'                  // Mongolian vowel separator
            | '\u{200b}'..='\u{200f}'     // zero width, direction marks
            | '\u{2028}'..='\u{202e}'     // separators, embeddings, overrides
            | '\u{2060}'..='\u{206f}'     // invisible operators, isolates
            | '\u{fe00}'..='\u{fe0f}'     // variation selectors
            | '\u{feff}'                  // byte order mark
            | '\u{fff0}'..='\u{fffb}'     // specials; U+FFFD says "unreadable" itself
            | '\u{1d173}'..='\u{1d17a}'   // musical controls
            | '\u{e0000}'..='\u{e0fff}'   // tags, variation selectors
        )
}

/// A JSON text in which nothing unprintable is raw. JSON has such characters
/// inside of strings only, where an escape has the same value, so whoever parses
/// it sees no difference; line breaks between values stay.
#[must_use]
pub fn json(text: &str) -> Json<'_> {
    Json { text }
}

/// Displays a JSON text with unprintable characters escaped.
#[derive(Debug, Clone, Copy)]
pub struct Json<'a> {
    text: &'a str,
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.text;
        while let Some(at) = rest.find(|c| c != '\n' && unprintable(c)) {
            let (plain, from) = rest.split_at(at);
            f.write_str(plain)?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(f, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_could_mistake_is_spelled() {
        for (text, seen) in [
            ("plain é 漢 😀 \u{fffd}", "plain é 漢 😀 \u{fffd}"),
            ("a\r\nall is well", "a\\r\\nall is well"),
            ("\x1b[31m\x07\x7f", "\\u{1b}[31m\\u{7}\\u{7f}"),
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}"),
            (
                "\u{202e}txt\u{2066}\u{2028}",
                "\\u{202e}txt\\u{2066}\\u{2028}",
            ),
            ("\u{feff}\u{200b}\u{e0041}", "\\u{feff}\\u{200b}\\u{e0041}"),
            ("tab\there", "tab\\there"),
        ] {
            assert_eq!(shown(text).to_string(), seen);
        }
    }

    #[test]
    fn a_long_text_keeps_both_ends_and_the_cap() {
        for unit in ["x", "é", "😀"] {
            let text = format!("first {} last", unit.repeat(1 << 20));
            let seen = shown(&text).to_string();
            assert!(seen.len() <= MAX_SHOWN, "{}", seen.len());
            assert!(seen.len() > MAX_SHOWN - 50, "{}", seen.len());
            assert!(seen.starts_with("first ") && seen.ends_with(" last"));
            assert!(seen.contains(" bytes)... "));
        }
        let fits = "x".repeat(MAX_SHOWN);
        assert_eq!(shown(&fits).to_string(), fits);
        assert_eq!(shown_within("abcdef", 4).to_string(), " ...(6 bytes)... ");
        assert!(shown_within(&"x".repeat(5000), 1 << 30).to_string().len() <= MAX_SHOWN);
    }

    #[test]
    fn lines_of_ours_stay_lines() {
        assert_eq!(lines("a\nb\x1b[0m\r\n").to_string(), "a\nb\\u{1b}[0m\\r\n");
    }

    #[test]
    fn json_keeps_its_value() {
        let raw = "{\n \"a\u{202e}\": \"\u{9b}31m \u{e0041} é\"\n}";
        let seen = json(raw).to_string();
        assert_eq!(seen, "{\n \"a\\u202e\": \"\\u009b31m \\udb40\\udc41 é\"\n}");
    }
}
