//! The grammar of expressions.
//!
//! One function for each construct, one token ahead. What binds how tightly
//! does not matter to whether a text is an expression, so all operators between
//! two operands are one. Only brackets and `lambda` make it recurse; their
//! depth is limited well below what the stack holds.

use crate::Fault;
use crate::cursor::Cursor;
use crate::tokens::{Kind, Token};

/// Deepest nesting. Python itself gives up at 200 brackets.
const DEEPEST: usize = 100;

/// Operators between two operands, keywords apart.
const BETWEEN: [&str; 20] = [
    "+", "-", "*", "/", "//", "%", "**", "@", "<<", ">>", "&", "|", "^", "<", ">", "<=", ">=",
    "==", "!=", "<>",
];

pub(crate) fn check(tokens: &[Token<'_>]) -> Result<(), Fault> {
    let mut words = Cursor::new(tokens, DEEPEST);
    items(&mut words, Kind::End)?;
    words.finish()
}

/// `a, *b, c := d,` or a comprehension, up to an end that is not taken.
fn items(words: &mut Cursor<'_>, end: Kind<'_>) -> Result<(), Fault> {
    let bare = end == Kind::End;
    loop {
        let starred = words.symbol("*");
        named(words)?;
        if !bare && !starred && comprehension(words)? {
            return Ok(());
        }
        if !words.symbol(",") || ends(words, end) {
            return Ok(());
        }
    }
}

fn ends(words: &mut Cursor<'_>, end: Kind<'_>) -> bool {
    words.peek() == end || (end == Kind::End && words.peek() == Kind::Line)
}

/// An expression that may be given a name.
fn named(words: &mut Cursor<'_>) -> Result<(), Fault> {
    if words.peek() == Kind::Name && words.kind(1) == Kind::Symbol(":=") && words.depth() > 0 {
        words.advance(2);
    }
    expression(words)
}

fn expression(words: &mut Cursor<'_>) -> Result<(), Fault> {
    loop {
        if words.keyword("lambda") {
            return words.nested(|words| {
                parameters(words)?;
                words.expect(Kind::Symbol(":"))?;
                expression(words)
            });
        }
        disjunction(words)?;
        if !words.keyword("if") {
            return Ok(());
        }
        disjunction(words)?;
        words.expect(Kind::Keyword("else"))?;
    }
}

fn parameters(words: &mut Cursor<'_>) -> Result<(), Fault> {
    while words.peek() != Kind::Symbol(":") {
        if !words.symbol("/") {
            let starred = words.symbol("*") || words.symbol("**");
            if !(starred && words.peek() == Kind::Symbol(",")) {
                words.expect(Kind::Name)?;
            }
            if words.symbol("=") {
                expression(words)?;
            }
        }
        if !words.symbol(",") {
            return Ok(());
        }
    }
    Ok(())
}

/// Operands with `and` and `or` between them.
fn disjunction(words: &mut Cursor<'_>) -> Result<(), Fault> {
    loop {
        while words.keyword("not") {}
        operands(words)?;
        if !words.keyword("and") && !words.keyword("or") {
            return Ok(());
        }
    }
}

/// Operands with other operators between them.
fn operands(words: &mut Cursor<'_>) -> Result<(), Fault> {
    loop {
        operand(words)?;
        let between = match words.peek() {
            Kind::Symbol(symbol) => BETWEEN.contains(&symbol) && words.symbol(symbol),
            Kind::Keyword("in") => words.keyword("in"),
            Kind::Keyword("is") => {
                words.advance(1);
                words.keyword("not");
                true
            }
            Kind::Keyword("not") if words.kind(1) == Kind::Keyword("in") => {
                words.advance(2);
                true
            }
            _ => false,
        };
        if !between {
            return Ok(());
        }
    }
}

fn operand(words: &mut Cursor<'_>) -> Result<(), Fault> {
    while words.symbol("+") || words.symbol("-") || words.symbol("~") {}
    atom(words)?;
    loop {
        if words.symbol(".") {
            words.expect(Kind::Name)?;
        } else if words.symbol("(") {
            within(words, ")", arguments)?;
        } else if words.symbol("[") {
            within(words, "]", subscripts)?;
        } else {
            return Ok(());
        }
    }
}

fn atom(words: &mut Cursor<'_>) -> Result<(), Fault> {
    match words.peek() {
        Kind::Name
        | Kind::Number
        | Kind::Symbol("...")
        | Kind::Keyword("None" | "True" | "False") => words.advance(1),
        Kind::Text => while words.take(Kind::Text) {},
        Kind::Symbol("(") => {
            words.advance(1);
            within(words, ")", |words| unless(words, ")", items))?;
        }
        Kind::Symbol("[") => {
            words.advance(1);
            within(words, "]", |words| unless(words, "]", items))?;
        }
        Kind::Symbol("{") => {
            words.advance(1);
            within(words, "}", entries)?;
        }
        _ => return Err(words.wrong("a value")),
    }
    Ok(())
}

/// What stands in brackets, the opening one taken already.
fn within(
    words: &mut Cursor<'_>,
    close: &'static str,
    content: impl FnOnce(&mut Cursor<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    words.nested(|words| {
        content(words)?;
        words.expect(Kind::Symbol(close))
    })
}

fn unless(
    words: &mut Cursor<'_>,
    close: &'static str,
    content: impl FnOnce(&mut Cursor<'_>, Kind<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let end = Kind::Symbol(close);
    if words.peek() == end {
        return Ok(());
    }
    content(words, end)
}

fn arguments(words: &mut Cursor<'_>) -> Result<(), Fault> {
    let end = Kind::Symbol(")");
    while words.peek() != end {
        let starred = words.symbol("*") || words.symbol("**");
        if !starred && words.peek() == Kind::Name && words.kind(1) == Kind::Symbol("=") {
            words.advance(2);
        }
        named(words)?;
        comprehension(words)?;
        if !words.symbol(",") {
            break;
        }
    }
    Ok(())
}

fn subscripts(words: &mut Cursor<'_>) -> Result<(), Fault> {
    loop {
        let mut colons = 0;
        let mut given = false;
        loop {
            if colons < 2 && words.symbol(":") {
                colons += 1;
            } else if matches!(words.peek(), Kind::Symbol("," | "]")) {
                break;
            } else if given && colons == 0 {
                return Err(words.wrong("`]`"));
            } else {
                words.symbol("*");
                named(words)?;
                given = true;
                if !matches!(words.peek(), Kind::Symbol(":" | "," | "]")) {
                    return Err(words.wrong("`]`"));
                }
            }
        }
        if colons == 0 && !given {
            return Err(words.wrong("a value"));
        }
        if !words.symbol(",") || words.peek() == Kind::Symbol("]") {
            return Ok(());
        }
    }
}

/// Of a set or a mapping.
fn entries(words: &mut Cursor<'_>) -> Result<(), Fault> {
    let end = Kind::Symbol("}");
    let mut mapping = None;
    while words.peek() != end {
        if words.symbol("**") {
            operands(words)?;
            mapping = Some(true);
        } else {
            words.symbol("*");
            named(words)?;
            match mapping {
                None => mapping = Some(words.peek() == Kind::Symbol(":")),
                Some(true) if words.peek() != Kind::Symbol(":") => {
                    return Err(words.wrong("`:`"));
                }
                Some(_) => {}
            }
            if mapping == Some(true) {
                words.expect(Kind::Symbol(":"))?;
                expression(words)?;
            }
        }
        if comprehension(words)? || !words.symbol(",") {
            break;
        }
    }
    Ok(())
}

/// `for x, y in z if w`, if it begins here.
fn comprehension(words: &mut Cursor<'_>) -> Result<bool, Fault> {
    let mut found = false;
    loop {
        if words.peek() == Kind::Keyword("async") && words.kind(1) == Kind::Keyword("for") {
            words.advance(1);
        }
        if !words.keyword("for") {
            return Ok(found);
        }
        found = true;
        loop {
            words.symbol("*");
            operand(words)?;
            if !words.symbol(",") || words.peek() == Kind::Keyword("in") {
                break;
            }
        }
        words.expect(Kind::Keyword("in"))?;
        disjunction(words)?;
        while words.keyword("if") {
            disjunction(words)?;
        }
    }
}
