//! Tokens to a tree, by Python's precedence: `if else`, `or`, `and`, `not`,
//! comparisons (which chain), `+ -`, `* / // %`, signs, `**`.

use super::lexer::{Placed, Token, syntax, tokens};
use super::series::Reducer;
use super::{FormulaError, MAX_DEPTH};

/// A node of a formula.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Number(f64),
    /// A metric as one number: its value, or the mean of its series.
    Metric(String),
    /// A metric's series reduced in another way.
    Reduced(Reducer, String),
    Negate(Box<Node>),
    Not(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    /// `a < b <= c`: each link holds.
    Compare(Box<Node>, Vec<(Comparison, Node)>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Choose {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    Call(Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Min,
    Max,
    Abs,
    Round,
    Sqrt,
    Log,
    Exp,
}

impl Function {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "min" => Self::Min,
            "max" => Self::Max,
            "abs" => Self::Abs,
            "round" => Self::Round,
            "sqrt" => Self::Sqrt,
            "log" => Self::Log,
            "exp" => Self::Exp,
            _ => return None,
        })
    }

    fn accepts(self, arguments: usize) -> bool {
        match self {
            Self::Min | Self::Max => arguments >= 1,
            Self::Round | Self::Log => (1..=2).contains(&arguments),
            Self::Abs | Self::Sqrt | Self::Exp => arguments == 1,
        }
    }
}

impl Node {
    /// Collects the names of metrics.
    pub(super) fn metrics<'a>(&'a self, names: &mut Vec<&'a str>) {
        match self {
            Node::Number(_) => {}
            Node::Metric(name) | Node::Reduced(_, name) => {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
            Node::Negate(node) | Node::Not(node) => node.metrics(names),
            Node::Binary(_, a, b) | Node::And(a, b) | Node::Or(a, b) => {
                a.metrics(names);
                b.metrics(names);
            }
            Node::Compare(first, links) => {
                first.metrics(names);
                links.iter().for_each(|(_, node)| node.metrics(names));
            }
            Node::Choose {
                condition,
                then,
                otherwise,
            } => {
                for node in [then, condition, otherwise] {
                    node.metrics(names);
                }
            }
            Node::Call(_, arguments) => arguments.iter().for_each(|node| node.metrics(names)),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Node, FormulaError> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
    };
    let node = parser.expression()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.unexpected("the end")),
    }
}

