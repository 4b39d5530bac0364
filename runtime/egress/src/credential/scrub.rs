//! Takes secrets out of what comes back.
//!
//! A find is overwritten with as many `*`, so that lengths stay what the server
//! said. All finds count, those that overlap too: a matcher that goes on after
//! the first would leave the rest of a second one.
//!
//! A body is looked through as it passes. The matcher's state says how many of
//! the last bytes may still become a secret; only those are held back, so that
//! a server that sends piece by piece is not waited for without need, and never
//! more than the longest spelling is in memory. What is held when a body breaks
//! off is thrown away.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame, SizeHint};
use zeroize::Zeroizing;

use super::spellings::spellings;
use crate::body::Body;
use crate::error::BodyError;

/// Pieces that are held back whole before others get a turn.
const IN_A_ROW: usize = 32;

/// A matcher for every spelling of some secrets.
pub(super) struct Patterns {
    matcher: NFA,
    start: StateID,
    /// How many of the last bytes a state stands for.
    depths: HashMap<StateID, usize>,
    /// In lower case, as names of fields are.
    lower: Vec<Zeroizing<Vec<u8>>>,
}

impl Patterns {
    /// None when the matcher cannot be built; then nothing may be sent.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut lower = Vec::new();
        let mut needles: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for secret in secrets {
            lower.push(Zeroizing::new(secret.to_ascii_lowercase()));
            needles.extend(spellings(secret));
        }
        let matcher = NFA::builder()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(needles.iter().map(|needle| needle.as_slice()))
            .ok()?;
        let start = matcher.start_state(Anchored::No).ok()?;
        let mut depths = HashMap::from([(start, 0)]);
        for needle in &needles {
            let mut state = start;
            for (index, &byte) in needle.iter().enumerate() {
                state = matcher.next_state(Anchored::No, state, byte);
                depths.insert(state, index + 1);
            }
        }
        Some(Self {
            matcher,
            start,
            depths,
            lower,
        })
    }

    /// The longest spelling that ends here.
    fn ends(&self, state: StateID) -> usize {
        (0..self.matcher.match_len(state))
            .map(|index| {
                let pattern = self.matcher.match_pattern(state, index);
                self.matcher.pattern_len(pattern)
            })
            .max()
            .unwrap_or(0)
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
            // A short secret is found in every other name.
            if self.lower.iter().any(|s| s.len() >= 8 && holds(s)) {
                names.push(name.clone());
            }
        }
        for name in names {
            headers.remove(name);
            found += 1;
        }
        for value in headers.values_mut() {
            let mut scrubber = Scrubber::new(Arc::clone(self));
            let mut clean = BytesMut::from(&*scrubber.push(value.as_bytes()));
            clean.extend_from_slice(&scrubber.finish());
            if scrubber.found > 0 {
                found += scrubber.found;
                // Stars for bytes of a value make a value again.
                *value = HeaderValue::from_maybe_shared(clean.freeze())
                    .unwrap_or(HeaderValue::from_static("*"));
            }
        }
        found
    }
}

/// Cleans one text that comes in pieces.
pub(super) struct Scrubber {
    patterns: Arc<Patterns>,
    state: StateID,
    held: BytesMut,
    /// Where the last find ended, counted from the end of `held`.
    since: usize,
    found: u64,
}

impl Scrubber {
    pub(super) fn new(patterns: Arc<Patterns>) -> Self {
        Self {
            state: patterns.start,
            patterns,
            held: BytesMut::new(),
            since: usize::MAX,
            found: 0,
        }
    }

    /// Takes a piece, and gives what can be let through now.
    pub(super) fn push(&mut self, piece: &[u8]) -> Bytes {
        let first = self.held.len();
        self.held.extend_from_slice(piece);
        let patterns = &self.patterns;
        for (index, &byte) in (first..).zip(piece) {
            self.state = patterns.matcher.next_state(Anchored::No, self.state, byte);
            self.since = self.since.saturating_add(1);
            if patterns.matcher.is_match(self.state) {
                let length = patterns.ends(self.state);
                let end = index + 1;
                if let Some(secret) = self.held.get_mut(end.saturating_sub(length)..end) {
                    secret.fill(b'*');
                }
                if self.since >= length {
                    self.found += 1;
                }
                self.since = 0;
            }
        }
        // An unknown state cannot be; were it, everything would be held.
        let depth = patterns
            .depths
            .get(&self.state)
            .copied()
            .unwrap_or(usize::MAX);
        self.held
            .split_to(self.held.len().saturating_sub(depth))
            .freeze()
    }

    /// What was held back, when nothing follows it.
    pub(super) fn finish(&mut self) -> Bytes {
        self.state = self.patterns.start;
        std::mem::take(&mut self.held).freeze()
    }

