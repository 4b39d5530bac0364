//! Where the servo dies.
//!
//! At a point of the world's own (a message that leaves, a record that is
//! written, a step that begins), or at any await: at the n-th time it is
//! polled. What dies is dropped with everything it holds, as SIGKILL drops it;
//! what survives is the folder, and what is under way in the network.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::Notify;

use crate::log::Log;

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At the point after so many others.
    Point(u64),
    /// At the poll after so many others.
    Poll(u64),
}

/// Ends the servo.
#[derive(Debug)]
pub struct Crash {
    when: Mutex<Option<When>>,
    fired: Notify,
    log: Arc<Log>,
}

impl Crash {
    /// Nothing is going to happen yet.
    #[must_use]
    pub fn new(log: Arc<Log>) -> Self {
        Self {
            when: Mutex::default(),
            fired: Notify::new(),
            log,
        }
    }

    /// It is to happen then; or, with none, no more.
    pub fn arm(&self, when: Option<When>) {
        *self.when.lock().unwrap_or_else(PoisonError::into_inner) = when;
    }

    /// Returns when it happens.
    pub async fn happens(&self) {
        self.fired.notified().await;
    }

    fn now(&self, at: &str) {
        self.log.note(format!("servo: KILLED {at}"));
        self.fired.notify_one();
    }

    /// Counts down; true when it is to happen here.
    fn count(&self, pick: impl Fn(When) -> Option<u64>, put: impl Fn(u64) -> When) -> bool {
        let mut when = self.when.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = when.and_then(pick) else {
            return false;
        };
        *when = left.checked_sub(1).map(put);
        when.is_none()
    }

    /// A point. Does not return when the servo dies here.
    pub async fn point(&self, name: &str) {
        let pick = |when| match when {
            When::Point(left) => Some(left),
            When::Poll(_) => None,
        };
        if self.count(pick, When::Point) {
            self.now(name);
            pending().await
        }
    }

    /// Runs a future whose polls count.
    pub async fn polls<F: Future>(&self, mut future: Pin<&mut F>) -> F::Output {
        let pick = |when| match when {
            When::Poll(left) => Some(left),
            When::Point(_) => None,
        };
        let mut dead = false;
        poll_fn(|cx| {
            if !dead && self.count(pick, When::Poll) {
                self.now("at a poll");
                dead = true;
            }
            if dead {
                return Poll::Pending;
            }
            future.as_mut().poll(cx)
        })
        .await
    }
}
