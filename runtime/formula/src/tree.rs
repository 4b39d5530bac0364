//! What an arithmetic formula is made of.

/// How a time series becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reducer {
    /// Mean over the instances of the mean over their points, as the service's
    /// objectives were checked (protocol 19.5): a pod that reports twice as
    /// often has no more weight.
    Mean,
    /// A percentile over all points of all instances.
    Percentile(u8),
    /// Mean over the instances of their latest point.
    Last,
    /// Mean over the instances of the slope of the straight line that fits
    /// their points best, in units of the metric per unit of the time stamps
    /// (seconds by contract).
    Slope,
}

impl Reducer {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "mean" => Some(Self::Mean),
            "median" => Some(Self::Percentile(50)),
            "last" => Some(Self::Last),
            "slope" => Some(Self::Slope),
            _ => {
                let percent: u8 = name
                    .strip_prefix('p')
                    .filter(|digits| digits.len() == 2)?
                    .parse()
                    .ok()?;
                (50..=99)
                    .contains(&percent)
                    .then_some(Self::Percentile(percent))
            }
        }
    }
}

/// A node of a formula.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
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
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Min,
    Max,
    Abs,
    Round,
    Sqrt,
    Log,
    Exp,
}

impl Function {
    pub(crate) fn named(name: &str) -> Option<Self> {
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

    pub(crate) fn accepts(self, arguments: usize) -> bool {
        match self {
            Self::Min | Self::Max => arguments >= 1,
            Self::Round | Self::Log => (1..=2).contains(&arguments),
            Self::Abs | Self::Sqrt | Self::Exp => arguments == 1,
        }
    }
}

impl Node {
    /// Collects the names of metrics.
    pub(crate) fn metrics<'a>(&'a self, names: &mut Vec<&'a str>) {
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
