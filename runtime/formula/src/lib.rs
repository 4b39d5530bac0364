//! What to optimize, as a text: Python's expressions, of which two things are asked.
//!
//! *Is it an expression?* ([`check`]; protocol section 12, `OPTUNE_PERF`.) The
//! formula is for the service and is not evaluated here. The original let Python
//! compile it when it started, so that a typing error ends the program with a
//! word instead of spoiling every trial that follows; this check stands in its
//! place. It errs on the side of accepting: a formula that worked before must
//! not be refused, while one that only Python would refuse does no harm here.
//! So it knows the whole grammar, and nothing about which names exist.
//!
//! *What is its value?* ([`Formula`].) The local service computes it, and reads
//! the arithmetic part of the language only.
//!
//! Both read the same words by the same lexer, so a formula that the local
//! service can compute is always one that a servo starts with. The grammars are
//! two, because the wide one must take 64 KiB of anything in one pass and builds
//! nothing, and the narrow one builds a tree whose depth is bounded. The parser
//! is our own: the maintained crates are either dormant or under a licence we
//! do not use.
#![forbid(unsafe_code)]

mod arithmetic;
mod cursor;
mod syntax;
mod tokens;
mod tree;
mod value;

use thiserror::Error;

use crate::tree::Node;

pub use crate::tree::Reducer;
pub use crate::value::ValueError;

/// Longest text that is checked. People write them by hand.
const LONGEST: usize = 64 << 10;

/// Most of a formula that an error repeats.
const SHOWN: usize = 80;

/// Why a text is no formula.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{shown}` is no formula: {problem} (character {at})")]
pub struct FormulaError {
    shown: String,
    problem: String,
    at: usize,
}

impl FormulaError {
    /// What to write.
    pub const REMEDY: &'static str = "write it as in Python, for example throughput / (1 + \
                                      error_rate), where the name of a metric has no spaces";

    fn new(text: &str, fault: Fault) -> Self {
        Self {
            shown: cursor::shorten(text.trim(), SHOWN),
            problem: fault.problem,
            at: text.get(..fault.at).unwrap_or(text).chars().count() + 1,
        }
    }

    /// Where it is wrong, in characters from 1.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is wrong there.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// What is wrong, and at which byte.
#[derive(Debug, PartialEq)]
struct Fault {
    at: usize,
    problem: String,
}

impl Fault {
    fn new(at: usize, problem: impl Into<String>) -> Self {
        Self {
            at,
            problem: problem.into(),
        }
    }
}

/// Checks that a text is an expression as Python writes them. It is not evaluated.
///
/// # Errors
/// It is none, is empty, or is longer or deeper than anybody writes by hand.
pub fn check(text: &str) -> Result<(), FormulaError> {
    let checked = if text.len() > LONGEST {
        let problem = format!("it is longer than {LONGEST} bytes");
        Err(Fault::new(0, problem))
    } else {
        tokens::read(text).and_then(|tokens| syntax::check(&tokens))
    };
    checked.map_err(|fault| FormulaError::new(text, fault))
}

/// A formula that can be computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    text: String,
    node: Node,
}

impl Formula {
    /// Longest text, in bytes.
    pub const LONGEST: usize = arithmetic::LONGEST;
    /// Deepest nesting.
    pub const DEEPEST: usize = arithmetic::DEEPEST;

