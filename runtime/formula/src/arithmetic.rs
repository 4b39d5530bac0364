//! From words to a tree, by Python's precedence: `if else`, `or`, `and`, `not`,
//! comparisons (which chain), `+ -`, `* / // %`, signs, `**`.
//!
//! It reads the part of the language that is about numbers and nothing that
//! could reach beyond them: no attributes, no calls but the listed ones, no
//! texts but the names of metrics. A formula of it can come from the other side
//! of the wire, so its length, its nesting and its operators in a row are
//! bounded: the tree leans by one level for each, and evaluating and dropping it
//! recurses.

use crate::Fault;
use crate::cursor::{Cursor, shorten};
use crate::tokens::{self, Kind};
use crate::tree::{Comparison, Function, Node, Operator, Reducer};

/// Longest formula, in bytes. The longest seen in the field has 200.
pub(crate) const LONGEST: usize = 4096;
/// Deepest nesting: every level costs a few stack frames.
pub(crate) const DEEPEST: usize = 48;
/// Most operators of one precedence in a row.
const MAX_LINKS: usize = 200;
/// What may stand where a value is expected.
const VALUE: &str = "a number, a metric or `(`";

/// Makes one node of two.
type Join = fn(Box<Node>, Box<Node>) -> Node;

/// Reads one operand.
type Operand = fn(&mut Cursor<'_>) -> Result<Node, Fault>;

pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    if text.len() > LONGEST {
        return Err(Fault::new(0, format!("it is longer than {LONGEST} bytes")));
    }
    let tokens = tokens::read(text)?;
    let mut words = Cursor::new(&tokens, DEEPEST);
    let node = expression(&mut words)?;
    match words.peek() {
        Kind::Symbol(".") => {
            Err(words.fault("attributes are not allowed; write m[\"name.with.dots\"]"))
        }
        _ => words.finish().map(|()| node),
    }
}

fn expression(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    words.nested(|words| {
        let then = or(words)?;
        if !words.keyword("if") {
            return Ok(then);
        }
        let condition = or(words)?;
        words.expect(Kind::Keyword("else"))?;
        let otherwise = expression(words)?;
        Ok(Node::Choose {
            condition: Box::new(condition),
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        })
    })
}

