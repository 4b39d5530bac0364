//! Text of a servo, on its way into the store, the log and the page.

use servo_text::unprintable;

/// A text that may have several lines, with everything spelled that a reader
/// would mistake for something else. It is not cut.
pub(crate) fn lines(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => clean.push(c),
            c if unprintable(c) => clean.extend(c.escape_unicode()),
            c => clean.push(c),
        }
    }
    clean
}

/// Whether a name can be shown as it is.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.chars().any(unprintable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_would_mistake_is_spelled() {
        let told = lines("a\r\nb\t\u{1b}[31m\u{202e}\u{85}c é");
        let seen = "a\\u{d}\nb\\u{9}\\u{1b}[31m\\u{202e}\\u{85}c é";
        assert_eq!(told, seen);
        assert!(is_plain("requests throughput é"));
        assert!(!is_plain("a\nall is well"));
        assert!(!is_plain("\u{202e}cpu"));
    }
}
