//! The connections there are, and which one goes when there are too many.
//!
//! A newcomer is let in as long as there is somebody who only keeps a place:
//! of those whose request is not complete the one that has been quiet for
//! longest goes. So connections that say nothing, or half of something, keep
//! nobody out, however many there are. One address has at most half of all
//! places; whoever fills its half pushes out its own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::address::Address;

/// Most connections, whatever the system allows: a servo keeps one, and a
/// browser six.
const MOST: usize = 512;
/// Fewest, whatever the system allows.
const FEWEST: usize = 8;
/// File descriptors that are kept for everything else: the database with its
/// log, the terminal, the runtime, and connections that are being closed.
const RESERVED: usize = 32;

/// How long a connection may be quiet while it is its turn to say something,
/// or to read what it is told.
const QUIET: Duration = Duration::from_secs(20);
/// The same for a stream of news, which is written to every 15 s.
const QUIET_STREAM: Duration = Duration::from_secs(60);

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// In all.
    pub(super) whole: usize,
    /// From one address.
    pub(super) per_address: usize,
}

impl Limits {
    /// What the system's limit of file descriptors leaves.
    pub(super) fn of_system() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current;
        Self::of_descriptors(descriptors.and_then(|most| usize::try_from(most).ok()))
    }

    fn of_descriptors(descriptors: Option<usize>) -> Self {
        let left = descriptors.unwrap_or(usize::MAX).saturating_sub(RESERVED);
        let whole = left.clamp(FEWEST, MOST);
        Self {
            whole,
            per_address: whole / 2,
        }
    }
}

/// Every connection.
#[derive(Debug)]
pub(super) struct Connections {
    limits: Limits,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    next: u64,
    places: BTreeMap<u64, Arc<Connection>>,
}

/// What is known of one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    address: Address,
    opened: Instant,
    /// Milliseconds after `opened` when it last read or wrote something.
    heard: AtomicU64,
    stage: AtomicU8,
    ended: Notify,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    /// It is the client's turn, or the request is worth nothing: it may go.
    Waiting,
    /// A complete request is being worked on.
    Working,
    /// It is told the news.
    Streaming,
}

impl Connection {
    pub(super) fn address(&self) -> Address {
        self.address
    }

    pub(super) fn now_in(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    fn is_in(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Relaxed) == stage as u8
    }

    /// Something was read or written.
    pub(super) fn progressed(&self) {
        let after = Instant::now().saturating_duration_since(self.opened);
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.heard.store(after, Ordering::Relaxed);
    }

    fn heard(&self) -> Instant {
        self.opened + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    /// Waits until it has been quiet for too long, or has to make room.
    pub(super) async fn is_over(&self) {
        let quiet = async {
            loop {
                let most = if self.is_in(Stage::Streaming) {
                    QUIET_STREAM
                } else {
                    QUIET
                };
                let end = self.heard() + most;
                if end <= Instant::now() && !self.is_in(Stage::Working) {
                    return;
                }
                // Work has limits of its own, far below.
                tokio::time::sleep_until(end.max(Instant::now() + Duration::from_secs(1))).await;
            }
        };
        tokio::select! {
            () = quiet => {}
            () = self.ended.notified() => {}
        }
    }
}

/// A place among the connections; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    connection: Arc<Connection>,
    connections: Arc<Connections>,
}

impl Place {
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().places.remove(&self.number);
    }
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            all: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a newcomer; none while all that it could have are at work.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let address = Address::of(ip);
        let mut all = self.lock();
        let own = all.of(address);
        if own >= self.limits.per_address {
            all.make_room(Some(address))?;
        } else if all.places.len() >= self.limits.whole {
            let greediest = all.greediest();
            all.make_room(greediest).or_else(|| all.make_room(None))?;
        }
        let connection = Arc::new(Connection {
            address,
            opened: Instant::now(),
            heard: AtomicU64::new(0),
            stage: AtomicU8::new(Stage::Waiting as u8),
            ended: Notify::new(),
        });
        let number = all.next;
        all.next += 1;
        all.places.insert(number, Arc::clone(&connection));
        Some(Place {
            number,
            connection,
            connections: Arc::clone(self),
        })
    }

    /// Lets the quietest go, since the system has no more descriptors.
    pub(super) fn make_room(&self) {
        let mut all = self.lock();
        let greediest = all.greediest();
        let _ = all.make_room(greediest).or_else(|| all.make_room(None));
    }
}

