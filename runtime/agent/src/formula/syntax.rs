//! The grammar of expressions.
//!
//! One function for each construct, one token ahead. What binds how tightly
//! does not matter to whether a text is an expression, so all operators between
//! two operands are one. Only brackets and `lambda` make it recurse; their
//! depth is limited well below what the stack holds.

use super::Fault;
use super::tokens::{Kind, Token};

/// Deepest nesting. Python itself gives up at 200 brackets.
const DEEPEST: usize = 100;

/// Operators between two operands, keywords apart.
const BETWEEN: [&str; 20] = [
    "+", "-", "*", "/", "//", "%", "**", "@", "<<", ">>", "&", "|", "^", "<", ">", "<=", ">=",
    "==", "!=", "<>",
];

pub(super) fn check(tokens: &[Token<'_>]) -> Result<(), Fault> {
    let mut reader = Reader {
        tokens,
        next: 0,
        depth: 0,
    };
    while reader.take(Kind::Line) {}
    reader.items(Kind::End)?;
    while reader.take(Kind::Line) {}
    reader.expect(Kind::End)
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Kind<'a> {
        self.kind(0)
    }

    fn kind(&self, ahead: usize) -> Kind<'a> {
        let token = self.tokens.get(self.next + ahead);
        token.map_or(Kind::End, |token| token.kind)
    }

    fn take(&mut self, kind: Kind<'_>) -> bool {
        let taken = self.peek() == kind && kind != Kind::End;
        self.next += usize::from(taken);
        taken
    }

    fn symbol(&mut self, symbol: &'static str) -> bool {
        self.take(Kind::Symbol(symbol))
    }

    fn keyword(&mut self, word: &'static str) -> bool {
        self.take(Kind::Keyword(word))
    }

    fn expect(&mut self, kind: Kind<'_>) -> Result<(), Fault> {
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
    fn wrong(&self, belongs: &str) -> Fault {
        let at = self
            .tokens
            .get(self.next)
            .or(self.tokens.last())
            .map_or(0, |token| token.at);
        let found = match self.peek() {
            Kind::End | Kind::Line => "it ends".to_owned(),
            Kind::Name => "a name stands".to_owned(),
            Kind::Keyword(word) => format!("`{word}` stands"),
            Kind::Number => "a number stands".to_owned(),
            Kind::Text => "a text stands".to_owned(),
            Kind::Symbol(symbol) => format!("`{symbol}` stands"),
        };
        Fault::new(at, format!("{found} where {belongs} belongs"))
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let fault = self.wrong("");
            let problem = format!("it is nested more than {DEEPEST} deep");
            return Err(Fault::new(fault.at, problem));
        }
        Ok(())
    }

    /// `a, *b, c := d,` or a comprehension, up to an end that is not taken.
    fn items(&mut self, end: Kind<'_>) -> Result<(), Fault> {
        let bare = end == Kind::End;
        loop {
            let starred = self.symbol("*");
            self.named()?;
            if !bare && !starred && self.comprehension()? {
                return Ok(());
            }
            if !self.symbol(",") || self.ends(end) {
                return Ok(());
            }
        }
    }

    fn ends(&self, end: Kind<'_>) -> bool {
        self.peek() == end || (end == Kind::End && self.peek() == Kind::Line)
    }

    /// An expression that may be given a name.
    fn named(&mut self) -> Result<(), Fault> {
        if self.peek() == Kind::Name && self.kind(1) == Kind::Symbol(":=") && self.depth > 0 {
            self.next += 2;
        }
        self.expression()
    }

    fn expression(&mut self) -> Result<(), Fault> {
        loop {
            if self.keyword("lambda") {
                self.deeper()?;
                self.parameters()?;
                self.expect(Kind::Symbol(":"))?;
                self.expression()?;
                self.depth -= 1;
                return Ok(());
            }
            self.disjunction()?;
            if !self.keyword("if") {
                return Ok(());
            }
            self.disjunction()?;
            self.expect(Kind::Keyword("else"))?;
        }
    }

    fn parameters(&mut self) -> Result<(), Fault> {
        while self.peek() != Kind::Symbol(":") {
            if !self.symbol("/") {
                let starred = self.symbol("*") || self.symbol("**");
                if !(starred && self.peek() == Kind::Symbol(",")) {
                    self.expect(Kind::Name)?;
                }
                if self.symbol("=") {
                    self.expression()?;
                }
            }
            if !self.symbol(",") {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Operands with `and` and `or` between them.
    fn disjunction(&mut self) -> Result<(), Fault> {
        loop {
            while self.keyword("not") {}
            self.operands()?;
            if !self.keyword("and") && !self.keyword("or") {
                return Ok(());
            }
        }
    }

    /// Operands with other operators between them.
    fn operands(&mut self) -> Result<(), Fault> {
        loop {
            self.operand()?;
            let between = match self.peek() {
                Kind::Symbol(symbol) => BETWEEN.contains(&symbol) && self.symbol(symbol),
                Kind::Keyword("in") => self.keyword("in"),
                Kind::Keyword("is") => {
                    self.next += 1;
                    self.keyword("not");
                    true
                }
                Kind::Keyword("not") if self.kind(1) == Kind::Keyword("in") => {
                    self.next += 2;
                    true
                }
                _ => false,
            };
            if !between {
                return Ok(());
            }
        }
    }

    fn operand(&mut self) -> Result<(), Fault> {
        while self.symbol("+") || self.symbol("-") || self.symbol("~") {}
        self.atom()?;
        loop {
            if self.symbol(".") {
                self.expect(Kind::Name)?;
            } else if self.symbol("(") {
                self.within(")", Self::arguments)?;
            } else if self.symbol("[") {
                self.within("]", Self::subscripts)?;
            } else {
                return Ok(());
            }
        }
    }

    fn atom(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Kind::Name
            | Kind::Number
            | Kind::Symbol("...")
            | Kind::Keyword("None" | "True" | "False") => self.next += 1,
            Kind::Text => while self.take(Kind::Text) {},
            Kind::Symbol("(") => {
                self.next += 1;
                self.within(")", |reader| reader.unless(")", Self::items))?;
            }
            Kind::Symbol("[") => {
                self.next += 1;
                self.within("]", |reader| reader.unless("]", Self::items))?;
            }
            Kind::Symbol("{") => {
                self.next += 1;
                self.within("}", Self::entries)?;
            }
            _ => return Err(self.wrong("a value")),
        }
        Ok(())
    }

    /// What stands in brackets, the opening one taken already.
    fn within(
        &mut self,
        close: &'static str,
        content: impl FnOnce(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.deeper()?;
        content(self)?;
        self.expect(Kind::Symbol(close))?;
        self.depth -= 1;
        Ok(())
    }

    fn unless(
        &mut self,
        close: &'static str,
        content: impl FnOnce(&mut Self, Kind<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let end = Kind::Symbol(close);
        if self.peek() == end {
            return Ok(());
        }
        content(self, end)
    }

    fn arguments(&mut self) -> Result<(), Fault> {
        let end = Kind::Symbol(")");
        while self.peek() != end {
            let starred = self.symbol("*") || self.symbol("**");
            if !starred && self.peek() == Kind::Name && self.kind(1) == Kind::Symbol("=") {
                self.next += 2;
            }
            self.named()?;
            self.comprehension()?;
            if !self.symbol(",") {
                break;
            }
        }
        Ok(())
    }

    fn subscripts(&mut self) -> Result<(), Fault> {
        loop {
            let mut colons = 0;
            let mut given = false;
            loop {
                if colons < 2 && self.symbol(":") {
                    colons += 1;
                } else if matches!(self.peek(), Kind::Symbol("," | "]")) {
                    break;
                } else if given && colons == 0 {
                    return Err(self.wrong("`]`"));
                } else {
                    self.symbol("*");
                    self.named()?;
                    given = true;
                    if !matches!(self.peek(), Kind::Symbol(":" | "," | "]")) {
                        return Err(self.wrong("`]`"));
                    }
                }
            }
            if colons == 0 && !given {
                return Err(self.wrong("a value"));
            }
            if !self.symbol(",") || self.peek() == Kind::Symbol("]") {
                return Ok(());
            }
        }
    }

    /// Of a set or a mapping.
    fn entries(&mut self) -> Result<(), Fault> {
        let end = Kind::Symbol("}");
        let mut mapping = None;
        while self.peek() != end {
            if self.symbol("**") {
                self.operands()?;
                mapping = Some(true);
            } else {
                self.symbol("*");
                self.named()?;
                match mapping {
                    None => mapping = Some(self.peek() == Kind::Symbol(":")),
                    Some(true) if self.peek() != Kind::Symbol(":") => {
                        return Err(self.wrong("`:`"));
                    }
                    Some(_) => {}
                }
                if mapping == Some(true) {
                    self.expect(Kind::Symbol(":"))?;
                    self.expression()?;
                }
            }
            if self.comprehension()? || !self.symbol(",") {
                break;
            }
        }
        Ok(())
    }

    /// `for x, y in z if w`, if it begins here.
    fn comprehension(&mut self) -> Result<bool, Fault> {
        let mut found = false;
        loop {
            if self.peek() == Kind::Keyword("async") && self.kind(1) == Kind::Keyword("for") {
                self.next += 1;
            }
            if !self.keyword("for") {
                return Ok(found);
            }
            found = true;
            loop {
                self.symbol("*");
                self.operand()?;
                if !self.symbol(",") || self.peek() == Kind::Keyword("in") {
                    break;
                }
            }
            self.expect(Kind::Keyword("in"))?;
            self.disjunction()?;
            while self.keyword("if") {
                self.disjunction()?;
            }
        }
    }
}
