//! What an error has to say to the person who repairs it: where it stands, what
//! is wrong, what to do. The command line words and prints it.

use std::fmt;

use servo_config::ConfigError;
use servo_policy::Advice;

/// What an error has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Explanation {
    /// Where it stands in a file of the operator, each with its remedy.
    Places(Vec<ConfigError>),
    /// It stands in no file.
    Advice(Advice),
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Places(places) => {
                for (index, place) in places.iter().enumerate() {
                    let line = if index > 0 { "\n" } else { "" };
                    write!(f, "{line}{place}")?;
                }
                Ok(())
            }
            Self::Advice(advice) => advice.fmt(f),
        }
    }
}
