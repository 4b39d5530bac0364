//! Undoes the escapes of the usual formats, one byte at a time.
//!
//! Libraries differ in what they escape: `/` or not, `=` as `\u003d` or not, hex
//! digits in either case, names or numbers. A list of their habits would never be
//! complete, so what was escaped is put back, whichever bytes it were, and a secret
//! is looked for in that. A unit remembers where it stood in the text, since what is
//! found must be overwritten there.

/// A byte, and which bytes of the text it was written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) byte: u8,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What some bytes are, read as an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// The beginning of one.
    More,
    /// One, of this byte.
    Byte(u8),
    /// Nothing: the text goes on behind it.
    Nothing,
    /// Not one.
    Plain,
}

/// A way of escaping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `%2F`, of URLs.
    Percent,
    /// The same with `+` for a space, of forms.
    Form,
    /// `\u003d`, `\x3d`, `\/`, `\"`: of JSON, scripts, shells.
    Backslash,
    /// `&#x3d;`, `&#61;`, `&quot;`: of HTML and XML.
    Entity,
    /// Any of these, mixed: a URL in JSON, JSON in HTML.
    Any,
    /// Line ends, as base64 is wrapped with.
    Wrapped,
}

/// Stands for whatever is not ASCII. No secret holds it.
const FOREIGN: u8 = 0xff;

/// The longest escape, `&#x0000003d;`.
const LONGEST: usize = 12;

impl Format {
    /// Can an escape begin with this byte?
    pub(super) fn begins(self, byte: u8) -> bool {
        match self {
            Self::Percent => byte == b'%',
            Self::Form => matches!(byte, b'%' | b'+'),
            Self::Backslash => byte == b'\\',
            Self::Entity => byte == b'&',
            Self::Any => matches!(byte, b'%' | b'\\' | b'&'),
            Self::Wrapped => matches!(byte, b'\r' | b'\n'),
        }
    }

    fn read(self, text: &[u8]) -> Reading {
        match text {
            [] => Reading::More,
            [first, ..] if !self.begins(*first) => Reading::Plain,
            [b'\r' | b'\n', ..] => Reading::Nothing,
            [b'+', ..] => Reading::Byte(b' '),
            [b'%', digits @ ..] => hex(digits, 2),
            [b'\\', rest @ ..] => backslash(rest),
            [b'&', rest @ ..] => entity(rest),
            _ => Reading::Plain,
        }
    }
}

/// So many hex digits.
fn hex(digits: &[u8], wanted: usize) -> Reading {
    let mut value = 0;
    for digit in digits {
        match char::from(*digit).to_digit(16) {
            Some(digit) => value = value * 16 + digit,
            None => return Reading::Plain,
        }
    }
    if digits.len() < wanted {
        Reading::More
    } else {
        Reading::Byte(ascii(value))
    }
}

fn ascii(value: u32) -> u8 {
    u8::try_from(value)
        .ok()
        .filter(u8::is_ascii)
        .unwrap_or(FOREIGN)
}

fn backslash(rest: &[u8]) -> Reading {
    match rest {
        [] => Reading::More,
        [b'u', digits @ ..] => hex(digits, 4),
        [b'x', digits @ ..] => hex(digits, 2),
        // A wrapped text, written as one line.
        [b'n', ..] => Reading::Byte(b'\n'),
        [b'r', ..] => Reading::Byte(b'\r'),
        [b't', ..] => Reading::Byte(b'\t'),
        [other, ..] if other.is_ascii_punctuation() || *other == b' ' => Reading::Byte(*other),
        _ => Reading::Plain,
    }
}

fn entity(rest: &[u8]) -> Reading {
    match rest {
        [] | [b'#'] | [b'#', b'x' | b'X'] => Reading::More,
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        name => named(name),
    }
}

fn number(text: &[u8], radix: u32) -> Reading {
    let (digits, ended) = match text {
        [digits @ .., b';'] => (digits, true),
        digits => (digits, false),
    };
    let mut value: u32 = 0;
    for digit in digits {
        match char::from(*digit).to_digit(radix) {
            Some(digit) => value = value.saturating_mul(radix).saturating_add(digit),
            None => return Reading::Plain,
        }
    }
    match (ended, digits.is_empty()) {
        (false, _) => Reading::More,
        (true, false) => Reading::Byte(ascii(value)),
        (true, true) => Reading::Plain,
    }
}

fn named(text: &[u8]) -> Reading {
    let (name, ended) = match text {
        [name @ .., b';'] => (name, true),
        name => (name, false),
    };
    let mut fitting = NAMES
        .iter()
        .filter(|(known, _)| known.as_bytes().starts_with(name));
    if !ended {
        return fitting.next().map_or(Reading::Plain, |_| Reading::More);
    }
    fitting
        .find(|(known, _)| known.len() == name.len())
        .map_or(Reading::Plain, |(_, byte)| Reading::Byte(*byte))
}

