//! What the settings do, told by counting what the workers spend. The paces
//! here never wait for time: they count, or they hold a worker until told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::app::catalogue::Demand;

/// Long enough that only a real fault reaches it.
const NEVER: Duration = Duration::from_secs(60);

/// Counts every cost and never waits.
#[derive(Default)]
struct Counting {
    round_trips: Mutex<Vec<u32>>,
    sweeps: Mutex<BTreeMap<u32, usize>>,
    agreements: Mutex<BTreeMap<u32, usize>>,
}

impl Pace for Counting {
    fn spend(&self, cost: Cost) {
        match cost {
            Cost::RoundTrip { rows } => lock(&self.round_trips).push(rows),
            Cost::Agreement { workers } => *lock(&self.agreements).entry(workers).or_default() += 1,
            Cost::Sweep { entries } => *lock(&self.sweeps).entry(entries).or_default() += 1,
        }
    }

    fn linger(&self, _batch: u32) -> Duration {
        Duration::ZERO
    }
}

/// Holds every round trip until the test lets it go.
struct Held {
    entered: Mutex<mpsc::Sender<u32>>,
    release: Mutex<mpsc::Receiver<()>>,
    linger: Duration,
    /// Names of the threads that ever asked the database.
    threads: Mutex<BTreeSet<String>>,
}

impl Held {
    fn new(linger: Duration) -> (Arc<Self>, mpsc::Receiver<u32>, mpsc::Sender<()>) {
        let (entered, entries) = mpsc::channel();
        let (releases, release) = mpsc::channel();
        let pace = Arc::new(Self {
            entered: Mutex::new(entered),
            release: Mutex::new(release),
            linger,
            threads: Mutex::default(),
        });
        (pace, entries, releases)
    }
}

impl Pace for Held {
    fn spend(&self, cost: Cost) {
        if let Cost::RoundTrip { rows } = cost {
            let name = std::thread::current().name().unwrap_or("?").to_owned();
            lock(&self.threads).insert(name);
            let _ = lock(&self.entered).send(rows);
            let _ = lock(&self.release).recv_timeout(NEVER);
        }
    }

    fn linger(&self, _batch: u32) -> Duration {
        self.linger
    }
}

fn pool(pace: Arc<dyn Pace>, settings: Value) -> Pool {
    let pool = Pool::start(pace, Arc::default()).unwrap();
    pool.apply(&settings).unwrap();
    pool
}

fn running(pool: &Pool) -> usize {
    let state = lock(&pool.shared.state);
    state.running.iter().filter(|running| **running).count()
}

#[test]
fn a_batch_takes_what_waits_in_one_round_trip() {
    for (batch, expected) in [
        (1, vec![1; 9]),
        (3, vec![1, 3, 3, 2]),
        (4, vec![1, 4, 4]),
        (32, vec![1, 8]),
    ] {
        let (pace, entries, releases) = Held::new(Duration::ZERO);
        let pool = pool(pace, json!({"workers": 1, "batch": batch}));
        // The first keeps the only worker busy while the other eight queue up.
        let mut answers = vec![pool.submit(0).unwrap()];
        let mut trips = vec![entries.recv_timeout(NEVER).unwrap()];
        answers.extend((1..9).map(|item| pool.submit(item).unwrap()));
        for _ in 1..expected.len() {
            releases.send(()).unwrap();
            trips.push(entries.recv_timeout(NEVER).unwrap());
        }
        releases.send(()).unwrap();
        for (item, answer) in (0..).zip(answers) {
            assert_eq!(answer.blocking_recv().unwrap(), Quote::of(item));
        }
        assert_eq!(trips, expected, "batch {batch}");
    }
}

#[test]
fn a_worker_lingers_until_its_batch_is_full() {
    let (pace, entries, releases) = Held::new(NEVER);
    let pool = pool(pace, json!({"workers": 1, "batch": 3}));
    let answers = [0, 1, 2].map(|item| pool.submit(item).unwrap());
    assert_eq!(entries.recv_timeout(NEVER).unwrap(), 3);
    releases.send(()).unwrap();
    for answer in answers {
        answer.blocking_recv().unwrap();
    }
}

#[test]
fn stopping_ends_the_lingering_and_answers_what_is_queued() {
    let (pace, _entries, releases) = Held::new(NEVER);
    let pool = pool(pace, json!({"workers": 1, "batch": 32}));
    let answer = pool.submit(7).unwrap();
    releases.send(()).unwrap();
    pool.stop_and_wait();
    assert_eq!(answer.blocking_recv().unwrap(), Quote::of(7));
    assert!(pool.submit(8).is_none(), "a stopped pool takes no requests");
    assert_eq!(running(&pool), 0);
}

#[test]
fn as_many_round_trips_at_a_time_as_workers() {
    for workers in [1, 2, 7, 16] {
        let (pace, entries, releases) = Held::new(Duration::ZERO);
        let pool = pool(
            Arc::clone(&pace) as Arc<dyn Pace>,
            json!({"workers": workers}),
        );
        let answers: Vec<_> = (0..40).map(|item| pool.submit(item).unwrap()).collect();
        // None of them ends before all of them have begun.
        for _ in 0..workers {
            entries.recv_timeout(NEVER).unwrap();
        }
        for _ in 0..40 {
            releases.send(()).unwrap();
        }
        for answer in answers {
            answer.blocking_recv().unwrap();
        }
        // Nor did a worker above the number ever take a request.
        let expected: BTreeSet<_> = (0..workers).map(|n| format!("quote-{n}")).collect();
        assert_eq!(*lock(&pace.threads), expected);
    }
}

