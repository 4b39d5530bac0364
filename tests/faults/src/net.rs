//! A network that loses, delays, doubles and cuts.
//!
//! A request is on its way by itself: it arrives although its sender has given
//! up or is dead, and its double arrives long after, when other things have
//! happened. Nothing else makes the two ends disagree about what was done.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::chance::Chance;
use crate::log::Log;

/// How long a message is on its way when nothing is wrong.
const USUAL: Duration = Duration::from_millis(5);

/// Longest delay of a request or an answer, in seconds: well beyond every time
/// limit, so that what arrives late is no longer expected.
const LONGEST: u64 = 300;

/// How often what goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// A request is lost.
    pub lose: f64,
    /// It comes late.
    pub late: f64,
    /// It arrives a second time.
    pub twice: f64,
    /// It breaks off on its way.
    pub cut: f64,
    /// The answer is lost.
    pub lose_answer: f64,
    /// The answer comes late.
    pub late_answer: f64,
    /// The answer breaks off.
    pub cut_answer: f64,
}

impl Weather {
    /// Some of all; in one seed of five one kind alone, and much of it.
    pub fn draw(chance: &mut Chance) -> Self {
        let mut weather = Self::default();
        let alone = chance.happens(0.2);
        let chosen = chance.between(0, 6);
        for (number, rate) in (0..).zip([
            &mut weather.lose,
            &mut weather.late,
            &mut weather.twice,
            &mut weather.cut,
            &mut weather.lose_answer,
            &mut weather.late_answer,
            &mut weather.cut_answer,
        ]) {
            let drawn = f64::from(u32::try_from(chance.between(0, 100)).unwrap_or(0)) / 1000.0;
            *rate = match (alone, number == chosen) {
                (true, true) => 0.3 + drawn,
                (true, false) => 0.0,
                (false, _) => drawn,
            };
        }
        weather
    }
}

/// Nothing usable came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The connection broke.
    Broken,
    /// The sender stopped waiting.
    Silent,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came<A> {
    /// All of it.
    Whole(A),
    /// A beginning of it; the sender cannot tell from its head.
    Torn(A),
}

/// What becomes of one request.
struct Fate {
    /// When it arrives, and whether in one piece; none: never.
    arrives: Option<(Duration, bool)>,
    /// When it arrives once more.
    again: Option<Duration>,
    /// What becomes of the answer.
    answer: Return,
}

enum Return {
    Whole(Duration),
    Torn(Duration),
    Broken,
    Silent,
}

/// One network, between two ends.
#[derive(Debug)]
pub struct Net {
    name: &'static str,
    weather: Mutex<Weather>,
    chance: Mutex<Chance>,
    down: AtomicBool,
    faults: AtomicU64,
    under_way: TaskTracker,
    log: Arc<Log>,
}

impl Net {
    /// A network with its weather.
    #[must_use]
    pub fn new(name: &'static str, weather: Weather, chance: Chance, log: Arc<Log>) -> Arc<Self> {
        Arc::new(Self {
            name,
            weather: Mutex::new(weather),
            chance: Mutex::new(chance),
            down: AtomicBool::new(false),
            faults: AtomicU64::new(0),
            under_way: TaskTracker::new(),
            log,
        })
    }

    /// From now on everything arrives.
    pub fn calm(&self) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = Weather::default();
        self.partition(false);
    }

    /// Nothing gets through while it is down.
    pub fn partition(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How often something went wrong.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst)
    }

    /// Waits until nothing is under way.
    pub async fn settled(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    fn fate(&self) -> Fate {
        let weather = *self.weather.lock().unwrap_or_else(PoisonError::into_inner);
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = chance.happens(0.5);
        let unanswered = if silent {
            Return::Silent
        } else {
            Return::Broken
        };
        if self.down.load(Ordering::SeqCst) || chance.happens(weather.lose) {
            return Fate {
                arrives: None,
                again: None,
                answer: unanswered,
            };
        }
        let mut late = |rate: f64| {
            if chance.happens(rate) {
                chance.seconds(0, LONGEST)
            } else {
                USUAL
            }
        };
        let delay = late(weather.late);
        let back = late(weather.late_answer);
        let again = chance
            .happens(weather.twice)
            .then(|| delay + chance.seconds(0, LONGEST));
        let whole = !chance.happens(weather.cut);
        let answer = if chance.happens(weather.lose_answer) {
            unanswered
        } else if chance.happens(weather.cut_answer) {
            // Half of those look complete to the one who reads.
            if silent {
                Return::Torn(back)
            } else {
                Return::Broken
            }
        } else {
            Return::Whole(back)
        };
        Fate {
            arrives: Some((delay, whole)),
            again,
            answer,
        }
    }

    fn fault(&self, what: &str, how: &str) {
        self.faults.fetch_add(1, Ordering::SeqCst);
        self.log.note(format!("{}: {what} {how}", self.name));
    }

    /// Sends a request and waits for its answer no longer than `limit`.
    /// `deliver` is what the other end does each time it arrives, and is told
    /// whether it arrived in one piece.
    ///
    /// # Errors
    /// Nothing usable came back in time.
    pub async fn send<A, D, F>(
        self: &Arc<Self>,
        what: &str,
        limit: Duration,
        deliver: D,
    ) -> Result<Came<A>, Lost>
    where
        A: Send + 'static,
        D: Fn(bool) -> F + Send + Sync + 'static,
        F: Future<Output = Result<A, Lost>> + Send + 'static,
    {
        let Fate {
            arrives,
            again,
            answer,
        } = self.fate();
        let deliver = Arc::new(deliver);
        let (reply, replied) = oneshot::channel();
        match arrives {
            None => {
                drop(reply);
                self.fault(what, "is lost");
            }
            Some((delay, whole)) => {
                if delay > USUAL {
                    self.fault(what, &format!("comes late, after {delay:?}"));
                }
                if !whole {
                    self.fault(what, "breaks off");
                }
                let deliver = Arc::clone(&deliver);
                self.under_way.spawn(async move {
                    sleep(delay).await;
                    // The sender may be gone.
                    let _ = reply.send(deliver(whole).await);
                });
            }
        }
        if let Some(delay) = again {
            self.fault(what, &format!("arrives twice, again after {delay:?}"));
            self.under_way.spawn(async move {
                sleep(delay).await;
                let _ = deliver(true).await;
            });
        }
        let wait = async {
            let Ok(Ok(came)) = replied.await else {
                return match answer {
                    Return::Silent => pending().await,
                    _ => Err(Lost::Broken),
                };
            };
            match answer {
                Return::Whole(back) => {
                    if back > USUAL {
                        self.fault(what, &format!("is answered late, after {back:?}"));
                    }
                    sleep(back).await;
                    Ok(Came::Whole(came))
                }
                Return::Torn(back) => {
                    self.fault(what, "is answered by half");
                    sleep(back).await;
                    Ok(Came::Torn(came))
                }
                Return::Broken => {
                    self.fault(what, "loses its answer");
                    Err(Lost::Broken)
                }
                Return::Silent => {
                    self.fault(what, "loses its answer without a word");
                    pending().await
                }
            }
        };
        timeout(limit, wait).await.unwrap_or(Err(Lost::Silent))
    }
}