impl All {
    fn of(&self, address: Address) -> usize {
        let own = |each: &&Arc<Connection>| each.address == address;
        self.places.values().filter(own).count()
    }

    /// The address with the most connections.
    fn greediest(&self) -> Option<Address> {
        let mut count: BTreeMap<Address, usize> = BTreeMap::new();
        for each in self.places.values() {
            *count.entry(each.address).or_default() += 1;
        }
        count
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(address, _)| address)
    }

    /// Ends the quietest connection, of an address or of all; none when all
    /// are at work.
    fn make_room(&mut self, address: Option<Address>) -> Option<()> {
        let number = self
            .places
            .iter()
            .filter(|(_, each)| address.is_none_or(|address| each.address == address))
            .filter(|(_, each)| each.is_in(Stage::Waiting))
            .min_by_key(|(_, each)| each.heard())
            .map(|(number, _)| *number)?;
        self.places.remove(&number)?.ended.notify_one();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn connections(whole: usize) -> Arc<Connections> {
        Connections::new(Limits {
            whole,
            per_address: whole / 2,
        })
    }

    /// Whether it was told to go.
    async fn gone(place: &Place) -> bool {
        let mut ended = std::pin::pin!(place.connection.ended.notified());
        futures_util::poll!(ended.as_mut()).is_ready()
    }

    #[test]
    fn few_descriptors_leave_few_connections() {
        let table = [
            (None, 512),
            (Some(1_048_576), 512),
            (Some(1024), 512),
            (Some(256), 224),
            (Some(64), 32),
            (Some(33), 8),
            (Some(0), 8),
        ];
        for (descriptors, whole) in table {
            let expected = Limits {
                whole,
                per_address: whole / 2,
            };
            assert_eq!(Limits::of_descriptors(descriptors), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_quietest_of_ones_own_makes_room() {
        let connections = connections(8);
        let mut own = Vec::new();
        for _ in 0..4 {
            own.push(connections.admit(ip(1)).unwrap());
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        let stranger = connections.admit(ip(2)).unwrap();
        own[0].connection.progressed();
        own[1].connection.now_in(Stage::Working);
        own[2].connection.now_in(Stage::Streaming);
        let newcomer = connections.admit(ip(1)).unwrap();
        assert!(gone(&own[3]).await);
        for each in [&own[0], &own[1], &own[2], &stranger, &newcomer] {
            assert!(!gone(each).await);
        }
        // All at work: the next one has to come again.
        own[0].connection.now_in(Stage::Working);
        newcomer.connection.now_in(Stage::Working);
        assert!(connections.admit(ip(1)).is_none());
        assert!(connections.admit(ip(2)).is_some());
        drop(own);
        assert!(connections.admit(ip(1)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_is_taken_the_greediest_makes_room() {
        let connections = connections(8);
        let quiet = connections.admit(ip(1)).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let many: Vec<Place> = (0..4)
            .map(|_| connections.admit(ip(2)).unwrap())
            .chain((3..6).map(|last| connections.admit(ip(last)).unwrap()))
            .collect();
        let newcomer = connections.admit(ip(9)).unwrap();
        assert!(!gone(&quiet).await);
        assert!(!gone(&newcomer).await);
        assert!(gone(&many[0]).await, "the quietest of the greediest");
        for each in &many[1..] {
            assert!(!gone(each).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_quiet_for_too_long_goes_and_who_works_does_not() {
        let connections = connections(8);
        let began = Instant::now();
        let place = connections.admit(ip(1)).unwrap();
        place.connection.is_over().await;
        assert_eq!(began.elapsed(), QUIET);

        place.connection.progressed();
        place.connection.now_in(Stage::Working);
        let over = place.connection.is_over();
        assert!(
            tokio::time::timeout(Duration::from_secs(600), over)
                .await
                .is_err()
        );
        place.connection.progressed();
        place.connection.now_in(Stage::Streaming);
        let began = Instant::now();
        place.connection.is_over().await;
        assert_eq!(began.elapsed(), QUIET_STREAM);
    }
}