    fn forget(&mut self) {
        self.held.clear();
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
        let held = self.scrubber.held.len() as u64;
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const SECRET: &str = "s3cr3t/to+ken \"x\"";

    fn patterns(secrets: &[&str]) -> Arc<Patterns> {
        Arc::new(Patterns::new(secrets.iter().map(|s| s.as_bytes())).unwrap())
    }

    fn clean(patterns: &Arc<Patterns>, pieces: &[&[u8]]) -> (Vec<u8>, u64) {
        let mut scrubber = Scrubber::new(Arc::clone(patterns));
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&scrubber.push(piece));
        }
        out.extend_from_slice(&scrubber.finish());
        (out, scrubber.found)
    }

    #[test]
    fn e2_found_across_every_border() {
        let patterns = patterns(&[SECRET]);
        for spelling in spellings(SECRET.as_bytes()) {
            let text = [b"<<", &**spelling, b">>"].concat();
            let expected = [b"<<", &*vec![b'*'; spelling.len()], b">>"].concat();
            for first in 0..text.len() {
                for second in first..text.len() {
                    let pieces = [&text[..first], &text[first..second], &text[second..]];
                    let (out, found) = clean(&patterns, &pieces);
                    assert_eq!(out, expected);
                    assert_eq!(found, 1);
                }
            }
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            assert_eq!(clean(&patterns, &bytes).0, expected);
        }
    }

    #[test]
    fn e2_finds_that_overlap_are_all_taken_out() {
        let one = |secrets: &[&str], text: &str| {
            let (out, found) = clean(&patterns(secrets), &[text.as_bytes()]);
            (String::from_utf8(out).unwrap(), found)
        };
        assert_eq!(one(&["abab"], "xababab"), ("x******".to_owned(), 1));
        assert_eq!(one(&["abcd", "cdef"], "abcdef!"), ("******!".to_owned(), 1));
        assert_eq!(one(&["ab", "xaby"], "xaby ab"), ("**** **".to_owned(), 2));
        assert_eq!(one(&["abcdefgh"], "abcdefg"), ("abcdefg".to_owned(), 0));
    }

    #[test]
    fn only_what_may_become_a_secret_is_held_back() {
        let mut scrubber = Scrubber::new(patterns(&["0123456789"]));
        assert_eq!(&*scrubber.push(b"data: 1\n\n"), b"data: 1\n\n");
        assert_eq!(&*scrubber.push(b"data: 0123"), b"data: ");
        assert_eq!(scrubber.held.len(), 4);
        assert_eq!(&*scrubber.push(b"4"), b"");
        assert_eq!(&*scrubber.push(b"x"), b"01234x");
        let mut most = 0;
        for _ in 0..10_000 {
            scrubber.push(b"012345678");
            most = most.max(scrubber.held.len());
        }
        assert_eq!(most, 9);
    }

    #[test]
    fn e3_fields_of_a_response() {
        let basic = STANDARD.encode(format!("user:{SECRET}"));
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (
                "location",
                "http://evil.test/?t=s3cr3t%2Fto%2Bken%20%22x%22".to_owned(),
            ),
            ("set-cookie", format!("a={SECRET}; Path=/")),
            ("set-cookie", format!("b={basic}")),
            ("x-plain", "nothing".to_owned()),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        headers.append("x-longsecret-1", "1".parse().unwrap());
        let found = patterns(&[SECRET, "LongSecret"]).clean_fields(&mut headers);
        assert_eq!(found, 4);
        assert_eq!(headers["x-plain"], "nothing");
        assert!(!headers.contains_key("x-longsecret-1"));
        let all = format!("{headers:?}");
        assert!(all.contains("a=****"), "{all}");
        for part in ["s3cr3t", "ken", &basic[6..12]] {
            assert!(!all.contains(part), "{all}");
        }
    }

    #[tokio::test]
    async fn e2_bodies_keep_their_length_and_end_with_their_last_piece() {
        use http_body_util::BodyExt;

        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let body = |text: &str| {
            let told = Arc::clone(&told);
            let report: Report = Box::new(move |found| told.lock().unwrap().push(found));
            let body = crate::body::full(text.to_owned());
            Scrubbed::new(body, patterns(&["0123456789"]), 0, report)
        };
        let mut scrubbed = body("a 0123456789 b 01234");
        assert_eq!(scrubbed.size_hint().exact(), Some(20));
        let piece = scrubbed.frame().await.unwrap().unwrap().into_data();
        assert_eq!(piece.unwrap(), "a ********** b 01234");
        assert!(scrubbed.is_end_stream());
        assert!(scrubbed.frame().await.is_none());
        assert_eq!(*told.lock().unwrap(), [1]);
        drop(scrubbed);
        drop(body("nothing"));
        assert_eq!(*told.lock().unwrap(), [1], "told once, and only finds");
    }
}