#[test]
fn the_cache_spares_round_trips() {
    let demand = Demand::new();
    let trips = |cache: u32| {
        let pace = Arc::new(Counting::default());
        let pool = pool(
            Arc::clone(&pace) as Arc<dyn Pace>,
            json!({"workers": 1, "cache": cache}),
        );
        for request in 0..1000 {
            let item = demand.item(request);
            let quote = pool.submit(item).unwrap().blocking_recv().unwrap();
            assert_eq!(quote, Quote::of(item));
        }
        pool.stop_and_wait();
        let swept = lock(&pace.sweeps).get(&cache).copied();
        assert_eq!(swept, (cache > 0).then_some(1000), "cache {cache}");
        lock(&pace.round_trips).len()
    };
    let counts = [0, 256, 1024, 4096].map(trips);
    let expected = [0, 256, 1024, 4096].map(|best| {
        (0..1000)
            .filter(|request| demand.item(*request) >= best)
            .count()
    });
    assert_eq!(counts, expected);
    assert_eq!(counts[0], 1000);
    assert!(counts[2] < 500, "{counts:?}");
}

#[test]
fn every_pass_agrees_with_all_workers() {
    let pace = Arc::new(Counting::default());
    let pool = pool(
        Arc::clone(&pace) as Arc<dyn Pace>,
        json!({"workers": 5, "cache": 4096}),
    );
    for item in 0..10 {
        pool.submit(item).unwrap().blocking_recv().unwrap();
    }
    assert_eq!(*lock(&pace.agreements), BTreeMap::from([(5, 10)]));
    assert!(lock(&pace.round_trips).is_empty(), "all of them were hits");
}

#[test]
fn the_queue_is_bounded() {
    let (pace, entries, releases) = Held::new(Duration::ZERO);
    let pool = pool(pace, json!({"workers": 1, "batch": 1}));
    let mut answers = vec![pool.submit(0).unwrap()];
    entries.recv_timeout(NEVER).unwrap();
    answers.extend((0..QUEUE).map(|_| pool.submit(0).unwrap()));
    assert!(pool.submit(0).is_none());
    // Without anyone to release them, the worker no longer waits.
    drop(releases);
}

#[test]
fn clients_that_have_gone_cost_no_round_trip() {
    let (pace, entries, releases) = Held::new(Duration::ZERO);
    let pool = pool(pace, json!({"workers": 1, "batch": 4}));
    let first = pool.submit(0).unwrap();
    entries.recv_timeout(NEVER).unwrap();
    for item in 1..10 {
        drop(pool.submit(item).unwrap());
    }
    let last = pool.submit(10).unwrap();
    releases.send(()).unwrap();
    assert_eq!(entries.recv_timeout(NEVER).unwrap(), 1, "only the last one");
    releases.send(()).unwrap();
    assert_eq!(last.blocking_recv().unwrap(), Quote::of(10));
    drop(first);
}

#[test]
fn a_change_is_taken_whole_or_not_at_all() {
    let pool = pool(
        Arc::new(Counting::default()),
        json!({"workers": 3, "batch": 2, "cache": 512}),
    );
    let before = pool.settings();
    for wrong in [
        json!({"workers": 9, "batch": 4, "cache": 100}),
        json!({"cache": 0, "workers": 5, "threads": 1}),
    ] {
        assert!(pool.apply(&wrong).is_err());
        assert_eq!(pool.settings(), before, "{wrong}");
        assert_eq!(running(&pool), 3, "{wrong}");
        assert_eq!(lock(&pool.shared.cache).entries(), 512, "{wrong}");
    }
}

#[test]
fn changes_at_the_same_time_lose_nothing() {
    let pool = pool(Arc::new(Counting::default()), json!({}));
    for (workers, batch, cache) in [(16, 32, 4096), (1, 1, 0), (4, 2, 256)] {
        std::thread::scope(|scope| {
            for change in [
                json!({"workers": workers}),
                json!({"batch": batch}),
                json!({"cache": cache}),
            ] {
                let pool = &pool;
                scope.spawn(move || pool.apply(&change).unwrap());
            }
        });
        let settings = pool.settings();
        assert_eq!(
            (settings.workers(), settings.batch(), settings.cache()),
            (workers, batch, cache)
        );
    }
}

#[test]
fn a_pass_ends_with_the_settings_it_began_with() {
    let (pace, entries, releases) = Held::new(Duration::ZERO);
    let pool = pool(pace, json!({"workers": 1, "batch": 1}));
    let first = pool.submit(0).unwrap();
    assert_eq!(entries.recv_timeout(NEVER).unwrap(), 1);
    let rest: Vec<_> = (1..5).map(|item| pool.submit(item).unwrap()).collect();
    pool.apply(&json!({"batch": 4})).unwrap();
    releases.send(()).unwrap();
    first.blocking_recv().unwrap();
    assert_eq!(
        entries.recv_timeout(NEVER).unwrap(),
        4,
        "the next pass has the new batch"
    );
    releases.send(()).unwrap();
    for answer in rest {
        answer.blocking_recv().unwrap();
    }
}

#[test]
fn workers_come_and_go_under_load_and_every_request_is_answered() {
    let pool = pool(Arc::new(Counting::default()), json!({"batch": 2}));
    std::thread::scope(|scope| {
        let pool = &pool;
        for client in 0..4 {
            scope.spawn(move || {
                for request in 0..200 {
                    let item = client * 200 + request;
                    let quote = pool.submit(item).unwrap().blocking_recv().unwrap();
                    assert_eq!(quote, Quote::of(item));
                }
            });
        }
        for round in 0..100_u32 {
            let workers = 1 + round * 7 % 16;
            let cache = round % 3 * 256;
            pool.apply(&json!({"workers": workers, "cache": cache}))
                .unwrap();
        }
    });
    pool.stop_and_wait();
    assert_eq!(running(&pool), 0);
}
