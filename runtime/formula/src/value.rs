//! The value of a tree, by Python's rules: `and` and `or` give an operand,
//! comparisons give 1 or 0, `//` and `%` round towards minus infinity, `round`
//! rounds halves to even.

use thiserror::Error;

use crate::tree::{Comparison, Function, Node, Operator, Reducer};

/// Why a formula has no value for these metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueError {
    /// Division or remainder by zero.
    #[error("the objective divides by zero")]
    DivisionByZero,
    /// The value is not a number.
    #[error("the objective is not a finite number: it is undefined (NaN)")]
    Undefined,
    /// The value is infinite.
    #[error("the objective is not a finite number: it is too large")]
    TooLarge,
}

/// The value of the whole tree; always finite.
pub(crate) fn finite<E: From<ValueError>>(
    node: &Node,
    metric: &dyn Fn(&str, Reducer) -> Result<f64, E>,
) -> Result<f64, E> {
    let value = value(node, metric)?;
    if value.is_nan() {
        return Err(ValueError::Undefined.into());
    }
    if value.is_infinite() {
        return Err(ValueError::TooLarge.into());
    }
    Ok(value)
}

fn value<E: From<ValueError>>(
    node: &Node,
    metric: &dyn Fn(&str, Reducer) -> Result<f64, E>,
) -> Result<f64, E> {
    let of = |node: &Node| value(node, metric);
    Ok(match node {
        Node::Number(number) => *number,
        Node::Metric(name) => metric(name, Reducer::Mean)?,
        Node::Reduced(reducer, name) => metric(name, *reducer)?,
        Node::Negate(node) => -of(node)?,
        Node::Not(node) => truth(of(node)? == 0.0),
        Node::Binary(operator, a, b) => binary(*operator, of(a)?, of(b)?)?,
        Node::Compare(first, links) => {
            let mut left = of(first)?;
            for (comparison, node) in links {
                let right = of(node)?;
                if !holds(*comparison, left, right) {
                    return Ok(0.0);
                }
                left = right;
            }
            1.0
        }
        Node::And(a, b) => match of(a)? {
            0.0 => 0.0,
            _ => of(b)?,
        },
        Node::Or(a, b) => match of(a)? {
            0.0 => of(b)?,
            value => value,
        },
        Node::Choose {
            condition,
            then,
            otherwise,
        } => {
            if of(condition)? == 0.0 {
                of(otherwise)?
            } else {
                of(then)?
            }
        }
        Node::Call(function, arguments) => {
            let arguments = arguments.iter().map(of).collect::<Result<Vec<f64>, _>>()?;
            call(*function, &arguments)
        }
    })
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn holds(comparison: Comparison, a: f64, b: f64) -> bool {
    match comparison {
        Comparison::Less => a < b,
        Comparison::LessOrEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
        Comparison::Equal => a == b,
        Comparison::NotEqual => a != b,
    }
}

fn binary(operator: Operator, a: f64, b: f64) -> Result<f64, ValueError> {
    let divides = matches!(
        operator,
        Operator::Divide | Operator::FloorDivide | Operator::Remainder
    );
    if divides && b == 0.0 {
        return Err(ValueError::DivisionByZero);
    }
    Ok(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::FloorDivide => (a / b).floor(),
        Operator::Remainder => a - b * (a / b).floor(),
        Operator::Power => a.powf(b),
    })
}

/// The parser has checked the number of arguments.
fn call(function: Function, arguments: &[f64]) -> f64 {
    let first = arguments.first().copied().unwrap_or(f64::NAN);
    match function {
        Function::Min => arguments.iter().copied().fold(first, f64::min),
        Function::Max => arguments.iter().copied().fold(first, f64::max),
        Function::Abs => first.abs(),
        Function::Round => match arguments.get(1) {
            None => first.round_ties_even(),
            Some(digits) => {
                let scale = 10_f64.powf(digits.trunc());
                (first * scale).round_ties_even() / scale
            }
        },
        Function::Sqrt => first.sqrt(),
        Function::Log => arguments
            .get(1)
            .map_or(first.ln(), |base| first.ln() / base.ln()),
        Function::Exp => first.exp(),
    }
}
