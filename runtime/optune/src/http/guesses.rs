//! Wrong tokens: each costs its sender time, and the log a line now and then.
//!
//! The right token is never delayed, whatever else comes from its address,
//! since a servo may stand behind the same proxy as whoever guesses. What is
//! delayed is the refusal: longer with each wrong token of an address, shorter
//! again with time. Only so many refusals wait at a time; beyond that a
//! connection is closed without one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::address::Address;
use super::quota::{Permit, Quota};

/// Delay of the first wrong token of an address; each further one doubles it.
const FIRST: Duration = Duration::from_millis(50);
/// Longest delay: the original has no timeout and is to be answered in 5 s.
const LONGEST: Duration = Duration::from_secs(3);
/// Time in which half of what an address did is forgiven.
const HALF: Duration = Duration::from_secs(10);
/// Addresses that are remembered; the one that was quiet for longest goes.
const REMEMBERED: usize = 1024;
/// Refusals that wait at a time, in all and for one address.
const WAITING: (usize, usize) = (64, 16);
/// Time for which the log has one line.
const WINDOW: Duration = Duration::from_secs(60);

/// Who has sent wrong tokens.
#[derive(Debug)]
pub(super) struct Guesses {
    book: Mutex<Book>,
    waiting: Arc<Quota>,
}

#[derive(Debug, Default)]
struct Book {
    entries: HashMap<Address, Entry>,
    window: Option<Window>,
}

#[derive(Debug)]
struct Entry {
    wrong: u32,
    last: Instant,
}

/// What is not in the log yet.
#[derive(Debug)]
struct Window {
    ends: Instant,
    wrong: u64,
    from: HashMap<Address, u64>,
}

/// What the log should say.
#[derive(Debug, PartialEq)]
enum Line {
    First(Address),
    More {
        wrong: u64,
        addresses: usize,
        most: Option<(Address, u64)>,
    },
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            book: Mutex::default(),
            waiting: Quota::new(WAITING.0, WAITING.1),
        }
    }
}

impl Guesses {
    /// Waits as long as a wrong token costs. False when the connection is to be
    /// closed instead of answered.
    pub(super) async fn refuse(&self, from: Address) -> bool {
        let now = Instant::now();
        let (delay, line) = {
            let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
            (book.wrong(from, now), book.note(from, now))
        };
        write(line);
        let Some(waiting): Option<Permit> = self.waiting.try_take(from) else {
            return false;
        };
        tokio::time::sleep(delay).await;
        drop(waiting);
        true
    }

    /// Writes what is still to be said, once its time has come.
    pub(super) fn report(&self) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let line = book.close_window(Instant::now());
        drop(book);
        write(line);
    }
}

fn write(line: Option<Line>) {
    match line {
        None => {}
        Some(Line::First(from)) => {
            tracing::warn!(%from, "a wrong token; more of them are counted and told in a minute");
        }
        Some(Line::More {
            wrong,
            addresses,
            most,
        }) => {
            let (from, times) = most.unzip();
            let from = from.map(tracing::field::display);
            tracing::warn!(wrong, addresses, most = from, times, "more wrong tokens");
        }
    }
}

impl Book {
    /// Counts one and says what it costs.
    fn wrong(&mut self, from: Address, now: Instant) -> Duration {
        if self.entries.len() >= REMEMBERED && !self.entries.contains_key(&from) {
            let quietest = self.entries.iter().min_by_key(|(_, entry)| entry.last);
            if let Some(quietest) = quietest.map(|(address, _)| *address) {
                self.entries.remove(&quietest);
            }
        }
        let entry = self.entries.entry(from).or_insert(Entry {
            wrong: 0,
            last: now,
        });
        let halves = now.saturating_duration_since(entry.last).as_secs() / HALF.as_secs();
        entry.wrong = u32::try_from(halves)
            .ok()
            .and_then(|halves| entry.wrong.checked_shr(halves))
            .unwrap_or(0);
        let delay = FIRST.saturating_mul(2_u32.saturating_pow(entry.wrong));
        // More than the longest delay needs is not counted, else it would
        // never be forgiven.
        entry.wrong = (entry.wrong + 1).min(10);
        entry.last = now;
        delay.min(LONGEST)
    }