/// Operators of one precedence, from the left.
fn chain(
    words: &mut Cursor<'_>,
    operand: Operand,
    join: fn(&mut Cursor<'_>) -> Option<Join>,
) -> Result<Node, Fault> {
    let mut node = operand(words)?;
    let mut links = 0;
    while let Some(join) = join(words) {
        links += 1;
        if links > MAX_LINKS {
            let problem = format!("more than {MAX_LINKS} operators in a row; use brackets");
            return Err(words.fault(problem));
        }
        node = join(Box::new(node), Box::new(operand(words)?));
    }
    Ok(node)
}

fn or(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    chain(words, and, |words| {
        words.keyword("or").then_some(Node::Or as _)
    })
}

fn and(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    chain(words, not, |words| {
        words.keyword("and").then_some(Node::And as _)
    })
}

fn not(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    if words.keyword("not") {
        return Ok(Node::Not(Box::new(words.nested(not)?)));
    }
    comparison(words)
}

fn comparison(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    let first = sum(words)?;
    let mut links = Vec::new();
    while let Some(comparison) = comparison_sign(words) {
        links.push((comparison, sum(words)?));
    }
    Ok(if links.is_empty() {
        first
    } else {
        Node::Compare(Box::new(first), links)
    })
}

fn comparison_sign(words: &mut Cursor<'_>) -> Option<Comparison> {
    let Kind::Symbol(symbol) = words.peek() else {
        return None;
    };
    let comparison = match symbol {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        _ => return None,
    };
    words.advance(1);
    Some(comparison)
}

fn sum(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    chain(words, product, |words| {
        let join: Join = match words.peek() {
            Kind::Symbol("+") => |a, b| Node::Binary(Operator::Add, a, b),
            Kind::Symbol("-") => |a, b| Node::Binary(Operator::Subtract, a, b),
            _ => return None,
        };
        words.advance(1);
        Some(join)
    })
}

fn product(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    chain(words, sign, |words| {
        let join: Join = match words.peek() {
            Kind::Symbol("*") => |a, b| Node::Binary(Operator::Multiply, a, b),
            Kind::Symbol("/") => |a, b| Node::Binary(Operator::Divide, a, b),
            Kind::Symbol("//") => |a, b| Node::Binary(Operator::FloorDivide, a, b),
            Kind::Symbol("%") => |a, b| Node::Binary(Operator::Remainder, a, b),
            _ => return None,
        };
        words.advance(1);
        Some(join)
    })
}

fn sign(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    if words.symbol("-") {
        return Ok(Node::Negate(Box::new(words.nested(sign)?)));
    }
    if words.symbol("+") {
        return words.nested(sign);
    }
    power(words)
}

fn power(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    let base = atom(words)?;
    if !words.symbol("**") {
        return Ok(base);
    }
    let exponent = words.nested(sign)?;
    Ok(Node::Binary(
        Operator::Power,
        Box::new(base),
        Box::new(exponent),
    ))
}

fn atom(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    match words.peek() {
        Kind::Number => number(words),
        Kind::Symbol("(") => {
            words.advance(1);
            let node = expression(words)?;
            words.expect(Kind::Symbol(")"))?;
            Ok(node)
        }
        Kind::Name => named(words),
        _ => Err(words.wrong(VALUE)),
    }
}

fn number(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    let plain = words.written().replace('_', "").to_ascii_lowercase();
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(|n| n as f64);
    let value = match plain.get(..2) {
        Some("0x") => radix(plain.get(2..).unwrap_or_default(), 16),
        Some("0o") => radix(plain.get(2..).unwrap_or_default(), 8),
        Some("0b") => radix(plain.get(2..).unwrap_or_default(), 2),
        _ => plain.parse().ok(),
    };
    match value {
        Some(value) => {
            words.advance(1);
            Ok(Node::Number(value))
        }
        None => Err(words.fault(format!(
            "`{}` is no number that a score can have",
            shorten(words.written(), 40)
        ))),
    }
}

fn named(words: &mut Cursor<'_>) -> Result<Node, Fault> {
    let name = words.written();
    let here = words.at();
    words.advance(1);
    if name == "m" && words.symbol("[") {
        return quoted_metric(words).map(Node::Metric);
    }
    if !words.symbol("(") {
        return Ok(Node::Metric(name.to_owned()));
    }
    if let Some(reducer) = Reducer::named(name) {
        let metric = metric_name(words)?;
        words.expect(Kind::Symbol(")"))?;
        return Ok(Node::Reduced(reducer, metric));
    }
    let Some(function) = Function::named(name) else {
        let problem = format!(
            "there is no function `{}`; there are min, max, abs, round, sqrt, log, exp, and of a \
             metric mean, median, p50 to p99, last, slope",
            shorten(name, 40)
        );
        return Err(Fault::new(here, problem));
    };
    let mut arguments = vec![expression(words)?];
    while words.symbol(",") {
        arguments.push(expression(words)?);
    }
    words.expect(Kind::Symbol(")"))?;
    if !function.accepts(arguments.len()) {
        let problem = format!("`{name}` does not take {} arguments", arguments.len());
        return Err(Fault::new(here, problem));
    }
    Ok(Node::Call(function, arguments))
}

/// What a series function takes: the name of a metric.
fn metric_name(words: &mut Cursor<'_>) -> Result<String, Fault> {
    let name = words.written();
    if !words.take(Kind::Name) {
        return Err(words.wrong("the name of a metric"));
    }
    if name == "m" && words.symbol("[") {
        return quoted_metric(words);
    }
    Ok(name.to_owned())
}

/// A name in quotation marks, which may hold any characters. A backslash takes
/// the next one as it is.
fn quoted_metric(words: &mut Cursor<'_>) -> Result<String, Fault> {
    let belongs = "a metric's name in quotation marks";
    let written = words.written();
    let content = match (words.peek(), written.chars().next()) {
        (Kind::Text, Some(mark @ ('"' | '\''))) => {
            let marks = if written.starts_with(&[mark; 3].iter().collect::<String>()) {
                3
            } else {
                1
            };
            written.get(marks..written.len() - marks)
        }
        _ => None,
    };
    let Some(content) = content else {
        return Err(words.wrong(belongs));
    };
    words.advance(1);
    words.expect(Kind::Symbol("]"))?;
    let mut name = String::new();
    let mut characters = content.chars();
    while let Some(c) = characters.next() {
        name.extend(if c == '\\' {
            characters.next()
        } else {
            Some(c)
        });
    }
    Ok(name)
}
