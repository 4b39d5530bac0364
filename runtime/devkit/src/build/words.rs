//! Rust sources as a row of words: names and marks, without comments, texts and
//! numbers. As much of the language as it takes to know where those end.

/// A name, or a mark such as `::` or `{`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Word {
    pub(super) fn is_name(&self) -> bool {
        self.text
            .starts_with(|c: char| c == '_' || c.is_alphabetic())
    }
}

/// The words of a file.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, is_word) = next(rest, first);
        let (piece, after) = rest.split_at_checked(length.max(1)).unwrap_or((rest, ""));
        if is_word {
            found.push(Word {
                text: piece.to_owned(),
                line,
            });
        }
        line += piece.matches('\n').count();
        rest = after;
    }
    found
}

/// How many bytes the next piece has, and whether it is a word.
fn next(rest: &str, first: char) -> (usize, bool) {
    let until = |end: &str| rest.find(end).unwrap_or(rest.len());
    match first {
        '/' if rest.starts_with("//") => (until("\n"), false),
        '/' if rest.starts_with("/*") => (comment(rest), false),
        '"' => (quoted(rest, 1), false),
        '\'' => (character(rest), false),
        ':' if rest.starts_with("::") => (2, true),
        '_' | 'a'..='z' | 'A'..='Z' | '\u{80}'.. => {
            if let Some(length) = literal(rest) {
                return (length, false);
            }
            let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric());
            (
                end.unwrap_or(rest.len()).max(first.len_utf8()),
                first == '_' || first.is_alphabetic(),
            )
        }
        // A number is no word, and neither are the letters in it.
        '0'..='9' => {
            let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric());
            (end.unwrap_or(rest.len()), false)
        }
        c if c.is_whitespace() => (c.len_utf8(), false),
        c => (c.len_utf8(), true),
    }
}

/// A comment within comments.
fn comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(left) = rest.get(at..).filter(|left| !left.is_empty()) {
        if left.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if left.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += left.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// A text whose quote stands right before `from`.
fn quoted(rest: &str, from: usize) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip_while(|(at, _)| *at < from) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// A character, or the mark of a lifetime.
fn character(rest: &str) -> usize {
    let mut inside = rest.char_indices().skip(1);
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), Some(_)) => {
            let end = rest.get(3..).and_then(|tail| tail.find('\''));
            end.map_or(rest.len(), |end| end + 4)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// A text that begins with letters: `r"…"`, `r#"…"#`, `b"…"`, `c"…"`, `b'…'`.
fn literal(rest: &str) -> Option<usize> {
    let letters = rest.find(|c: char| !c.is_ascii_lowercase())?;
    let (prefix, tail) = rest.split_at(letters);
    match prefix {
        "b" | "c" if tail.starts_with('"') => Some(letters + quoted(tail, 1)),
        "b" if tail.starts_with('\'') => Some(letters + character(tail)),
        "r" | "br" | "cr" => {
            let marks = tail.find(|c| c != '#')?;
            if !tail.get(marks..)?.starts_with('"') {
                return None;
            }
            let end = format!("\"{}", "#".repeat(marks));
            let body = letters + marks + 1;
            let length = rest.get(body..)?.find(&end);
            Some(length.map_or(rest.len(), |length| body + length + end.len()))
        }
        _ => None,
    }
}
