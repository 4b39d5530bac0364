//! Whether the environment is the one a command asks for (protocol section 9).
//!
//! A seam: the original ran a program, and whoever hosts the servo decides what
//! takes its place. The servo decides only what follows: without a check, and
//! on anything but a yes, no driver runs. The public program sleeps two minutes
//! by design before it says no, so the limit is well above that.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use servo_protocol::{Failure, Operation};

use crate::driver::CallContext;

/// Most that a check may take.
pub(crate) const CHECK_LIMIT: Duration = Duration::from_secs(600);

/// Says whether the environment is the one a command asks for.
#[async_trait]
pub trait EnvironmentCheck: Send + Sync {
    /// Asked before any driver runs for a command with `control.environment`.
    /// `param` is the whole `param` of the command, as it came.
    ///
    /// The future may be dropped at any await, which must end the check and
    /// free what it holds. When the servo stops, `cx.cancel` is set first.
    ///
    /// # Errors
    /// It is not that environment, or nobody can say. The status is always
    /// reported as `environment-mismatch`; reason and message are kept.
    async fn check(
        &self,
        cx: &CallContext,
        operation: Operation,
        param: &Value,
    ) -> Result<(), Failure>;
}
