//! A driver as a servo is given it, whatever runs it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use servo_agent::{AdjustDriver, CallLimits, DriverFacts, MeasureDriver};
use servo_native::{NativeDriver, NativeOptions};

use crate::sandboxed::Sandboxed;

/// What holds for all drivers of a servo.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Whether programs may be drivers.
    pub natives: Natives,
    /// How long a step may show no sign of life (`OPTUNE_IO_TIMEOUT`); none:
    /// as long as it has time.
    pub silence: Option<Duration>,
}

/// Whether programs may be drivers.
#[derive(Debug, Clone, Default)]
pub enum Natives {
    /// Only components may.
    #[default]
    Refused,
    /// Programs may, in this way.
    Allowed(NativeOptions),
}

/// A driver that is ready to be called. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Hosted {
    /// A component, in the sandbox.
    Sandboxed(Arc<Sandboxed>),
    /// A program, with the limits that can be kept for one.
    Native(Arc<NativeDriver>, CallLimits),
}

impl Hosted {
    /// What it is.
    #[must_use]
    pub fn facts(&self) -> &DriverFacts {
        match self {
            Self::Sandboxed(driver) => MeasureDriver::facts(driver.as_ref()),
            Self::Native(driver, _) => MeasureDriver::facts(driver.as_ref()),
        }
    }

    /// Limits of its calls.
    #[must_use]
    pub fn limits(&self) -> CallLimits {
        match self {
            Self::Sandboxed(driver) => CallLimits::from(&driver.bound().grants().budget),
            Self::Native(_, limits) => *limits,
        }
    }

    /// The driver, to measure with.
    #[must_use]
    pub fn measure(&self) -> Arc<dyn MeasureDriver> {
        match self {
            Self::Sandboxed(driver) => Arc::clone(driver) as _,
            Self::Native(driver, _) => Arc::clone(driver) as _,
        }
    }

    /// The driver, to adjust with.
    #[must_use]
    pub fn adjust(&self) -> Arc<dyn AdjustDriver> {
        match self {
            Self::Sandboxed(driver) => Arc::clone(driver) as _,
            Self::Native(driver, _) => Arc::clone(driver) as _,
        }
    }
}

impl fmt::Display for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = self.facts();
        write!(f, "{} {}", facts.name, facts.version)?;
        match (&facts.digest, self) {
            (Some(digest), _) => write!(f, " {digest}"),
            (None, Self::Native(..)) => f.write_str(", a program with all of servo's privileges"),
            (None, Self::Sandboxed(_)) => Ok(()),
        }
    }
}