    /// Reads a formula.
    ///
    /// # Errors
    /// The text is not of the arithmetic part of the language, too long or too
    /// deep.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        let node = arithmetic::parse(text).map_err(|fault| FormulaError::new(text, fault))?;
        Ok(Self {
            text: text.to_owned(),
            node,
        })
    }

    /// The value of one metric, whose name may hold any characters.
    #[must_use]
    pub fn metric(name: &str) -> Self {
        Self {
            text: name.to_owned(),
            node: Node::Metric(name.to_owned()),
        }
    }

    /// The formula as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The metrics it uses, each once, in order of appearance.
    #[must_use]
    pub fn metrics(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.node.metrics(&mut names);
        names
    }

    /// Its value, where `metric` knows those of the metrics; always finite. Each
    /// node is visited once.
    ///
    /// # Errors
    /// A metric has no value, or the result is not a finite number.
    pub fn value<E: From<ValueError>>(
        &self,
        metric: impl Fn(&str, Reducer) -> Result<f64, E>,
    ) -> Result<f64, E> {
        value::finite(&self.node, &metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for text in [
            "a",
            "a/b",
            "throughput / (1 + error_rate)",
            "  p95 ",
            "metrics['requests throughput'].value * 1e-3",
            "-a ** -b // c % d @ e",
            "~a & b | c ^ d << 2 >> 1",
            "not a and not not b or c",
            "a < b <= c != d == e >= f > g",
            "a is not b and c not in d and e in f and g is h",
            "x if a < b else y if c else z",
            "max(a, b, key=lambda v, *r, k=1: v + k, **rest)",
            "sum(x * y for x, y in zip(a, b) if x if y)",
            "[v for row in rows for v in row]",
            "{k: v for k, v in m.items()}",
            "{'a': 1, **more, 'b': 2,}",
            "{1, 2, 3,}",
            "(a,)",
            "()",
            "[]",
            "{}",
            "a, b",
            "f()(x)[0][1:2, ::3, ...].y",
            "m[a:b:c] + m[:]",
            "0x1F + 0o17 + 0b1_0 + 1_000 + .5 + 5. + 1e+5 + 3j + 00 + 0.5e-3j",
            "'it''s' \"and\" r'\\d' b'x' f'{a}' '''long\nstring'''",
            "(a +\n b) # a remark",
            "a + \\\n b\n",
            "(n := 10) + n",
            "f(*a, n := 1)",
            "\u{e9}t\u{e9} + _x1",
            "1if a else 2",
            "None or True and False",
            "lambda: 0",
            "(yes, *rest)",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn no_expressions() {
        for (text, at) in [
            ("", 1),
            ("  \n", 4),
            ("requests throughput", 10),
            ("a +", 4),
            ("a b", 3),
            ("a / / b", 5),
            ("(a", 3),
            ("a)", 2),
            ("(a]", 3),
            ("a = b", 3),
            ("a += b", 3),
            ("import os", 1),
            ("return a", 1),
            ("a; b", 2),
            ("a\nb", 3),
            ("a if b", 7),
            ("a + not b", 5),
            ("a ? b", 3),
            ("a $ b", 3),
            ("'open", 1),
            ("'two\nlines'", 1),
            ("1abc", 1),
            ("012", 1),
            ("0x", 1),
            ("1__0", 1),
            ("a..b", 3),
            ("a.1", 2),
            ("f(a b)", 5),
            ("f(,)", 3),
            ("m[]", 3),
            ("x for x in y", 3),
            ("[x for]", 7),
            ("{1: 2, 3}", 9),
            ("lambda x", 9),
            ("a!b", 2),
            ("!a", 1),
            ("class", 1),
            ("a.class", 3),
            ("(a := )", 7),
            ("\u{e9}\u{e9} b", 4),
            ("a\u{0}b", 2),
        ] {
            let error = check(text).unwrap_err();
            assert_eq!(error.at(), at, "{text}: {error}");
        }
    }

    #[test]
    fn length_and_depth_are_limited() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(check(&nested(80)), Ok(()));
        for opening in [
            "(", "[", "{", "f(", "m[", "lambda: ", "- ", "not ", "{a: ", "(a, ",
        ] {
            let text = opening.repeat(LONGEST / opening.len());
            assert!(check(&text).is_err(), "{opening}");
        }
        assert!(check(&nested(20_000)).is_err());
        let chain = "a if b else ".repeat(5000) + "c";
        assert_eq!(check(&chain), Ok(()));
        assert_eq!(check(&format!("a{}", " + a".repeat(15_000))), Ok(()));
        assert!(check(&"a".repeat(LONGEST + 1)).is_err());
        let error = check(&format!("{} b", "a".repeat(10_000))).unwrap_err();
        assert!(error.to_string().len() < 400, "{error}");
    }

    /// A servo starts with whatever the local service can compute.
    #[test]
    fn what_can_be_computed_is_an_expression() {
        let words = [
            "a", "m['x y']", "m[\"q\"]", "1", "0x1F", "1_000", ".5e-3", "if", "else", "and", "or",
            "not", "+", "-", "*", "/", "//", "%", "**", "<", ">=", "==", "(", ")", ",", "min(",
            "p95(", "mean(", "round(", "\n", " ", ".", "class",
        ];
        // A small generator is enough: what matters is that both grammars see
        // many short texts of the words that both know.
        let mut seed = 1_u64;
        let mut computed = 0;
        for _ in 0..200_000 {
            let mut text = String::new();
            for _ in 0..=seed % 7 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                text.push_str(words[(seed >> 33) as usize % words.len()]);
                text.push(' ');
            }
            seed = seed.wrapping_add(1);
            if Formula::parse(&text).is_ok() {
                computed += 1;
                assert_eq!(check(&text), Ok(()), "{text}");
            }
        }
        assert!(computed > 1000, "only {computed} formulas were tried");
    }

    #[test]
    fn numbers_are_pythons() {
        let none = |_: &str, _: Reducer| Err(ValueError::Undefined);
        for (text, value) in [
            ("0x1F", 31.0),
            ("0o17", 15.0),
            ("0b1_0", 2.0),
            ("1_000", 1000.0),
            ("5.", 5.0),
        ] {
            assert_eq!(
                Formula::parse(text).unwrap().value(none),
                Ok(value),
                "{text}"
            );
        }
        for text in ["3j", "012", "1__0"] {
            assert!(Formula::parse(text).is_err(), "{text}");
        }
    }
}
