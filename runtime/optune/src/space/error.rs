//! Why a description gives no search space.

use super::MAX_DIMENSIONS;

/// Why a description gives no search space.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// The description has not the shape of protocol section 15.
    #[error("{at}: {what}")]
    Malformed {
        /// Where in the description.
        at: String,
        /// What is wrong there.
        what: String,
    },
    /// A value that may be changed is not known, so it could not be put back.
    #[error(
        "{at}: the present value is unknown, so it could not be restored; let the adjust driver report `value` or `default`, or pin the setting"
    )]
    UnknownValue {
        /// The setting.
        at: String,
    },
    /// More free settings than a study can explore.
    #[error(
        "the description has {found} settings that may change; at most {MAX_DIMENSIONS} are supported, pin the others"
    )]
    TooManyDimensions {
        /// How many were found.
        found: usize,
    },
}

pub(super) fn malformed(at: &str, what: &str) -> SpaceError {
    SpaceError::Malformed {
        at: at.to_owned(),
        what: what.to_owned(),
    }
}
