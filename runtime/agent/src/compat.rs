//! Where ours follows the original although the protocol recommends otherwise:
//! everything that `--compat` changes on the wire.
//!
//! Each difference is a field of its own, so that what a switch does can be
//! read in one place and tested alone, and a service that needs one of them
//! does not get all. The default is the recommendation throughout.
//!
//! Some faults are not followed even here, because no service can rely on
//! them: results that are lost (a NaN in a measurement, a broken chunk in an
//! answer, a text in `SERVO_RETRY_DELAY_SEC`: sections 22.1 and 22.2), requests
//! without end or pause (section 5.5), no time limit on a request, redirects,
//! proxies and netrc (section 2.4), drivers left running (section 22.3).
//! A `cmd_uid` is echoed all the same: only a service that reads it sends it.

use servo_protocol::{Failure, Reason, Status, Success};

use crate::driver::DriverFailure;

/// Where ours follows the original. The default: nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compat {
    /// Adds `perf` as a copy of `requests throughput` (sections 4.3, 4.4).
    pub perf_alias: bool,
    /// Leaves `status` out of successful MEASUREMENT and ADJUSTMENT (sections
    /// 4.4, 4.5).
    pub bare_success: bool,
    /// A driver's response without status is `undefined`, and a status of a
    /// driver that comes without reason has the reason `undefined` (section
    /// 4.4). Else the first is `failed`, `no-status`, and the second has none.
    pub undefined: bool,
    /// Failures of the servo's own making, and those of DESCRIBE, carry no
    /// `reason` (sections 4.3, 4.4, 9).
    pub bare_failures: bool,
    /// Reports the requested state although the driver returned one (section
    /// 4.5).
    pub requested_state: bool,
    /// Lets through what breaks our rules and not those of the original: values
    /// that were never described, instances without an id or out of order,
    /// times in milliseconds (sections 15.1, 16.2).
    pub unchecked: bool,
    /// Cancelled before the start: `failed`. Cancelled without cancel support:
    /// `nodata`. Cancelled with it: whatever the driver ends with, however long
    /// it takes, a result included (section 8).
    pub cancel_words: bool,
    /// Progress carries `progress`, `runtime` and `message` only, is sent only
    /// when the driver reports and without a pause between two reports, and the
    /// newest one is sent before the final report (section 7).
    pub plain_progress: bool,
    /// An operation of which two progress reports in a row are lost fails
    /// (section 7.4).
    pub fatal_progress: bool,
    /// Waits as the table of section 6 says: no jitter, no `Retry-After`, no
    /// longer waits after a refusal, nothing special about HTTP 410.
    pub plain_retries: bool,
    /// Sends a final report again when the answer to it was not readable
    /// (section 22.1, item 4).
    pub repeat_unreadable: bool,
    /// Of the answers to reports only `cancel` matters; after
    /// `unexpected-event` both sides stay out of step (section 22.1, item 8).
    pub only_cancel: bool,
    /// SIGUSR1 and SIGHUP wait for a sleep, for the end of a measurement that
    /// waits, and for a request that is repeated; GOODBYE takes its three
    /// retries in full (sections 10, 11).
    pub patient_stops: bool,
    /// SIGTERM and SIGINT leave a running operation unreported (section 11).
    pub silent_stops: bool,
}

impl Compat {
    /// As the original, in everything.
    #[must_use]
    pub const fn original() -> Self {
        Self {
            perf_alias: true,
            bare_success: true,
            undefined: true,
            bare_failures: true,
            requested_state: true,
            unchecked: true,
            cancel_words: true,
            plain_progress: true,
            fatal_progress: true,
            plain_retries: true,
            repeat_unreadable: true,
            only_cancel: true,
            patient_stops: true,
            silent_stops: true,
        }
    }

    pub(crate) fn success(self) -> Success {
        if self.bare_success {
            Success::Original
        } else {
            Success::WithStatus
        }
    }

    /// A failure as a driver stated it.
    pub(crate) fn stated(self, mut failure: DriverFailure) -> DriverFailure {
        if self.undefined {
            if failure.reason == Some(Reason::NoStatus) {
                failure.status = Status::Undefined;
                failure.reason = None;
            }
            // A bare `failed` is also what an adapter says of a driver that
            // never answered, and the original gave that no reason.
            if failure.status != Status::Failed {
                failure.reason.get_or_insert(Reason::Undefined);
            }
        }
        failure
    }

    /// A failure of the servo's own making.
    pub(crate) fn own(self, mut failure: Failure) -> Failure {
        if self.bare_failures {
            failure.reason = None;
        }
        failure
    }
}
