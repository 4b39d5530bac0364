//! Texts of drivers inside messages.
//!
//! How long a whole message may be is the agent's business, which shortens it
//! for every kind of driver. Here is only what is special to programs: the
//! original's way to shorten (protocol section 13.6), which follows from the
//! exit code, and quotes of output that cannot be used.

/// Longest message of the original, in characters.
const LONGEST: usize = 2 << 20;

/// Most of a line that is quoted in a message, in bytes.
const QUOTED: usize = 500;

/// Shortens a message as the original does.
pub(crate) fn shorten_as_original(text: String) -> String {
    const MARK: &str = "(truncated) ";
    const DOTS: &str = "....";
    if text.chars().count() <= LONGEST {
        return text;
    }
    let kept = LONGEST - MARK.len() - DOTS.len();
    let head: String = text.chars().take(kept).collect();
    format!("{MARK}{head}{DOTS}")
}

/// A piece of a driver's output, as it stands in a message.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let start = bytes.get(..QUOTED).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    if start.len() < bytes.len() {
        format!("{text}... ({} bytes)", bytes.len())
    } else {
        text.into_owned()
    }
}

/// The end of a text, which is where tracebacks say what happened.
pub(crate) fn last(text: &str, limit: usize) -> &str {
    let from = text.len().saturating_sub(limit);
    (from..=text.len())
        .find_map(|from| text.get(from..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_counts_characters_and_keeps_the_beginning() {
        let exactly = "\u{e9}".repeat(LONGEST);
        assert_eq!(shorten_as_original(exactly.clone()), exactly);
        let cut = shorten_as_original(exactly + "x");
        assert_eq!(cut.chars().count(), LONGEST);
        assert_eq!(cut.matches('\u{e9}').count(), 2_097_136);
        assert!(cut.starts_with("(truncated) \u{e9}") && cut.ends_with("\u{e9}...."));
    }

    #[test]
    fn quotes_are_short() {
        assert_eq!(quote(b"{bad"), "{bad");
        assert!(quote(&[b'x'; 100_000]).len() < 600);
    }

    #[test]
    fn the_end_of_a_text_begins_at_a_character() {
        for (text, limit, end) in [
            ("abc", 5, "abc"),
            ("abc", 2, "bc"),
            ("a\u{20ac}b", 3, "b"),
            ("", 0, ""),
        ] {
            assert_eq!(last(text, limit), end);
        }
    }
}
