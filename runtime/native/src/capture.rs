//! What a program wrote to stderr, in bounded memory.
//!
//! The beginning says what went wrong first and the end holds the traceback,
//! so the middle is what is given up.

use std::collections::VecDeque;

use crate::options::StderrShare;

/// The original takes what one read brings, at most this much.
pub(crate) const CHUNK: usize = 4096;

/// How much is kept, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Of the beginning.
    pub(crate) head: usize,
    /// Of the end.
    pub(crate) tail: usize,
}

impl Room {
    /// As much as fits a message (section 13.8 suggests 1 MiB; a message has 2).
    pub(crate) const USUAL: Self = Self {
        head: 1 << 20,
        tail: 1 << 20,
    };
    /// The original cuts after 2 Mi characters and drops the end.
    pub(crate) const ORIGINAL: Self = Self {
        head: 8 << 20,
        tail: 0,
    };
}

/// The beginning and the end of a stream.
#[derive(Debug)]
pub(crate) struct Capture {
    room: Room,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    lost: u64,
    /// Where the first two reads ended.
    reads: Vec<usize>,
}

impl Capture {
    pub(crate) fn new(room: Room) -> Self {
        Self {
            room,
            head: Vec::new(),
            tail: VecDeque::new(),
            lost: 0,
            reads: Vec::new(),
        }
    }

    /// Takes what one read brought.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let free = self.room.head.saturating_sub(self.head.len());
        let (first, rest) = bytes.split_at(free.min(bytes.len()));
        self.head.extend_from_slice(first);
        if self.reads.len() < 2 && !first.is_empty() {
            self.reads.push(self.head.len());
        }
        let kept = rest.len().min(self.room.tail);
        let (skipped, last) = rest.split_at(rest.len() - kept);
        let over = (self.tail.len() + last.len()).saturating_sub(self.room.tail);
        self.tail.drain(..over.min(self.tail.len()));
        self.tail.extend(last);
        self.lost += (skipped.len() + over) as u64;
    }

    /// The share of it that goes into a message.
    pub(crate) fn share(&self, share: StderrShare, compat: bool) -> Option<String> {
        match share {
            StderrShare::None => None,
            StderrShare::All => Some(self.text()),
            StderrShare::Minimal if compat => Some(self.first_reads()),
            StderrShare::Minimal => {
                let text = self.text();
                let lines = text.lines().take(2).map(|line| format!("{line}\n"));
                Some(lines.collect())
            }
        }
    }

    /// All that was kept. Bytes that are no UTF-8 become replacement characters.
    pub(crate) fn text(&self) -> String {
        let mut bytes = self.head.clone();
        if self.lost > 0 {
            let gap = format!("\n... ({} bytes left out) ...\n", self.lost);
            bytes.extend_from_slice(gap.as_bytes());
        }
        bytes.extend(&self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The original's idea of two lines: two reads, joined by a newline.
    fn first_reads(&self) -> String {
        let mut from = 0;
        let mut parts = Vec::new();
        for end in &self.reads {
            let part = self.head.get(from..*end).unwrap_or_default();
            parts.push(String::from_utf8_lossy(part).into_owned());
            from = *end;
        }
        parts.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_and_end_are_kept_whatever_comes_between() {
        for (writes, text) in [
            (vec!["abc"], "abc"),
            (vec!["abcd", "efg"], "abcdefg"),
            (vec!["abcdefgh"], "abcd\n... (1 bytes left out) ...\nfgh"),
            (
                vec!["ab", "cdefghijkl", "m"],
                "abcd\n... (6 bytes left out) ...\nklm",
            ),
            (
                vec!["abcd", "e", "f", "g", "h"],
                "abcd\n... (1 bytes left out) ...\nfgh",
            ),
        ] {
            let mut capture = Capture::new(Room { head: 4, tail: 3 });
            for write in &writes {
                capture.take(write.as_bytes());
            }
            assert_eq!(capture.text(), text, "{writes:?}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut capture = Capture::new(Room {
            head: 100,
            tail: 100,
        });
        for _ in 0..10_000 {
            capture.take(&[b'x'; 1000]);
        }
        assert!(capture.head.capacity() + capture.tail.capacity() < 1000);
        assert_eq!(capture.lost, 10_000_000 - 200);
    }

    #[test]
    fn shares() {
        let mut capture = Capture::new(Room::USUAL);
        for write in [&b"one\ntw"[..], b"o\nthree\n", b"\xff"] {
            capture.take(write);
        }
        for (share, compat, text) in [
            (StderrShare::All, false, Some("one\ntwo\nthree\n\u{fffd}")),
            (StderrShare::All, true, Some("one\ntwo\nthree\n\u{fffd}")),
            (StderrShare::Minimal, false, Some("one\ntwo\n")),
            (StderrShare::Minimal, true, Some("one\ntw\no\nthree\n")),
            (StderrShare::None, false, None),
        ] {
            assert_eq!(capture.share(share, compat).as_deref(), text);
        }
    }
}
