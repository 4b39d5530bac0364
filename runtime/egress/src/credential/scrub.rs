//! Takes secrets out of what comes back.
//!
//! A find is overwritten with as many `*`, so that lengths stay what the server
//! said. All finds count, those that overlap too: a matcher that goes on after
//! the first would leave the rest of a second one.
//!
//! A body is looked through as it passes. The matcher says how many of the last
//! bytes may still become a secret; only those are held back, so that a server that
//! sends piece by piece is not waited for without need, and never more than the
//! longest spelling is in memory. What is held when a body breaks off is thrown
//! away.
//!
//! A secret that is too short to be told from data is not looked for: every digit
//! of an answer would be overwritten, and the driver would go on with what is
//! left. The log tells its owner so whenever such a value is read from its source.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame, SizeHint};
use zeroize::Zeroizing;

use super::matcher::{Automata, Find, Search};
use crate::body::Body;
use crate::error::BodyError;

/// Pieces that are held back whole before others get a turn.
const IN_A_ROW: usize = 32;

/// Shorter secrets, or such of fewer different bytes, are in every other answer.
const SHORTEST: usize = 8;
const FEWEST_DIFFERENT: usize = 4;

/// Can this be told from data?
pub(super) fn is_telling(secret: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in secret {
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    }
    let different = seen.iter().filter(|seen| **seen).count();
    secret.len() >= SHORTEST && different >= FEWEST_DIFFERENT
}

/// A matcher for every spelling of some secrets.
pub(super) struct Patterns {
    automata: Automata,
    /// In lower case, as names of fields are.
    lower: Vec<Zeroizing<Vec<u8>>>,
}

impl Patterns {
    /// None when the matcher cannot be built; then nothing may be sent.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let telling: Vec<&[u8]> = secrets.into_iter().filter(|s| is_telling(s)).collect();
        Some(Self {
            automata: Automata::new(telling.iter().copied())?,
            lower: telling
                .iter()
                .map(|secret| Zeroizing::new(secret.to_ascii_lowercase()))
                .collect(),
        })
    }

    /// Cleans the fields of a response; answers how often it found something.
    pub(super) fn clean_fields(self: &Arc<Self>, headers: &mut HeaderMap) -> u64 {
        let mut found = 0;
        let mut names = Vec::new();
        for name in headers.keys() {
            let text = name.as_str().as_bytes();
            let holds = |secret: &Zeroizing<Vec<u8>>| {
                text.windows(secret.len().max(1))
                    .any(|window| *window == ***secret)
            };
            if self.lower.iter().any(holds) {
                names.push(name.clone());
            }
        }
        for name in names {
            headers.remove(name);
            found += 1;
        }
        let mut scrubber = Scrubber::new(Arc::clone(self));
        for value in headers.values_mut() {
            let before = scrubber.found;
            let mut clean = BytesMut::from(&*scrubber.push(value.as_bytes()));
            clean.extend_from_slice(&scrubber.finish());
            if scrubber.found > before {
                // Stars for bytes of a value make a value again.
                *value = HeaderValue::from_maybe_shared(clean.freeze())
                    .unwrap_or(HeaderValue::from_static("*"));
            }
        }
        found + scrubber.found
    }
}

/// Cleans one text that comes in pieces.
pub(super) struct Scrubber {
    patterns: Arc<Patterns>,
    search: Search,
    held: Held,
    found: u64,
}

/// The bytes that may still become a secret.
#[derive(Default)]
struct Held {
    bytes: BytesMut,
    /// Where in the text they begin.
    from: u64,
    /// Where the last find ended.
    clean_to: u64,
}

impl Held {
    /// Overwrites a find; says whether it is a new one. Line ends stay.
    fn star(&mut self, find: Find) -> bool {
        let place = |at: u64| usize::try_from(at.saturating_sub(self.from)).unwrap_or(usize::MAX);
        let (start, end) = (place(find.start), place(find.end));
        if let Some(secret) = self.bytes.get_mut(start..end) {
            for byte in secret {
                if !matches!(byte, b'\r' | b'\n') {
                    *byte = b'*';
                }
            }
        }
        let new = find.start >= self.clean_to;
        self.clean_to = self.clean_to.max(find.end);
        new
    }
}

impl Scrubber {
    pub(super) fn new(patterns: Arc<Patterns>) -> Self {
        Self {
            search: Search::new(&patterns.automata),
            patterns,
            held: Held::default(),
            found: 0,
        }
    }

    /// Takes a piece, and gives what can be let through now.
    pub(super) fn push(&mut self, piece: &[u8]) -> Bytes {
        let Self {
            patterns,
            search,
            held,
            found,
        } = self;
        let automata = &patterns.automata;
        held.bytes.extend_from_slice(piece);
        for &byte in piece {
            search.push(automata, byte, &mut |find| {
                *found += u64::from(held.star(find));
            });
        }
        let decided = search.undecided(automata).saturating_sub(held.from);
        let decided = usize::try_from(decided).unwrap_or(0).min(held.bytes.len());
        held.from += decided as u64;
        held.bytes.split_to(decided).freeze()
    }

    /// What was held back, when nothing follows it.
    pub(super) fn finish(&mut self) -> Bytes {
        let Self {
            patterns,
            search,
            held,
            found,
        } = self;
        search.finish(&patterns.automata, &mut |find| {
            *found += u64::from(held.star(find));
        });
        std::mem::take(held).bytes.freeze()
    }

    fn forget(&mut self) {
        self.held.bytes.clear();
    }
}

/// Told once, when the response is over: how many finds there were, if any.
pub(crate) type Report = Box<dyn FnOnce(u64) + Send>;

/// A response body that is cleaned as it passes.
pub(super) struct Scrubbed {
    body: Body,
    scrubber: Scrubber,
    found_before: u64,
    over: bool,
    report: Option<Report>,
}

impl Scrubbed {
    /// `found` was found already, in the response's head.
    pub(super) fn new(body: Body, patterns: Arc<Patterns>, found: u64, report: Report) -> Self {
        Self {
            over: body.is_end_stream(),
            body,
            scrubber: Scrubber::new(patterns),
            found_before: found,
            report: Some(report),
        }
    }

    fn tell(&mut self) {
        let found = self.found_before + self.scrubber.found;
        if let Some(report) = self.report.take()
            && found > 0
        {
            report(found);
        }
    }

    fn end(&mut self) -> Bytes {
        self.over = true;
        let rest = self.scrubber.finish();
        self.tell();
        rest
    }
}

impl Drop for Scrubbed {
    fn drop(&mut self) {
        self.tell();
    }
}

impl http_body::Body for Scrubbed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        for _ in 0..IN_A_ROW {
            if this.over {
                return Poll::Ready(None);
            }
            let data = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    this.over = true;
                    this.scrubber.forget();
                    this.tell();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    let rest = this.end();
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
            };
            let mut clean = this.scrubber.push(&data);
            // The last piece also ends the body, as it did before.
            if this.body.is_end_stream() {
                let rest = this.end();
                if clean.is_empty() {
                    clean = rest;
                } else if !rest.is_empty() {
                    clean = [clean, rest].concat().into();
                }
            }
            if !clean.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(clean))));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.scrubber.held.bytes.len() as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(held));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}

#[cfg(test)]
mod tests;
