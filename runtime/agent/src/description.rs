//! What drivers describe, and whether it can be believed.
//!
//! The agent asks before it adjusts, and so do `servo adjust` and `servo
//! check`. All of them ask here, so that what is refused in production is
//! refused on a laptop, in the same words.

use servo_config::Ceilings;
use servo_protocol::check::{self, Finding};
use servo_protocol::{Application, AppliedApplication, Metrics, Reason, Status};

use crate::driver::{AdjustDriver, CallContext, CallId, DriverFailure, MeasureDriver};
use crate::observer::Notice;
use crate::operation::Call;

impl Call<'_> {
    /// Asks a driver for the application's settings. What is odd and no error
    /// goes to the observer.
    ///
    /// # Errors
    /// The driver fails, or its description contradicts itself.
    pub async fn application(
        &self,
        driver: &dyn AdjustDriver,
    ) -> Result<Application, DriverFailure> {
        let application = self
            .describe(|cx| async move { driver.describe(&apart(cx)).await })
            .await?;
        let warnings = check::check_application(&application).map_err(|f| contradiction(&f))?;
        for finding in warnings {
            self.observer.notice(Notice::Odd {
                finding: finding.to_string(),
            });
        }
        Ok(application)
    }

    /// Asks a driver for its metrics.
    ///
    /// # Errors
    /// The driver fails, or its description contradicts itself.
    pub async fn metrics(&self, driver: &dyn MeasureDriver) -> Result<Metrics, DriverFailure> {
        let metrics = self
            .describe(|cx| async move { driver.describe(&apart(cx)).await })
            .await?;
        check::check_metrics(&metrics).map_err(|f| contradiction(&f))?;
        Ok(metrics)
    }
}

/// Asking is a call of its own, also for an ADJUST: what runs drivers keeps the
/// progress and the cancel of a call by its id, and those of the question are
/// not those of the adjustment that follows it.
fn apart(cx: CallContext) -> CallContext {
    CallContext {
        call: CallId::new(&format!("{}-describe", cx.call)),
        ..cx
    }
}

/// The values as the driver shall see them, when all of them fit what it
/// described and the ceilings of the operator.
///
/// # Errors
/// One does not: `rejected`, reason `invalid-setting`, before any driver is
/// asked to adjust.
pub fn fitted(
    wanted: &AppliedApplication,
    described: &Application,
    ceilings: &Ceilings,
) -> Result<AppliedApplication, DriverFailure> {
    let fitted = check::check_adjustment(wanted, described).map_err(|finding| refused(&finding))?;
    admitted(&fitted, ceilings)?;
    Ok(fitted)
}

/// Whether all values are within the ceilings of the operator, whatever the
/// driver describes. What it describes is told to the service as it is.
///
/// # Errors
/// As [`fitted`].
pub fn admitted(wanted: &AppliedApplication, ceilings: &Ceilings) -> Result<(), DriverFailure> {
    ceilings
        .admit_values(wanted)
        .map_err(|problem| refused(&problem))
}

fn refused(problem: &impl std::fmt::Display) -> DriverFailure {
    let (status, reason) = (Status::Rejected, Reason::InvalidSetting);
    DriverFailure::new(status, reason, problem.to_string())
}

fn contradiction(finding: &Finding) -> DriverFailure {
    let message = format!("the driver's description contradicts itself: {finding}");
    DriverFailure::new(Status::Failed, finding.reason(), message)
}
