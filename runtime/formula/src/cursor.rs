//! Where a reader of words stands.

use crate::Fault;
use crate::tokens::{Kind, Token};

/// One token ahead, and how deep it is nested.
pub(crate) struct Cursor<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    depth: usize,
    deepest: usize,
}

impl<'a> Cursor<'a> {
    /// At the first word; what nests deeper than `deepest` is refused.
    pub(crate) fn new(tokens: &'a [Token<'a>], deepest: usize) -> Self {
        let mut cursor = Self {
            tokens,
            next: 0,
            depth: 0,
            deepest,
        };
        cursor.skip_lines();
        cursor
    }

    /// Checks that nothing but empty lines follows.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        self.skip_lines();
        self.expect(Kind::End)
    }

    fn skip_lines(&mut self) {
        while self.take(Kind::Line) {}
    }

    pub(crate) fn peek(&self) -> Kind<'a> {
        self.kind(0)
    }

    pub(crate) fn kind(&self, ahead: usize) -> Kind<'a> {
        let token = self.tokens.get(self.next + ahead);
        token.map_or(Kind::End, |token| token.kind)
    }

    /// The next word as it is written.
    pub(crate) fn written(&self) -> &'a str {
        let token = self.tokens.get(self.next);
        token.map_or("", |token| token.written)
    }

    /// The byte where the next word begins.
    pub(crate) fn at(&self) -> usize {
        let token = self.tokens.get(self.next).or(self.tokens.last());
        token.map_or(0, |token| token.at)
    }

    pub(crate) fn advance(&mut self, tokens: usize) {
        self.next += tokens;
    }

    pub(crate) fn take(&mut self, kind: Kind<'_>) -> bool {
        let taken = self.peek() == kind && kind != Kind::End;
        self.next += usize::from(taken);
        taken
    }

    pub(crate) fn symbol(&mut self, symbol: &'static str) -> bool {
        self.take(Kind::Symbol(symbol))
    }

    pub(crate) fn keyword(&mut self, word: &'static str) -> bool {
        self.take(Kind::Keyword(word))
    }

    pub(crate) fn expect(&mut self, kind: Kind<'_>) -> Result<(), Fault> {
        if self.take(kind) || (kind == Kind::End && self.peek() == Kind::End) {
            return Ok(());
        }
        Err(self.wrong(&match kind {
            Kind::Symbol(symbol) => format!("`{symbol}`"),
            Kind::Keyword(word) => format!("`{word}`"),
            Kind::Name => "a name".to_owned(),
            _ => "an operator".to_owned(),
        }))
    }

    /// The next word is not what belongs here.
    pub(crate) fn wrong(&self, belongs: &str) -> Fault {
        let found = match self.peek() {
            Kind::End | Kind::Line => "it ends".to_owned(),
            Kind::Name | Kind::Number => format!("`{}` stands", shorten(self.written(), 40)),
            Kind::Keyword(word) => format!("`{word}` stands"),
            Kind::Text => "a text in quotation marks stands".to_owned(),
            Kind::Symbol(symbol) => format!("`{symbol}` stands"),
        };
        Fault::new(self.at(), format!("{found} where {belongs} belongs"))
    }

    /// Something else is wrong with the next word.
    pub(crate) fn fault(&self, problem: impl Into<String>) -> Fault {
        Fault::new(self.at(), problem)
    }

    /// How many constructs are open.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Reads what is one level deeper. After a fault nothing more is read.
    pub(crate) fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.depth += 1;
        if self.depth > self.deepest {
            let problem = format!("it is nested more than {} deep", self.deepest);
            return Err(self.fault(problem));
        }
        let read = inner(self)?;
        self.depth -= 1;
        Ok(read)
    }
}

/// The first characters of a text.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}
