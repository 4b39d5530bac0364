//! Many requests at once.
//!
//! WASI 0.2 has no threads; what it has is waiting for many things at once,
//! and that is enough: a load generator keeps some hundred exchanges open and
//! goes on with whichever can. The lists are kept and used again, so that a
//! request costs the component no allocation of its own apart from what an
//! answer brings.

use std::{sync::Arc, time::Duration};

use super::{
    client::Client,
    error::{Error, Kind},
    prepared::Prepared,
    response::Response,
};
use crate::{
    access::Access,
    host::{Host as _, Id},
};

/// How often exchanges are looked through for those that take too long.
const SWEEP: Duration = Duration::from_secs(1);

/// Requests under way, each with a token of the driver's to know it by.
///
/// ```
/// # use servo_driver::{Context, Failure, http};
/// # fn f(cx: &Context, urls: &[String]) -> Result<(), Failure> {
/// let client = cx.http();
/// let mut batch = http::Batch::new(&client);
/// for (index, url) in urls.iter().enumerate() {
///     batch.start(&client.get(url).prepare()?, index);
/// }
/// while let Some(done) = batch.next(None) {
///     let response = done.outcome?.ok()?;
///     println!("{}: {} after {:?}", urls[done.token], response.status(), done.elapsed);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Batch<T> {
    host: Access,
    ids: Vec<Id>,
    slots: Vec<Slot<T>>,
    ready: Vec<usize>,
    done: Vec<Completed<T>>,
    limited: bool,
    next_sweep: Duration,
}

#[derive(Debug)]
struct Slot<T> {
    token: T,
    label: Arc<str>,
    started: Duration,
    total: Option<Duration>,
}

/// A request that is over.
#[derive(Debug)]
pub struct Completed<T> {
    /// The token it was started with.
    pub token: T,
    /// From sending it to the last byte of the answer, or to the error.
    pub elapsed: Duration,
    /// The answer, with any status, or why there is none.
    pub outcome: Result<Response, Error>,
}

impl<T> Batch<T> {
    /// No requests yet.
    pub fn new(client: &Client) -> Self {
        Self {
            host: client.host.clone(),
            ids: Vec::new(),
            slots: Vec::new(),
            ready: Vec::new(),
            done: Vec::new(),
            limited: false,
            next_sweep: Duration::ZERO,
        }
    }

    /// Sends a request and returns without waiting. One that cannot even be
    /// sent is completed at once, with its error.
    pub fn start(&mut self, request: &Prepared, token: T) {
        let started = self.host.now();
        match request.start() {
            Ok(id) => {
                if request.total.is_some() && !self.limited {
                    self.limited = true;
                    self.next_sweep = started + SWEEP;
                }
                self.ids.push(id);
                self.slots.push(Slot {
                    token,
                    label: Arc::clone(&request.label),
                    started,
                    total: request.total,
                });
            }
            Err(kind) => self.done.push(Completed {
                token,
                elapsed: Duration::ZERO,
                outcome: Err(request.error(kind)),
            }),
        }
    }

    /// How many requests are under way or completed and not yet taken.
    pub fn len(&self) -> usize {
        self.slots.len() + self.done.len()
    }

    /// Whether there is nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for the next request to be over. Nothing when there is none under
    /// way, or when `deadline` on the clock of
    /// [`Context::now`](crate::Context::now) has passed.
    pub fn next(&mut self, deadline: Option<Duration>) -> Option<Completed<T>> {
        loop {
            if let Some(done) = self.done.pop() {
                return Some(done);
            }
            if self.ids.is_empty() {
                return None;
            }
            let until = match (deadline, self.limited) {
                (Some(deadline), true) => Some(deadline.min(self.next_sweep)),
                (None, true) => Some(self.next_sweep),
                (deadline, false) => deadline,
            };
            self.ready.clear();
            self.host.http_wait(&self.ids, until, &mut self.ready);
            self.advance();
            if self.limited {
                let now = self.host.now();
                if now >= self.next_sweep {
                    self.sweep(now);
                }
            }
            let late = deadline.is_some_and(|deadline| self.host.now() >= deadline);
            if late && self.done.is_empty() {
                return None;
            }
        }
    }

    /// Gives up every request that is under way.
    pub fn abort(&mut self) {
        for id in self.ids.drain(..) {
            self.host.http_abort(id);
        }
        self.slots.clear();
        self.done.clear();
    }

    /// Takes every ready exchange as far as it goes. From the last to the
    /// first, so that removing one moves none that is still to come.
    fn advance(&mut self) {
        self.ready.sort_unstable();
        for &index in self.ready.iter().rev() {
            let Some(&id) = self.ids.get(index) else {
                continue;
            };
            let Some(outcome) = self.host.http_advance(id) else {
                continue;
            };
            self.ids.swap_remove(index);
            let slot = self.slots.swap_remove(index);
            self.done.push(Completed {
                elapsed: self.host.now().saturating_sub(slot.started),
                outcome: match outcome {
                    Ok(reply) => Ok(Response::new(&slot.label, reply)),
                    Err(kind) => Err(Error::new(&slot.label, kind)),
                },
                token: slot.token,
            });
        }
    }

    fn sweep(&mut self, now: Duration) {
        self.next_sweep = now + SWEEP;
        for index in (0..self.slots.len()).rev() {
            let late = self.slots.get(index).is_some_and(|slot| {
                slot.total
                    .is_some_and(|total| now.saturating_sub(slot.started) >= total)
            });
            if late {
                self.host.http_abort(self.ids.swap_remove(index));
                let slot = self.slots.swap_remove(index);
                self.done.push(Completed {
                    elapsed: now.saturating_sub(slot.started),
                    outcome: Err(Error::new(&slot.label, too_late())),
                    token: slot.token,
                });
            }
        }
    }
}

fn too_late() -> Kind {
    Kind::Timeout("timed out: no whole answer within the request's own limit".to_owned())
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        self.abort();
    }
}
