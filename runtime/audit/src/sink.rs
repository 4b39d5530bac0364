//! Where records go.

use crate::record::{Record, Verdict};

/// Takes records one by one. It must not block: it is called where decisions
/// are made.
pub trait Sink: Send + Sync {
    /// Takes one.
    fn write(&self, record: &Record<'_>);
}

/// Writes each record as one event at the target `servo::audit`: what was
/// allowed at the level `debug`, everything else at `warn`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

impl Sink for Log {
    fn write(&self, record: &Record<'_>) {
        let Record {
            owner,
            call,
            capability,
            what,
            rule,
            verdict,
            reason,
            outcome,
            bytes_out,
            bytes_in,
            time,
        } = record;
        // `tracing` fixes the level of an event where it is written.
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    target: "servo::audit",
                    tenant = owner.tenant,
                    servo = owner.servo,
                    driver = owner.driver,
                    digest = owner.digest,
                    call,
                    capability = capability.as_str(),
                    what,
                    rule = rule.map(|rule| rule as u64),
                    verdict = verdict.as_str(),
                    reason = reason.as_str(),
                    outcome,
                    bytes_out,
                    bytes_in,
                    time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
                )
            };
        }
        match verdict {
            Verdict::Allowed => event!(debug),
            Verdict::Denied | Verdict::Capped => event!(warn),
        }
    }
}
