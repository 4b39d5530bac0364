//! How long the message of a final report may be (protocol sections 13.6 and
//! 22.3, item 28).
//!
//! The service refused larger messages, whatever mode they came about in, and
//! it counted what travels: the bytes of the JSON text. Both ends of a long
//! text are worth keeping, the beginning for what was done and the end because
//! that is where tracebacks say why.

/// Most bytes of a message as it stands in the JSON text, quotes left out.
pub(crate) const LIMIT: usize = 2 << 20;

/// Room for the words between head and tail.
const GAP: usize = 64;

/// The text, within the limit.
pub(crate) fn shortened(text: String) -> String {
    // No character takes more than six times its own bytes.
    if text.len() <= LIMIT / 6 || encoded(&text) <= LIMIT {
        return text;
    }
    let half = (LIMIT - GAP) / 2;
    let head = reach(text.chars(), half);
    let tail = reach(text.chars().rev(), half);
    let (Some(before), Some(after)) = (text.get(..head), text.get(text.len() - tail..)) else {
        return text;
    };
    let left_out = text.len() - head - tail;
    format!("{before}\n... ({left_out} bytes left out) ...\n{after}")
}

/// Bytes of the first characters that together stay within `room` encoded.
fn reach(chars: impl Iterator<Item = char>, mut room: usize) -> usize {
    let mut bytes = 0;
    for c in chars {
        let Some(left) = room.checked_sub(cost(c)) else {
            break;
        };
        room = left;
        bytes += c.len_utf8();
    }
    bytes
}

fn encoded(text: &str) -> usize {
    text.chars().map(cost).sum()
}

/// Bytes of a character within a JSON text.
fn cost(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_character_is_what_the_writer_makes_of_it() {
        for c in ('\0'..='\u{2ff}').chain(['\u{2028}', '\u{ffff}', '\u{1f600}']) {
            let written = serde_json::to_string(&c).unwrap();
            assert_eq!(cost(c), written.len() - 2, "{c:?}");
        }
    }

    #[test]
    fn a_message_keeps_both_ends_and_the_limit() {
        for (name, unit) in [
            ("ascii", "abcdefgh"),
            ("wide", "\u{1f600}\u{e9}x"),
            ("escaped", "\u{1}\"\\\n"),
        ] {
            let middle = unit.repeat(LIMIT / 4);
            let long = format!("first words {middle} last words");
            let kept = shortened(long.clone());
            let size = serde_json::to_string(&kept).unwrap().len() - 2;
            assert!(size <= LIMIT && size > LIMIT - 200, "{name}: {size}");
            assert!(kept.starts_with("first words "), "{name}");
            assert!(kept.ends_with(" last words"), "{name}");
            assert!(kept.contains(" bytes left out) "), "{name}");
        }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        for length in [0, 1, LIMIT / 6 + 1, LIMIT] {
            let text = "x".repeat(length);
            assert_eq!(shortened(text.clone()), text);
        }
        assert_ne!(shortened("x".repeat(LIMIT + 1)).len(), LIMIT + 1);
        // The same number of bytes, twice as many once they are encoded.
        assert!(shortened("\n".repeat(LIMIT)).len() < LIMIT);
    }
}