/// Makes one node of two.
type Join = fn(Box<Node>, Box<Node>) -> Node;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|placed| &placed.token)
    }

    fn at(&self) -> usize {
        self.tokens
            .get(self.next)
            .map_or(self.text.chars().count() + 1, |placed| placed.at)
    }

    fn fail<T>(&self, problem: impl Into<String>) -> Result<T, FormulaError> {
        Err(syntax(self.text, self.at(), problem))
    }

    fn unexpected(&self, wanted: &str) -> FormulaError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Number(number)) => format!("the number {number}"),
            Some(Token::Text(_)) => "a text in quotation marks".to_owned(),
            Some(Token::Name(name)) => format!("`{}`", super::shorten(name, 40)),
            Some(Token::Symbol(".")) => {
                return syntax(
                    self.text,
                    self.at(),
                    "attributes are not allowed; write m[\"name.with.dots\"]",
                );
            }
            Some(Token::Symbol(symbol)) => format!("`{symbol}`"),
        };
        syntax(
            self.text,
            self.at(),
            format!("found {found} in place of {wanted}"),
        )
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(each)) if *each == symbol);
        self.next += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(each)) if each == word);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), FormulaError> {
        if self.symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{symbol}`")))
        }
    }

    /// One level deeper, for everything that recurses.
    fn nested(
        &mut self,
        inner: fn(&mut Self) -> Result<Node, FormulaError>,
    ) -> Result<Node, FormulaError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail(format!("it is nested deeper than {MAX_DEPTH}"));
        }
        let node = inner(self);
        self.depth -= 1;
        node
    }

    fn expression(&mut self) -> Result<Node, FormulaError> {
        self.nested(|parser| {
            let then = parser.or()?;
            if !parser.word("if") {
                return Ok(then);
            }
            let condition = parser.or()?;
            if !parser.word("else") {
                return Err(parser.unexpected("`else`"));
            }
            let otherwise = parser.expression()?;
            Ok(Node::Choose {
                condition: Box::new(condition),
                then: Box::new(then),
                otherwise: Box::new(otherwise),
            })
        })
    }

    /// Operators of one precedence, from the left. Each step makes the tree
    /// deeper, so it counts as nesting.
    fn chain(
        &mut self,
        operand: fn(&mut Self) -> Result<Node, FormulaError>,
        join: fn(&mut Self) -> Option<Join>,
    ) -> Result<Node, FormulaError> {
        let mut node = operand(self)?;
        let mut links = 0;
        while let Some(join) = join(self) {
            links += 1;
            if links > MAX_LINKS {
                return self.fail(format!(
                    "more than {MAX_LINKS} operators in a row; use brackets"
                ));
            }
            node = join(Box::new(node), Box::new(operand(self)?));
        }
        Ok(node)
    }

    fn or(&mut self) -> Result<Node, FormulaError> {
        self.chain(Self::and, |parser| {
            parser.word("or").then_some(Node::Or as _)
        })
    }

    fn and(&mut self) -> Result<Node, FormulaError> {
        self.chain(Self::not, |parser| {
            parser.word("and").then_some(Node::And as _)
        })
    }

    fn not(&mut self) -> Result<Node, FormulaError> {
        if self.word("not") {
            return Ok(Node::Not(Box::new(self.nested(Self::not)?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Node, FormulaError> {
        let first = self.sum()?;
        let mut links = Vec::new();
        while let Some(comparison) = self.comparison_sign() {
            links.push((comparison, self.sum()?));
        }
        Ok(if links.is_empty() {
            first
        } else {
            Node::Compare(Box::new(first), links)
        })
    }

    fn comparison_sign(&mut self) -> Option<Comparison> {
        let Some(Token::Symbol(symbol)) = self.peek() else {
            return None;
        };
        let comparison = match *symbol {
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            "==" => Comparison::Equal,
            "!=" => Comparison::NotEqual,
            _ => return None,
        };
        self.next += 1;
        Some(comparison)
    }

    fn sum(&mut self) -> Result<Node, FormulaError> {
        self.chain(Self::product, |parser| {
            if parser.symbol("+") {
                return Some(|a, b| Node::Binary(Operator::Add, a, b));
            }
            parser
                .symbol("-")
                .then_some(|a, b| Node::Binary(Operator::Subtract, a, b))
        })
    }

    fn product(&mut self) -> Result<Node, FormulaError> {
        self.chain(Self::sign, |parser| {
            if parser.symbol("*") {
                return Some(|a, b| Node::Binary(Operator::Multiply, a, b));
            }
            if parser.symbol("/") {
                return Some(|a, b| Node::Binary(Operator::Divide, a, b));
            }
            if parser.symbol("//") {
                return Some(|a, b| Node::Binary(Operator::FloorDivide, a, b));
            }
            parser
                .symbol("%")
                .then_some(|a, b| Node::Binary(Operator::Remainder, a, b))
        })
    }

    fn sign(&mut self) -> Result<Node, FormulaError> {
        if self.symbol("-") {
            return Ok(Node::Negate(Box::new(self.nested(Self::sign)?)));
        }
        if self.symbol("+") {
            return self.nested(Self::sign);
        }
        self.power()
    }

    fn power(&mut self) -> Result<Node, FormulaError> {
        let base = self.atom()?;
        if !self.symbol("**") {
            return Ok(base);
        }
        let exponent = self.nested(Self::sign)?;
        Ok(Node::Binary(
            Operator::Power,
            Box::new(base),
            Box::new(exponent),
        ))
    }

    fn atom(&mut self) -> Result<Node, FormulaError> {
        match self.peek().cloned() {
            Some(Token::Number(number)) => {
                self.next += 1;
                Ok(Node::Number(number))
            }
            Some(Token::Symbol("(")) => {
                self.next += 1;
                let node = self.expression()?;
                self.expect(")")?;
                Ok(node)
            }
            Some(Token::Name(name)) => self.named(&name),
            _ => Err(self.unexpected("a number, a metric or `(`")),
        }
    }

    fn named(&mut self, name: &str) -> Result<Node, FormulaError> {
        if RESERVED.contains(&name) {
            return Err(self.unexpected("a number, a metric or `(`"));
        }
        let at = self.next;
        self.next += 1;
        if name == "m" && self.symbol("[") {
            return self.quoted_metric().map(Node::Metric);
        }
        if !self.symbol("(") {
            return Ok(Node::Metric(name.to_owned()));
        }
        if let Some(reducer) = Reducer::named(name) {
            let metric = self.metric_name()?;
            self.expect(")")?;
            return Ok(Node::Reduced(reducer, metric));
        }
        let Some(function) = Function::named(name) else {
            self.next = at;
            return self.fail(format!(
                "there is no function `{}`; there are min, max, abs, round, sqrt, log, exp, and of a metric mean, median, p50 to p99, last, slope",
                super::shorten(name, 40)
            ));
        };
        let mut arguments = vec![self.expression()?];
        while self.symbol(",") {
            arguments.push(self.expression()?);
        }
        self.expect(")")?;
        if !function.accepts(arguments.len()) {
            self.next = at;
            return self.fail(format!(
                "`{name}` does not take {} arguments",
                arguments.len()
            ));
        }
        Ok(Node::Call(function, arguments))
    }

    /// What a series function takes: the name of a metric.
    fn metric_name(&mut self) -> Result<String, FormulaError> {
        match self.peek().cloned() {
            Some(Token::Name(name)) if !RESERVED.contains(&name.as_str()) => {
                self.next += 1;
                if name == "m" && self.symbol("[") {
                    return self.quoted_metric();
                }
                Ok(name)
            }
            _ => Err(self.unexpected("the name of a metric")),
        }
    }

    fn quoted_metric(&mut self) -> Result<String, FormulaError> {
        let Some(Token::Text(name)) = self.peek().cloned() else {
            return Err(self.unexpected("a metric's name in quotation marks"));
        };
        self.next += 1;
        self.expect("]")?;
        Ok(name)
    }
}

/// Words that are no names of metrics; such a metric is written `m["if"]`.
const RESERVED: [&str; 5] = ["if", "else", "and", "or", "not"];
/// Most operators of one precedence in a row: the tree leans by one level for
/// each, and evaluating and dropping it recurses.
const MAX_LINKS: usize = 200;
