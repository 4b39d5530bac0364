//! The two places that a driver can have.

use std::fmt;

/// Which driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DriverRole {
    /// `drivers.measure`.
    Measure,
    /// `drivers.adjust`.
    Adjust,
}

impl fmt::Display for DriverRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Measure => "measure",
            Self::Adjust => "adjust",
        })
    }
}
