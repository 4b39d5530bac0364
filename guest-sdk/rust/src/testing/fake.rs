//! The host's side of a test, without the script of HTTP replies.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::PathBuf,
    time::Duration,
};

use super::{http::Server, lines::LINES};
use crate::{
    actions::outcome as actions,
    failure::Cancelled,
    host::{Host, Id},
    http::{
        error::Kind,
        message::{Head, Keep, Reply},
    },
    report::Report,
    store::error as store,
};

/// How long a cancelled call may go on, as the host has it.
const GRACE: Duration = Duration::from_secs(5);

/// When the test begins: 2023-11-14 22:13:20 UTC.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);

#[derive(Debug)]
pub(crate) struct Fake {
    pub(super) config: RefCell<String>,
    pub(super) clock: Cell<Duration>,
    pub(super) server: RefCell<Server>,
    pub(super) store: RefCell<BTreeMap<String, String>>,
    pub(super) actions: RefCell<BTreeMap<String, actions::Output>>,
    pub(super) folders: RefCell<BTreeMap<String, PathBuf>>,
    pub(super) reports: RefCell<Vec<Report>>,
    pub(super) cancel_after: Cell<Option<usize>>,
    pub(super) cancel_at: Cell<Option<Duration>>,
    percent: Cell<f64>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            config: RefCell::new("{}".to_owned()),
            clock: Cell::default(),
            server: RefCell::default(),
            store: RefCell::default(),
            actions: RefCell::default(),
            folders: RefCell::default(),
            reports: RefCell::default(),
            cancel_after: Cell::default(),
            cancel_at: Cell::default(),
            percent: Cell::default(),
        }
    }
}

impl Fake {
    /// A new call begins.
    pub(super) fn begin(&self) {
        self.percent.set(0.0);
        self.reports.take();
        self.server.borrow_mut().take_requests();
        LINES.take();
    }

    pub(super) fn report(&self, report: Report) -> Result<(), Cancelled> {
        if let Some(percent) = report.percent {
            let before = self.percent.replace(percent);
            assert!(
                (0.0..=100.0).contains(&percent),
                "{percent} is not a percentage"
            );
            assert!(
                percent >= before,
                "progress goes back from {before} to {percent}"
            );
        }
        self.reports.borrow_mut().push(report);
        self.check()
    }
}

impl Host for Fake {
    fn config(&self) -> String {
        self.config.borrow().clone()
    }

    fn now(&self) -> Duration {
        self.clock.get()
    }

    fn unix_time(&self) -> Duration {
        EPOCH + self.clock.get()
    }

    /// The largest, so that pauses with jitter have their nominal length.
    fn random(&self) -> u64 {
        u64::MAX
    }

    fn report(&self, report: &Report) -> Result<(), Cancelled> {
        self.report(report.clone())
    }

    fn check(&self) -> Result<(), Cancelled> {
        let reports = self.reports.borrow().len();
        let by_report = self
            .cancel_after
            .get()
            .is_some_and(|limit| reports >= limit);
        let by_time = self
            .cancel_at
            .get()
            .is_some_and(|time| self.clock.get() >= time);
        if by_report || by_time {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    fn wait(&self, duration: Duration) -> Result<(), Cancelled> {
        self.check()?;
        let end = self.clock.get() + duration;
        self.clock
            .set(self.cancel_at.get().map_or(end, |time| time.min(end)));
        self.check()
    }

    fn sleep(&self, duration: Duration) {
        self.clock.set(self.clock.get() + duration);
    }

    fn store_get(&self, key: &str) -> Result<Option<String>, store::Error> {
        Ok(self.store.borrow().get(key).cloned())
    }

    fn store_set(&self, key: &str, value: &str) -> Result<(), store::Error> {
        let mut store = self.store.borrow_mut();
        let others: usize = store
            .iter()
            .filter(|(k, _)| *k != key)
            .map(|(k, v)| k.len() + v.len())
            .sum();
        if key.is_empty() || key.len() > 128 {
            return Err(store::Error::TooLarge(
                "a key has 1 to 128 bytes".to_owned(),
            ));
        }
        if others + key.len() + value.len() > 64 * 1024 {
            return Err(store::Error::TooLarge("the store holds 64 KiB".to_owned()));
        }
        store.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn store_remove(&self, key: &str) -> Result<(), store::Error> {
        self.store.borrow_mut().remove(key);
        Ok(())
    }

    fn store_keys(&self) -> Result<Vec<String>, store::Error> {
        Ok(self.store.borrow().keys().cloned().collect())
    }

    fn folder(&self, name: &str) -> Option<PathBuf> {
        self.folders.borrow().get(name).cloned()
    }

    fn run_action(
        &self,
        name: &str,
        _: &[(String, String)],
    ) -> Result<actions::Output, actions::Error> {
        let actions = self.actions.borrow();
        let denied = || actions::Error::Denied(format!("there is no action {name:?}"));
        actions.get(name).cloned().ok_or_else(denied)
    }

    /// Until the answer, the request's own limit, or the end of a cancelled
    /// call's grace; whichever comes first.
    fn http_send(&self, head: &Head, body: &[u8], most: u64) -> Result<Reply, Kind> {
        let began = self.clock.get();
        let (at, outcome) = self.server.borrow_mut().exchange(head, body, most, began);
        let late = head.timeout.map(|limit| began + limit);
        let dropped = self.cancel_at.get().map(|at| at.max(began) + GRACE);
        let first = [late, dropped].into_iter().flatten().min();
        let end = first.map_or(at, |first| first.min(at));
        self.clock.set(self.clock.get().max(end));
        if end == at {
            return outcome;
        }
        Err(match late {
            Some(late) if late == end => {
                Kind::Timeout("timed out: the request's own limit".to_owned())
            }
            _ => Kind::Failed("the call is over".to_owned()),
        })
    }

    fn http_prepare(&self, head: &Head) -> Result<Id, Kind> {
        Ok(self.server.borrow_mut().prepare(head))
    }

    fn http_forget(&self, _: Id) {}

    fn http_start(&self, prepared: Id, body: &[u8], keep: Keep) -> Result<Id, Kind> {
        Ok(self
            .server
            .borrow_mut()
            .start(prepared, body, keep, self.clock.get()))
    }

    fn http_wait(&self, exchanges: &[Id], deadline: Option<Duration>, ready: &mut Vec<usize>) {
        let server = self.server.borrow();
        let times: Vec<_> = exchanges.iter().map(|id| server.ready_at(*id)).collect();
        let first = times
            .iter()
            .copied()
            .chain(deadline)
            .min()
            .unwrap_or_default();
        let now = self.clock.get().max(first);
        self.clock.set(now);
        ready.extend((0..times.len()).filter(|at| times.get(*at).is_some_and(|time| *time <= now)));
    }

    fn http_advance(&self, exchange: Id) -> Option<Result<Reply, Kind>> {
        Some(self.server.borrow_mut().finish(exchange))
    }

    fn http_abort(&self, exchange: Id) {
        self.server.borrow_mut().abort(exchange);
    }
}
