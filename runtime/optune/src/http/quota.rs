//! So many of a thing at a time: in all, and for one address.
//!
//! The share of one address is smaller than the whole, so that nobody can take
//! all of it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use tokio::sync::Notify;

use super::address::Address;

/// A number of permits.
#[derive(Debug)]
pub(super) struct Quota {
    whole: usize,
    per_address: usize,
    taken: Mutex<HashMap<Address, usize>>,
    given_back: Notify,
}

/// A permit; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Permit {
    quota: Arc<Quota>,
    address: Address,
}

impl Quota {
    /// At least one for everybody.
    pub(super) fn new(whole: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            whole: whole.max(1),
            per_address: per_address.max(1),
            taken: Mutex::default(),
            given_back: Notify::new(),
        })
    }

    /// One, if there is one now.
    pub(super) fn try_take(self: &Arc<Self>, address: Address) -> Option<Permit> {
        let mut taken = self.lock();
        let all: usize = taken.values().sum();
        let own = taken.get(&address).copied().unwrap_or(0);
        if all >= self.whole || own >= self.per_address {
            return None;
        }
        taken.insert(address, own + 1);
        Some(Permit {
            quota: Arc::clone(self),
            address,
        })
    }

    /// One, as soon as there is one.
    pub(super) async fn take(self: &Arc<Self>, address: Address) -> Permit {
        loop {
            let mut given_back = std::pin::pin!(self.given_back.notified());
            // From here on nothing that is given back is missed.
            given_back.as_mut().enable();
            if let Some(permit) = self.try_take(address) {
                return permit;
            }
            given_back.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// An answer that keeps the permit until its client has read it.
    pub(super) fn until_read(self, bytes: Vec<u8>) -> Body {
        Body::new(Kept {
            bytes: Some(bytes.into()),
            _permit: self,
        })
    }
}

/// Bytes with a permit.
struct Kept {
    bytes: Option<Bytes>,
    _permit: Permit,
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.quota.lock();
        match taken.get_mut(&self.address) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.address)),
        }
        drop(taken);
        self.quota.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Address {
        Address::of([10, 0, 0, last].into())
    }

    #[tokio::test]
    async fn one_address_never_has_all_of_it() {
        let quota = Quota::new(3, 2);
        let first = quota.try_take(address(1)).unwrap();
        let _second = quota.try_take(address(1)).unwrap();
        assert!(quota.try_take(address(1)).is_none(), "its share is taken");
        let other = quota.try_take(address(2)).unwrap();
        assert!(quota.try_take(address(3)).is_none(), "all are taken");
        // Whoever waits has one as soon as one is given back that it may have.
        let waiting = Arc::clone(&quota);
        let waiting = tokio::spawn(async move { waiting.take(address(1)).await });
        drop(other);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
        assert!(quota.try_take(address(3)).is_some());
        assert_eq!(quota.lock().len(), 1, "addresses are forgotten");
    }
}
