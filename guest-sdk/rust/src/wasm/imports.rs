//! The host as a component sees it: the contract's imports and WASI.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use wasip2::{clocks::monotonic_clock, filesystem::preopens, random::random::get_random_u64};

use super::{fetch, http};
use crate::{
    actions::outcome as actions,
    bindings::servo::driver as imports,
    failure::Cancelled,
    host::{Host, Id},
    http::{
        error::Kind,
        message::{Head, Keep, Reply},
    },
    report::Report,
    store::error as store,
};

/// The imports. It holds nothing: what it held would be dropped in every
/// driver, and so imported by every driver, whether it is used or not.
#[derive(Default)]
pub(crate) struct Imports;

impl Host for Imports {
    fn config(&self) -> String {
        imports::config::get()
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }

    fn unix_time(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn random(&self) -> u64 {
        get_random_u64()
    }

    fn report(&self, report: &Report) -> Result<(), Cancelled> {
        wanted(imports::progress::update(&imports::progress::Report {
            percent: report.percent,
            message: report.message.clone(),
            stage: report.stage.clone(),
            stage_percent: report.stage_percent,
            time_remaining: report.time_remaining.map(|time| time.as_secs_f64()),
        }))
    }

    fn check(&self) -> Result<(), Cancelled> {
        wanted(imports::progress::check())
    }

    fn wait(&self, duration: Duration) -> Result<(), Cancelled> {
        wanted(imports::progress::wait(duration.as_secs_f64()))
    }

    fn sleep(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        monotonic_clock::subscribe_duration(nanos).block();
    }

    fn store_get(&self, key: &str) -> Result<Option<String>, store::Error> {
        imports::state::get(key).map_err(store_error)
    }

    fn store_set(&self, key: &str, value: &str) -> Result<(), store::Error> {
        imports::state::set(key, value).map_err(store_error)
    }

    fn store_remove(&self, key: &str) -> Result<(), store::Error> {
        imports::state::remove(key).map_err(store_error)
    }

    fn store_keys(&self) -> Result<Vec<String>, store::Error> {
        imports::state::keys().map_err(store_error)
    }

    fn folder(&self, name: &str) -> Option<PathBuf> {
        let path = format!("/{name}");
        let granted = preopens::get_directories();
        let found = granted.iter().any(|(_, seen)| *seen == path);
        found.then(|| path.into())
    }

    fn run_action(
        &self,
        name: &str,
        arguments: &[(String, String)],
    ) -> Result<actions::Output, actions::Error> {
        match imports::actions::run(name, arguments) {
            Ok(output) => Ok(actions::Output {
                code: output.code,
                stdout: output.stdout,
                stderr: output.stderr,
            }),
            Err(error) => Err(match error {
                imports::actions::Error::Denied(text) => actions::Error::Denied(text),
                imports::actions::Error::InvalidArgument(text) => {
                    actions::Error::InvalidArgument(text)
                }
                imports::actions::Error::TimedOut => actions::Error::TimedOut,
                imports::actions::Error::Failed(text) => actions::Error::Failed(text),
            }),
        }
    }

    fn http_send(&self, head: &Head, body: &[u8], most: u64) -> Result<Reply, Kind> {
        fetch::send(head, body, most)
    }

    fn http_prepare(&self, head: &Head) -> Result<Id, Kind> {
        http::with(|exchanges| exchanges.prepare(head))
    }

    fn http_forget(&self, prepared: Id) {
        http::with(|exchanges| exchanges.forget(prepared));
    }

    fn http_start(&self, prepared: Id, body: &[u8], keep: Keep) -> Result<Id, Kind> {
        http::with(|exchanges| exchanges.start(prepared, body, keep))
    }

    fn http_wait(&self, exchanges: &[Id], deadline: Option<Duration>, ready: &mut Vec<usize>) {
        http::with(|running| running.wait(exchanges, deadline, ready));
    }

    fn http_advance(&self, exchange: Id) -> Option<Result<Reply, Kind>> {
        http::with(|exchanges| exchanges.advance(exchange))
    }

    fn http_abort(&self, exchange: Id) {
        http::with(|exchanges| exchanges.abort(exchange));
    }
}

fn wanted(verdict: imports::progress::Verdict) -> Result<(), Cancelled> {
    match verdict {
        imports::progress::Verdict::Proceed => Ok(()),
        imports::progress::Verdict::Cancel => Err(Cancelled),
    }
}

fn store_error(error: imports::state::Error) -> store::Error {
    match error {
        imports::state::Error::TooLarge(text) => store::Error::TooLarge(text),
        imports::state::Error::Unavailable(text) => store::Error::Unavailable(text),
    }
}

/// Writes a line of the `log` crate to the operator's log.
pub(crate) fn write_log(record: &log::Record<'_>) {
    let level = match record.level() {
        log::Level::Trace => imports::log::Level::Trace,
        log::Level::Debug => imports::log::Level::Debug,
        log::Level::Info => imports::log::Level::Info,
        log::Level::Warn => imports::log::Level::Warn,
        log::Level::Error => imports::log::Level::Error,
    };
    imports::log::write(level, record.target(), &record.args().to_string());
}