    fn note(&mut self, from: Address, now: Instant) -> Option<Line> {
        let ended = self.close_window(now);
        match &mut self.window {
            Some(window) => {
                window.wrong += 1;
                if window.from.len() < REMEMBERED || window.from.contains_key(&from) {
                    *window.from.entry(from).or_default() += 1;
                }
                ended
            }
            None => {
                self.window = Some(Window::new(now));
                Some(Line::First(from))
            }
        }
    }

    /// What a window has gathered, once it has ended. Another one follows where
    /// there was something, so that there is no more than a line in each.
    fn close_window(&mut self, now: Instant) -> Option<Line> {
        let window = self.window.take_if(|window| window.ends <= now)?;
        if window.wrong == 0 {
            return None;
        }
        self.window = Some(Window::new(now));
        Some(Line::More {
            wrong: window.wrong,
            addresses: window.from.len(),
            most: window.from.into_iter().max_by_key(|(_, times)| *times),
        })
    }
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            ends: now + WINDOW,
            wrong: 0,
            from: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(a: u8, b: u8) -> Address {
        Address::of([10, 0, a, b].into())
    }

    #[test]
    fn each_costs_more_and_time_forgives() {
        let mut book = Book::default();
        let start = Instant::now();
        let delays: Vec<u128> = (0..9)
            .map(|_| book.wrong(from(0, 1), start).as_millis())
            .collect();
        assert_eq!(delays, [50, 100, 200, 400, 800, 1600, 3000, 3000, 3000]);
        assert_eq!(book.wrong(from(0, 2), start), FIRST);
        for _ in 0..1000 {
            book.wrong(from(0, 1), start);
        }
        let minute = start + Duration::from_secs(60);
        assert_eq!(book.wrong(from(0, 1), minute), FIRST);
    }

    #[test]
    fn the_book_has_an_end_and_keeps_whoever_goes_on() {
        let mut book = Book::default();
        let start = Instant::now();
        for n in 0..=u16::MAX {
            let [a, b] = n.to_be_bytes();
            let now = start + Duration::from_millis(u64::from(n));
            book.wrong(from(0, 0), now);
            book.wrong(from(a, b), now);
            book.note(from(a, b), now);
            assert!(book.entries.len() <= REMEMBERED);
        }
        let window = book.window.as_ref().unwrap();
        assert!(window.from.len() <= REMEMBERED);
        let end = start + Duration::from_secs(66);
        assert_eq!(book.wrong(from(0, 0), end), LONGEST);
    }

    #[test]
    fn the_log_has_one_line_at_once_and_then_one_a_minute_with_a_count() {
        let mut book = Book::default();
        let start = Instant::now();
        assert_eq!(book.note(from(0, 1), start), Some(Line::First(from(0, 1))));
        for _ in 0..998 {
            assert_eq!(book.note(from(0, 1), start), None);
        }
        assert_eq!(book.note(from(0, 2), start), None);
        assert_eq!(book.close_window(start + WINDOW / 2), None);
        let told = book.close_window(start + WINDOW);
        let expected = Line::More {
            wrong: 999,
            addresses: 2,
            most: Some((from(0, 1), 998)),
        };
        assert_eq!(told, Some(expected));
        assert_eq!(book.close_window(start + WINDOW * 2), None);
        assert!(book.window.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_refusals_wait_and_no_more() {
        let guesses = Arc::new(Guesses::default());
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let guesses = Arc::clone(&guesses);
            all.spawn(async move { guesses.refuse(from(0, 1)).await });
        }
        let answered = all.join_all().await.into_iter().filter(|each| *each);
        assert_eq!(answered.count(), WAITING.1);
        // Another address has its own.
        let began = Instant::now();
        assert!(guesses.refuse(from(0, 2)).await);
        assert_eq!(began.elapsed(), FIRST);
    }
}
