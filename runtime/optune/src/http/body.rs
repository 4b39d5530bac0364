//! Bodies, within a memory that is bounded for all of them together.
//!
//! A small body costs a connection what its buffers cost. For what is larger
//! a client waits until there is room, and meanwhile nothing is read from it.
//! Whoever sends more slowly than any line that a servo runs on gives its room
//! back.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use futures_util::future;
use tokio::time::Instant;

use super::address::Address;
use super::quota::{Permit, Quota};
use crate::wire;

/// Largest body for which nobody waits, in bytes.
const SMALL: usize = 64 * 1024;
/// Bodies at a time above that.
const MEDIUM: usize = 16;
/// Bodies at a time above [`wire::MAX_FULL`].
const LARGE: usize = 2;
/// How long a body may take, whatever its size.
const LEAST: Duration = Duration::from_secs(10);
/// Bytes a second of a line that a servo may run on.
const SLOWEST: u32 = 128 * 1024;

/// The room that there is for bodies.
#[derive(Debug)]
pub(super) struct Bodies {
    medium: Arc<Quota>,
    large: Arc<Quota>,
}

/// A body, and the room it takes.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    _room: (Option<Permit>, Option<Permit>),
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            medium: Quota::new(MEDIUM, MEDIUM / 2),
            large: Quota::new(LARGE, LARGE / 2),
        }
    }
}

impl Bodies {
    /// Reads a body. None when it is too large, too slow or breaks off.
    pub(super) async fn read(&self, mut body: Body, from: Address) -> Option<Held> {
        let announced = body.size_hint().exact().unwrap_or(0);
        if announced > wire::MAX_BODY as u64 {
            return None;
        }
        let began = Instant::now();
        let mut bytes = Vec::new();
        let (mut medium, mut large) = (None, None);
        loop {
            let due = began + LEAST + Duration::from_secs(bytes.len() as u64) / SLOWEST;
            let frame = future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx));
            let Some(frame) = tokio::time::timeout_at(due, frame).await.ok()? else {
                return Some(Held {
                    bytes,
                    _room: (medium, large),
                });
            };
            let Ok(data) = frame.ok()?.into_data() else {
                continue;
            };
            let size = bytes.len() + data.len();
            if size > wire::MAX_BODY {
                return None;
            }
            if size > SMALL && medium.is_none() {
                medium = Some(room(&self.medium, from).await?);
                let expected = usize::try_from(announced).unwrap_or(0).min(wire::MAX_FULL);
                bytes.reserve_exact(expected.saturating_sub(bytes.len()));
            }
            if size > wire::MAX_FULL && large.is_none() {
                large = Some(room(&self.large, from).await?);
                let expected = usize::try_from(announced).unwrap_or(0);
                bytes.reserve_exact(expected.saturating_sub(bytes.len()));
            }
            bytes.extend_from_slice(&data);
        }
    }
}

async fn room(quota: &Arc<Quota>, from: Address) -> Option<Permit> {
    tokio::time::timeout(LEAST, quota.take(from)).await.ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures_util::stream::{self, StreamExt as _};

    use super::*;

    fn from(last: u8) -> Address {
        Address::of([10, 0, 0, last].into())
    }

    /// A body that sends so much and then nothing.
    fn that_stops(size: usize) -> Body {
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b' '; size]))]);
        Body::from_stream(first.chain(stream::pending()))
    }

    fn whole(size: usize) -> Body {
        Body::from(vec![b' '; size])
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_is_given_up_and_a_slow_one_is_not() {
        let bodies = Bodies::default();
        for size in [0, 100, wire::MAX_FULL + 1] {
            let began = Instant::now();
            assert!(bodies.read(that_stops(size), from(1)).await.is_none());
            let most = LEAST + Duration::from_secs(size as u64) / SLOWEST;
            assert_eq!(began.elapsed().as_secs(), most.as_secs());
        }
        let slowly = stream::unfold(0, |sent| async move {
            if sent == 16 {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(900)).await;
            let piece = Bytes::from(vec![b' '; 256 * 1024]);
            Some((Ok::<_, std::io::Error>(piece), sent + 1))
        });
        let read = bodies.read(Body::from_stream(slowly), from(1)).await;
        assert_eq!(read.unwrap().bytes.len(), 4 * 1024 * 1024);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_together_is_bounded_and_no_address_has_all_of_it() {
        let bodies = Arc::new(Bodies::default());
        let mut stuck = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let bodies = Arc::clone(&bodies);
            stuck.spawn(async move {
                let size = 10 * 1024 * 1024;
                bodies.read(that_stops(size), from(1)).await.is_some()
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(bodies.medium.try_take(from(1)).is_none());
        assert!(bodies.large.try_take(from(1)).is_none());
        // Others are served meanwhile, and so is who sends little.
        for (size, from) in [
            (SMALL, from(1)),
            (wire::MAX_FULL, from(2)),
            (wire::MAX_BODY, from(2)),
        ] {
            let began = Instant::now();
            let held = bodies.read(whole(size), from).await.unwrap();
            assert_eq!(held.bytes.len(), size);
            assert!(held.bytes.capacity() <= size.max(SMALL) * 2);
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
        // And the rest goes in its time, so that its own address has room again.
        while let Some(read) = stuck.join_next().await {
            assert!(!read.unwrap());
        }
        assert!(bodies.large.try_take(from(1)).is_some());
        assert!(
            bodies
                .read(whole(wire::MAX_BODY + 1), from(1))
                .await
                .is_none()
        );
    }
}
