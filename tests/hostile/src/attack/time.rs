//! Behaviours that do not end.

use std::hint::black_box;
use std::time::Duration;

use servo_driver::{Context, Failure, Report};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;

use super::note;
use crate::Findings;

pub(super) fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

pub(super) fn poll_ready() -> ! {
    let ready = subscribe_duration(0);
    loop {
        black_box(poll(&[&ready]));
    }
}

pub(super) fn sleep(nanos: u64) -> Findings {
    subscribe_duration(nanos).block();
    note("slept", nanos)
}

/// Tells that it has begun, and is not heard of again.
pub(super) fn deaf(cx: &Context) -> ! {
    let _ = cx.progress(Report::percent(1.0));
    loop {
        subscribe_duration(u64::MAX).block();
    }
}

pub(super) fn wait(cx: &Context, seconds: u64) -> Result<Findings, Failure> {
    cx.progress(Report::percent(1.0))?;
    cx.wait(Duration::from_secs(seconds))?;
    Ok(note("waited", seconds))
}

pub(super) fn defy(cx: &Context) -> Findings {
    let _ = cx.progress(Report::percent(1.0));
    while cx.wait(Duration::from_secs(3600)).is_ok() {}
    note("claim", "all went well")
}
