//! The paths of a rule.
//!
//! A path means itself: `/v1` is `/v1` and nothing below it, since an operator
//! who copies the path of one request grants that request. What is wider must
//! be written: a slash at the end is everything below, `*` is one segment. Any
//! other star would be read as a glob by people and as a letter by servers, so
//! it is an error; the letter is written `%2A`.

use std::fmt;

use crate::path::{CanonicalPath, PathError};

/// The paths of a rule.
///
/// `/v1` matches `/v1` alone. `/v1/` matches `/v1/` and all that begins with
/// it, and not `/v1`. `/v1/*/x` matches `/v1/a/x`, and neither `/v1/x` nor
/// `/v1/a/b/x`. `/` matches every path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    segments: Box<[Segment]>,
    /// It ends with a slash.
    below: bool,
    /// Without a star, the decoded path.
    plain: Option<Box<str>>,
    canonical: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Segment {
    /// This one, decoded.
    Literal(Box<str>),
    /// Any one that is not empty.
    Any,
}

impl Segment {
    fn covers(&self, other: &Self) -> bool {
        *self == Self::Any || self == other
    }

    fn touches(&self, other: &Self) -> bool {
        self.covers(other) || *other == Self::Any
    }
}

const STAR: &str = "a star stands for one whole segment, as in `/v1/*/status`; end the path with `/` for \
                    everything below it, and write `%2A` for the character";
const PLAIN: &str = "a rule ends with a path, without query and fragment: `/v1` for that path alone, `/v1/` \
                     for everything below it, `*` for one segment";

impl PathPattern {
    /// Parses the path of a rule: offset, problem and hint when it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, &'static str, &'static str)> {
        let mut at = 0;
        for segment in text.split('/') {
            if segment != "*"
                && let Some(star) = segment.find('*')
            {
                return Err((at + star, "a star may only be a whole segment", STAR));
            }
            at += segment.len() + 1;
        }
        let path =
            CanonicalPath::parse(text).map_err(|(at, problem): PathError| (at, problem, PLAIN))?;
        let canonical = path.text.split('/').skip(1);
        let mut segments: Vec<Segment> = canonical
            .zip(path.decoded().split('/').skip(1))
            .map(|(written, meant)| match written {
                "*" => Segment::Any,
                _ => Segment::Literal(meant.into()),
            })
            .collect();
        let below = path.text.ends_with('/');
        if below {
            segments.pop();
        }
        let plain = !segments.contains(&Segment::Any);
        Ok(Self {
            below,
            plain: plain.then(|| path.decoded().into()),
            segments: segments.into(),
            canonical: path.text.into(),
        })
    }

    /// Is this decoded path one of these?
    #[inline]
    pub(crate) fn matches(&self, decoded: &str) -> bool {
        match &self.plain {
            Some(plain) if self.below => decoded.starts_with(&**plain),
            Some(plain) => *decoded == **plain,
            None => self.matches_segments(decoded),
        }
    }

    fn matches_segments(&self, decoded: &str) -> bool {
        let mut path = decoded.split('/').skip(1);
        let fits = self.segments.iter().all(|segment| {
            path.next().is_some_and(|part| match segment {
                Segment::Literal(text) => part == &**text,
                Segment::Any => !part.is_empty(),
            })
        });
        fits && path.next().is_some() == self.below
    }

    /// Is every path of `other` one of these?
    pub fn covers(&self, other: &Self) -> bool {
        self.fits(other) && pairs(self, other).all(|(ours, theirs)| ours.covers(theirs))
    }

    /// Is there a path that is of both?
    pub fn touches(&self, other: &Self) -> bool {
        (self.fits(other) || other.fits(self))
            && pairs(self, other).all(|(ours, theirs)| ours.touches(theirs))
    }

    /// Can a path be as long as those of `other`, and one of these?
    fn fits(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.segments.len(), other.segments.len());
        match (self.below, other.below) {
            (true, true) => ours <= theirs,
            (true, false) => ours < theirs,
            (false, false) => ours == theirs,
            (false, true) => false,
        }
    }

    /// Grows with how narrow the pattern is: the first segment in which two
    /// patterns differ decides, and there a segment that is written out comes
    /// before a star, and a star before "everything below". Two patterns that
    /// match one path are equal in it only when they are the same pattern.
    pub(crate) fn specificity(&self) -> Vec<u8> {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Literal(_) => 2,
            Segment::Any => 1,
        });
        segments.chain(self.below.then_some(0)).collect()
    }

    /// The pattern in canonical form.
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// Is it about everything below a path?
    pub fn is_below(&self) -> bool {
        self.below
    }

    /// Has it a segment that is not written out?
    pub(crate) fn has_star(&self) -> bool {
        self.plain.is_none()
    }
}

fn pairs<'a>(
    one: &'a PathPattern,
    other: &'a PathPattern,
) -> impl Iterator<Item = (&'a Segment, &'a Segment)> {
    one.segments.iter().zip(&other.segments)
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}
