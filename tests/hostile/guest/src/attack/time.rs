//! Behaviours that do not end.

use std::hint::black_box;
use std::time::Duration;

use servo_driver::{Context, Failure, Report};
use wasip2::clocks::{monotonic_clock, monotonic_clock::subscribe_duration, wall_clock};
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

pub(super) fn clocks() -> Findings {
    let mut found = note("resolution", monotonic_clock::resolution());
    let (earlier, later) = (monotonic_clock::now(), monotonic_clock::now());
    found.extend(note("monotonic", later >= earlier));
    found.extend(note("seconds", wall_clock::now().seconds));
    found
}

/// Sleeps until a moment, which may be over.
pub(super) fn sleep_until(instant: u64) -> Findings {
    monotonic_clock::subscribe_instant(instant).block();
    note("slept", instant)
}
