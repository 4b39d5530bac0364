//! The load itself: so many requests in flight, until time or requests are up.
//!
//! Comparable with `ab`: a fresh connection for every request unless told
//! otherwise, a request counts as failed when there is no answer, whatever the
//! status of an answer, and what is in flight when the time is up counts for
//! nothing. Unlike `ab`, a load to which nothing at all answers is given up
//! early, and one the operator does not allow at once: neither is a
//! measurement, and the service should hear why.

use std::time::Duration;

use servo_driver::{
    Context, Failure, Report,
    http::{Batch, Completed, Error, Kind, Prepared},
};

use crate::{
    histogram::Histogram,
    plan::{Phase, Plan},
};

/// How often progress is reported and a cancel noticed.
const TICK: Duration = Duration::from_secs(1);

/// `ab` gives up after so many failures.
const HOPELESS: u64 = 10;

/// What came of a phase.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) non_2xx: u64,
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Histogram,
    pub(crate) first_error: Option<Error>,
}

/// Warms up and measures.
pub(crate) fn run(plan: &Plan, cx: &Context) -> Result<Tally, Failure> {
    let client = cx.http();
    let request = plan.request(&client).prepare()?.discard_body();
    let batch = || Batch::new(&client);
    if let Some(warmup) = plan.warmup() {
        phase(plan, warmup, "warm-up", &request, batch(), cx)?;
    }
    let tally = phase(plan, plan.measured(), "measurement", &request, batch(), cx)?;
    if tally.completed == 0 {
        return Err(nothing_completed(&tally));
    }
    Ok(tally)
}

fn phase(
    plan: &Plan,
    phase: Phase,
    name: &str,
    request: &Prepared,
    mut batch: Batch<()>,
    cx: &Context,
) -> Result<Tally, Failure> {
    let began = cx.now();
    let end = phase.limit.map(|limit| began + limit);
    let mut tick = began;
    let mut tally = Tally::default();
    let mut started = 0;
    loop {
        let now = cx.now();
        if end.is_some_and(|end| now >= end) {
            break;
        }
        if now >= tick {
            cx.progress(report(plan, phase, name, &tally, now - began))?;
            tick = now + TICK;
        }
        while batch.len() < plan.threads && started < plan.requests {
            batch.start(request, ());
            started += 1;
        }
        if batch.is_empty() {
            break;
        }
        let deadline = end.map_or(tick, |end| end.min(tick));
        if let Some(done) = batch.next(Some(deadline)) {
            tally.count(done)?;
            let hopeless = HOPELESS.max(plan.threads as u64);
            if tally.completed == 0 && tally.failed >= hopeless {
                return Err(nothing_completed(&tally));
            }
        }
    }
    let over = cx.now();
    tally.elapsed = over - began;
    // What had arrived by now counts, although it was not looked at yet.
    while let Some(done) = batch.next(Some(over)) {
        tally.count(done)?;
    }
    Ok(tally)
}

impl Tally {
    fn count(&mut self, done: Completed<()>) -> Result<(), Failure> {
        match done.outcome {
            Ok(response) => {
                self.completed += 1;
                self.bytes += response.received();
                if !response.is_success() {
                    self.non_2xx += 1;
                }
                self.latencies.record(done.elapsed);
                Ok(())
            }
            Err(error) if is_ours(error.kind()) => {
                let after = self.completed;
                Err(Failure::from(error).context(format!("the load stopped after {after} answers")))
            }
            Err(error) => {
                self.failed += 1;
                self.first_error.get_or_insert(error);
                Ok(())
            }
        }
    }
}

/// Whether our own gate refused the request. That says nothing of the
/// application, and a load of another size than asked for is no measurement.
fn is_ours(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Denied(_) | Kind::DryRun | Kind::Exhausted(_) | Kind::RateLimited(_)
    )
}

fn nothing_completed(tally: &Tally) -> Failure {
    match &tally.first_error {
        Some(error) => Failure::from(error.clone()).context(format!(
            "nothing answered, {} requests failed",
            tally.failed
        )),
        None => Failure::failed("nothing answered within the time limit").reason("timeout"),
    }
}

/// Whole percents as the original computes them, and never 100: the result is
/// the end.
#[allow(clippy::cast_precision_loss)]
fn report(plan: &Plan, phase: Phase, name: &str, tally: &Tally, elapsed: Duration) -> Report {
    let done = match phase.limit {
        Some(limit) => 100.0 * elapsed.as_secs_f64() / limit.as_secs_f64(),
        None => 100.0 * tally.completed as f64 / plan.requests as f64,
    }
    .min(100.0);
    let whole = (phase.share * done + phase.offset).trunc().clamp(0.0, 99.0);
    let report = Report::percent(whole)
        .stage(name, done.trunc())
        .message(format!(
            "{name}: {} answers, {} failures",
            tally.completed, tally.failed
        ));
    match phase.limit {
        Some(limit) if phase.share + phase.offset / 100.0 > 0.999 => {
            report.time_remaining(limit.saturating_sub(elapsed))
        }
        _ => report,
    }
}
