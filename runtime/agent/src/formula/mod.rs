//! Whether a text is a Python expression (protocol section 12, `OPTUNE_PERF`).
//!
//! The formula is for the service and is never evaluated here. The original let
//! Python compile it when it started, so that a typing error ends the program
//! with a word instead of spoiling every trial that follows; this check stands
//! in its place. It errs on the side of accepting: a formula that worked before
//! must not be refused, while one that only Python would refuse does no harm
//! here. So it knows the grammar of expressions, and nothing about which names
//! exist or which operators fit their operands.
//!
//! Length and depth are limited, since the text comes from an environment that
//! need not be friendly.

mod syntax;
mod tokens;

use thiserror::Error;

/// Longest formula. People write them by hand.
const LONGEST: usize = 64 << 10;

/// Most of a formula that an error repeats.
const SHOWN: usize = 80;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{shown}` is no expression: {problem} (character {at}); write it as in Python, for example \
     throughput / (1 + error_rate), where the name of a metric has no spaces"
)]
pub struct FormulaError {
    shown: String,
    problem: String,
    /// Where, in characters from 1.
    at: usize,
}

impl FormulaError {
    /// Where it is wrong, in characters from 1.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
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
pub fn check_formula(text: &str) -> Result<(), FormulaError> {
    let checked = if text.len() > LONGEST {
        let problem = format!("it is longer than {LONGEST} bytes");
        Err(Fault::new(0, problem))
    } else {
        tokens::read(text).and_then(|tokens| syntax::check(&tokens))
    };
    checked.map_err(|fault| FormulaError {
        shown: text.trim().chars().take(SHOWN).collect(),
        problem: fault.problem,
        at: text.get(..fault.at).unwrap_or(text).chars().count() + 1,
    })
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
            assert_eq!(check_formula(text), Ok(()), "{text}");
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
            let error = check_formula(text).unwrap_err();
            assert_eq!(error.at(), at, "{text}: {error}");
        }
    }

    #[test]
    fn length_and_depth_are_limited() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(check_formula(&nested(80)), Ok(()));
        for opening in [
            "(", "[", "{", "f(", "m[", "lambda: ", "- ", "not ", "{a: ", "(a, ",
        ] {
            let text = opening.repeat(LONGEST / opening.len());
            assert!(check_formula(&text).is_err(), "{opening}");
        }
        assert!(check_formula(&nested(20_000)).is_err());
        let chain = "a if b else ".repeat(5000) + "c";
        assert_eq!(check_formula(&chain), Ok(()));
        assert_eq!(
            check_formula(&format!("a{}", " + a".repeat(15_000))),
            Ok(())
        );
        assert!(check_formula(&"a".repeat(LONGEST + 1)).is_err());
        let error = check_formula(&format!("{} b", "a".repeat(10_000))).unwrap_err();
        assert!(error.to_string().len() < 400, "{error}");
    }
}