/// What HTML names of ASCII.
const NAMES: [(&str, u8); 40] = [
    ("Hat", b'^'),
    ("NewLine", b'\n'),
    ("Tab", b'\t'),
    ("amp", b'&'),
    ("AMP", b'&'),
    ("apos", b'\''),
    ("ast", b'*'),
    ("bsol", b'\\'),
    ("colon", b':'),
    ("comma", b','),
    ("commat", b'@'),
    ("dollar", b'$'),
    ("equals", b'='),
    ("excl", b'!'),
    ("grave", b'`'),
    ("gt", b'>'),
    ("GT", b'>'),
    ("lbrace", b'{'),
    ("lbrack", b'['),
    ("lcub", b'{'),
    ("lowbar", b'_'),
    ("lpar", b'('),
    ("lsqb", b'['),
    ("lt", b'<'),
    ("LT", b'<'),
    ("num", b'#'),
    ("percnt", b'%'),
    ("period", b'.'),
    ("plus", b'+'),
    ("quest", b'?'),
    ("quot", b'"'),
    ("QUOT", b'"'),
    ("rbrace", b'}'),
    ("rbrack", b']'),
    ("rcub", b'}'),
    ("rpar", b')'),
    ("rsqb", b']'),
    ("semi", b';'),
    ("sol", b'/'),
    ("verbar", b'|'),
];

/// Undoes one format. What may become an escape is kept until that is known.
#[derive(Clone)]
pub(super) struct Decoder {
    format: Format,
    kept: [Unit; LONGEST],
    length: usize,
}

impl Decoder {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            kept: [Unit::default(); LONGEST],
            length: 0,
        }
    }

    /// Where what is kept begins.
    pub(super) fn pending(&self) -> Option<u64> {
        self.kept
            .get(..self.length)
            .and_then(<[Unit]>::first)
            .map(|unit| unit.start)
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn forget(&mut self) {
        self.length = 0;
    }

    /// Takes a unit, and gives those that are known now.
    pub(super) fn push(&mut self, unit: Unit, give: &mut dyn FnMut(Unit)) {
        if self.length == 0 && !self.format.begins(unit.byte) {
            return give(unit);
        }
        if let Some(place) = self.kept.get_mut(self.length) {
            *place = unit;
            self.length += 1;
        }
        self.settle(give);
    }

    /// Nothing follows: what is kept is no escape.
    pub(super) fn finish(&mut self, give: &mut dyn FnMut(Unit)) {
        while let Some(first) = self.drop_first() {
            give(first);
            self.settle(give);
        }
    }

    fn settle(&mut self, give: &mut dyn FnMut(Unit)) {
        while self.length > 0 {
            let kept = self.kept.get(..self.length).unwrap_or_default();
            let mut text = [0; LONGEST];
            for (byte, unit) in text.iter_mut().zip(kept) {
                *byte = unit.byte;
            }
            let (Some(first), Some(last)) = (kept.first(), kept.last()) else {
                return;
            };
            let text = text.get(..self.length).unwrap_or_default();
            match self.format.read(text) {
                Reading::More if self.length < LONGEST => return,
                Reading::Byte(byte) => {
                    let whole = Unit {
                        byte,
                        start: first.start,
                        end: last.end,
                    };
                    self.length = 0;
                    return give(whole);
                }
                Reading::Nothing => self.length = 0,
                Reading::More | Reading::Plain => {
                    if let Some(first) = self.drop_first() {
                        give(first);
                    }
                }
            }
        }
    }

    fn drop_first(&mut self) -> Option<Unit> {
        let first = *self.kept.get(..self.length)?.first()?;
        self.kept.copy_within(1..self.length, 0);
        self.length -= 1;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    fn decode(format: Format, text: &str) -> (String, Vec<(u64, u64)>) {
        let mut decoder = Decoder::new(format);
        let mut units = Vec::new();
        for (at, byte) in (0..).zip(text.bytes()) {
            let (start, end) = (at, at + 1);
            decoder.push(Unit { byte, start, end }, &mut |unit| units.push(unit));
        }
        decoder.finish(&mut |unit| units.push(unit));
        let bytes: Vec<u8> = units.iter().map(|unit| unit.byte).collect();
        let places = units.iter().map(|unit| (unit.start, unit.end)).collect();
        (String::from_utf8_lossy(&bytes).into_owned(), places)
    }

    #[test]
    fn escapes_and_what_only_looks_like_one() {
        for (format, text, plain) in [
            (Format::Percent, "a%2Fb%2fc", "a/b/c"),
            (Format::Percent, "100%", "100%"),
            (Format::Percent, "%%41%4%41%zz", "%A%4A%zz"),
            (Format::Percent, "a+b", "a+b"),
            (Format::Form, "a+b%20c", "a b c"),
            (
                Format::Backslash,
                r#"a\u003db\u003Dc\/d\"e\\f"#,
                r#"a=b=c/d"e\f"#,
            ),
            (Format::Backslash, r"\x3d\q\u00", r"=\q\u00"),
            (Format::Backslash, r"\\u003d", r"\u003d"),
            (
                Format::Entity,
                "&#61;&#x3d;&#X3D;&#061;&equals;&quot;",
                "=====\"",
            ),
            (
                Format::Entity,
                "a&b &unknown; &# &#; &amp &am;",
                "a&b &unknown; &# &#; &amp &am;",
            ),
            (Format::Entity, "&#x0000000000003d;", "&#x0000000000003d;"),
            (Format::Any, r"a%2Fb\u003dc&amp;d", "a/b=c&d"),
            (Format::Wrapped, "ab\r\ncd\nef", "abcdef"),
        ] {
            assert_eq!(decode(format, text).0, plain, "{format:?} {text}");
        }
    }

    #[test]
    fn a_unit_knows_where_it_stood() {
        let (text, places) = decode(Format::Percent, "a%2Fb%");
        assert_eq!(text, "a/b%");
        assert_eq!(places, [(0, 1), (1, 4), (4, 5), (5, 6)]);
    }
}
