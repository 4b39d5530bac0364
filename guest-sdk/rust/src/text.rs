//! Text from outside, as it is shown to people.
//!
//! Bodies of answers, locations and names of members come from a backend, and
//! a failure that quotes them ends up in logs and on terminals. So what is
//! quoted is one line of printable characters, and short.

/// The text on one line, without characters that a terminal or a reader takes
/// for something else, and cut after `most` characters.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        // Marks that turn the direction of what follows, and what hides.
        let misleads = matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || misleads {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_is_quoted_is_one_short_line() {
        for (text, most, line) in [
            ("plain ü", 20, "plain ü"),
            ("a\r\nb\u{1b}[31m", 20, "a\\r\\nb\\u{1b}[31m"),
            ("\u{202e}x\u{9b}", 20, "\\u{202e}x\\u{9b}"),
            ("abcdef", 3, "abc…"),
        ] {
            assert_eq!(shown(text, most), line);
        }
    }
}
